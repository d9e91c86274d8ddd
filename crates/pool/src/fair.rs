//! Who gets a connection next, and whose is closed for it.
//!
//! Connections in use are divided between tenants, and not between requests: the tenant that has fewest in use is served
//! first, and of those that have equally many the one that was served longest ago. A tenant's own requests are served in
//! the order in which they came. So five hundred requests of one tenant never stand ahead of one of another.
//!
//! A change of hands costs more than most transactions do: on logins of tenants' own a new server process, on a login of many a
//! reset. Therefore
//! - a tenant that has no more in use than the one whose turn it is may go on with a connection that serves it a few times
//!   ([`FAVOURS`]);
//! - as many change hands at a time as the server has time for ([`Pace`]), and while no other may, whoever can go on with a
//!   connection as it is does;
//! - of those at rest the one changes hands whose tenant has been served least of late ([`Worth`]);
//! - a tenant that has no more than its guaranteed minimum keeps a connection at rest for a moment ([`Limits::keep`]) although
//!   others wait, provided that these have their minimum, too.
//!
//! While there are too few processors, fewer are in use than there are ([`Concurrency`]); a tenant that has less than its minimum
//! in use does not wait for that.
//!
//! Nothing here takes longer than the logarithm of how many tenants and connections there are, save for a purpose or a
//! tenant of which very many rest or wait: then a few kilobytes are moved.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use foldhash::HashMap;
use tokio::time::Instant;
use uuid::Uuid;

use crate::Share;
use crate::concurrency::{Concurrency, Sight, Strain};
use crate::health::LOGINS;
use crate::heat::Age;
use crate::lane::{Lane, Owner, Rank, Waiter};
use crate::pace::{Pace, Waiting};
use crate::permit::Change;
use crate::rest::{Rest, Resting};
use crate::route::{Purpose, Serves};

mod award;
mod queue;

pub(crate) use award::{Award, Back, What};
use queue::Queue;

/// How often a tenant may be served out of turn because a connection is there that fits. Eight statements of half a
/// millisecond take about as long as the login that a change of hands costs.
const FAVOURS: u32 = 8;

/// How long a connection has rested that nobody has come back for. Of a thousand tenants that do two thousand transactions a
/// second, all alike, one in twenty thousand takes so long.
const FORGOTTEN: Duration = Duration::from_secs(5);

/// A login goes back and forth several times, and makes and ends a process: it takes a few to keep a server at work.
const LOGINS_WAIT: Waiting = Waiting { least: 3.0, most: 6.0 };

/// A reset is one exchange of messages.
const HANDOVERS_WAIT: Waiting = Waiting { least: 1.5, most: 3.0 };

/// How connections are divided.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Connections, at most.
    pub(crate) budget: usize,
    /// Connections that every tenant gets and keeps before another gets more than this.
    pub(crate) minimum: usize,
    /// How long a tenant's last ones rest although others wait.
    pub(crate) keep: Duration,
    /// Of the machine that this runs on.
    pub(crate) processors: usize,
}

/// The connections to one cluster, by tenant.
#[derive(Debug)]
pub(crate) struct Fair<C> {
    limits: Limits,
    began: Instant,
    /// Units of the budget that are taken.
    open: usize,
    rest: Rest<C>,
    lanes: HashMap<Owner, Lane<C>>,
    /// Tenants that wait and may have more in use.
    queue: Queue,
    /// Of each tenant that has any the one at rest that would be closed first, where logins are one tenant's.
    evictable: BTreeSet<Rank>,
    /// Connections that change hands, where logins are one tenant's.
    logins: Pace,
    /// The same where they serve many.
    handovers: Pace,
    concurrency: Concurrency,
    /// Of those in use, how many have been for long: they may do nothing, as in a session's or between a transaction's statements.
    lasting: usize,
    /// How many were given back since this was last looked at.
    done: u32,
    waiting: usize,
    turns: u64,
}

impl<C> Fair<C> {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            began: Instant::now(),
            open: 0,
            rest: Rest::default(),
            lanes: HashMap::default(),
            queue: Queue::default(),
            evictable: BTreeSet::new(),
            logins: Pace::new(limits.budget.min(LOGINS), LOGINS_WAIT),
            handovers: Pace::new(limits.budget, HANDOVERS_WAIT),
            concurrency: Concurrency::new(limits.processors),
            lasting: 0,
            done: 0,
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

    /// How many are on their way from one tenant to another.
    pub(crate) fn changing(&self) -> u32 {
        self.logins.running() + self.handovers.running()
    }

    pub(crate) fn resting(&self) -> &Rest<C> {
        &self.rest
    }

    /// How many may be in use at a time for want of processors.
    pub(crate) fn concurrency_limit(&self) -> usize {
        self.concurrency.limit().map_or(self.limits.budget, |limit| limit.min(self.limits.budget))
    }

