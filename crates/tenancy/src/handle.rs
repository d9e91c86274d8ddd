//! The right to reach one tenant's data.

use std::sync::Arc;

use catalog::TenantRoute;
use domain::{Access, KeyId, Role, Slug, TenantId};
use pool::{Lease, PoolError, Secret, SessionParams};
use tracing::warn;

use crate::admit::standing;
use crate::repair::restore_role;
use crate::seats::Seat;
use crate::{Refusal, Threshold};

/// PostgreSQL's answers to a role that its tenant has spoilt: a wrong password, and a library in
/// `local_preload_libraries` that is not there (PostgreSQL manual, 20.11.4).
const SPOILT: [&str; 2] = ["28P01", "58P01"];

/// The right to reach one tenant's data through one key. A guard: dropping it gives back the tenant's seat.
#[derive(Debug)]
pub struct TenantHandle {
    threshold: Threshold,
    route: Arc<TenantRoute>,
    key: KeyId,
    access: Access,
    _seat: Seat,
}

impl TenantHandle {
    pub(crate) fn new(threshold: Threshold, route: Arc<TenantRoute>, key: KeyId, access: Access, seat: Seat) -> Self {
        Self { threshold, route, key, access, _seat: seat }
    }

    /// Whose data it is.
    #[must_use]
    pub fn tenant(&self) -> TenantId {
        self.route.id
    }

    /// The tenant's short name.
    #[must_use]
    pub fn slug(&self) -> &Slug {
        &self.route.slug
    }

    /// What may be done to it.
    #[must_use]
    pub fn access(&self) -> Access {
        self.access
    }

    /// A server connection logged in as the tenant's role, at the tenant's placement.
    ///
    /// A tenant may change its role's password and settings with raw SQL until nobody can log in. Síndico then gives the
    /// role its own again, and tries once more.
    pub async fn connect(&self, params: &SessionParams) -> Result<Lease, PoolError> {
        let role = Role::new(self.route.id, self.access);
        let placement = &self.route.placement;
        let master = self.threshold.catalog.master();
        let cluster = self.threshold.catalog.routes().cluster(placement.cluster).ok_or_else(|| {
            PoolError::Unreachable { reason: Refusal::NoCluster(self.route.slug.clone()).to_string() }
        })?;
        let route = pool::Route {
            cluster: placement.cluster,
            host: cluster.host,
            port: cluster.port,
            database: placement.database.clone(),
            role: role.to_string(),
            password: Secret::new(master.role_password(placement.cluster, role)),
            search_path: placement.search_path(),
        };
        match self.threshold.pool.checkout(&route, params).await {
            Err(PoolError::Rejected { sqlstate, .. }) if SPOILT.contains(&sqlstate.as_str()) => {
                // One repair at a time, and none that another has made unnecessary: each takes a superuser's connection.
                let _turn = self.threshold.repairs.lock().await;
                let again = self.threshold.pool.checkout(&route, params).await;
                if !matches!(&again, Err(PoolError::Rejected { sqlstate, .. }) if SPOILT.contains(&sqlstate.as_str())) {
                    return again;
                }
                warn!(tenant = %self.route.id, %role, sqlstate, "role was spoilt by its tenant; restoring it");
                if let Err(error) = restore_role(&self.threshold.catalog, placement, role).await {
                    warn!(tenant = %self.route.id, %role, %error, "role could not be restored");
                }
                self.threshold.pool.checkout(&route, params).await
            }
            outcome => outcome,
        }
    }

    /// Resolves when the tenant or the key may no longer be served, with the reason. Wakes only when something about this
    /// very tenant changes.
    pub async fn revoked(&self) -> Refusal {
        let mut seen = Arc::clone(&self.route);
        loop {
            seen.superseded.cancelled().await;
            let Some(newest) = self.threshold.catalog.routes().by_id(self.route.id) else {
                return Refusal::UnknownTenant(self.route.slug.to_string());
            };
            if let Err(refusal) = standing(&newest, self.key) {
                return refusal;
            }
            seen = newest;
        }
    }
}
