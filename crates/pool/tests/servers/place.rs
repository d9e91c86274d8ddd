//! A server of a test's own that can be stopped and started again at the same address.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use devdb::{Cluster, ClusterConfig, PortChoice, Programs};
use domain::Servers;
use pool::{Route, Secret, Serves, Share};
use tokio_postgres::Config;
use tokio_postgres::config::Host;
use uuid::Uuid;

/// Where a server runs.
pub(crate) struct Place {
    programs: Programs,
    config: ClusterConfig,
    dir: tempfile::TempDir,
}

impl Place {
    pub(crate) fn find() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        // The server's user has to pass.
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).expect("passable");
        let mut config = ClusterConfig::new(dir.path().join("server"));
        let settings = [("fsync", "off"), ("shared_buffers", "8MB"), ("wal_level", "replica")];
        config.settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Self { programs: Programs::find().expect("PostgreSQL"), config, dir }
    }

    /// Has the server listen at a Unix socket, too, and gives the folder of it.
    pub(crate) fn with_socket(&mut self) -> String {
        let folder = self.dir.path().join("socket");
        fs::create_dir(&folder).expect("a folder");
        fs::set_permissions(&folder, Permissions::from_mode(0o777)).expect("for the server's user");
        let folder = folder.to_str().expect("a plain name").to_owned();
        self.config.settings.push(("unix_socket_directories".to_owned(), folder.clone()));
        folder
    }

    pub(crate) async fn start(&mut self) -> Cluster {
        let cluster = Cluster::start(&self.programs, self.config.clone()).await.expect("the server starts");
        self.config.port = PortChoice::Fixed(cluster.port());
        cluster
    }

    /// Another server with the same data, which waits to be promoted. This one must not run.
    pub(crate) fn standby(&self) -> Self {
        let copy = Self::find();
        let copied = std::process::Command::new("cp").arg("-a").args([self.folder(), copy.folder()]).status();
        assert!(copied.expect("cp").success());
        let data = data_of(&copy.folder());
        fs::write(data.join("standby.signal"), "").expect("written");
        copy
    }

    fn folder(&self) -> PathBuf {
        self.dir.path().join("server")
    }
}

/// The data directory, wherever in a folder it is.
fn data_of(folder: &Path) -> PathBuf {
    if folder.join("PG_VERSION").exists() {
        return folder.to_owned();
    }
    let mut inside = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    inside.find(|path| path.join("PG_VERSION").exists()).expect("a data directory")
}

/// The way in as the superuser.
pub(crate) fn route(dsn: &str) -> Route {
    let config: Config = dsn.parse().expect("a DSN");
    let [Host::Tcp(host)] = config.get_hosts() else { panic!("one TCP host is needed") };
    Route {
        cluster: Uuid::nil(),
        servers: Servers::one(host.clone(), config.get_ports().first().copied().unwrap_or(5432)),
        trust: tls::Trust::plain(),
        database: "postgres".to_owned(),
        role: config.get_user().expect("a user").to_owned(),
        serves: Serves::One,
        password: Secret::new(String::from_utf8(config.get_password().expect("a password").to_vec()).expect("text")),
        search_path: "public".to_owned(),
    }
}

pub(crate) fn share() -> Share {
    Share { tenant: Uuid::from_u128(1), most: 100 }
}
