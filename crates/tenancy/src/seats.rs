//! Tenants in this process: who of them is here, and what they have done so far.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::{Slug, TenantId};

use crate::gate::Gate;
use crate::tally::Tally;
use crate::totals::{TotalCounts, Totals};
use crate::visit::Visit;

/// All tenants that anybody has asked for since the process began.
#[derive(Debug, Clone)]
pub(crate) struct Seats {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    presences: Mutex<HashMap<TenantId, Arc<Presence>>>,
    /// Totals of tenants that are no more.
    departed: Mutex<TotalCounts>,
    next_visit: AtomicU64,
    errors: Tally,
}

/// One tenant in this process.
#[derive(Debug, Default)]
pub(crate) struct Presence {
    pub(crate) gate: Gate,
    totals: Arc<Totals>,
    visits: Mutex<BTreeMap<u64, Arc<Visit>>>,
}

/// One connection's place; dropping it frees the place.
#[derive(Debug)]
pub(crate) struct Seat {
    presence: Arc<Presence>,
    visit: Arc<Visit>,
}

impl Default for Seats {
    fn default() -> Self {
        let shared = Shared {
            presences: Mutex::default(),
            departed: Mutex::default(),
            next_visit: AtomicU64::new(0),
            errors: Tally::of_error_classes(),
        };
        Self { shared: Arc::new(shared) }
    }
}

impl Seats {
    /// A place for one more connection, if the tenant has fewer than `limit`.
    pub(crate) fn take(&self, tenant: TenantId, slug: &Slug, limit: usize) -> Option<Seat> {
        let presence = self.of(tenant);
        let mut visits = presence.visits();
        if visits.len() >= limit {
            return None;
        }
        let number = self.shared.next_visit.fetch_add(1, Ordering::Relaxed) + 1;
        let visit = Arc::new(self.visit(number, slug, &presence));
        visits.insert(number, Arc::clone(&visit));
        drop(visits);
        Some(Seat { presence, visit })
    }

    fn visit(&self, number: u64, slug: &Slug, presence: &Presence) -> Visit {
        Visit::new(number, slug.clone(), Arc::clone(&presence.totals), self.shared.errors.clone())
    }

    /// Errors of servers, of all tenants, by class of SQLSTATE.
    pub(crate) fn errors(&self) -> Vec<(&'static str, u64)> {
        self.shared.errors.read()
    }

    /// A tenant's presence, which begins with the first who asks for it.
    pub(crate) fn of(&self, tenant: TenantId) -> Arc<Presence> {
        Arc::clone(self.presences().entry(tenant).or_default())
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<(TenantId, Arc<Presence>)> {
        self.presences().iter().map(|(id, presence)| (*id, Arc::clone(presence))).collect()
    }

    /// Forgets tenants that are no more and that nobody visits, but not what they have done; says how much that is.
    pub(crate) fn clear(&self, is_known: impl Fn(TenantId) -> bool) -> TotalCounts {
        let mut departed = self.shared.departed.lock().unwrap_or_else(PoisonError::into_inner);
        self.presences().retain(|id, presence| {
            // Whoever has a presence in hand may still add to it.
            let stays = is_known(*id) || Arc::strong_count(presence) > 1;
            if !stays {
                departed.add(&presence.totals.read());
            }
            stays
        });
        *departed
    }

    fn presences(&self) -> MutexGuard<'_, HashMap<TenantId, Arc<Presence>>> {
        self.shared.presences.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Presence {
    pub(crate) fn visits(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Visit>>> {
        self.visits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn totals(&self) -> TotalCounts {
        self.totals.read()
    }
}

/// Somebody who is inside a tenant's gate. A guard: dropping it lets it out.
#[derive(Debug)]
pub(crate) struct Inside(Arc<Presence>);

impl Presence {
    /// Goes inside as soon as the tenant is not held; `None` if that takes longer than the holder has anybody wait.
    pub(crate) async fn inside(self: &Arc<Self>) -> Option<Inside> {
        self.gate.enter().await.then(|| Inside(Arc::clone(self)))
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.gate.leave();
    }
}

impl Seat {
    pub(crate) fn presence(&self) -> &Arc<Presence> {
        &self.presence
    }

    pub(crate) fn visit(&self) -> &Arc<Visit> {
        &self.visit
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.presence.visits().remove(&self.visit.number());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_are_bounded_per_tenant_and_come_back() {
        let one: TenantId = "0192f0c1-2345-7abc-8def-0123456789ab".parse().expect("an id");
        let other: TenantId = "0192f0c1-2345-7abc-8def-0123456789ac".parse().expect("an id");
        let slug: Slug = "paws".parse().expect("a slug");
        let seats = Seats::default();
        let first = seats.take(one, &slug, 2).expect("a first seat");
        let second = seats.take(one, &slug, 2).expect("a second seat");
        assert!(seats.take(one, &slug, 2).is_none(), "a third seat of two");
        let others = seats.take(other, &slug, 2).expect("another tenant's seat");
        drop(first);
        let third = seats.take(one, &slug, 2).expect("a seat that came back");

        assert_eq!(seats.clear(|_| false), TotalCounts::default(), "both are still visited");
        assert_eq!(seats.all().len(), 2);
        drop((second, others));
        assert_eq!(seats.clear(|_| false).clients, 1, "what the one that is gone has done is kept");
        assert_eq!(seats.all().len(), 1);
        drop(third);
        assert_eq!(seats.clear(|_| false).clients, 4);
        assert_eq!(seats.clear(|_| true).clients, 4);
    }
}
