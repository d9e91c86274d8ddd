//! A session's server connections, lent by its tenant.

use std::sync::Arc;

use bytes::BytesMut;
use domain::Isolation;
use pool::{Kept, Lease, PoolError, Residue, SessionParams};
use tenancy::{Counter, Passage, TenantHandle};
use tls::Stream;
use wire::startup::CancelKey;

use crate::cancel::Registration;
use crate::fault::Fault;
use crate::prepared;
use crate::relay::{Left, Moved, Need, Question, Servers, Settled};
use crate::statement::{Clerk, Clerks};

/// Lends one server connection at a time, and keeps the client's way to interrupt it.
#[derive(Debug)]
pub(crate) struct Lent {
    handle: Arc<TenantHandle>,
    /// Of the tenant's own login.
    own: Counter,
    /// Of the login that serves many.
    dense: Option<Box<Counter>>,
    ways: Ways,
    clerks: Clerks,
    isolation: Isolation,
    /// The counters lead elsewhere, or to other tables, than the client's statements are read for.
    elsewhere: bool,
    /// The same, with who reads them from now on, once there is a connection.
    moved: Option<Moved>,
    registration: Registration,
    lease: Option<Lease>,
    /// One that is not yet as the client needs it.
    unfit: Option<Box<Lease>>,
    /// After the connections, which are given back first.
    passage: Passage,
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
        clerks: Clerks,
        registration: Registration,
        ways: Ways,
    ) -> Result<Self, Fault> {
        let dense = dense(&handle, ways, &params)?;
        let own = handle.counter(params)?;
        Ok(Self {
            passage: handle.passage(),
            isolation: handle.isolation(),
            handle: Arc::new(handle),
            own,
            dense,
            ways,
            clerks,
            elsewhere: false,
            moved: None,
            registration,
            lease: None,
            unfit: None,
        })
    }

    /// Whether other clients use the connections, too, from transaction to transaction.
    fn shares(&self) -> bool {
        self.ways != Ways::Session
    }

    /// Has connections come from where the tenant is now.
    fn follow(&mut self) -> Result<(), Fault> {
        if !self.handle.is_outdated(&self.own) {
            return Ok(());
        }
        let own = self.handle.counter(self.own.params().clone())?;
        self.elsewhere |= !own.is_where(&self.own) || own.version() != self.own.version();
        self.own = own;
        self.dense = dense(&self.handle, self.ways, self.own.params())?;
        self.unfit = None;
        Ok(())
    }

    /// Who reads the statements of a session that begins on the connection that it has, if anybody does.
    pub(crate) async fn reader(&mut self) -> Result<Option<Arc<Clerk>>, Fault> {
        // Wherever it has moved so far, this is the beginning.
        self.moved = None;
        match &self.lease {
            Some(lease) => self.clerk(lease).await,
            None => Ok(None),
        }
    }

    async fn clerk(&self, lease: &Lease) -> Result<Option<Arc<Clerk>>, Fault> {
        let rules = self.handle.client_rules().await?;
        Ok(rules.map(|rules| self.clerks.serve(rules, lease.parameters())))
    }

    /// Gets a connection, having passed the tenant's gate.
    async fn find(&mut self, need: &Need) -> Result<(), Fault> {
        self.handle.enter(&mut self.passage).await?;
        self.follow()?;
        let mut stale = 0;
        let lease = loop {
            let mut lease = match self.unfit.take() {
                Some(lease) => *lease,
                None => self.handle.borrow(self.counter(need), &need.settings).await?,
            };
            match fit(&mut lease, need, self.shares()).await {
                Ok(()) => break lease,
                // It was lost while it rested, and nothing of the client's has been said on it.
                Err(PoolError::Unreachable { .. }) if stale < STALE => stale += 1,
                Err(error) => return Err(error.into()),
            }
        };
        if self.elsewhere {
            let clerk = self.clerk(&lease).await?;
            let isolation = self.handle.isolation();
            self.moved = Some(Moved { clerk, to_another_isolation: isolation != self.isolation });
            (self.isolation, self.elsewhere) = (isolation, false);
        }
        self.registration.aim(lease.cancel_target());
        self.lease = Some(lease);
        Ok(())
    }

    fn counter(&self, need: &Need) -> &Counter {
        self.dense.as_deref().filter(|_| !need.own).unwrap_or(&self.own)
    }

    pub(crate) fn handle(&self) -> Arc<TenantHandle> {
        Arc::clone(&self.handle)
    }

    /// The key with which the client may interrupt whatever connection it has.
    pub(crate) fn key(&self) -> &CancelKey {
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

/// Where connections of the login of many are had, for whom they are.
fn dense(handle: &TenantHandle, ways: Ways, params: &SessionParams) -> Result<Option<Box<Counter>>, Fault> {
    Ok(if ways == Ways::Dense { handle.dense_counter(params.clone())?.map(Box::new) } else { None })
}

impl Servers for Lent {
    fn stream(&mut self) -> Option<&mut Stream> {
        self.lease.as_mut().map(Lease::stream)
    }

    fn residue(&mut self) -> Option<&mut Residue> {
        if self.shares() { self.lease.as_mut().map(Lease::residue) } else { None }
    }

    fn attach_now(&mut self, need: &Need) -> bool {
        if !self.passage.try_enter() || self.handle.is_outdated(&self.own) {
            return false;
        }
        let Some(mut lease) = self.handle.take(self.counter(need), &need.settings) else { return false };
        let drawn = need.draws.is_none_or(|client| lease.residue().is_of(client));
        if self.shares() && drawn && lease.settings().same(&need.settings) {
            self.registration.aim(lease.cancel_target());
            self.lease = Some(lease);
            return true;
        }
        self.unfit = Some(Box::new(lease));
        false
    }

    async fn attach(&mut self, need: &Need) -> Result<(), Fault> {
        let found = self.find(need).await;
        if found.is_err() {
            // Whoever has no connection is not inside, or a tenant that is held would be waited for in vain.
            self.unfit = None;
            self.passage.leave();
        }
        found
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

    fn moved(&mut self) -> Option<Moved> {
        self.moved.take()
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
        self.passage.leave();
    }

    async fn release(&mut self, client: u64) {
        let undisturbed = self.registration.rest().await;
        let Some(mut lease) = self.lease.take() else { return };
        lease.residue().used_by(client);
        if undisturbed {
            lease.pass_on();
        } else {
            drop(lease);
        }
        self.passage.leave();
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
