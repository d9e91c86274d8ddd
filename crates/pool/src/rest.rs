//! Connections at rest: by what they are for, and by how long they have rested.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio::time::Instant;

use crate::connection::Connection;
use crate::permit::Permit;
use crate::route::Purpose;

/// A connection at rest, with the unit of the budget that it keeps.
#[derive(Debug)]
pub(crate) struct Resting {
    pub(crate) connection: Box<Connection>,
    pub(crate) permit: Permit,
    pub(crate) purpose: Arc<Purpose>,
    pub(crate) since: Instant,
}

/// All that rest at one cluster.
#[derive(Debug, Default)]
pub(crate) struct Rest {
    /// By the order in which they came, the longest rested first.
    all: BTreeMap<u64, Resting>,
    /// Where those of one purpose are among them, the longest rested first.
    places: HashMap<Arc<Purpose>, Vec<u64>>,
    next: u64,
}

impl Rest {
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn put(&mut self, resting: Resting) {
        self.places.entry(Arc::clone(&resting.purpose)).or_default().push(self.next);
        self.all.insert(self.next, resting);
        self.next += 1;
    }

    /// Takes one of a purpose: of the last few to have come one that `suits`, else the last, which is the likeliest to be
    /// still open and to let the others grow old.
    pub(crate) fn take(&mut self, purpose: &Arc<Purpose>, suits: impl Fn(&Connection) -> bool) -> Option<Resting> {
        const LOOKED_AT: usize = 8;
        let Self { all, places, .. } = self;
        let found = places.get_mut(purpose)?;
        let suitable = |place: &&u64| all.get(place).is_some_and(|resting| suits(&resting.connection));
        let back = found.iter().rev().take(LOOKED_AT).position(|place| suitable(&place)).unwrap_or(0);
        let place = found.remove(found.len().checked_sub(back + 1)?);
        if found.is_empty() {
            places.remove(purpose);
        }
        all.remove(&place)
    }

    /// Takes the one that has rested longest of all.
    pub(crate) fn take_oldest(&mut self) -> Option<Resting> {
        let (place, resting) = self.all.pop_first()?;
        if let Some(places) = self.places.get_mut(&resting.purpose) {
            places.retain(|known| *known != place);
            if places.is_empty() {
                self.places.remove(&resting.purpose);
            }
        }
        Some(resting)
    }

    /// Takes all that are meant.
    pub(crate) fn take_all(&mut self, meant: impl Fn(&Resting) -> bool) -> Vec<Resting> {
        let (taken, staying) = std::mem::take(&mut self.all).into_values().partition(meant);
        self.places.clear();
        let staying: Vec<Resting> = staying;
        for resting in staying {
            self.put(resting);
        }
        taken
    }
}
