//! The pool: one budget per cluster, one way to borrow.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::cluster::{Cluster, ClusterStats, ServerReport};
use crate::concurrency::Strain;
use crate::fair::Limits;
use crate::processors::Processors;
use crate::residue::Settings;
use crate::route::Purposes;
use crate::{Lease, Line, PoolError, Route, SessionParams, Share};

/// How many connections, and for how long.
#[derive(Debug, Clone)]
pub struct PoolSettings {
    /// Connections to one cluster, at most. Keep it below the server's `max_connections`, with room for operators.
    pub max_per_cluster: usize,
    /// Connections of one tenant to one cluster, at most: [`Pool::share_of`].
    pub max_per_tenant: usize,
    /// Connections that each tenant gets before another gets more than this, and keeps for a moment while others wait.
    pub min_per_tenant: usize,
    /// Whether fewer connections are in use at a time while this machine has too few processors for a server on it and for síndico.
    pub adapts: bool,
    /// How long somebody may wait for a connection when all are in use, or the server takes none.
    pub wait_timeout: Duration,
    /// How long a connection may rest before it is closed.
    pub idle_timeout: Duration,
    /// How old a connection may become before it is closed instead of put to rest; bounds what a server process
    /// accumulates. Each ends up to a tenth earlier, so that those opened together do not end together.
    pub max_lifetime: Duration,
    /// Time to connect and log in; also to reset a connection, and to hand in a cancel request.
    pub connect_timeout: Duration,
}

impl Default for PoolSettings {
    /// Fits a server with PostgreSQL's default `max_connections` of 100.
    fn default() -> Self {
        Self {
            max_per_cluster: 80,
            max_per_tenant: 100,
            min_per_tenant: 1,
            adapts: true,
            wait_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_mins(2),
            max_lifetime: Duration::from_hours(1),
            connect_timeout: Duration::from_secs(5),
        }
    }
}

/// Owns all connections to PostgreSQL that carry tenants' statements. Cheap to clone; all clones are the same pool.
#[derive(Debug, Clone)]
pub struct Pool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    settings: Arc<PoolSettings>,
    clusters: Mutex<HashMap<Uuid, Arc<Cluster>>>,
    purposes: Purposes,
}

/// With the last handle to the pool go the connections at rest; without this they would keep their cluster alive, and
/// it them.
impl Drop for Shared {
    fn drop(&mut self) {
        for cluster in self.clusters.get_mut().unwrap_or_else(PoisonError::into_inner).values() {
            cluster.close(|_| true);
        }
    }
}

impl Pool {
    /// An empty pool. Connections are opened when they are asked for.
    #[must_use]
    pub fn new(settings: PoolSettings) -> Self {
        Self {
            shared: Arc::new(Shared {
                settings: Arc::new(settings),
                clusters: Mutex::default(),
                purposes: Purposes::default(),
            }),
        }
    }

    /// The way to connections of one route with the same settings.
    #[must_use]
    pub fn line(&self, route: Route, params: SessionParams, share: Share) -> Line {
        let cluster = self.cluster(route.cluster);
        let purpose = self.shared.purposes.of(route, params);
        Line { cluster, purpose, share, settings: Arc::clone(&self.shared.settings) }
    }

    /// What a tenant may have: so many connections to a cluster, else as many as all.
    #[must_use]
    pub fn share_of(&self, tenant: Uuid, most: Option<NonZeroU32>) -> Share {
        let most = most.map(|most| usize::try_from(most.get()).unwrap_or(usize::MAX));
        Share { tenant, most: most.unwrap_or(self.shared.settings.max_per_tenant) }
    }

    /// Borrows a connection: see [`Line::checkout`].
    pub async fn checkout(&self, route: &Route, params: &SessionParams, share: Share) -> Result<Lease, PoolError> {
        self.line(route.clone(), params.clone(), share).checkout(&Settings::default(), None).await
    }

    /// Closes what rests for a login role, on every cluster, and sees to it that what is lent out to it now is closed
    /// instead of put to rest.
    pub fn close_role(&self, role: &str) {
        let clusters: Vec<_> = self.clusters().values().cloned().collect();
        for cluster in clusters {
            cluster.close(|purpose| purpose.route.role == role);
        }
    }

    /// The same for all connections to a cluster.
    pub fn close_cluster(&self, cluster: Uuid) {
        let known = self.clusters().get(&cluster).cloned();
        if let Some(cluster) = known {
            cluster.close(|_| true);
        }
    }

    /// Numbers for metrics, by cluster.
    #[must_use]
    pub fn stats(&self) -> Vec<(Uuid, ClusterStats)> {
        self.clusters().iter().map(|(id, cluster)| (*id, cluster.stats())).collect()
    }

    /// Each server connection of every cluster.
    #[must_use]
    pub fn servers(&self) -> Vec<ServerReport> {
        let clusters: Vec<_> = self.clusters().values().cloned().collect();
        clusters.iter().flat_map(|cluster| cluster.servers()).collect()
    }

    fn clusters(&self) -> MutexGuard<'_, HashMap<Uuid, Arc<Cluster>>> {
        self.shared.clusters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cluster(&self, id: Uuid) -> Arc<Cluster> {
        let settings = &self.shared.settings;
        self.clusters()
            .entry(id)
            .or_insert_with(|| {
                let (budget, minimum) = (settings.max_per_cluster, settings.min_per_tenant);
                let processors = Processors::count();
                let cluster = Arc::new(Cluster::new(Limits { budget, minimum, keep: KEEP, processors }));
                tokio::spawn(tend(Arc::downgrade(&cluster), settings.idle_timeout, settings.adapts));
                cluster
            })
            .clone()
    }
}

/// How long a tenant that has its guaranteed minimum keeps it at rest although others wait: somewhat more than it takes a
/// person's page to come to its next statement, and little enough for the others.
const KEEP: Duration = Duration::from_secs(1);

/// How often it is looked how processors are, and whether what was kept for tenants that did not come back for it is others'.
const LOOK: Duration = Duration::from_millis(100);

/// Closes what has rested for too long, until the pool is gone.
async fn tend(cluster: Weak<Cluster>, idle_timeout: Duration, adapts: bool) {
    // A connection outlives its time by a quarter at most.
    let turn = (idle_timeout / 4).clamp(Duration::from_millis(50), Duration::from_secs(15));
    let mut tended = Instant::now();
    let mut processors = Processors::default();
    loop {
        sleep(turn.min(LOOK)).await;
        let Some(cluster) = cluster.upgrade() else { return };
        let now = Instant::now();
        // A server on another machine has processors of its own.
        let looks = adapts && cluster.is_here.load(Ordering::Relaxed);
        let strain = if looks { processors.look(now) } else { None };
        cluster.see(strain.unwrap_or(Strain::None), now);
        if tended.elapsed() >= turn {
            tended = Instant::now();
            cluster.tend(|connection, since| since.elapsed() >= idle_timeout || connection.is_spent());
        }
    }
}
