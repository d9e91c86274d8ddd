//! A session's server connections, lent by its tenant.

use std::sync::Arc;

use bytes::BytesMut;
use pool::{Kept, Lease, Residue, SessionParams, Settings};
use tenancy::{Counter, TenantHandle};
use tokio::net::TcpStream;
use wire::startup::CancelKey;

use crate::cancel::Registration;
use crate::fault::Fault;
use crate::prepared;
use crate::relay::{Left, Question, Servers, Settled};

/// Lends one server connection at a time, and keeps the client's way to interrupt it.
#[derive(Debug)]
pub(crate) struct Lent {
    handle: Arc<TenantHandle>,
    counter: Counter,
    registration: Registration,
    lease: Option<Lease>,
    /// One that is not yet as the client needs it.
    unfit: Option<Lease>,
    /// Whether other clients use the connections, too, from transaction to transaction.
    shared: bool,
}

impl Lent {
    pub(crate) fn new(
        handle: TenantHandle,
        params: SessionParams,
        registration: Registration,
        shared: bool,
    ) -> Result<Self, Fault> {
        let counter = handle.counter(params)?;
        Ok(Self { handle: Arc::new(handle), counter, registration, lease: None, unfit: None, shared })
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

    fn attach_now(&mut self, settings: &Settings, draws: Option<u64>) -> bool {
        let Some(mut lease) = self.handle.take(&self.counter, settings) else { return false };
        let own = draws.is_none_or(|client| lease.residue().is_of(client));
        if self.shared && own && lease.settings().same(settings) {
            self.registration.aim(lease.cancel_target());
            self.lease = Some(lease);
            return true;
        }
        self.unfit = Some(lease);
        false
    }

    async fn attach(&mut self, settings: &Settings, draws: Option<u64>) -> Result<(), Fault> {
        let mut lease = match self.unfit.take() {
            Some(lease) => lease,
            None => self.handle.borrow(&self.counter, settings).await?,
        };
        if !self.shared {
            lease.renew().await?;
        }
        lease.adopt(settings).await?;
        if draws.is_some_and(|client| !lease.residue().is_of(client)) {
            lease.forget_sequences().await?;
        }
        self.registration.aim(lease.cancel_target());
        self.lease = Some(lease);
        Ok(())
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

    async fn release(&mut self, client: u64) {
        let undisturbed = self.registration.rest().await;
        let Some(mut lease) = self.lease.take() else { return };
        lease.residue().used_by(client);
        if undisturbed {
            lease.pass_on();
        }
    }
}

/// Nothing was said in the meantime.
impl Default for Settled {
    fn default() -> Self {
        Self { found: None, overheard: BytesMut::new() }
    }
}
