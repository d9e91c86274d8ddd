//! The connections to one cluster: how many there are, which rest, and who waits.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use uuid::Uuid;

use crate::connection::Connection;
use crate::permit::{Condemned, Enlisted, Permit};
use crate::rest::{Rest, Resting};
use crate::route::Purpose;

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
}

/// What somebody who wants a connection gets.
#[derive(Debug)]
pub(crate) enum Grant {
    /// A connection that has rested, and since when; `None` if it has just been given back.
    Connection(Box<Connection>, Permit, Option<Instant>),
    /// The right to open one.
    Permit(Permit),
}

/// Or a place in the queue.
pub(crate) enum Answer {
    Now(Grant),
    Later(oneshot::Receiver<Grant>),
}

#[derive(Debug)]
struct Waiter {
    purpose: Arc<Purpose>,
    grant: oneshot::Sender<Grant>,
}

/// Somebody on the list: see [`Enlisted`].
#[derive(Debug)]
struct User {
    purpose: Arc<Purpose>,
    condemned: Condemned,
}

/// While somebody waits nothing rests: [`Cluster::ask`] takes what rests before it queues, [`Cluster::rest`] and
/// [`Cluster::pass_on`] serve the queue first.
#[derive(Debug, Default)]
struct State {
    open: usize,
    resting: Rest,
    waiting: VecDeque<Waiter>,
    users: HashMap<u64, User>,
    next_number: u64,
}

/// The connections to one cluster.
#[derive(Debug)]
pub(crate) struct Cluster {
    budget: usize,
    state: Mutex<State>,
}

impl Cluster {
    pub(crate) fn new(budget: usize) -> Self {
        Self { budget, state: Mutex::default() }
    }

    /// No code that runs under the lock can panic halfway through a change, so a poisoned lock guards a sound state.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection that has rested, else a unit of the budget, else the unit of the longest rested of the others,
    /// else a place in the queue; and in any case a place on the list. Of several that have rested, one that `suits`.
    pub(crate) fn ask(
        self: &Arc<Self>,
        purpose: &Arc<Purpose>,
        tenant: Option<Uuid>,
        suits: impl Fn(&Connection) -> bool,
    ) -> (Enlisted, Answer) {
        let mut state = self.state();
        (self.enlist(&mut state, purpose), self.answer(&mut state, purpose, tenant, suits))
    }

    /// A connection that has rested and serves this tenant, or nothing: no place in the queue either.
    pub(crate) fn take(
        self: &Arc<Self>,
        purpose: &Arc<Purpose>,
        tenant: Option<Uuid>,
        suits: impl Fn(&Connection) -> bool,
    ) -> Option<(Enlisted, Resting)> {
        let mut state = self.state();
        let resting = state.resting.take_serving(purpose, tenant, suits)?;
        Some((self.enlist(&mut state, purpose), resting))
    }

    /// Writes somebody into the list.
    fn enlist(self: &Arc<Self>, state: &mut State, purpose: &Arc<Purpose>) -> Enlisted {
        let condemned = Condemned::default();
        let number = state.next_number;
        state.next_number += 1;
        state.users.insert(number, User { purpose: Arc::clone(purpose), condemned: condemned.clone() });
        Enlisted::new(Arc::clone(self), number, condemned)
    }

    fn answer(
        self: &Arc<Self>,
        state: &mut State,
        purpose: &Arc<Purpose>,
        tenant: Option<Uuid>,
        suits: impl Fn(&Connection) -> bool,
    ) -> Answer {
        if let Some(resting) = state.resting.take(purpose, tenant, suits) {
            return Answer::Now(Grant::Connection(resting.connection, resting.permit, Some(resting.since)));
        }
        if state.open < self.budget {
            state.open += 1;
            return Answer::Now(Grant::Permit(Permit::new(Arc::clone(self))));
        }
        if let Some(evicted) = state.resting.take_oldest() {
            return Answer::Now(Grant::Permit(evicted.permit));
        }
        let (grant, granted) = oneshot::channel();
        state.waiting.retain(|waiter| !waiter.grant.is_closed());
        state.waiting.push_back(Waiter { purpose: Arc::clone(purpose), grant });
        Answer::Later(granted)
    }

    /// Puts a clean connection to rest, or gives it to the longest waiting if that one has the same purpose. If not,
    /// or if the use was condemned, closes it and passes its permit on.
    pub(crate) fn rest(
        &self,
        mut connection: Box<Connection>,
        purpose: Arc<Purpose>,
        user: &Enlisted,
        mut permit: Permit,
    ) {
        loop {
            let waiter = {
                let mut state = self.state();
                // Looked at under the lock: whoever condemns later finds the connection among those at rest.
                if user.is_condemned() {
                    break;
                }
                while state.waiting.front().is_some_and(|waiter| waiter.grant.is_closed()) {
                    state.waiting.pop_front();
                }
                match state.waiting.pop_front_if(|waiter| waiter.purpose == purpose) {
                    Some(waiter) => waiter,
                    None if state.waiting.is_empty() => {
                        state.resting.put(Resting { connection, permit, purpose, since: Instant::now() });
                        return;
                    }
                    None => break,
                }
            };
            match waiter.grant.send(Grant::Connection(connection, permit, None)) {
                // It gave up waiting at this very moment.
                Err(Grant::Connection(unclaimed, unused, _)) => (connection, permit) = (unclaimed, unused),
                Ok(()) | Err(Grant::Permit(_)) => return,
            }
        }
        drop(connection);
        drop(permit);
    }

    /// Hands a unit of the budget to the longest waiting, or takes it back. For [`Permit`] only.
    pub(crate) fn pass_on(self: &Arc<Self>) {
        loop {
            let waiter = {
                let mut state = self.state();
                let Some(waiter) = state.waiting.pop_front() else {
                    state.open = state.open.saturating_sub(1);
                    return;
                };
                waiter
            };
            match waiter.grant.send(Grant::Permit(Permit::new(Arc::clone(self)))) {
                // It has given up waiting; the unit goes to the next.
                Err(Grant::Permit(unclaimed)) => unclaimed.defuse(),
                Ok(()) | Err(Grant::Connection(..)) => return,
            }
        }
    }

    /// Takes somebody off the list. For [`Enlisted`] only.
    pub(crate) fn strike(&self, number: u64) {
        self.state().users.remove(&number);
    }

    /// Closes what rests for the purposes meant, and condemns what is in use for them.
    pub(crate) fn close(&self, meant: impl Fn(&Purpose) -> bool) {
        let closing = {
            let mut state = self.state();
            for user in state.users.values().filter(|user| meant(&user.purpose)) {
                user.condemned.condemn();
            }
            state.resting.take_all(|resting| meant(&resting.purpose))
        };
        // After the lock is free: giving a permit back takes it again.
        drop(closing);
    }

    /// Closes connections that have rested for too long, are too old, or were closed by the server.
    pub(crate) fn tend(&self, idle_timeout: Duration, max_lifetime: Duration) {
        let spent = |resting: &Resting| {
            resting.since.elapsed() >= idle_timeout
                || resting.connection.opened.elapsed() >= max_lifetime
                || !resting.connection.is_quiet()
        };
        let closing = self.state().resting.take_all(spent);
        drop(closing);
    }

    pub(crate) fn stats(&self) -> ClusterStats {
        let state = self.state();
        ClusterStats {
            open: state.open,
            idle: state.resting.len(),
            in_use: state.open.saturating_sub(state.resting.len()),
            waiting: state.waiting.iter().filter(|waiter| !waiter.grant.is_closed()).count(),
        }
    }
}
