//! The connections to one cluster: how many there are, which rest, and who waits.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use foldhash::HashMap;
use tokio::sync::oneshot;
use tokio::time::Instant;
use uuid::Uuid;

use crate::Share;
use crate::concurrency::Strain;
use crate::connection::Connection;
use crate::fair::{Award, Back, Fair, Limits, What};
use crate::health::Health;
use crate::heat::{Heat, Worth};
use crate::lane::Waiter;
use crate::permit::{Change, Condemned, Enlisted, Permit};
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
    /// Those of them that are on their way from one tenant to another.
    pub changing: usize,
    /// How many may be in use at a time: all, or fewer while this machine has too few processors.
    pub concurrency_limit: usize,
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

/// What was handed to somebody who has given up waiting, and as whose it counts.
#[derive(Debug)]
enum Unclaimed<C> {
    Connection(Resting<C>, Uuid),
    Unit(Uuid, Option<Change>),
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
    /// Whether the server runs on this machine, as the last connection showed.
    pub(crate) is_here: AtomicBool,
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

/// A connection that has been seen in use so often may be doing nothing: a second, as often as is looked.
const LASTING: u32 = 10;

/// Connections at rest that are looked at while nobody else may ask for one.
const BATCH: usize = 64;

impl<C> Cluster<C> {
    pub(crate) fn new(limits: Limits) -> Self {
        let state = State { fair: Fair::new(limits), users: HashMap::default(), next_number: 0, shaken: None };
        Self { health: Health::default(), is_here: AtomicBool::new(false), state: Mutex::new(state) }
    }

