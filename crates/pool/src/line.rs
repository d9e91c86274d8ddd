//! The way to connections of one purpose.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};
use uuid::Uuid;

use crate::cluster::{Answer, Cluster, Grant};
use crate::connection::Connection;
use crate::error::Trouble;
use crate::health::jittered;
use crate::permit::{Enlisted, Permit};
use crate::reach::reach;
use crate::residue::Settings;
use crate::rest::Resting;
use crate::route::Purpose;
use crate::{Lease, PoolError, PoolSettings, SessionParams, Share};

/// How long a connection may have rested to be taken for open without asking the kernel, unless others were lost: whoever
/// speaks to a server at all meets one that goes away at that very moment.
const SURELY_OPEN: Duration = Duration::from_millis(25);

/// Before a login is tried again that the server has no room for.
const NO_ROOM: Duration = Duration::from_millis(200);

/// Where clients of the same route and the same startup settings borrow. Cheap to clone; keeps nothing open.
#[derive(Debug, Clone)]
pub struct Line {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) purpose: Arc<Purpose>,
    pub(crate) share: Share,
    pub(crate) settings: Arc<PoolSettings>,
}

impl Line {
    /// Borrows a connection that has rested, if there is one that serves this tenant and nobody else (`None` where every
    /// login is one tenant's); at best one that has these settings already.
    #[must_use]
    pub fn take(&self, wanted: &Settings, tenant: Option<Uuid>) -> Option<Lease> {
        loop {
            let now = Instant::now();
            let (user, resting) =
                self.cluster.take(&self.purpose, self.share, tenant, |connection| suits(connection, wanted), now)?;
            let Resting { connection, permit, since, .. } = resting;
            if self.is_fit(&connection, Some(since), now) {
                return Some(self.lease(connection, permit, user));
            }
            // Closed before another may be opened in its place.
            drop(connection);
            drop(permit);
        }
    }

    /// Borrows a connection: one that has rested since the last client of the same purpose, else a new one, for which one of
    /// another that rests makes room, else whichever is given back when its tenant's turn has come. While the server takes no
    /// connections, waits until it does, at most for as long as for a connection to become free. Whom it serves, where a
    /// login serves many, is [`Lease::present`]'s to say; it is this tenant at best.
    ///
    /// May be abandoned at any point without losing a connection.
    pub async fn checkout(&self, wanted: &Settings, tenant: Option<Uuid>) -> Result<Lease, PoolError> {
        let now = Instant::now();
        let deadline = now + self.settings.wait_timeout;
        let (user, answer) =
            self.cluster.ask(&self.purpose, self.share, tenant, |connection| suits(connection, wanted), now);
        let grant = match answer {
            Answer::Now(grant) => grant,
            Answer::Later(granted) => match timeout_at(deadline, granted).await {
                Ok(Ok(grant)) => grant,
                Ok(Err(_)) | Err(_) if self.cluster.health.is_up() => return Err(PoolError::Exhausted),
                Ok(Err(_)) | Err(_) => return Err(unanswered()),
            },
        };
        let (rested, mut permit) = match grant {
            Grant::Connection(connection, mut permit, since) => {
                let fit = self.is_fit(&connection, since, Instant::now());
                if !fit {
                    // A login is not what was to be done.
                    permit.excuse();
                }
                (Some(connection).filter(|_| fit), permit)
            }
            Grant::Permit(permit) => (None, permit),
        };
        let connection = if let Some(connection) = rested {
            // If it changes hands, it is handed over yet.
            connection
        } else {
            // Apart, since few need it.
            let opened = Box::pin(self.open(&mut permit, deadline)).await?;
            permit.settle();
            opened
        };
        Ok(self.lease(connection, permit, user))
    }

    /// Opens a connection, trying again while it is the server's trouble and time is left.
    async fn open(&self, permit: &mut Permit, deadline: Instant) -> Result<Box<Connection>, PoolError> {
        let mut last = None;
        loop {
            let Ok(attempt) = timeout_at(deadline, self.cluster.health.attempt()).await else {
                return Err(last.unwrap_or_else(unanswered));
            };
            permit.proceed();
            let error = match reach(&self.purpose, &self.settings, &self.cluster.health.preferred).await {
                Ok(connection) => {
                    attempt.answered();
                    self.cluster.is_here.store(connection.peer.address.is_here(), Ordering::Relaxed);
                    return Ok(Box::new(connection));
                }
                Err(error) => error,
            };
            permit.excuse();
            match error.trouble() {
                Trouble::Lasting => {
                    attempt.answered();
                    return Err(error);
                }
                Trouble::Login => {
                    attempt.answered();
                    if timeout_at(deadline, sleep(jittered(NO_ROOM))).await.is_err() {
                        return Err(error);
                    }
                }
                Trouble::Server => {
                    if attempt.failed() {
                        tracing::warn!(cluster = %self.purpose.route.cluster, "the cluster takes no connections; clients wait");
                    }
                }
            }
            last = Some(error);
        }
    }

    /// The startup settings.
    #[must_use]
    pub fn params(&self) -> &SessionParams {
        &self.purpose.params
    }

    /// The login role.
    #[must_use]
    pub fn role(&self) -> &str {
        &self.purpose.route.role
    }

    fn is_fit(&self, connection: &Connection, since: Option<Instant>, now: Instant) -> bool {
        let fresh = since.is_none_or(|since| now.duration_since(since) < SURELY_OPEN) && !self.cluster.is_shaken();
        now < connection.retires && (fresh || connection.is_quiet())
    }

    fn lease(&self, connection: Box<Connection>, permit: Permit, user: Enlisted) -> Lease {
        let within = self.settings.connect_timeout;
        user.got(connection.cancel_key.pid);
        Lease { connection, permit, user, purpose: Arc::clone(&self.purpose), within }
    }
}

fn suits(connection: &Connection, wanted: &Settings) -> bool {
    connection.residue.settings.same(wanted)
}

/// Somebody else has tried all the while, and the log says what they met.
fn unanswered() -> PoolError {
    PoolError::Unreachable { reason: "it has not answered for as long as a client waits".to_owned() }
}
