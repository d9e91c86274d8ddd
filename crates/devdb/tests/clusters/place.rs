//! Where a test's cluster lives, and the other process that had it before.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use devdb::{Cluster, ClusterConfig, ClusterError, Programs};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

/// A directory for one cluster, below one that anybody may pass.
pub(crate) struct Place {
    root: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let root = tempfile::Builder::new().prefix("sindico-place-").tempdir().unwrap();
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o711)).unwrap();
        Self { root }
    }

    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    /// The cluster's directory; a start makes it.
    pub(crate) fn dir(&self) -> PathBuf {
        self.root.path().join("cluster")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir().join("data")
    }

    /// No settings, like `devdb keep`.
    pub(crate) fn plain(&self) -> ClusterConfig {
        ClusterConfig::new(self.dir())
    }

    pub(crate) fn fast(&self) -> ClusterConfig {
        let mut config = self.plain();
        config.settings.push(("fsync".into(), "off".into()));
        config
    }

    pub(crate) async fn start(&self, config: ClusterConfig) -> Result<Cluster, ClusterError> {
        Cluster::start(&Programs::find().unwrap(), config).await
    }

    /// Runs a program as the user that the data belongs to.
    pub(crate) fn as_server_user(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        use std::os::unix::{fs::MetadataExt, process::CommandExt};

        let owner = fs::metadata(self.data()).unwrap();
        let mut command = Command::new(program);
        command.uid(owner.uid()).gid(owner.gid()).current_dir("/").stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }
}

impl Drop for Place {
    /// For a test that failed between killing a server's owner and taking the server over.
    fn drop(&mut self) {
        let Ok(data) = self.data().canonicalize() else { return };
        let Ok(file) = fs::read_to_string(data.join("postmaster.pid")) else { return };
        let Some(pid) = file.lines().next().and_then(|line| line.parse::<u32>().ok()) else { return };
        if fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == data) {
            send(pid, Signal::SIGKILL);
            wait_until("the server is gone", || !is_running(pid));
        }
    }
}

/// Another process that keeps the cluster of a place.
pub(crate) struct Keeper {
    child: Child,
    pub(crate) server: u32,
    pub(crate) dsn: String,
}

impl Keeper {
    pub(crate) fn start(place: &Place) -> Self {
        let mut child = Self::spawn(place);
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let (server, dsn) = line.trim().split_once(' ').unwrap_or_else(|| panic!("said {line:?}"));
        Self { server: server.parse().unwrap(), dsn: dsn.to_owned(), child }
    }

    /// The process itself, which has not said yet that the cluster runs.
    pub(crate) fn spawn(place: &Place) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_devdb"));
        command.arg("keep").arg(place.dir()).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Dies as it would in a power failure of its own: without a chance to clean up.
    pub(crate) fn kill(mut self) -> (u32, String) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        (self.server, std::mem::take(&mut self.dsn))
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The first cell of the last answer.
pub(crate) async fn query(dsn: &str, sql: &str) -> Result<Option<String>, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(dsn, tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    let messages = client.simple_query(sql).await?;
    Ok(messages.iter().rev().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    }))
}

pub(crate) fn send(pid: u32, signal: Signal) {
    kill(Pid::from_raw(pid.try_into().unwrap()), signal).unwrap();
}

pub(crate) fn is_running(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit_once(')').unwrap().1.trim_start().starts_with('Z'))
}

pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < until, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