    /// No code that runs under the lock can panic halfway through a change, so a poisoned lock guards a sound state.
    fn state(&self) -> MutexGuard<'_, State<C>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection that has rested, else a unit of the budget, else a place in the queue, where it may be one's turn at once; and
    /// in any case a place on the list. Of several that have rested, one that `suits`.
    pub(crate) fn ask(
        self: &Arc<Self>,
        purpose: &Arc<Purpose>,
        share: Share,
        serves: Option<Uuid>,
        suits: impl Fn(&C) -> bool,
        now: Instant,
    ) -> (Enlisted<C>, Answer<C>) {
        let (user, what) = {
            let mut state = self.state();
            let user = self.enlist(&mut state, purpose, share);
            let Some(what) = state.fair.ask(purpose, share, serves, suits, now) else {
                let (grant, granted) = oneshot::channel();
                state.fair.wait(user.number(), share, Waiter { purpose: Arc::clone(purpose), serves, grant });
                let award = state.fair.award(now, None);
                drop(state);
                self.hand_out(award, None, now);
                return (user, Answer::Later(granted));
            };
            (user, what)
        };
        let grant = match what {
            What::Connection(Resting { connection, permit, .. }, since) => Grant::Connection(connection, permit, since),
            What::Evicted(Resting { connection, permit, .. }) => {
                // Closed before another may be opened in its place.
                drop(connection);
                Grant::Permit(permit)
            }
            What::Unit => Grant::Permit(Permit::new(Arc::clone(self), share.tenant)),
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
        now: Instant,
    ) -> Option<(Enlisted<C>, Resting<C>)> {
        let mut state = self.state();
        let place = state.fair.resting().find(purpose, serves, suits)?;
        let resting = state.fair.take(place, share, now)?;
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

    /// Takes a unit of the budget back, for whoever is next. For [`Permit`] only.
    pub(crate) fn pass_on(self: &Arc<Self>, lent_to: Option<Uuid>, change: Option<Change>) {
        let now = Instant::now();
        let award = {
            let mut state = self.state();
            if lent_to.is_some() {
                state.shaken = Some(now);
            }
            state.fair.free(lent_to, change, now);
            // At once, so that nobody who asks now takes what others wait for.
            state.fair.award(now, None)
        };
        self.hand_out(award, None, now);
    }

    /// A connection has changed hands; another may. For [`Permit`] only.
    pub(crate) fn settle(self: &Arc<Self>, change: Change) {
        let now = Instant::now();
        self.state().fair.settle(change, now);
        self.advance(now);
    }

    /// A change of hands waits for something that others may not have to wait for. For [`Permit`] only.
    pub(crate) fn excuse(self: &Arc<Self>, change: Change) {
        let now = Instant::now();
        self.state().fair.excuse(change, now);
        self.advance(now);
    }

    /// Serves those whose turn it is, as far as there is something for them.
    pub(crate) fn advance(self: &Arc<Self>, now: Instant) {
        let first = self.state().fair.award(now, None);
        self.hand_out(first, None, now);
    }

    /// Hands an award to whoever it is for, and then those that are left.
    fn hand_out(self: &Arc<Self>, first: Option<Award<C>>, back: Option<&Back>, now: Instant) {
        let mut next = first;
        while let Some(award) = next {
            let unclaimed = self.hand(award);
            let mut state = self.state();
            next = match unclaimed {
                Some(Unclaimed::Connection(resting, tenant)) => state.fair.give_back(resting, tenant, now),
                Some(Unclaimed::Unit(tenant, change)) => {
                    state.fair.free(Some(tenant), change, now);
                    None
                }
                None => None,
            };
            next = next.or_else(|| state.fair.award(now, back));
        }
    }

    /// Gives back what nobody claims, who gave up waiting at this very moment.
    fn hand(self: &Arc<Self>, award: Award<C>) -> Option<Unclaimed<C>> {
        let Award { waiter, tenant, what, change } = award;
        let begin = |mut permit: Permit<C>| {
            permit.charge(tenant);
            permit.begin(change);
            permit
        };
        let permit = match what {
            What::Connection(resting, rested) => {
                let Resting { connection, permit, purpose, owner, serves, heat, worth, since } = resting;
                let sent = waiter.grant.send(Grant::Connection(connection, begin(permit), rested));
                let Err(Grant::Connection(connection, permit, _)) = sent else { return None };
                let resting = Resting { connection, permit, purpose, owner, serves, heat, worth, since };
                return Some(Unclaimed::Connection(resting, tenant));
            }
            // Closed before another may be opened in its place.
            What::Evicted(Resting { connection, permit, .. }) => {
                drop(connection);
                begin(permit)
            }
            What::Unit => begin(Permit::new(Arc::clone(self), tenant)),
        };
        let Err(Grant::Permit(permit)) = waiter.grant.send(Grant::Permit(permit)) else { return None };
        permit.defuse();
        Some(Unclaimed::Unit(tenant, change))
    }

    /// Takes somebody off the list, and out of the queue. For [`Enlisted`] only.
    pub(crate) fn strike(self: &Arc<Self>, tenant: Uuid, number: u64) {
        let mut state = self.state();
        state.users.remove(&number);
        let waiter = state.fair.leave(tenant, number);
        drop(state);
        if waiter.is_some() {
            // It may have stood in the way of others.
            self.advance(Instant::now());
        }
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

    /// Takes note of how processors are, as is done every so often.
    pub(crate) fn see(self: &Arc<Self>, strain: Strain, now: Instant) {
        let ready = {
            let mut state = self.state();
            let lasting = state.users.values().filter(|user| user.condemned.seen() > LASTING).count();
            if state.fair.see(strain, lasting, now) { state.fair.ready() } else { Vec::new() }
        };
        self.resume(&ready, now);
        self.advance(now);
    }

    /// Serves those for whom there is a connection as it is, as far as they may have it.
    fn resume(self: &Arc<Self>, ready: &[Back], now: Instant) {
        // One for each in turn.
        let mut served = !ready.is_empty();
        while std::mem::take(&mut served) {
            for back in ready {
                let award = self.state().fair.resume(back, now);
                served |= award.is_some();
                self.hand_out(award, None, now);
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn limit_to(self: &Arc<Self>, limit: Option<u32>, now: Instant) {
        let ready = {
            let mut state = self.state();
            state.fair.limit_to(limit);
            state.fair.ready()
        };
        self.resume(&ready, now);
        self.advance(now);
    }

    /// Whether somebody could be served who was not. Breaks the cluster if so.
    #[cfg(test)]
    pub(crate) fn forgets(&self, now: Instant) -> bool {
        let award = self.state().fair.award(now, None);
        award.map(std::mem::forget).is_some()
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
        let changing = usize::try_from(state.fair.changing()).unwrap_or(usize::MAX);
        let (concurrency_limit, waiting) = (state.fair.concurrency_limit(), state.fair.waiting());
        ClusterStats { open, idle, in_use, changing, concurrency_limit, waiting, up: self.health.is_up() }
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
    /// Takes a clean connection back: somebody whom it serves as it is may go on with it, else it rests. If the use was
    /// condemned, closes it and passes its permit on.
    pub(crate) fn rest(
        self: &Arc<Self>,
        connection: C,
        purpose: Arc<Purpose>,
        user: &Enlisted<C>,
        permit: Permit<C>,
        now: Instant,
    ) {
        let tenant = user.tenant();
        let owner = (purpose.route.serves == Serves::One).then_some(tenant);
        let serves = connection.serves();
        let (heat, worth) = (Heat::COLD, Worth::NOTHING);
        let resting = Resting { connection, permit, purpose, owner, serves, heat, worth, since: now };
        let (award, back) = {
            let mut state = self.state();
            // Looked at under the lock: whoever condemns later finds the connection among those at rest.
            if user.is_condemned() {
                drop(state);
                drop(resting);
                return;
            }
            if state.fair.waiting() == 0 {
                state.fair.give_back(resting, tenant, now);
                return;
            }
            let purpose = Arc::clone(&resting.purpose);
            let back = owner.or(serves).map(|whom| Back { whom, purpose, serves });
            let award = state.fair.give_back(resting, tenant, now);
            (award.or_else(|| state.fair.award(now, back.as_ref())), back)
        };
        self.hand_out(award, back.as_ref(), now);
    }
}
