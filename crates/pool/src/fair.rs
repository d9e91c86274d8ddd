//! Who gets a connection next, and whose is closed for it.
//!
//! Connections in use are divided between tenants, and not between requests: the tenant that has fewest in use is served
//! first, and of those that have equally many the one that was served longest ago. A tenant's own requests are served in
//! the order in which they came. So five hundred requests of one tenant never stand ahead of one of another.
//!
//! On logins of tenants' own a change of hands costs a new server process. Therefore a tenant that has no more in use than
//! the one whose turn it is may go on with a connection of its own a few times ([`FAVOURS`]); and a tenant that has no more than its
//! guaranteed minimum keeps a connection at rest for a moment ([`Limits::keep`]) although others wait, provided
//! that these have their minimum, too.
//!
//! Nothing here takes longer than the logarithm of how many tenants and connections there are, save for a purpose or a
//! tenant of which very many rest or wait: then a few kilobytes are moved.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use foldhash::HashMap;
use tokio::time::Instant;
use uuid::Uuid;

use crate::Share;
use crate::lane::{Lane, Owner, Turn, Waiter, Weight};
use crate::rest::{Rest, Resting};
use crate::route::{Purpose, Serves};

/// How often a tenant may be served out of turn because a connection is there that fits. Eight statements of half a
/// millisecond take about as long as the login that a change of hands costs.
const FAVOURS: u32 = 8;

/// How long a connection has rested that nobody has come back for. Of a thousand tenants that do two thousand transactions a
/// second, all alike, one in twenty thousand takes so long.
const FORGOTTEN: Duration = Duration::from_secs(5);

/// How many tenants from the front of the queue are asked whether a connection of a login of many fits them.
const LOOKED_AT: usize = 8;

/// How connections are divided.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Connections, at most.
    pub(crate) budget: usize,
    /// Connections that every tenant gets and keeps before another gets more than this.
    pub(crate) minimum: usize,
    /// How long a tenant's last ones rest although others wait.
    pub(crate) keep: Duration,
}

/// What is at hand for somebody who asks. It counts as lent already.
#[derive(Debug)]
pub(crate) enum Had<C> {
    /// One that has rested.
    Rested(Resting<C>),
    /// One more may be opened.
    Unit,
    /// One may be opened in place of this one.
    Evicted(Resting<C>),
}

/// What becomes of a connection that is given back.
#[derive(Debug)]
pub(crate) enum Next<C> {
    /// It rests.
    Rest,
    /// It goes to somebody of this tenant. It counts as lent already.
    Hand(Waiter<C>, Uuid),
    /// It is closed, and somebody of this tenant opens another, which counts as lent already.
    Close(Waiter<C>, Uuid),
}

/// The connections to one cluster, by tenant.
#[derive(Debug)]
pub(crate) struct Fair<C> {
    limits: Limits,
    /// Units of the budget that are taken.
    open: usize,
    rest: Rest<C>,
    lanes: HashMap<Owner, Lane<C>>,
    /// Tenants that wait and may have more.
    queue: BTreeMap<Turn, Uuid>,
    evictable: BTreeSet<Weight>,
    waiting: usize,
    turns: u64,
}

