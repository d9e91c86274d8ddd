//! Who is here and what they have done, for operators.

use std::sync::Arc;
use std::time::Duration;

use catalog::TenantRoute;
use domain::{AppName, Slug, TenantId};
use pool::{ClusterStats, ServerReport};
use uuid::Uuid;

use crate::Threshold;
use crate::tally::TURNED_AWAY;
use crate::totals::TotalCounts;
use crate::visit::{Stance, VisitReport};

/// One tenant in this process.
#[derive(Debug, Clone)]
pub struct TenantReport {
    /// Who it is.
    pub id: TenantId,
    /// Its short name; `None` once it is no more.
    pub slug: Option<Slug>,
    /// The app it uses; `None` once it is no more.
    pub app: Option<AppName>,
    /// Whether its new transactions wait.
    pub held: bool,
    /// Clients, by what they are at.
    pub clients: ClientCounts,
    /// How long the longest waiting of them has waited.
    pub longest_wait: Duration,
    /// What it has done since it was first served.
    pub totals: TotalCounts,
}

/// Clients, by what they are at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClientCounts {
    /// See [`Stance::Idle`].
    pub idle: u64,
    /// See [`Stance::Waiting`].
    pub waiting: u64,
    /// See [`Stance::Active`].
    pub active: u64,
    /// See [`Stance::Keeping`].
    pub keeping: u64,
}

impl ClientCounts {
    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.idle + self.waiting + self.active + self.keeping
    }
}

/// A cluster, as this process uses it.
#[derive(Debug, Clone)]
pub struct ClusterReport {
    /// Its id in the control database.
    pub id: Uuid,
    /// What operators call it; its id once it is no more.
    pub name: String,
    /// Where it answers: host and port.
    pub address: String,
    /// Its server connections.
    pub stats: ClusterStats,
}

/// Everything at once.
#[derive(Debug, Clone)]
pub struct Attendance {
    /// Tenants that have been served since the process began, in no order.
    pub tenants: Vec<TenantReport>,
    /// What tenants have done that are no more.
    pub departed: TotalCounts,
    /// Errors of servers, by class of SQLSTATE.
    pub errors: Vec<(&'static str, u64)>,
    /// Logins refused, by SQLSTATE.
    pub refusals: Vec<(&'static str, u64)>,
    /// Clusters that have been used.
    pub clusters: Vec<ClusterReport>,
}

impl Threshold {
    /// Who is here and what they have done. Takes each tenant's lock for a moment, and holds up no transaction.
    #[must_use]
    pub fn attendance(&self) -> Attendance {
        let routes = self.catalog.routes();
        let departed = self.seats.clear(|id| routes.by_id(id).is_some());
        let tenants = self.seats.all().into_iter().map(|(id, presence)| {
            let (mut clients, mut longest_wait) = (ClientCounts::default(), Duration::ZERO);
            for visit in presence.visits().values() {
                match visit.stance() {
                    Stance::Idle => clients.idle += 1,
                    Stance::Waiting => {
                        clients.waiting += 1;
                        longest_wait = longest_wait.max(visit.report().stance_age);
                    }
                    Stance::Active => clients.active += 1,
                    Stance::Keeping => clients.keeping += 1,
                }
            }
            let (slug, app) = routes.by_id(id).map(|route| (route.slug.clone(), route.app.clone())).unzip();
            let (held, totals) = (presence.gate.is_held(), presence.totals());
            TenantReport { id, slug, app, held, clients, longest_wait, totals }
        });
        Attendance {
            tenants: tenants.collect(),
            departed,
            errors: self.seats.errors(),
            refusals: self.refusals.read(),
            clusters: self.clusters(),
        }
    }

    /// All clients, in the order in which they came.
    #[must_use]
    pub fn visits(&self) -> Vec<VisitReport> {
        let mut visits: Vec<_> = self
            .seats
            .all()
            .into_iter()
            .flat_map(|(_, presence)| presence.visits().values().map(|visit| visit.report()).collect::<Vec<_>>())
            .collect();
        visits.sort_unstable_by_key(|visit| visit.number);
        visits
    }

    /// The tenant that an operator means: by slug or id.
    #[must_use]
    pub fn tenant(&self, named: &str) -> Option<TenantId> {
        let routes = self.catalog.routes();
        let by_id = || named.parse().ok().and_then(|id| routes.by_id(id));
        let by_slug = || named.parse().ok().and_then(|slug| routes.by_slug(&slug));
        by_slug().or_else(by_id).map(|route| route.id)
    }

    /// Each server connection of this process.
    #[must_use]
    pub fn servers(&self) -> Vec<ServerReport> {
        self.pool.servers()
    }

    /// Where all tenants are, in no order.
    #[must_use]
    pub fn routes(&self) -> Vec<Arc<TenantRoute>> {
        self.catalog.routes().tenants()
    }

    /// What operators call a cluster; its id once it is no more.
    #[must_use]
    pub fn cluster_name(&self, id: Uuid) -> String {
        self.catalog.routes().cluster(id).map_or_else(|| id.to_string(), |route| route.name)
    }

    /// Counts a login that was refused, by SQLSTATE.
    pub fn refused(&self, sqlstate: &str) {
        self.refusals.add(sqlstate.as_bytes());
    }

    /// Counts a client that was disconnected without a word.
    pub fn turned_away(&self) {
        self.refusals.add(TURNED_AWAY.as_bytes());
    }

    fn clusters(&self) -> Vec<ClusterReport> {
        let known = |(id, stats): (Uuid, ClusterStats)| {
            let route = self.catalog.routes().cluster(id);
            let name = self.cluster_name(id);
            let servers = route.iter().flat_map(|route| route.servers.from(0));
            let address =
                servers.map(|(_, server)| format!("{}:{}", server.host, server.port)).collect::<Vec<_>>().join(",");
            ClusterReport { id, name, address, stats }
        };
        self.pool.stats().into_iter().map(known).collect()
    }
}