    /// Takes note of how things are, and of how many have been in use for long. Returns whether somebody who
    /// waits may have what rests for want of processors.
    pub(crate) fn see(&mut self, strain: Strain, lasting: usize, now: Instant) -> bool {
        let (at_work, done, before) = (self.at_work(), std::mem::take(&mut self.done), self.concurrency_limit());
        self.concurrency.see(Sight { strain, at_work, done, waiting: self.waiting }, now);
        let lasting_before = std::mem::replace(&mut self.lasting, lasting);
        let limited = self.concurrency.limit().is_some();
        let roomier = self.concurrency_limit() > before || lasting > lasting_before;
        self.waiting > 0 && (roomier || limited && self.concurrency.allows(self.at_work()))
    }

    #[cfg(test)]
    pub(crate) fn limit_to(&mut self, limit: Option<u32>) {
        self.concurrency.set(limit);
    }

    /// Connections that may be doing something.
    fn at_work(&self) -> usize {
        self.open.saturating_sub(self.rest.len()).saturating_sub(self.lasting)
    }

    /// Whether a tenant may have one more in use, when so many of those in use are about to be no longer.
    fn has_place(&self, tenant: Uuid, leaving: usize) -> bool {
        self.concurrency.allows(self.at_work().saturating_sub(leaving))
            || self.lanes.get(&Some(tenant)).map_or(0, |lane| lane.busy) < self.limits.minimum
    }

    fn pace(&mut self, of: Serves) -> &mut Pace {
        match of {
            Serves::One => &mut self.logins,
            Serves::Many => &mut self.handovers,
        }
    }

    fn age(&self, now: Instant) -> Age {
        Age::after(now.saturating_duration_since(self.began))
    }

    /// Changes a lane, and then where it stands. There is no other way to change one.
    fn change<T>(&mut self, owner: Owner, change: impl FnOnce(&mut Lane<C>, u64) -> T) -> T {
        let outcome = self.alter(owner, change);
        self.sweep(owner);
        outcome
    }

    /// The same, for those who will change it again: an empty one stays.
    fn alter<T>(&mut self, owner: Owner, change: impl FnOnce(&mut Lane<C>, u64) -> T) -> T {
        self.turns += 1;
        let turn = self.turns;
        let lane = self.lanes.entry(owner).or_insert_with(|| Lane::new(turn));
        let outcome = change(lane, turn);
        let queued_at = lane.place_in_queue();
        if queued_at != lane.queued_at {
            if let Some((of, before)) = std::mem::replace(&mut lane.queued_at, queued_at) {
                self.queue.of(of).remove(&before);
            }
            if let Some(((of, turn), tenant)) = queued_at.zip(owner) {
                self.queue.of(of).insert(turn, tenant);
            }
        }
        // What serves many is nobody's.
        let evictable_at = owner.and_then(|_| lane.place_among_evictable());
        if evictable_at != lane.evictable_at {
            if let Some(before) = std::mem::replace(&mut lane.evictable_at, evictable_at) {
                self.evictable.remove(&before);
            }
            self.evictable.extend(evictable_at);
        }
        outcome
    }

    fn sweep(&mut self, owner: Owner) {
        if self.lanes.get(&owner).is_some_and(Lane::is_empty) {
            self.lanes.remove(&owner);
        }
    }

    fn total(&self, owner: Owner) -> usize {
        self.lanes.get(&owner).map_or(0, Lane::total)
    }

    fn lend(&mut self, tenant: Uuid, now: Instant) {
        let at = self.age(now);
        self.change(Some(tenant), |lane, turn| lane.lend(turn, at));
    }

    /// Takes one that rests, for somebody whom it serves as it is.
    pub(crate) fn take(&mut self, place: u64, share: Share, now: Instant) -> Option<Resting<C>> {
        if !self.has_place(share.tenant, 0) {
            return None;
        }
        let (owner, borrower) = (self.rest.get(place)?.owner, Some(share.tenant));
        let at = self.age(now);
        // It may be fewer than when they were lent.
        if self.lanes.get(&borrower).is_some_and(|lane| lane.busy >= share.most) {
            return None;
        }
        if owner == borrower {
            self.change(owner, |lane, turn| {
                lane.stir(place);
                lane.lend(turn, at);
            });
        } else {
            if self.total(borrower) >= share.most {
                return None;
            }
            self.change(owner, |lane, _| lane.stir(place));
            let heat = self.rest.get(place)?.heat;
            self.change(borrower, |lane, turn| {
                lane.heat = lane.heat.max(heat);
                lane.lend(turn, at);
            });
        }
        let mut resting = self.rest.remove(place)?;
        resting.permit.charge(share.tenant);
        Some(resting)
    }

