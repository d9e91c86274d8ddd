//! Starting a server on data that exists and that nothing uses.

use crate::{
    cluster::{ClusterConfig, read_password},
    error::ClusterError,
    layout::{Layout, replace_file},
    log,
    password::Password,
    port::{self, PortChoice},
    programs::Programs,
    record::{Record, previous_port},
    server::Server,
    user::ServerUser,
};

/// What a caller cannot set: it is how the server is found again and how it is kept private.
pub(crate) const RESERVED_SETTINGS: [&str; 3] = ["listen_addresses", "port", "cluster_name"];

/// What holds unless a caller says otherwise.
const DEFAULTS: [(&str, &str); 1] = [("unix_socket_directories", "")];

/// Ports are tried one after the other, because somebody may take a free one before the server does.
const PORT_ATTEMPTS: u32 = 10;

/// What a server writes last when it could not have its port. Its messages are in English: the environment says nothing
/// about languages, and the clusters are made with the locale C.UTF-8 or, where that is missing, with C.
const NO_SOCKET: &str = "could not create any TCP/IP sockets";

/// How a server is started.
pub(crate) struct Launch<'a> {
    pub(crate) programs: &'a Programs,
    pub(crate) user: &'a ServerUser,
    pub(crate) layout: &'a Layout,
    pub(crate) config: &'a ClusterConfig,
}

impl Launch<'_> {
    /// Starts the server, waits until it answers, and remembers its port for the next time.
    pub(crate) async fn run(&self) -> Result<(Server, u16), ClusterError> {
        let layout = self.layout;
        let password = read_password(layout)?;
        log::rotate(layout).map_err(ClusterError::file("put aside", layout.log()))?;
        for attempt in 0..PORT_ATTEMPTS {
            let port = self.candidate(attempt)?;
            match self.start_on(port, &password).await {
                Ok(server) => {
                    replace_file(&layout.port(), &format!("{port}\n"))
                        .map_err(ClusterError::file("write", layout.port()))?;
                    return Ok((server, port));
                }
                Err(ClusterError::Died(death)) if death.log.contains(NO_SOCKET) => {
                    if let PortChoice::Fixed(port) = self.config.port {
                        let source = std::io::ErrorKind::AddrInUse.into();
                        return Err(ClusterError::PortTaken { port, source });
                    }
                    tracing::info!(port, "somebody took the port before the server did; trying another");
                }
                Err(error) => return Err(error),
            }
        }
        Err(ClusterError::NoFreePort { attempts: PORT_ATTEMPTS })
    }

    fn candidate(&self, attempt: u32) -> Result<u16, ClusterError> {
        match self.config.port {
            PortChoice::Fixed(port) => Ok(port),
            PortChoice::Any => {
                let previous = previous_port(&self.layout.port()).filter(|port| port::probe(*port).is_ok());
                if let (0, Some(port)) = (attempt, previous) {
                    return Ok(port);
                }
                port::any_free().map_err(|source| ClusterError::PortTaken { port: 0, source })
            }
        }
    }

    async fn start_on(&self, port: u16, password: &Password) -> Result<Server, ClusterError> {
        let layout = self.layout;
        let written = |error| ClusterError::file("write", layout.running())(error);
        let mut record = Record::new(self.programs, &self.config.settings, port).map_err(written)?;
        record.write(layout).map_err(written)?;
        let server = self.spawn(&record)?;
        record.pid = Some(server.pid());
        record.write(layout).map_err(written)?;
        server.ready(password, port, self.config.start_timeout).await?;
        Ok(server)
    }

    fn spawn(&self, record: &Record) -> Result<Server, ClusterError> {
        let layout = self.layout;
        let log = log::open(layout).map_err(ClusterError::file("open", layout.log()))?;
        let log_too = log.try_clone().map_err(ClusterError::file("open", layout.log()))?;
        let program = self.programs.postgres();
        let mut command = self.user.command(&program);
        command.arg("-D").arg(layout.data()).stdout(log).stderr(log_too);
        let port = record.port.to_string();
        let values = ["127.0.0.1", &port, &record.instance];
        let given = self.config.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in DEFAULTS.into_iter().chain(given).chain(RESERVED_SETTINGS.into_iter().zip(values)) {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        let child = command.spawn().map_err(|source| ClusterError::Spawn { program: program.clone(), source })?;
        Server::of_child(child, layout.clone()).map_err(|source| ClusterError::Spawn { program, source })
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt};

    use super::Launch;
    use crate::{
        cluster::ClusterConfig, error::ClusterError, init::Initialise, layout::Layout, port::PortChoice,
        programs::Programs, user::ServerUser,
    };

    #[tokio::test]
    async fn a_port_that_is_lost_at_the_last_moment_is_recognised() {
        let place = tempfile::tempdir().unwrap();
        fs::set_permissions(place.path(), fs::Permissions::from_mode(0o711)).unwrap();
        let (programs, user) = (Programs::find().unwrap(), ServerUser::detect().unwrap());
        let layout = Layout::new(place.path().to_owned());
        Initialise { programs: &programs, user: &user, layout: &layout, durable: false }.run().await.unwrap();

        let stranger = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = stranger.local_addr().unwrap().port();
        let mut config = ClusterConfig::new(place.path());
        config.port = PortChoice::Fixed(taken);
        let launch = Launch { programs: &programs, user: &user, layout: &layout, config: &config };
        let error = launch.run().await.unwrap_err();
        assert!(matches!(error, ClusterError::PortTaken { port, .. } if port == taken), "{error}");
        assert!(!layout.running().exists());
    }
}
