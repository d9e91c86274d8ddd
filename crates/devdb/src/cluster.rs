//! A private PostgreSQL server: made when absent, found again after a crash, stopped when no longer wanted.

use std::{
    fmt::Write,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    error::{ClusterError, Death},
    init::{Initialise, SUPERUSER},
    launch::{Launch, RESERVED_SETTINGS},
    layout::{Layout, make_dirs},
    lock::DirLock,
    password::Password,
    port::{self, PortChoice},
    programs::Programs,
    reachable::{enterable_by, reachable_by},
    server::Server,
    takeover::Takeover,
    user::ServerUser,
};

/// Where and how a cluster runs.
#[derive(Debug, Clone)]
pub struct ClusterConfig {
    /// The directory for everything the cluster keeps. It is made when absent; when síndico is root, the directories
    /// above it must let the server's user pass (see [`crate::reachable`]).
    pub dir: PathBuf,
    /// The port on 127.0.0.1. There is no other way in, not even a Unix socket, unless the settings name a folder for one;
    /// passwords are asked for there, too.
    pub port: PortChoice,
    /// Settings of the server beyond síndico's own, as in `postgresql.conf`.
    pub settings: Vec<(String, String)>,
    /// How long the server may take until it answers, recovery after a crash included.
    pub start_timeout: Duration,
    /// How long the server may take to end sessions and write everything before it is stopped the hard way.
    pub stop_timeout: Duration,
}

impl ClusterConfig {
    /// Any port, no settings of its own, 30 s to start and 10 s to stop.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            port: PortChoice::Any,
            settings: Vec::new(),
            start_timeout: Duration::from_secs(30),
            stop_timeout: Duration::from_secs(10),
        }
    }
}

/// A running private server. Dropping it without [`Cluster::stop`] stops the server at once, which costs it a recovery
/// at the next start and blocks the thread for that moment.
#[derive(Debug)]
pub struct Cluster {
    server: Server,
    port: u16,
    adopted: bool,
    password: Password,
    stop_timeout: Duration,
    // Last, so that the directory is only given back when the server has ended.
    _lock: DirLock,
}

impl Cluster {
    /// Starts the cluster in `config.dir`, which is made first when there is none.
    ///
    /// A server that an earlier síndico started there and could not stop, because it was killed, is taken over if it
    /// runs with the same settings and answers, and replaced otherwise. One that síndico did not start is an error.
    pub async fn start(programs: &Programs, config: ClusterConfig) -> Result<Self, ClusterError> {
        refuse_reserved(&config.settings)?;
        let user = ServerUser::detect()?;
        reachable_by(&user, &config.dir)?;
        reachable_by(&user, &programs.postgres())?;

        let dir = make_absolute(&config.dir, &user).map_err(ClusterError::file("make", &config.dir))?;
        let lock = DirLock::take(&dir)?;
        enterable_by(&user, &dir)?;
        let layout = Layout::new(dir);

        let found = Takeover { programs, config: &config, layout: &layout }.settle().await?;
        let adopted = found.is_some();
        let (server, port) = if let Some(found) = found {
            found
        } else {
            if let PortChoice::Fixed(port) = config.port {
                port::probe(port).map_err(|source| ClusterError::PortTaken { port, source })?;
            }
            make_if_absent(programs, &user, &layout, &config.settings).await?;
            Launch { programs, user: &user, layout: &layout, config: &config }.run().await?
        };
        let password = read_password(&layout)?;
        Ok(Self { server, port, adopted, password, stop_timeout: config.stop_timeout, _lock: lock })
    }

    /// The port on 127.0.0.1 that the server listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The server's main process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// Whether the server is one that an earlier run started and this one found running.
    #[must_use]
    pub fn adopted(&self) -> bool {
        self.adopted
    }

    /// How to connect to `database` as the superuser. The text contains the password.
    #[must_use]
    pub fn dsn(&self, database: &str) -> String {
        let password = self.password.reveal();
        format!("postgresql://{SUPERUSER}:{password}@127.0.0.1:{}/{}", self.port, percent_encoded(database))
    }

    /// Resolves when the server has ended, with what is known about why. It does so after [`Cluster::stop`] too.
    pub fn died(&self) -> impl Future<Output = Death> + Send + use<> {
        self.server.died()
    }

    /// Stops the server: open sessions are ended, everything is written. One that takes longer than the configured time
    /// is stopped the hard way.
    pub async fn stop(self) -> Result<(), ClusterError> {
        self.server.stop(self.stop_timeout).await
    }
}

fn refuse_reserved(settings: &[(String, String)]) -> Result<(), ClusterError> {
    let reserved = settings.iter().find(|(name, _)| RESERVED_SETTINGS.contains(&name.to_ascii_lowercase().as_str()));
    reserved.map_or(Ok(()), |(name, _)| Err(ClusterError::ReservedSetting { name: name.clone() }))
}

/// Makes the directory and names it in full, since the server works in another one.
fn make_absolute(dir: &Path, user: &ServerUser) -> io::Result<PathBuf> {
    make_dirs(dir, user.passage_mode())?;
    fs::canonicalize(dir)
}

async fn make_if_absent(
    programs: &Programs,
    user: &ServerUser,
    layout: &Layout,
    settings: &[(String, String)],
) -> Result<(), ClusterError> {
    let data = layout.data();
    if !data.try_exists().map_err(ClusterError::file("look for", &data))? {
        let durable = !settings.iter().any(|(name, value)| name == "fsync" && is_off(value));
        return Initialise { programs, user, layout, durable }.run().await;
    }
    let version_file = data.join("PG_VERSION");
    let made_by = fs::read_to_string(&version_file).map_err(ClusterError::file("read", version_file))?;
    let made_by = made_by.trim();
    if made_by == programs.version().major().to_string() {
        return Ok(());
    }
    Err(ClusterError::OtherMajor {
        data,
        made_by: made_by.to_owned(),
        bin: programs.bin().to_owned(),
        found: programs.version().to_string(),
    })
}

fn is_off(value: &str) -> bool {
    ["off", "false", "no", "0"].contains(&value.to_ascii_lowercase().as_str())
}

pub(crate) fn read_password(layout: &Layout) -> Result<Password, ClusterError> {
    Password::read(&layout.password()).map_err(ClusterError::file("read", layout.password()))
}

/// A name as one segment of a URL's path (RFC 3986, section 2.3: what is unreserved stays).
fn percent_encoded(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{ClusterError, is_off, percent_encoded, refuse_reserved};

    #[test]
    fn any_database_name_fits_into_the_dsn() {
        assert_eq!(percent_encoded("app_crm-1.x~"), "app_crm-1.x~");
        assert_eq!(percent_encoded("a/b?c d%é"), "a%2Fb%3Fc%20d%25%C3%A9");
    }

    #[test]
    fn our_own_settings_are_not_for_others() {
        let setting = |name: &str| vec![(name.to_owned(), "1".to_owned())];
        refuse_reserved(&setting("max_connections")).unwrap();
        let error = refuse_reserved(&setting("Port")).unwrap_err();
        assert!(matches!(&error, ClusterError::ReservedSetting { name } if name == "Port"), "{error}");
    }

    #[test]
    fn off_has_several_spellings() {
        assert!(is_off("OFF") && is_off("false") && is_off("0"));
        assert!(!is_off("on") && !is_off(""));
    }
}