    /// A connection or the right to open one, if there is either without waiting for a turn.
    pub(crate) fn ask(
        &mut self,
        purpose: &Arc<Purpose>,
        share: Share,
        serves: Option<Uuid>,
        suits: impl Fn(&C) -> bool,
        now: Instant,
    ) -> Option<What<C>> {
        if !self.has_place(share.tenant, 0) {
            return None;
        }
        let place = self.rest.find(purpose, serves, suits);
        if let Some(resting) = place.and_then(|place| self.take(place, share, now)) {
            return Some(What::rested(resting));
        }
        let owner = Some(share.tenant);
        if let Some(lane) = self.lanes.get(&owner).filter(|lane| lane.total() >= share.most) {
            // Another of its own makes room, if one rests.
            let place = *lane.resting.front().filter(|_| lane.busy < share.most)?;
            let mut evicted = self.stir(place)?;
            self.lend(share.tenant, now);
            evicted.permit.charge(share.tenant);
            return Some(What::Evicted(evicted));
        }
        // On a login of many, a change of hands costs less than one more process.
        let will_change = self.rest.least_of(purpose).is_some() && !self.handovers.hangs(now);
        if self.open < self.limits.budget && !will_change {
            self.open += 1;
            self.lend(share.tenant, now);
            return Some(What::Unit);
        }
        None
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

    /// Takes a connection back that a tenant had. Somebody whom it serves as it is may have it before all others; else it rests.
    pub(crate) fn give_back(&mut self, mut resting: Resting<C>, tenant: Uuid, now: Instant) -> Option<Award<C>> {
        if let Some(change) = resting.permit.abandon() {
            self.excuse(change, now);
        }
        self.done += 1;
        // The lane is kept even when it is empty now: what it knows of the tenant goes with the connection to rest.
        let heat = self.alter(Some(tenant), |lane, turn| {
            lane.give_back(turn);
            lane.heat
        });
        if resting.serves == Some(tenant) {
            resting.heat = heat;
        }
        let whom = resting.owner.or(resting.serves);
        let number = whom.and_then(|whom| self.goes_on(whom, &resting.purpose));
        let waiter = whom.zip(number).and_then(|(whom, number)| Some((self.serve(whom, number, now)?, whom)));
        let award = if let Some((waiter, whom)) = waiter {
            Some(Award { waiter, tenant: whom, what: What::Connection(resting, None), change: None })
        } else {
            self.put(resting);
            None
        };
        self.sweep(Some(tenant));
        award
    }

    /// Who of a tenant takes a connection as it is. If it is the tenant's turn, that is whoever waits longest for one, and the
    /// others are passed over a few times at most; if not, those whose turn it is are.
    fn goes_on(&mut self, tenant: Uuid, purpose: &Arc<Purpose>) -> Option<u64> {
        let lane = self.lanes.get(&Some(tenant)).filter(|_| self.has_place(tenant, 1))?;
        let (number, (head, _), _) = (lane.wants(purpose)?, lane.head()?, lane.queued_at.filter(|_| lane.may_grow())?);
        let ((least, _), first) = self.queue.first()?;
        let in_turn = first == tenant && number == head;
        if !in_turn {
            let favoured = lane.favours < FAVOURS && (first == tenant || lane.busy <= least);
            if !favoured && (first == tenant || self.may_change(first)) {
                return None;
            }
        }
        let favours = if in_turn { 0 } else { lane.favours.saturating_add(1) };
        self.alter(Some(tenant), |lane, _| lane.favours = favours);
        Some(number)
    }

    /// Puts a connection to rest. Its unit is lent to nobody.
    fn put(&mut self, mut resting: Resting<C>) {
        resting.permit.discharge();
        let owner = resting.owner;
        let place = self.rest.put(resting);
        self.change(owner, |lane, _| lane.resting.push_back(place));
    }

    /// Takes a unit of the budget back, which may have been lent.
    pub(crate) fn free(&mut self, lent_to: Option<Uuid>, change: Option<Change>, now: Instant) {
        if let Some(change) = change {
            self.excuse(change, now);
        }
        if let Some(tenant) = lent_to {
            self.change(Some(tenant), Lane::give_back);
        }
        self.open = self.open.saturating_sub(1);
    }

    /// A connection has changed hands.
    pub(crate) fn settle(&mut self, change: Change, now: Instant) {
        self.pace(change.of).end(Some(now.saturating_duration_since(change.since)), now);
    }

    /// One has not, or takes longer than it should for a reason that other changes may not have.
    pub(crate) fn excuse(&mut self, change: Change, now: Instant) {
        self.pace(change.of).end(None, now);
    }

    fn serve(&mut self, tenant: Uuid, number: u64, now: Instant) -> Option<Waiter<C>> {
        let at = self.age(now);
        self.change(Some(tenant), |lane, turn| {
            let waiter = lane.leave(number)?;
            lane.lend(turn, at);
            Some(waiter)
        })
        .inspect(|_| self.waiting -= 1)
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
