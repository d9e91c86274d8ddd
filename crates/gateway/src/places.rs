//! How many clients there may be.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Places for clients, of all tenants together. Cheap to clone; all clones are the same places.
#[derive(Debug, Clone)]
pub struct Places(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    taken: AtomicUsize,
    limit: AtomicUsize,
}

/// One of them. A guard: dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Place(Arc<Counts>);

impl Places {
    /// So many.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self(Arc::new(Counts { taken: AtomicUsize::new(0), limit: AtomicUsize::new(limit) }))
    }

    /// How many there are.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.0.limit.load(Ordering::Relaxed)
    }

    /// Has there be more or fewer from now on. Nobody who has one loses it.
    pub fn set_limit(&self, limit: usize) {
        self.0.limit.store(limit, Ordering::Relaxed);
    }

    /// One of them, if there is one.
    pub(crate) fn take(&self) -> Option<Place> {
        // A guard before the look, so that it gives back what was one too many.
        let before = self.0.taken.fetch_add(1, Ordering::Relaxed);
        let place = Place(Arc::clone(&self.0));
        (before < self.0.limit.load(Ordering::Relaxed)).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_come_back_and_their_number_changes() {
        let places = Places::new(1);
        let first = places.take().expect("one");
        assert!(places.take().is_none());
        places.set_limit(2);
        let second = places.take().expect("another");
        places.set_limit(1);
        drop(first);
        assert!(places.take().is_none(), "the second is still taken");
        drop(second);
        assert!(places.take().is_some());
    }
}