impl<C> Fair<C> {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            open: 0,
            rest: Rest::default(),
            lanes: HashMap::default(),
            queue: BTreeMap::new(),
            evictable: BTreeSet::new(),
            waiting: 0,
            turns: 0,
        }
    }

    /// Units of the budget that are taken.
    pub(crate) fn open(&self) -> usize {
        self.open
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    pub(crate) fn resting(&self) -> &Rest<C> {
        &self.rest
    }

    /// Changes a lane, and then where it stands. There is no other way to change one.
    fn change<T>(&mut self, owner: Owner, change: impl FnOnce(&mut Lane<C>, u64) -> T) -> T {
        self.turns += 1;
        let (turn, minimum) = (self.turns, self.limits.minimum);
        let lane = self.lanes.entry(owner).or_insert_with(|| Lane::new(turn));
        let outcome = change(lane, turn);
        let queued_at = lane.place_in_queue();
        if queued_at != lane.queued_at {
            if let Some(before) = std::mem::replace(&mut lane.queued_at, queued_at) {
                self.queue.remove(&before);
            }
            self.queue.extend(queued_at.zip(owner));
        }
        // All that have no more than their minimum weigh the same. What serves everybody is nobody's minimum.
        let floor = if owner.is_some() { minimum } else { minimum.saturating_add(1) };
        let evictable_at = lane.resting.front().map(|&place| (Reverse(lane.total().max(floor)), place));
        if evictable_at != lane.evictable_at {
            if let Some(before) = std::mem::replace(&mut lane.evictable_at, evictable_at) {
                self.evictable.remove(&before);
            }
            self.evictable.extend(evictable_at);
        }
        if lane.is_empty() {
            self.lanes.remove(&owner);
        }
        outcome
    }

    fn total(&self, owner: Owner) -> usize {
        self.lanes.get(&owner).map_or(0, Lane::total)
    }

    fn lend(&mut self, tenant: Uuid) {
        self.change(Some(tenant), Lane::lend);
    }

    fn take_back(&mut self, tenant: Uuid) {
        self.change(Some(tenant), |lane, turn| {
            lane.busy = lane.busy.saturating_sub(1);
            lane.turn = turn;
        });
    }

    /// Takes one that rests.
    pub(crate) fn take(&mut self, place: u64, share: Share) -> Option<Resting<C>> {
        let (owner, borrower) = (self.rest.get(place)?.owner, Some(share.tenant));
        if owner == borrower {
            self.change(owner, |lane, turn| {
                lane.stir(place);
                lane.lend(turn);
            });
        } else {
            if self.total(borrower) >= share.most {
                return None;
            }
            self.change(owner, |lane, _| lane.stir(place));
            self.lend(share.tenant);
        }
        let mut resting = self.rest.remove(place)?;
        resting.permit.charge(share.tenant);
        Some(resting)
    }

    /// A connection or the right to open one, if there is either without waiting.
    pub(crate) fn ask(
        &mut self,
        purpose: &Arc<Purpose>,
        share: Share,
        serves: Option<Uuid>,
        suits: impl Fn(&C) -> bool,
        now: Instant,
    ) -> Option<Had<C>> {
        let place = self.rest.find_any(purpose, serves, suits);
        if let Some(resting) = place.and_then(|place| self.take(place, share)) {
            return Some(Had::Rested(resting));
        }
        let owner = Some(share.tenant);
        let total = self.total(owner);
        let mut evicted = if total >= share.most {
            // Another of its own makes room, if one rests.
            let place = *self.lanes.get(&owner)?.resting.front()?;
            self.stir(place)?
        } else if self.open < self.limits.budget {
            self.open += 1;
            self.lend(share.tenant);
            return Some(Had::Unit);
        } else {
            self.evict(total, now)?
        };
        self.lend(share.tenant);
        evicted.permit.charge(share.tenant);
        Some(Had::Evicted(evicted))
    }

    /// Puts somebody into the queue.
    pub(crate) fn wait(&mut self, number: u64, share: Share, waiter: Waiter<C>) {
        self.waiting += 1;
        self.change(Some(share.tenant), |lane, _| {
            lane.most = share.most;
            lane.wait(number, waiter);
        });
    }

    /// Takes somebody out of the queue, if they are in it.
    pub(crate) fn leave(&mut self, tenant: Uuid, number: u64) -> Option<Waiter<C>> {
        if !self.lanes.get(&Some(tenant)).is_some_and(Lane::is_waiting) {
            return None;
        }
        let waiter = self.change(Some(tenant), |lane, _| lane.leave(number));
        self.waiting -= usize::from(waiter.is_some());
        waiter
    }

    /// Decides on a connection that a tenant gives back, which is no longer lent to it.
    pub(crate) fn give_back(&mut self, purpose: &Arc<Purpose>, tenant: Uuid) -> Next<C> {
        self.take_back(tenant);
        let Some((&(least, _), &first)) = self.queue.first_key_value() else { return Next::Rest };
        if let Some(waiter) = self.fitting(purpose, first) {
            return self.serve(first, waiter).map_or(Next::Rest, |waiter| Next::Hand(waiter, first));
        }
        if let Some((favoured, waiter)) = self.favoured(purpose, tenant, least) {
            self.change(Some(favoured), |lane, _| lane.favours += 1);
            return self.serve(favoured, waiter).map_or(Next::Rest, |waiter| Next::Hand(waiter, favoured));
        }
        if self.keeps(purpose, tenant, first) {
            return Next::Rest;
        }
        self.serve_first().map_or(Next::Rest, |(waiter, tenant)| Next::Close(waiter, tenant))
    }

    /// Who of the tenant whose turn it is takes a connection of this purpose: whoever waits longest for one. The others of
    /// the tenant are passed over a few times at most.
    fn fitting(&mut self, purpose: &Arc<Purpose>, first: Uuid) -> Option<u64> {
        let lane = self.lanes.get(&Some(first))?;
        let (number, (head, _)) = (lane.wants(purpose)?, lane.head()?);
        if number != head && lane.favours >= FAVOURS {
            return None;
        }
        let favours = if number == head { 0 } else { lane.favours + 1 };
        self.change(Some(first), |lane, _| lane.favours = favours);
        Some(number)
    }

    /// Who may go before its turn, so that a connection does not change hands.
    fn favoured(&self, purpose: &Arc<Purpose>, tenant: Uuid, least: usize) -> Option<(Uuid, u64)> {
        let fits = |tenant: Uuid| {
            let lane = self.lanes.get(&Some(tenant))?;
            let equal = lane.busy <= least && lane.favours < FAVOURS && lane.queued_at.is_some();
            lane.wants(purpose).filter(|_| equal).map(|number| (tenant, number))
        };
        match purpose.route.serves {
            Serves::One => fits(tenant),
            Serves::Many => self.queue.values().take(LOOKED_AT).find_map(|&tenant| fits(tenant)),
        }
    }

    /// Whether a connection rests although somebody waits.
    fn keeps(&self, purpose: &Arc<Purpose>, tenant: Uuid, first: Uuid) -> bool {
        let minimum = self.limits.minimum;
        purpose.route.serves == Serves::One
            && self.total(Some(tenant)) < minimum
            && self.total(Some(first)) >= minimum
            // Never more than half of the budget idles while somebody waits.
            && self.rest.len() < self.limits.budget / 2
            && !self.lanes.get(&Some(tenant)).is_some_and(Lane::is_waiting)
    }

    /// Puts a connection to rest.
    pub(crate) fn put(&mut self, mut resting: Resting<C>) {
        resting.permit.discharge();
        let owner = resting.owner;
        let place = self.rest.put(resting);
        self.change(owner, |lane, _| lane.resting.push_back(place));
    }

    /// Takes a unit of the budget back, which may have been lent, and gives it to whoever is next.
    pub(crate) fn free(&mut self, lent_to: Option<Uuid>) -> Option<(Waiter<C>, Uuid)> {
        if let Some(tenant) = lent_to {
            self.take_back(tenant);
        }
        let next = self.serve_first();
        if next.is_none() {
            self.open = self.open.saturating_sub(1);
        }
        next
    }

    fn serve_first(&mut self) -> Option<(Waiter<C>, Uuid)> {
        let (_, &first) = self.queue.first_key_value()?;
        let (number, _) = self.lanes.get(&Some(first))?.head()?;
        self.change(Some(first), |lane, _| lane.favours = 0);
        Some((self.serve(first, number)?, first))
    }

    fn serve(&mut self, tenant: Uuid, number: u64) -> Option<Waiter<C>> {
        self.waiting -= 1;
        self.change(Some(tenant), |lane, turn| {
            let waiter = lane.leave(number);
            lane.lend(turn);
            waiter
        })
    }

    /// Takes out of rest what is to be closed for a tenant that has so many: what nobody has come back for, else, of whoever
    /// has most, the one that has rested longest. A tenant's minimum is left to it for a moment, unless the other lacks its own.
    ///
    /// A tenant that works much has many, each of which it is soon back for; one that works now and then has one. Where all work
    /// alike, a tenant's second is needed less than another's only one.
    fn evict(&mut self, total: usize, now: Instant) -> Option<Resting<C>> {
        let (oldest, resting) = self.rest.from(0).next()?;
        if now.duration_since(resting.since) >= FORGOTTEN {
            return self.stir(oldest);
        }
        let &(Reverse(weight), place) = self.evictable.first()?;
        let Limits { budget, minimum, keep } = self.limits;
        let resting = self.rest.get(place)?;
        let kept = weight <= minimum && total >= minimum && self.rest.len() <= budget / 2;
        if kept && now.duration_since(resting.since) < keep {
            return None;
        }
        self.stir(place)
    }

    /// Takes out of rest what need not rest any longer although somebody waits.
    pub(crate) fn relieve(&mut self, now: Instant) -> Option<Resting<C>> {
        let (_, &first) = self.queue.first_key_value()?;
        self.evict(self.total(Some(first)), now)
    }

    /// Takes one out of rest. Its unit is lent to nobody.
    pub(crate) fn stir(&mut self, place: u64) -> Option<Resting<C>> {
        let resting = self.rest.remove(place)?;
        self.change(resting.owner, |lane, _| lane.stir(place));
        Some(resting)
    }

    /// Takes all out of rest that are meant.
    pub(crate) fn stir_all(&mut self, meant: impl Fn(&Resting<C>) -> bool) -> Vec<Resting<C>> {
        let places: Vec<u64> =
            self.rest.from(0).filter(|(_, resting)| meant(resting)).map(|(place, _)| place).collect();
        places.into_iter().filter_map(|place| self.stir(place)).collect()
    }
}
