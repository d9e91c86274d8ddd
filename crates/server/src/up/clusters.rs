//! The two private PostgreSQL servers of an embedded síndico.

use std::time::Duration;

use anyhow::Context;
use devdb::{Cluster, ClusterConfig, Programs};
use tokio_postgres::NoTls;

use crate::up::dirs::Dirs;
use crate::up::steps::Steps;

/// The cluster of the control database and of tenants in `shared`, `schema` and `database`.
pub(crate) const MAIN: &str = "main";
/// The cluster that stands for servers of tenants' own. Real ones take one tenant each; this one takes several, so that
/// the isolation can be tried.
pub(crate) const DEDICATED: &str = "dedicated";
pub(crate) const DEDICATED_CAPACITY: i32 = 100;
/// What a server allows, and how much of it the gateway's pool may take: the rest is for síndico's own sessions.
const MAX_CONNECTIONS: usize = 200;
pub(crate) const POOL_CONNECTIONS: usize = 120;

/// A server with thousands of schemas or databases has tens of thousands of files to write out when it stops, and, after a
/// crash, to synchronise when it starts. Hurrying it costs more than waiting.
const START_TIMEOUT: Duration = Duration::from_mins(10);
const STOP_TIMEOUT: Duration = Duration::from_mins(5);

const CONTROL_DATABASE: &str = "sindico";

/// Both of them, running.
#[derive(Debug)]
pub(crate) struct Clusters {
    pub(crate) main: Cluster,
    pub(crate) dedicated: Cluster,
}

impl Clusters {
    /// Makes or finds both, at the same time.
    pub(crate) async fn start(programs: &Programs, dirs: &Dirs, steps: &Steps) -> anyhow::Result<Self> {
        let (main, dedicated) =
            tokio::try_join!(start(programs, dirs, steps, MAIN), start(programs, dirs, steps, DEDICATED))?;
        Ok(Self { main, dedicated })
    }

    /// The control database's connection string; makes the database when absent.
    pub(crate) async fn control_database(&self) -> anyhow::Result<String> {
        let (client, connection) = tokio_postgres::connect(&self.main.dsn("postgres"), NoTls).await?;
        let driver = tokio::spawn(connection);
        let found = client.query_opt("SELECT FROM pg_database WHERE datname = $1::text", &[&CONTROL_DATABASE]).await?;
        if found.is_none() {
            client.batch_execute(&format!("CREATE DATABASE {CONTROL_DATABASE}")).await?;
        }
        drop(client);
        // Only the server's word that we left could be lost.
        let _left = driver.await;
        Ok(self.main.dsn(CONTROL_DATABASE))
    }

    /// Resolves when either server has ended without being asked to.
    pub(crate) async fn died(&self) -> anyhow::Error {
        let (name, death) = tokio::select! {
            death = self.main.died() => (MAIN, death),
            death = self.dedicated.died() => (DEDICATED, death),
        };
        anyhow::Error::new(death).context(format!("cluster {name} ended unexpectedly"))
    }

    /// Stops both, at the same time.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        let (main, dedicated) = tokio::join!(self.main.stop(), self.dedicated.stop());
        main.with_context(|| format!("cluster {MAIN}"))?;
        dedicated.with_context(|| format!("cluster {DEDICATED}"))
    }
}

async fn start(programs: &Programs, dirs: &Dirs, steps: &Steps, name: &str) -> anyhow::Result<Cluster> {
    let mut config = ClusterConfig::new(dirs.clusters.join(name));
    config.start_timeout = START_TIMEOUT;
    config.stop_timeout = STOP_TIMEOUT;
    config.settings = vec![("max_connections".to_owned(), MAX_CONNECTIONS.to_string())];
    let starting = async { Cluster::start(programs, config).await.with_context(|| format!("cluster {name}")) };
    steps.timed(&format!("cluster {name}"), starting).await
}
