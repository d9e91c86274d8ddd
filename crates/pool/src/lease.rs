//! A connection on loan.

use std::sync::Arc;
use std::time::Duration;

use tls::Stream;
use tokio::time::Instant;
use uuid::Uuid;

use crate::connection::Connection;
use crate::permit::{Enlisted, Permit};
use crate::reset::{hand_over, reset};
use crate::residue::Residue;
use crate::route::Purpose;
use crate::{CancelTarget, PoolError};

/// A server connection, logged in and ready, for as long as this is held. A guard: dropping it closes the connection,
/// and with it ends whatever the session was doing, and passes its place in the budget on.
#[derive(Debug)]
pub struct Lease {
    pub(crate) connection: Box<Connection>,
    pub(crate) permit: Permit,
    pub(crate) user: Enlisted,
    pub(crate) purpose: Arc<Purpose>,
    /// Time for a reset, and for a cancel request.
    pub(crate) within: Duration,
}

impl Lease {
    /// The connection, between two messages and with nothing buffered.
    pub fn stream(&mut self) -> &mut Stream {
        &mut self.connection.stream
    }

    /// What clients have left on the connection on purpose.
    pub fn residue(&mut self) -> &mut Residue {
        &mut self.connection.residue
    }

    /// What the server has reported of its settings (`ParameterStatus`), by name.
    pub fn parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        self.connection.reported.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The server process behind the connection, as `pg_backend_pid()` says it.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.connection.cancel_key.pid
    }

    /// The server's time in seconds since 1970, where the login serves many: asked for when the connection was
    /// opened, and counted on since.
    #[must_use]
    pub fn server_time(&self) -> u64 {
        self.connection.opened_at + self.connection.opened.elapsed().as_secs()
    }

    /// Sets whom a connection of a login that serves many serves from here on: brings it back to what it was after
    /// login, makes sure of that, and only then lets the token stand, all in one exchange of messages. On any error
    /// the lease is of no more use.
    ///
    /// The token must be of digits, letters and dots; whoever issues tokens makes no others.
    pub async fn present(&mut self, tenant: Uuid, token: &str) -> Result<(), PoolError> {
        if !token.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.') {
            return Err(PoolError::Protocol("a token holds something other than digits, letters and dots"));
        }
        hand_over(&mut self.connection, token, self.within).await?;
        self.connection.residue.serves = Some(tenant);
        self.permit.settle();
        Ok(())
    }

    /// Whom to ask to interrupt this connection. Good for this loan only: whoever sends it must be done before the
    /// lease is given back, or it may hit the next one's statement.
    #[must_use]
    pub fn cancel_target(&self) -> CancelTarget {
        let Connection { peer, cancel_key, .. } = &*self.connection;
        CancelTarget { peer: Arc::clone(peer), key: cancel_key.clone(), within: self.within }
    }

    /// Brings a connection that other clients have used from transaction to transaction back to what it was after login. On
    /// any error the lease is of no more use.
    pub async fn renew(&mut self) -> Result<(), PoolError> {
        if self.connection.residue.is_unused() {
            return Ok(());
        }
        reset(&mut self.connection, self.within).await?;
        self.permit.settle();
        Ok(())
    }

    /// Returns a connection between two transactions as it is, for clients of the same purpose: the server's last word was
    /// `ReadyForQuery` outside of a transaction, nothing has been sent since, and the session keeps nothing but
    /// [`Lease::settings`].
    pub fn pass_on(self) {
        let Self { connection, permit, user, purpose, .. } = self;
        user.cluster().rest(connection, purpose, &user, permit, Instant::now());
    }

    /// Returns a connection that is clean as far as its user knows: the server's last word was `ReadyForQuery`
    /// outside of a transaction, and nothing has been sent since. When that is not so, drop the lease instead.
    ///
    /// The session's state is discarded first and the server's confirmation read, and a connection that does not
    /// confirm is closed; so a wrong belief costs a connection, not its next user.
    pub async fn give_back(mut self) {
        if self.user.is_condemned() || !self.connection.is_quiet() {
            return;
        }
        if let Err(error) = reset(&mut self.connection, self.within).await {
            let route = &self.purpose.route;
            tracing::info!(cluster = %route.cluster, role = route.role, %error, "closing a connection that was not reset");
            return;
        }
        let Self { connection, permit, user, purpose, .. } = self;
        user.cluster().rest(connection, purpose, &user, permit, Instant::now());
    }
}
