//! What one tenant has of a cluster's connections, and who waits for more in its name.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use foldhash::HashMap;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::cluster::Grant;
use crate::heat::{Age, Heat, Worth};
use crate::rest::strike;
use crate::route::{Purpose, Serves};

/// Whose connections rest: a tenant's, or, for `None`, those of logins that serve many.
pub(crate) type Owner = Option<Uuid>;

/// Where a lane stands among those that wait: fewest connections in use first, then who was served longest ago.
pub(crate) type Turn = (usize, u64);

/// Where a connection stands among those that may be closed for others: what is worth least first, then what has rested longest.
/// Ends in its place.
pub(crate) type Rank = (Worth, u64);

/// Somebody who wants a connection.
#[derive(Debug)]
pub(crate) struct Waiter<C> {
    pub(crate) purpose: Arc<Purpose>,
    /// Whom a connection has to serve to be of use at once, where its login serves many.
    pub(crate) serves: Option<Uuid>,
    pub(crate) grant: oneshot::Sender<Grant<C>>,
}

/// One tenant at one cluster.
#[derive(Debug)]
pub(crate) struct Lane<C> {
    /// Connections that it may have, as its last request said.
    pub(crate) most: usize,
    /// Connections in use, or being opened.
    pub(crate) busy: usize,
    /// The places of those at rest, rising.
    pub(crate) resting: VecDeque<u64>,
    /// Those who wait by number, first come, first served.
    waiting: BTreeMap<u64, Waiter<C>>,
    /// Their numbers by what they wait for, rising.
    wanted: HashMap<Arc<Purpose>, VecDeque<u64>>,
    /// When it was served last, as a number that no two lanes share.
    pub(crate) turn: u64,
    /// How often it, or somebody in it, has been served before those whose turn it was, since it was its own turn.
    pub(crate) favours: u32,
    /// How much it has been served.
    pub(crate) heat: Heat,
    /// Under what it is entered among those that wait.
    pub(crate) queued_at: Option<(Serves, Turn)>,
    /// Under what it is entered among those whose connections may be closed.
    pub(crate) evictable_at: Option<Rank>,
}

impl<C> Lane<C> {
    pub(crate) fn new(turn: u64) -> Self {
        Self {
            most: usize::MAX,
            busy: 0,
            resting: VecDeque::new(),
            waiting: BTreeMap::new(),
            wanted: HashMap::default(),
            turn,
            favours: 0,
            heat: Heat::COLD,
            queued_at: None,
            evictable_at: None,
        }
    }

    /// Connections that it has.
    pub(crate) fn total(&self) -> usize {
        self.busy + self.resting.len()
    }

    pub(crate) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether it neither has nor wants anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.total() == 0 && self.waiting.is_empty()
    }

    /// Where it stands among those that wait, and for what kind of login its first does; nowhere if it may not have more in use
    /// than it has.
    pub(crate) fn place_in_queue(&self) -> Option<(Serves, Turn)> {
        let (_, head) = self.head()?;
        (self.busy < self.most).then_some((head.purpose.route.serves, (self.busy, self.turn)))
    }

    /// Whether it may have another besides those that it has.
    pub(crate) fn may_grow(&self) -> bool {
        self.total() < self.most
    }

    /// Where the one of its connections that has rested longest stands among those that may be closed.
    pub(crate) fn place_among_evictable(&self) -> Option<Rank> {
        self.resting.front().map(|&place| (self.heat.shared_by(self.total()), place))
    }

    pub(crate) fn lend(&mut self, turn: u64, at: Age) {
        self.busy += 1;
        self.turn = turn;
        self.heat = self.heat.used(at);
    }

    /// One that was in use no longer is.
    pub(crate) fn give_back(&mut self, turn: u64) {
        self.busy = self.busy.saturating_sub(1);
        self.turn = turn;
    }

    pub(crate) fn stir(&mut self, place: u64) {
        strike(&mut self.resting, place);
    }

    pub(crate) fn wait(&mut self, number: u64, waiter: Waiter<C>) {
        self.wanted.entry(Arc::clone(&waiter.purpose)).or_default().push_back(number);
        self.waiting.insert(number, waiter);
    }

    /// Whoever waits longest.
    pub(crate) fn head(&self) -> Option<(u64, &Waiter<C>)> {
        self.waiting.first_key_value().map(|(number, waiter)| (*number, waiter))
    }

    /// Whoever waits longest for a purpose.
    pub(crate) fn wants(&self, purpose: &Arc<Purpose>) -> Option<u64> {
        self.wanted.get(purpose)?.front().copied()
    }

    pub(crate) fn leave(&mut self, number: u64) -> Option<Waiter<C>> {
        let waiter = self.waiting.remove(&number)?;
        if let Some(numbers) = self.wanted.get_mut(&waiter.purpose) {
            strike(numbers, number);
            if numbers.is_empty() {
                self.wanted.remove(&waiter.purpose);
            }
        }
        Some(waiter)
    }
}
