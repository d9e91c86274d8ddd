//! The connections to one cluster: how many there are, which rest, and who waits.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use foldhash::HashMap;
use tokio::sync::oneshot;
use tokio::time::Instant;
use uuid::Uuid;

use crate::Share;
use crate::connection::Connection;
use crate::fair::{Fair, Had, Limits, Next};
use crate::health::Health;
use crate::lane::Waiter;
use crate::permit::{Condemned, Enlisted, Permit};
use crate::rest::Resting;
use crate::route::{Purpose, Route, Serves};

/// Numbers of one cluster's connections, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClusterStats {
    /// Units of the budget that are taken.
    pub open: usize,
    /// Connections at rest, ready for the same purpose.
    pub idle: usize,
    /// Connections lent out, or being opened or reset.
    pub in_use: usize,
    /// Clients in the queue.
    pub waiting: usize,
    /// Whether the server is believed to take connections.
    pub up: bool,
}

/// A server connection, for operators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerReport {
    /// The cluster.
    pub cluster: Uuid,
    /// The database that it leads to.
    pub database: String,
    /// The login.
    pub role: String,
    /// The server process behind it.
    pub pid: u32,
    /// Whether it rests.
    pub idle: bool,
}

/// What somebody who wants a connection gets.
#[derive(Debug)]
pub(crate) enum Grant<C = Box<Connection>> {
    /// A connection that has rested, and since when; `None` if it has just been given back.
    Connection(C, Permit<C>, Option<Instant>),
    /// The right to open one.
    Permit(Permit<C>),
}

/// Or a place in the queue.
#[derive(Debug)]
pub(crate) enum Answer<C = Box<Connection>> {
    Now(Grant<C>),
    Later(oneshot::Receiver<Grant<C>>),
}

/// Somebody on the list: see [`Enlisted`].
#[derive(Debug)]
struct User {
    purpose: Arc<Purpose>,
    condemned: Condemned,
}

#[derive(Debug)]
struct State<C> {
    fair: Fair<C>,
    users: HashMap<u64, User>,
    next_number: u64,
    /// When a connection that was lent out was last closed instead of given back, as happens to all when a server goes.
    shaken: Option<Instant>,
}

/// The connections to one cluster. What a connection is matters only to who opens and uses it.
#[derive(Debug)]
pub(crate) struct Cluster<C = Box<Connection>> {
    pub(crate) health: Health,
    state: Mutex<State<C>>,
}

/// What the pool has to know of a connection.
pub(crate) trait Serve {
    /// Whom a connection of a login that serves many serves at present.
    fn serves(&self) -> Option<Uuid>;
}

impl Serve for Box<Connection> {
    fn serves(&self) -> Option<Uuid> {
        self.residue.serves
    }
}

/// How long after a connection was lost the others are looked at before they are lent.
const SHAKEN: Duration = Duration::from_secs(5);

/// Connections at rest that are looked at while nobody else may ask for one.
const BATCH: usize = 64;

impl<C> Cluster<C> {
    pub(crate) fn new(limits: Limits) -> Self {
        let state = State { fair: Fair::new(limits), users: HashMap::default(), next_number: 0, shaken: None };
        Self { health: Health::default(), state: Mutex::new(state) }
    }

    /// No code that runs under the lock can panic halfway through a change, so a poisoned lock guards a sound state.
    fn state(&self) -> MutexGuard<'_, State<C>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection that has rested, else a unit of the budget, else the unit of another that has rested, else a place in
    /// the queue; and in any case a place on the list. Of several that have rested, one that `suits`.
    pub(crate) fn ask(
        self: &Arc<Self>,
        purpose: &Arc<Purpose>,
        share: Share,
        serves: Option<Uuid>,
        suits: impl Fn(&C) -> bool,
        now: Instant,
    ) -> (Enlisted<C>, Answer<C>) {
        let (user, had) = {
            let mut state = self.state();
            let user = self.enlist(&mut state, purpose, share);
            let had = state.fair.ask(purpose, share, serves, suits, now);
            if had.is_none() {
                let (grant, granted) = oneshot::channel();
                let number = user.number();
                state.fair.wait(number, share, Waiter { purpose: Arc::clone(purpose), grant });
                return (user, Answer::Later(granted));
            }
            (user, had)
        };
        let grant = match had {
            Some(Had::Rested(Resting { connection, permit, since, .. })) => {
                Grant::Connection(connection, permit, Some(since))
            }
            Some(Had::Evicted(Resting { connection, permit, .. })) => {
                // Closed before another may be opened in its place.
                drop(connection);
                Grant::Permit(permit)
            }
            Some(Had::Unit) | None => Grant::Permit(Permit::new(Arc::clone(self), share.tenant)),
        };
        (user, Answer::Now(grant))
    }

    /// A connection that has rested and serves this tenant, or nothing: no place in the queue either.
    pub(crate) fn take(
        self: &Arc<Self>,
        purpose: &Arc<Purpose>,
        share: Share,
        serves: Option<Uuid>,
        suits: impl Fn(&C) -> bool,
    ) -> Option<(Enlisted<C>, Resting<C>)> {
        let mut state = self.state();
        let place = state.fair.resting().find(purpose, serves, suits)?;
        let resting = state.fair.take(place, share)?;
        Some((self.enlist(&mut state, purpose, share), resting))
    }

    /// Writes somebody into the list.
    fn enlist(self: &Arc<Self>, state: &mut State<C>, purpose: &Arc<Purpose>, share: Share) -> Enlisted<C> {
        let condemned = Condemned::default();
        let number = state.next_number;
        state.next_number += 1;
        state.users.insert(number, User { purpose: Arc::clone(purpose), condemned: condemned.clone() });
        Enlisted::new(Arc::clone(self), number, share.tenant, condemned)
    }

