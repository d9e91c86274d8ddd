//! Connections at rest: by what they are for and whom they serve, and in the order in which they came.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use foldhash::HashMap;
use tokio::time::Instant;
use uuid::Uuid;

use crate::heat::{Heat, Worth};
use crate::lane::{Owner, Rank};
use crate::permit::Permit;
use crate::route::{Purpose, Serves};

/// A connection at rest, with the unit of the budget that it keeps. The fields' order is that in which they are dropped:
/// the unit is free only once the connection is closed.
#[derive(Debug)]
pub(crate) struct Resting<C> {
    pub(crate) connection: C,
    pub(crate) permit: Permit<C>,
    pub(crate) purpose: Arc<Purpose>,
    pub(crate) owner: Owner,
    /// Whom a connection of a login that serves many serves; `None` where every login is one tenant's.
    pub(crate) serves: Option<Uuid>,
    /// How much whoever it serves had been served, where its login serves many.
    pub(crate) heat: Heat,
    /// What it was worth to keep it for them when it was put to rest.
    pub(crate) worth: Worth,
    pub(crate) since: Instant,
}

/// All that rest at one cluster.
#[derive(Debug)]
pub(crate) struct Rest<C> {
    /// By their places, which rise with the time at which they came.
    all: BTreeMap<u64, Resting<C>>,
    /// The places of those of one purpose that serve the same, rising.
    places: HashMap<(Arc<Purpose>, Option<Uuid>), VecDeque<u64>>,
    /// All those of one purpose where logins serve many, by what each is worth.
    many: HashMap<Arc<Purpose>, BTreeSet<Rank>>,
    /// All where logins serve many.
    all_many: BTreeSet<Rank>,
    next: u64,
}

impl<C> Default for Rest<C> {
    fn default() -> Self {
        Self {
            all: BTreeMap::new(),
            places: HashMap::default(),
            many: HashMap::default(),
            all_many: BTreeSet::new(),
            next: 0,
        }
    }
}

impl<C> Rest<C> {
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// Puts one to rest, and says where. On a login of many each that serves the same is worth less than the one before.
    pub(crate) fn put(&mut self, mut resting: Resting<C>) -> u64 {
        let place = self.next;
        self.next += 1;
        let purpose = &resting.purpose;
        let places = self.places.entry((Arc::clone(purpose), resting.serves)).or_default();
        places.push_back(place);
        if purpose.route.serves == Serves::Many {
            resting.worth = resting.serves.map_or(Worth::NOTHING, |_| resting.heat.shared_by(places.len()));
            self.many.entry(Arc::clone(purpose)).or_default().insert((resting.worth, place));
            self.all_many.insert((resting.worth, place));
        }
        self.all.insert(place, resting);
        place
    }

    /// The place of one of a purpose that serves this tenant: of the last few to have come one that `suits`, else the
    /// last, which is the likeliest to be still open and to let the others grow old.
    pub(crate) fn find(&self, purpose: &Arc<Purpose>, serves: Option<Uuid>, suits: impl Fn(&C) -> bool) -> Option<u64> {
        const LOOKED_AT: usize = 8;
        let places = self.places.get(&(Arc::clone(purpose), serves))?;
        let suitable = |place: &&u64| self.all.get(place).is_some_and(|resting| suits(&resting.connection));
        places.iter().rev().take(LOOKED_AT).find(suitable).or_else(|| places.back()).copied()
    }

    /// Of those of a purpose where logins serve many the one that is worth least.
    pub(crate) fn least_of(&self, purpose: &Arc<Purpose>) -> Option<u64> {
        self.many.get(purpose)?.first().map(|&(_, place)| place)
    }

    /// Of all where logins serve many the one that is worth least.
    pub(crate) fn least_of_many(&self) -> Option<Rank> {
        self.all_many.first().copied()
    }

    pub(crate) fn get(&self, place: u64) -> Option<&Resting<C>> {
        self.all.get(&place)
    }

    /// Those from a place on.
    pub(crate) fn from(&self, place: u64) -> impl Iterator<Item = (u64, &Resting<C>)> {
        self.all.range(place..).map(|(place, resting)| (*place, resting))
    }

    pub(crate) fn remove(&mut self, place: u64) -> Option<Resting<C>> {
        let resting = self.all.remove(&place)?;
        let key = (Arc::clone(&resting.purpose), resting.serves);
        if let Some(places) = self.places.get_mut(&key) {
            strike(places, place);
            if places.is_empty() {
                self.places.remove(&key);
            }
        }
        if resting.purpose.route.serves == Serves::Many {
            let rank = (resting.worth, place);
            self.all_many.remove(&rank);
            if let Some(ranks) = self.many.get_mut(&resting.purpose) {
                ranks.remove(&rank);
                if ranks.is_empty() {
                    self.many.remove(&resting.purpose);
                }
            }
        }
        Some(resting)
    }
}

/// Takes a number out of rising ones.
pub(crate) fn strike(rising: &mut VecDeque<u64>, number: u64) {
    if let Ok(index) = rising.binary_search(&number) {
        rising.remove(index);
    }
}
