//! Which login a tenant's SQL runs on, and giving one back its own when SQL has spoilt it.

use catalog::TenantRoute;
use domain::Role;
use pool::{Lease, Line, PoolError, Route, Secret, Serves, SessionParams, Settings};
use tracing::warn;
use uuid::Uuid;

use crate::repair::{restore_dense, restore_role};
use crate::{Refusal, TenantHandle};

/// PostgreSQL's answers to a role that SQL running on it has spoilt: a wrong password, and a library in
/// `local_preload_libraries` that is not there (PostgreSQL manual, 20.11.4).
const SPOILT: [&str; 2] = ["28P01", "58P01"];

/// A login on a tenant's cluster.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Login {
    /// One of the tenant's own two.
    Own(Role),
    /// The one that serves all tenants that share the app's tables.
    Dense,
}

impl TenantHandle {
    /// A server connection. A login that SQL has spoilt is restored, once.
    pub(crate) async fn log_in(&self, login: Login, params: &SessionParams) -> Result<Lease, PoolError> {
        let route = self.newest();
        let line = self.line(&route, login, params.clone())?;
        let mut lease = self.repaired(&route, login, &line, &Settings::default(), None).await?;
        if lease.residue().serves().is_some() {
            lease.renew().await?;
        }
        // Another client of the tenant may have left it with settings of its own.
        lease.adopt(&Settings::default()).await?;
        Ok(lease)
    }

    /// The same by a way that is known. On the login of many it may serve anybody yet.
    pub(crate) async fn repaired(
        &self,
        route: &TenantRoute,
        login: Login,
        line: &Line,
        settings: &Settings,
        tenant: Option<Uuid>,
    ) -> Result<Lease, PoolError> {
        let first = line.checkout(settings, tenant).await;
        if !is_spoilt(&first) {
            return first;
        }
        // One repair at a time, and none that another has made unnecessary: each takes a superuser's connection.
        let _turn = self.threshold().repairs.lock().await;
        let again = line.checkout(settings, tenant).await;
        if !is_spoilt(&again) {
            return again;
        }
        warn!(tenant = %self.tenant(), role = line.role(), "a login was spoilt by SQL that ran on it; restoring it");
        let (catalog, placement) = (&self.threshold().catalog, &route.placement);
        let restored = match login {
            Login::Own(role) => restore_role(catalog, placement, role).await,
            Login::Dense => restore_dense(catalog, placement.cluster, &route.app).await,
        };
        if let Err(error) = restored {
            warn!(tenant = %self.tenant(), role = line.role(), %error, "the login could not be restored");
        }
        line.checkout(settings, tenant).await
    }

    /// Where its connections are had, on this tenant's account.
    pub(crate) fn line(&self, route: &TenantRoute, login: Login, params: SessionParams) -> Result<Line, PoolError> {
        let pool = &self.threshold().pool;
        let share = pool.share_of(self.tenant().as_uuid(), route.pool.max_server_connections);
        Ok(pool.line(self.way(route, login)?, params, share))
    }

    /// Where a login leads.
    pub(crate) fn way(&self, route: &TenantRoute, login: Login) -> Result<Route, PoolError> {
        let placement = &route.placement;
        let master = self.threshold().catalog.master();
        let cluster =
            self.threshold().catalog.routes().cluster(placement.cluster).ok_or_else(|| PoolError::Unreachable {
                reason: Refusal::NoCluster(self.slug().clone()).to_string(),
            })?;
        let (role, serves, password, search_path) = match login {
            Login::Own(role) => (
                role.to_string(),
                Serves::One,
                master.role_password(placement.cluster, role),
                placement.search_path(self.tenant()),
            ),
            Login::Dense => {
                let dense = route.app.names().dense;
                let password = master.dense_password(placement.cluster, &dense);
                // No tenant's sequences: those are drawn from by columns' defaults alone.
                (dense, Serves::Many, password, "public, global, extensions".to_owned())
            }
        };
        Ok(Route {
            cluster: placement.cluster,
            servers: cluster.servers,
            trust: cluster.trust,
            database: placement.database.clone(),
            role,
            serves,
            password: Secret::new(password),
            search_path,
        })
    }
}

fn is_spoilt(outcome: &Result<Lease, PoolError>) -> bool {
    match outcome {
        Err(PoolError::Rejected { sqlstate, .. }) => SPOILT.contains(&sqlstate.as_str()),
        Err(PoolError::Spoilt) => true,
        Ok(_) | Err(_) => false,
    }
}