    /// Hands a unit of the budget to whoever is next, or takes it back. For [`Permit`] only.
    pub(crate) fn pass_on(self: &Arc<Self>, mut lent_to: Option<Uuid>) {
        loop {
            let next = {
                let mut state = self.state();
                if lent_to.is_some() {
                    state.shaken = Some(Instant::now());
                }
                state.fair.free(lent_to)
            };
            let Some((waiter, to)) = next else { return };
            match waiter.grant.send(Grant::Permit(Permit::new(Arc::clone(self), to))) {
                // It has given up waiting; the unit goes to the next.
                Err(Grant::Permit(unclaimed)) => unclaimed.defuse(),
                Ok(()) | Err(Grant::Connection(..)) => return,
            }
            lent_to = Some(to);
        }
    }

    /// Takes somebody off the list, and out of the queue. For [`Enlisted`] only.
    pub(crate) fn strike(&self, tenant: Uuid, number: u64) {
        let mut state = self.state();
        state.users.remove(&number);
        let waiter = state.fair.leave(tenant, number);
        drop(state);
        drop(waiter);
    }

    /// Whether a connection was lost so lately that others may have gone with it.
    pub(crate) fn is_shaken(&self) -> bool {
        self.state().shaken.is_some_and(|at| at.elapsed() < SHAKEN)
    }

    /// Closes what rests for the purposes meant, and condemns what is in use for them.
    pub(crate) fn close(&self, meant: impl Fn(&Purpose) -> bool) {
        let closing = {
            let mut state = self.state();
            for user in state.users.values().filter(|user| meant(&user.purpose)) {
                user.condemned.condemn();
            }
            state.fair.stir_all(|resting| meant(&resting.purpose))
        };
        // After the lock is free: giving a permit back takes it again.
        drop(closing);
    }

    /// Closes connections that are `spent`, a few at a time, so that nobody who asks has to wait for all to be looked at.
    pub(crate) fn tend(&self, spent: impl Fn(&C, Instant) -> bool) {
        let mut from = Some(0);
        while let Some(place) = from.take() {
            let closing: Vec<_> = {
                let mut state = self.state();
                let batch = state.fair.resting().from(place).take(BATCH);
                let mut places = Vec::new();
                for (place, resting) in batch {
                    from = Some(place + 1);
                    if spent(&resting.connection, resting.since) {
                        places.push(place);
                    }
                }
                places.into_iter().filter_map(|place| state.fair.stir(place)).collect()
            };
            drop(closing);
        }
    }

    /// Closes what was kept for tenants that did not come back for it, if others wait.
    pub(crate) fn relieve(&self, now: Instant) {
        loop {
            let relieved = self.state().fair.relieve(now);
            if relieved.is_none() {
                return;
            }
        }
    }

    /// The roles of those that rest.
    #[cfg(test)]
    pub(crate) fn resting_roles(&self) -> Vec<String> {
        self.state().fair.resting().from(0).map(|(_, it)| it.purpose.route.role.clone()).collect()
    }

    pub(crate) fn stats(&self) -> ClusterStats {
        let state = self.state();
        let (open, idle) = (state.fair.open(), state.fair.resting().len());
        let in_use = open.saturating_sub(idle);
        ClusterStats { open, idle, in_use, waiting: state.fair.waiting(), up: self.health.is_up() }
    }
}

impl Cluster {
    /// Each connection that is lent out or rests; those being opened have no server process yet.
    pub(crate) fn servers(&self) -> Vec<ServerReport> {
        let state = self.state();
        let report = |purpose: &Purpose, pid: u32, idle: bool| {
            let Route { cluster, database, role, .. } = &purpose.route;
            ServerReport { cluster: *cluster, database: database.clone(), role: role.clone(), pid, idle }
        };
        let lent = state.users.values().filter_map(|user| Some(report(&user.purpose, user.condemned.pid()?, false)));
        let resting = state.fair.resting().from(0);
        let resting = resting.map(|(_, it)| report(&it.purpose, it.connection.cancel_key.pid, true));
        lent.chain(resting).collect()
    }
}

impl<C: Serve> Cluster<C> {
    /// Puts a clean connection to rest, or gives it to whoever is next if it fits. If not, or if the use was condemned,
    /// closes it and passes its permit on.
    pub(crate) fn rest(
        &self,
        mut connection: C,
        purpose: Arc<Purpose>,
        user: &Enlisted<C>,
        mut permit: Permit<C>,
        now: Instant,
    ) {
        let mut tenant = user.tenant();
        loop {
            let next = {
                let mut state = self.state();
                // Looked at under the lock: whoever condemns later finds the connection among those at rest.
                if user.is_condemned() {
                    break;
                }
                let next = state.fair.give_back(&purpose, tenant);
                if matches!(next, Next::Rest) {
                    let owner = (purpose.route.serves == Serves::One).then_some(tenant);
                    let serves = connection.serves();
                    return state.fair.put(Resting { connection, permit, purpose, owner, serves, since: now });
                }
                next
            };
            match next {
                Next::Hand(waiter, to) => {
                    permit.charge(to);
                    match waiter.grant.send(Grant::Connection(connection, permit, None)) {
                        // It gave up waiting at this very moment.
                        Err(Grant::Connection(unclaimed, unused, _)) => {
                            (connection, permit, tenant) = (unclaimed, unused, to);
                        }
                        Ok(()) | Err(Grant::Permit(_)) => return,
                    }
                }
                Next::Close(waiter, to) => {
                    permit.charge(to);
                    drop(connection);
                    // Unclaimed, it is passed on by being dropped.
                    drop(waiter.grant.send(Grant::Permit(permit)));
                    return;
                }
                Next::Rest => return,
            }
        }
        drop(connection);
        drop(permit);
    }
}
