//! How many connections each tenant has.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use domain::TenantId;

/// Counts of all tenants that have any.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seats {
    taken: Arc<Mutex<HashMap<TenantId, usize>>>,
}

/// One connection's place; dropping it frees the place.
#[derive(Debug)]
pub(crate) struct Seat {
    tenant: TenantId,
    seats: Seats,
}

impl Seats {
    /// A place for one more connection, if the tenant has fewer than `limit`.
    pub(crate) fn take(&self, tenant: TenantId, limit: usize) -> Option<Seat> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(tenant).or_default();
        if *count >= limit {
            return None;
        }
        *count += 1;
        Some(Seat { tenant, seats: self.clone() })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.tenant) {
            *count -= 1;
            // A tenant without connections costs nothing.
            if *count == 0 {
                taken.remove(&self.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_are_bounded_per_tenant_and_come_back() {
        let one: TenantId = "0192f0c1-2345-7abc-8def-0123456789ab".parse().expect("an id");
        let other: TenantId = "0192f0c1-2345-7abc-8def-0123456789ac".parse().expect("an id");
        let seats = Seats::default();
        let first = seats.take(one, 2).expect("a first seat");
        let _second = seats.take(one, 2).expect("a second seat");
        assert!(seats.take(one, 2).is_none(), "a third seat of two");
        assert!(seats.take(other, 2).is_some(), "another tenant's seat");
        drop(first);
        assert!(seats.take(one, 2).is_some(), "a seat that came back");
        assert_eq!(seats.taken.lock().expect("not poisoned").len(), 1, "only the tenant with a connection is counted");
    }
}
