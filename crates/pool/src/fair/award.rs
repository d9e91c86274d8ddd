//! What those get who have waited for their turn.

use std::sync::Arc;

use tokio::time::Instant;
use uuid::Uuid;

use super::{FORGOTTEN, Fair, Limits};
use crate::lane::{Lane, Waiter};
use crate::permit::Change;
use crate::rest::Resting;
use crate::route::{Purpose, Serves};

/// How many tenants from the front of the queue are asked whether there is something for them: what one waits for may not be
/// there while there is what another does.
const LOOKED_AT: usize = 16;

/// How many that are worth least are looked at for one that need not be kept.
const KEPT_AT_MOST: usize = 32;

/// What somebody gets whose turn it is. It counts as lent already.
#[derive(Debug)]
pub(crate) struct Award<C> {
    pub(crate) waiter: Waiter<C>,
    pub(crate) tenant: Uuid,
    pub(crate) what: What<C>,
    /// If it is another tenant's until now.
    pub(crate) change: Option<Change>,
}

/// What there is for somebody.
#[derive(Debug)]
pub(crate) enum What<C> {
    /// A connection, and since when it has rested if it has.
    Connection(Resting<C>, Option<Instant>),
    /// The right to open one in place of this one.
    Evicted(Resting<C>),
    /// The right to open one more.
    Unit,
}

impl<C> What<C> {
    pub(super) fn rested(resting: Resting<C>) -> Self {
        let since = resting.since;
        Self::Connection(resting, Some(since))
    }
}

/// A connection that has come back and may rest by now: whom it serves as it is.
#[derive(Debug)]
pub(crate) struct Back {
    pub(crate) whom: Uuid,
    pub(crate) purpose: Arc<Purpose>,
    pub(crate) serves: Option<Uuid>,
}

impl<C> Fair<C> {
    /// Serves one of those who wait, if there is something for whoever's turn it is; else whoever can go on with what has
    /// come back, as it is of no use to those whose turn it is.
    pub(crate) fn award(&mut self, now: Instant, back: Option<&Back>) -> Option<Award<C>> {
        if self.queue.is_empty() {
            return None;
        }
        // For want of processors, what somebody waits for may be at rest. Where none of a login of many is, one of another may be
        // closed for it.
        let spare = self.open < self.limits.budget || self.concurrency.limit().is_some() || self.logins.has_room();
        let first = self.queue.next::<LOOKED_AT>(spare, spare || self.handovers.has_room());
        let in_turn = first.into_iter().find_map(|tenant| self.award_to(tenant, now));
        in_turn.or_else(|| self.resume(back?, now))
    }

    /// For whom who waits, at whatever place in the queue, there is a connection as it is: few when there were more processors.
    pub(crate) fn ready(&self) -> Vec<Back> {
        let ready = |whom: Uuid| {
            let (_, head) = self.lanes.get(&Some(whom))?.head()?;
            let (purpose, serves) = (Arc::clone(&head.purpose), head.serves);
            self.rest.find(&purpose, serves, |_| true).map(|_| Back { whom, purpose, serves })
        };
        self.queue.all().filter_map(ready).collect()
    }

    /// Serves who can go on with what rests as it is.
    pub(crate) fn resume(&mut self, back: &Back, now: Instant) -> Option<Award<C>> {
        let Back { whom, purpose, serves } = back;
        let lane = self.lanes.get(&Some(*whom))?;
        let (number, _) = (lane.wants(purpose)?, lane.queued_at.filter(|_| self.has_place(*whom, 0))?);
        let place = self.rest.find(purpose, *serves, |_| true)?;
        if serves.is_some() && !lane.may_grow() {
            return None;
        }
        let resting = self.stir(place)?;
        let waiter = self.serve(*whom, number, now)?;
        Some(Award { waiter, tenant: *whom, what: What::rested(resting), change: None })
    }

    fn award_to(&mut self, tenant: Uuid, now: Instant) -> Option<Award<C>> {
        if !self.has_place(tenant, 0) {
            return None;
        }
        let (number, head) = self.lanes.get(&Some(tenant))?.head()?;
        let (purpose, serves) = (Arc::clone(&head.purpose), head.serves);
        let (what, of) = self.find_for(tenant, &purpose, serves, now)?;
        let change = of.map(|of| {
            self.pace(of).begin(now);
            Change { of, since: now }
        });
        self.alter(Some(tenant), |lane, _| lane.favours = 0);
        let waiter = self.serve(tenant, number, now)?;
        Some(Award { waiter, tenant, what, change })
    }

    /// What there is for a tenant, taken from where it was; and whether it changes hands.
    fn find_for(
        &mut self,
        tenant: Uuid,
        purpose: &Arc<Purpose>,
        serves: Option<Uuid>,
        now: Instant,
    ) -> Option<(What<C>, Option<Serves>)> {
        let lane = self.lanes.get(&Some(tenant))?;
        let may_grow = lane.may_grow();
        let exact = self.rest.find(purpose, serves, |_| true);
        if let Some(place) = exact.filter(|_| may_grow || purpose.route.serves == Serves::One) {
            let resting = self.stir(place)?;
            self.alter(Some(tenant), |lane, _| lane.heat = lane.heat.max(resting.heat));
            return Some((What::rested(resting), None));
        }
        if !may_grow {
            // Another of its own makes room.
            let place = *lane.resting.front()?;
            return Some((What::Evicted(self.stir(place)?), None));
        }
        let least = self.rest.least_of(purpose);
        if let Some(place) = least.filter(|_| self.handovers.has_room()) {
            return Some((What::rested(self.stir(place)?), Some(Serves::Many)));
        }
        // One more process costs more than waiting for a moment.
        let will_change = least.is_some() && !self.handovers.hangs(now);
        if self.open < self.limits.budget && !will_change {
            self.open += 1;
            return Some((What::Unit, None));
        }
        if least.is_some() || !self.logins.has_room() {
            return None;
        }
        let place = self.evicted_for(tenant, now)?;
        Some((What::Evicted(self.stir(place)?), Some(Serves::One)))
    }

    /// Whether a connection of another's may change hands for a tenant.
    pub(super) fn may_change(&self, tenant: Uuid) -> bool {
        let Some((_, head)) = self.lanes.get(&Some(tenant)).and_then(Lane::head) else { return false };
        match head.purpose.route.serves {
            Serves::One => self.logins.has_room(),
            Serves::Many => self.handovers.has_room(),
        }
    }

    /// Which of those at rest is closed for a tenant: what nobody has come back for, else what it is worth least to keep. Another's
    /// minimum is left to it for a moment, unless the one lacks its own.
    fn evicted_for(&self, tenant: Uuid, now: Instant) -> Option<u64> {
        let (oldest, resting) = self.rest.from(0).next()?;
        if now.saturating_duration_since(resting.since) >= FORGOTTEN {
            return Some(oldest);
        }
        let Limits { budget, minimum, keep, .. } = self.limits;
        let keeps = self.total(Some(tenant)) >= minimum && self.rest.len() <= budget / 2;
        let kept = |place: u64| {
            let resting = self.rest.get(place)?;
            let young = now.saturating_duration_since(resting.since) < keep;
            Some(young && resting.owner != Some(tenant) && self.total(resting.owner) <= minimum)
        };
        let mut own = self.evictable.iter().take(KEPT_AT_MOST);
        let own = own.find(|&&(_, place)| !keeps || kept(place) == Some(false)).copied();
        own.into_iter().chain(self.rest.least_of_many()).min().map(|(_, place)| place)
    }
}
