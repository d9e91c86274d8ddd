//! The wiring: from settings to open doors, and in reverse.

use std::sync::Arc;
use std::time::Duration;

use api::{AdminToken, Board, Door, GatewayAddress};
use audit::Auditor;
use catalog::{Catalog, MasterKey};
use gateway::GatewaySettings;
use lifecycle::{BackupSettings, LetterSettings, Lifecycle, Probe, WarmPool};
use pool::{Pool, PoolSettings};
use tenancy::Threshold;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info};

/// How long open requests and sessions may take to finish when síndico stops: the gateway's own grace, its last words, and
/// the cancelling of what runs on.
const DRAIN: Duration = Duration::from_secs(20);
/// How long changes that have begun may take after that.
const CHANGES: Duration = Duration::from_secs(20);

/// Everything that a síndico needs to know before it starts.
pub struct HouseSettings {
    /// The control database.
    pub control_dsn: String,
    /// The most connections to it.
    pub control_connections: u32,
    /// The installation's secret.
    pub master: MasterKey,
    /// The most connections of a tenant.
    pub connections_per_tenant: usize,
    /// The most changes of tenants at a time.
    pub changes_at_once: usize,
    /// Server connections.
    pub pool: PoolSettings,
    /// Tenants that have metrics of their own, at most.
    pub metric_tenants: usize,
    /// Where backups go.
    pub backups: BackupSettings,
    /// For how many days samples of what tenants use are kept.
    pub usage_days: u32,
    /// Tenants that are made before they are asked for.
    pub warm_pool: WarmPool,
    /// How letters go; without, there are none.
    pub letters: Option<LetterSettings>,
    /// Silent, except in tests.
    pub probe: Probe,
}

/// A síndico: desks and means, and the doors once they are open.
#[derive(Debug)]
pub struct House {
    /// Control data.
    pub catalog: Catalog,
    /// Changes.
    pub lifecycle: Lifecycle,
    /// The way of tenants' requests.
    pub threshold: Threshold,
    board: Arc<Board>,
    shutdown: CancellationToken,
    tasks: TaskTracker,
}

impl House {
    /// Connects to the control database and finishes what an earlier run could not. No door is open yet.
    pub async fn enter(settings: HouseSettings) -> anyhow::Result<Self> {
        let catalog = Catalog::open(&settings.control_dsn, settings.control_connections, settings.master).await?;
        let threshold = Threshold::new(catalog.clone(), Pool::new(settings.pool), settings.connections_per_tenant);
        let lifecycle = Lifecycle::new(
            catalog.clone(),
            threshold.clone(),
            settings.changes_at_once,
            settings.backups,
            settings.probe,
        )
        .keeping_usage(settings.usage_days)
        .keeping_spares(settings.warm_pool)
        .writing(settings.letters);
        let house = Self {
            catalog,
            lifecycle,
            threshold,
            board: Arc::new(Board::new(settings.metric_tenants)),
            shutdown: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        let (watching, watched) = (house.catalog.clone(), house.shutdown.clone());
        house.tasks.spawn(async move { watching.watch(watched).await });
        Ok(house)
    }

    /// Opens gateway and control API; fails only if a listener does not know its address.
    pub fn open_doors(
        &self,
        gateway: TcpListener,
        gateway_settings: GatewaySettings,
        api: TcpListener,
        admin: AdminToken,
        public: GatewayAddress,
    ) -> std::io::Result<()> {
        let auditor = Auditor::new(
            self.catalog.clone(),
            self.lifecycle.clone(),
            gateway.local_addr()?,
            Some(api.local_addr()?),
            self.shutdown.clone(),
            self.tasks.clone(),
        );
        let (lifecycle, shutdown) = (self.lifecycle.clone(), self.shutdown.clone());
        self.tasks.spawn(async move { lifecycle.recover_forever(shutdown).await });
        let (lifecycle, shutdown) = (self.lifecycle.clone(), self.shutdown.clone());
        self.tasks.spawn(async move { lifecycle.work_forever(shutdown).await });
        let (lifecycle, shutdown) = (self.lifecycle.clone(), self.shutdown.clone());
        self.tasks.spawn(async move { lifecycle.keep_warm_forever(shutdown).await });
        let (lifecycle, shutdown) = (self.lifecycle.clone(), self.shutdown.clone());
        self.tasks.spawn(lifecycle.watch_locks(shutdown));
        self.tasks.spawn(gateway::serve(gateway, self.threshold.clone(), gateway_settings, self.shutdown.clone()));
        let door = Door {
            catalog: self.catalog.clone(),
            lifecycle: self.lifecycle.clone(),
            threshold: self.threshold.clone(),
            auditor,
            admin,
            board: Arc::clone(&self.board),
            gateway: public,
        };
        let shutdown = self.shutdown.clone();
        self.tasks.spawn(async move {
            if let Err(error) = api::serve(api, door, shutdown).await {
                error!(%error, "the control API stopped");
            }
        });
        Ok(())
    }

    /// Closes the doors, lets what is under way finish, and leaves the control database.
    pub async fn leave(self) {
        info!("stopping");
        self.shutdown.cancel();
        self.tasks.close();
        if tokio::time::timeout(DRAIN, self.tasks.wait()).await.is_err() {
            error!("some requests did not finish in {DRAIN:?} and are cut off");
        }
        if tokio::time::timeout(CHANGES, self.lifecycle.stop()).await.is_err() {
            error!("some changes did not finish in {CHANGES:?}; the next start completes or undoes them");
        }
        // Connections that unfinished work still holds end with the process.
        let _closed = tokio::time::timeout(Duration::from_secs(2), self.catalog.close()).await;
    }
}
