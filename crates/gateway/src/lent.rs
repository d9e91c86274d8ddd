//! A session's server connections, lent by its tenant.

use std::sync::Arc;

use bytes::BytesMut;
use pool::{Kept, Lease, PoolError, Residue, SessionParams};
use tenancy::{Counter, TenantHandle};
use tokio::net::TcpStream;
use wire::startup::CancelKey;

use crate::cancel::Registration;
use crate::fault::Fault;
use crate::prepared;
use crate::relay::{Left, Need, Question, Servers, Settled};

/// Lends one server connection at a time, and keeps the client's way to interrupt it.
#[derive(Debug)]
pub(crate) struct Lent {
    handle: Arc<TenantHandle>,
    /// Of the tenant's own login.
    own: Counter,
    /// Of the login that serves many.
    dense: Option<Counter>,
    registration: Registration,
    lease: Option<Lease>,
    /// One that is not yet as the client needs it.
    unfit: Option<Lease>,
    /// Whether other clients use the connections, too, from transaction to transaction.
    shared: bool,
}

/// How a client gets server connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ways {
    /// One of the tenant's own login, for as long as it stays.
    Session,
    /// One of those for each transaction.
    Own,
    /// For each transaction one of the login that serves many, where there is such a login and it will do.
    Dense,
}

impl Lent {
    pub(crate) fn new(
        handle: TenantHandle,
        params: SessionParams,
        registration: Registration,
        ways: Ways,
    ) -> Result<Self, Fault> {
        let dense = if ways == Ways::Dense { handle.dense_counter(params.clone())? } else { None };
        let own = handle.counter(params)?;
        let shared = ways != Ways::Session;
        Ok(Self { handle: Arc::new(handle), own, dense, registration, lease: None, unfit: None, shared })
    }

    fn counter(&self, need: &Need) -> &Counter {
        self.dense.as_ref().filter(|_| !need.own).unwrap_or(&self.own)
    }

    pub(crate) fn handle(&self) -> Arc<TenantHandle> {
        Arc::clone(&self.handle)
    }

    /// The key with which the client may interrupt whatever connection it has.
    pub(crate) fn key(&self) -> CancelKey {
        self.registration.key()
    }

    /// What the server has reported of its settings.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        self.lease.iter().flat_map(Lease::parameters)
    }

    /// Gives back what the session had at its end.
    pub(crate) async fn close(&mut self, left: Left) {
        let undisturbed = self.registration.rest().await;
        let Some(lease) = self.lease.take() else { return };
        match left {
            Left::Clean if undisturbed => lease.give_back().await,
            Left::Clean | Left::Spoilt => drop(lease),
            Left::Working => {
                // A server notices that its client is gone only when it has something to say, which may be hours from now.
                if let Err(error) = lease.cancel_target().send().await {
                    let tenant = self.handle.slug();
                    tracing::warn!(%tenant, %error, "a statement without a client could not be cancelled");
                }
                drop(lease);
            }
        }
    }
}

impl Servers for Lent {
    fn stream(&mut self) -> Option<&mut TcpStream> {
        self.lease.as_mut().map(Lease::stream)
    }

    fn residue(&mut self) -> Option<&mut Residue> {
        self.lease.as_mut().filter(|_| self.shared).map(Lease::residue)
    }

    fn attach_now(&mut self, need: &Need) -> bool {
        let Some(mut lease) = self.handle.take(self.counter(need), &need.settings) else { return false };
        let drawn = need.draws.is_none_or(|client| lease.residue().is_of(client));
        if self.shared && drawn && lease.settings().same(&need.settings) {
            self.registration.aim(lease.cancel_target());
            self.lease = Some(lease);
            return true;
        }
        self.unfit = Some(lease);
        false
    }

    async fn attach(&mut self, need: &Need) -> Result<(), Fault> {
        let mut stale = 0;
        loop {
            let mut lease = match self.unfit.take() {
                Some(lease) => lease,
                None => self.handle.borrow(self.counter(need), &need.settings).await?,
            };
            match fit(&mut lease, need, self.shared).await {
                Ok(()) => {
                    self.registration.aim(lease.cancel_target());
                    self.lease = Some(lease);
                    return Ok(());
                }
                // It was lost while it rested, and nothing of the client's has been said on it.
                Err(PoolError::Unreachable { .. }) if stale < STALE => stale += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn move_home(&mut self, need: &Need, beginning: &str) -> Result<(), Fault> {
        let undisturbed = self.registration.rest().await;
        let mut lease = self.lease.take().filter(|_| undisturbed).ok_or_else(Fault::server_lost)?;
        lease.roll_back().await?;
        lease.pass_on();
        self.attach(need).await?;
        match &mut self.lease {
            Some(lease) => Ok(lease.begin(beginning).await?),
            None => Err(Fault::server_lost()),
        }
    }

    async fn settle(&mut self, question: Question<'_>) -> Result<Settled, Fault> {
        // What the client would interrupt is not síndico's question.
        let undisturbed = self.registration.rest().await;
        let lease = self.lease.as_mut().filter(|_| undisturbed).ok_or_else(Fault::server_lost)?;
        if question.forget {
            lease.forget_statements(prepared::name).await?;
        }
        let mut found = None;
        if question.ask {
            let kept = lease.take_stock(question.names.iter().map(String::as_str)).await?;
            found = Some((lease.settings().clone(), kept == Kept::More));
        }
        self.registration.aim(lease.cancel_target());
        Ok(Settled { found, overheard: lease.overheard() })
    }

    fn interrupt(&mut self) {
        if let Some(request) = self.registration.interrupt() {
            tokio::spawn(request);
        }
    }

    async fn lose(&mut self) {
        self.registration.rest().await;
        self.lease = None;
    }

    async fn release(&mut self, client: u64) {
        let undisturbed = self.registration.rest().await;
        let Some(mut lease) = self.lease.take() else { return };
        lease.residue().used_by(client);
        if undisturbed {
            lease.pass_on();
        }
    }
}

/// Connections that turn out to be lost before one is asked for no more.
const STALE: usize = 3;

/// Makes a connection what a client needs.
async fn fit(lease: &mut Lease, need: &Need, shared: bool) -> Result<(), PoolError> {
    if !shared {
        lease.renew().await?;
    }
    lease.adopt(&need.settings).await?;
    if need.draws.is_some_and(|client| !lease.residue().is_of(client)) {
        lease.forget_sequences().await?;
    }
    Ok(())
}

/// Nothing was said in the meantime.
impl Default for Settled {
    fn default() -> Self {
        Self { found: None, overheard: BytesMut::new() }
    }
}
