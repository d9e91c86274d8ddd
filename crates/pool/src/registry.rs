//! The pool: one budget per cluster, one way to borrow.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use uuid::Uuid;

use crate::cluster::{Cluster, ClusterStats};
use crate::residue::Settings;
use crate::route::Purpose;
use crate::{Lease, Line, PoolError, Route, SessionParams};

/// How many connections, and for how long.
#[derive(Debug, Clone)]
pub struct PoolSettings {
    /// Connections to one cluster, at most. Keep it below the server's `max_connections`, with room for operators.
    pub max_per_cluster: usize,
    /// How long somebody may wait for a connection when all are in use.
    pub wait_timeout: Duration,
    /// How long a connection may rest before it is closed.
    pub idle_timeout: Duration,
    /// How old a connection may become before it is closed instead of put to rest; bounds what a server process
    /// accumulates.
    pub max_lifetime: Duration,
    /// Time to connect and log in; also to reset a connection, and to hand in a cancel request.
    pub connect_timeout: Duration,
}

impl Default for PoolSettings {
    /// Fits a server with PostgreSQL's default `max_connections` of 100.
    fn default() -> Self {
        Self {
            max_per_cluster: 80,
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
        Self { shared: Arc::new(Shared { settings: Arc::new(settings), clusters: Mutex::default() }) }
    }

    /// The way to connections of one route with the same settings.
    #[must_use]
    pub fn line(&self, route: Route, params: SessionParams) -> Line {
        let cluster = self.cluster(route.cluster);
        Line { cluster, purpose: Arc::new(Purpose::new(route, params)), settings: Arc::clone(&self.shared.settings) }
    }

    /// Borrows a connection: see [`Line::checkout`].
    pub async fn checkout(&self, route: &Route, params: &SessionParams) -> Result<Lease, PoolError> {
        self.line(route.clone(), params.clone()).checkout(&Settings::default(), None).await
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

    fn clusters(&self) -> MutexGuard<'_, HashMap<Uuid, Arc<Cluster>>> {
        self.shared.clusters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cluster(&self, id: Uuid) -> Arc<Cluster> {
        let settings = &self.shared.settings;
        self.clusters()
            .entry(id)
            .or_insert_with(|| {
                let cluster = Arc::new(Cluster::new(settings.max_per_cluster));
                tokio::spawn(tend(Arc::downgrade(&cluster), settings.idle_timeout, settings.max_lifetime));
                cluster
            })
            .clone()
    }
}

/// Closes what has rested for too long, until the pool is gone.
async fn tend(cluster: Weak<Cluster>, idle_timeout: Duration, max_lifetime: Duration) {
    // A connection outlives its time by a quarter at most.
    let turn = (idle_timeout / 4).clamp(Duration::from_millis(50), Duration::from_secs(15));
    loop {
        tokio::time::sleep(turn).await;
        let Some(cluster) = cluster.upgrade() else { return };
        cluster.tend(idle_timeout, max_lifetime);
    }
}
