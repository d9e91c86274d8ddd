//! The way to connections of one purpose.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use uuid::Uuid;

use crate::cluster::{Answer, Cluster, Grant};
use crate::connect::connect;
use crate::connection::Connection;
use crate::permit::{Enlisted, Permit};
use crate::residue::Settings;
use crate::rest::Resting;
use crate::route::Purpose;
use crate::{Lease, PoolError, PoolSettings};

/// How long a connection may have rested to be taken for open without asking the kernel: whoever speaks to a server at all
/// meets one that goes away at that very moment.
const SURELY_OPEN: Duration = Duration::from_millis(100);

/// Where clients of the same route and the same startup settings borrow. Cheap to clone; keeps nothing open.
#[derive(Debug, Clone)]
pub struct Line {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) purpose: Arc<Purpose>,
    pub(crate) settings: Arc<PoolSettings>,
}

impl Line {
    /// Borrows a connection that has rested, if there is one that serves this tenant and nobody else (`None` where every
    /// login is one tenant's); at best one that has these settings already.
    #[must_use]
    pub fn take(&self, wanted: &Settings, tenant: Option<Uuid>) -> Option<Lease> {
        loop {
            let (user, resting) = self.cluster.take(&self.purpose, tenant, |connection| suits(connection, wanted))?;
            let Resting { connection, permit, since, .. } = resting;
            if self.is_fit(&connection, Some(since)) {
                return Some(self.lease(connection, permit, user));
            }
            // Closed before another may be opened in its place.
            drop(connection);
            drop(permit);
        }
    }

    /// Borrows a connection: one that has rested since the last client of the same purpose, else a new one, for which the
    /// longest rested of any other makes room, else whichever is given back when its turn has come. Whom it serves, where a
    /// login serves many, is [`Lease::present`]'s to say; it is this tenant at best.
    ///
    /// May be abandoned at any point without losing a connection.
    pub async fn checkout(&self, wanted: &Settings, tenant: Option<Uuid>) -> Result<Lease, PoolError> {
        let (user, answer) = self.cluster.ask(&self.purpose, tenant, |connection| suits(connection, wanted));
        let grant = match answer {
            Answer::Now(grant) => grant,
            Answer::Later(granted) => match timeout(self.settings.wait_timeout, granted).await {
                Ok(Ok(grant)) => grant,
                Ok(Err(_)) | Err(_) => return Err(PoolError::Exhausted),
            },
        };
        let (rested, permit) = match grant {
            Grant::Connection(connection, permit, since) => {
                let fit = self.is_fit(&connection, since);
                (Some(connection).filter(|_| fit), permit)
            }
            Grant::Permit(permit) => (None, permit),
        };
        let connection = match rested {
            Some(connection) => connection,
            None => Box::new(connect(&self.purpose, self.settings.connect_timeout).await?),
        };
        Ok(self.lease(connection, permit, user))
    }

    /// The login role.
    #[must_use]
    pub fn role(&self) -> &str {
        &self.purpose.route.role
    }

    fn is_fit(&self, connection: &Connection, since: Option<Instant>) -> bool {
        connection.opened.elapsed() < self.settings.max_lifetime
            && (since.is_none_or(|since| since.elapsed() < SURELY_OPEN) || connection.is_quiet())
    }

    fn lease(&self, connection: Box<Connection>, permit: Permit, user: Enlisted) -> Lease {
        let within = self.settings.connect_timeout;
        Lease { connection, permit, user, purpose: Arc::clone(&self.purpose), within }
    }
}

fn suits(connection: &Connection, wanted: &Settings) -> bool {
    connection.residue.settings.same(wanted)
}
