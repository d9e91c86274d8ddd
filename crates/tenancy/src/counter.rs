//! Where a door gets one tenant's server connections, one for each transaction.

use domain::Role;
use pool::{Lease, Line, PoolError, SessionParams, Settings};

use crate::TenantHandle;
use crate::login::Login;

/// A tenant's server connections, for clients with the same startup settings. Good for as long as its handle.
#[derive(Debug)]
pub struct Counter {
    login: Login,
    line: Line,
}

impl TenantHandle {
    /// Where this tenant's connections are had, logged in as its own role.
    pub fn counter(&self, params: SessionParams) -> Result<Counter, PoolError> {
        let login = Login::Own(Role::new(self.tenant(), self.access()));
        Ok(Counter { login, line: self.threshold().pool.line(self.way(login)?, params) })
    }

    /// A connection that is at hand.
    #[must_use]
    pub fn take(&self, counter: &Counter, settings: &Settings) -> Option<Lease> {
        counter.line.take(settings)
    }

    /// A connection, as soon as there is one. A role that SQL has spoilt is given its own again, once.
    pub async fn borrow(&self, counter: &Counter, settings: &Settings) -> Result<Lease, PoolError> {
        self.repaired(counter.login, &counter.line, settings).await
    }
}
