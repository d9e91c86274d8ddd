//! Where a door gets one tenant's server connections, one for each transaction.

use std::sync::Arc;

use catalog::TenantRoute;
use domain::Role;
use pool::{Lease, Line, PoolError, SessionParams, Settings};
use uuid::Uuid;

use crate::login::Login;
use crate::{ScopeError, TenantHandle};

/// Connections that are tried before a client is told that there is none. A hostile tenant may spoil those that it has
/// used, one after the other; a new one comes in the place of each.
const TRIES: usize = 5;

/// A tenant's server connections, for clients with the same startup settings. Good for as long as its handle.
#[derive(Debug)]
pub struct Counter {
    login: Login,
    line: Line,
    /// What the line was made from, and as of which addresses of clusters.
    route: Arc<TenantRoute>,
    addresses: u64,
    /// Whom they have to serve, on a login that serves many.
    tenant: Option<Uuid>,
}

impl TenantHandle {
    /// Where this tenant's connections are had, logged in as its own role.
    pub fn counter(&self, params: SessionParams) -> Result<Counter, PoolError> {
        let login = Login::Own(Role::new(self.tenant(), self.access()));
        self.counter_of(login, params, None)
    }

    /// Where this tenant's connections of the login that serves many are had, for SQL of its own. `None` where it is not
    /// served on such a login.
    pub fn dense_counter(&self, params: SessionParams) -> Result<Option<Counter>, PoolError> {
        if !self.may_be_dense() {
            return Ok(None);
        }
        self.counter_of(Login::Dense, params, Some(self.tenant().as_uuid())).map(Some)
    }

    fn counter_of(&self, login: Login, params: SessionParams, tenant: Option<Uuid>) -> Result<Counter, PoolError> {
        let (route, addresses) = (self.newest(), self.threshold().catalog.routes().addresses());
        let line = self.line(&route, login, params)?;
        Ok(Counter { login, line, route, addresses, tenant })
    }

    /// Whether the tenant, or where its cluster answers, may have changed since a counter was made. Two loads.
    #[must_use]
    pub fn is_outdated(&self, counter: &Counter) -> bool {
        counter.route.is_superseded() || counter.addresses != self.threshold().catalog.routes().addresses()
    }

    /// A connection that is at hand, and serves this tenant.
    #[must_use]
    pub fn take(&self, counter: &Counter, settings: &Settings) -> Option<Lease> {
        counter.line.take(settings, counter.tenant)
    }

    /// A connection that serves this tenant, as soon as there is one. A role that SQL has spoilt is given its own again,
    /// once.
    pub async fn borrow(&self, counter: &Counter, settings: &Settings) -> Result<Lease, ScopeError> {
        let mut tries = TRIES;
        loop {
            let mut lease =
                self.repaired(&counter.route, counter.login, &counter.line, settings, counter.tenant).await?;
            let Some(tenant) = counter.tenant.filter(|tenant| lease.residue().serves() != Some(*tenant)) else {
                return Ok(lease);
            };
            let token = self.token(&lease)?;
            match lease.present(tenant, &token).await {
                Ok(()) => return Ok(lease),
                // Whom it served before may have left it so that it cannot be handed over, which is no fault of this one's.
                Err(_) if tries > 1 => tries -= 1,
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Counter {
    /// The startup settings for which it was made.
    #[must_use]
    pub fn params(&self) -> &SessionParams {
        self.line.params()
    }

    /// Whether two counters lead to the same placement.
    #[must_use]
    pub fn is_where(&self, other: &Self) -> bool {
        self.route.placement == other.route.placement
    }

    /// How many of its app's migrations the tenant's tables had when the counter was made.
    #[must_use]
    pub fn version(&self) -> i32 {
        self.route.version
    }
}
