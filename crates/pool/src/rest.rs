//! Connections at rest: by what they are for, whom they serve, and how long they have rested.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio::time::Instant;
use uuid::Uuid;

use crate::connection::Connection;
use crate::permit::Permit;
use crate::route::Purpose;

/// Of how many connections one that suits is looked for.
const LOOKED_AT: usize = 8;

/// A connection at rest, with the unit of the budget that it keeps.
#[derive(Debug)]
pub(crate) struct Resting {
    pub(crate) connection: Box<Connection>,
    pub(crate) permit: Permit,
    pub(crate) purpose: Arc<Purpose>,
    pub(crate) since: Instant,
}

impl Resting {
    fn tenant(&self) -> Option<Uuid> {
        self.connection.residue.serves()
    }
}

/// All that rest at one cluster.
#[derive(Debug, Default)]
pub(crate) struct Rest {
    /// By the order in which they came, the longest rested first.
    all: BTreeMap<u64, Resting>,
    /// Where those of one purpose are among them, by whom they serve.
    places: HashMap<Arc<Purpose>, Places>,
    next: u64,
}

/// Places of connections of one purpose.
#[derive(Debug, Default)]
struct Places {
    /// Those of each tenant, the longest rested first; all under `None` where every login is one tenant's.
    by_tenant: HashMap<Option<Uuid>, Vec<u64>>,
    /// Whom the one at each place serves.
    tenants: BTreeMap<u64, Option<Uuid>>,
}

impl Places {
    fn insert(&mut self, place: u64, tenant: Option<Uuid>) {
        self.by_tenant.entry(tenant).or_default().push(place);
        self.tenants.insert(place, tenant);
    }

    fn remove(&mut self, place: u64) {
        let Some(tenant) = self.tenants.remove(&place) else { return };
        if let Some(places) = self.by_tenant.get_mut(&tenant) {
            places.retain(|known| *known != place);
            if places.is_empty() {
                self.by_tenant.remove(&tenant);
            }
        }
    }
}

impl Rest {
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn put(&mut self, resting: Resting) {
        self.places.entry(Arc::clone(&resting.purpose)).or_default().insert(self.next, resting.tenant());
        self.all.insert(self.next, resting);
        self.next += 1;
    }

    /// Takes one of a purpose that serves this tenant: of the last few to have come one that `suits`, else the last, which
    /// is the likeliest to be still open and to let the others grow old.
    pub(crate) fn take_serving(
        &mut self,
        purpose: &Arc<Purpose>,
        tenant: Option<Uuid>,
        suits: impl Fn(&Connection) -> bool,
    ) -> Option<Resting> {
        let found = self.places.get(purpose)?.by_tenant.get(&tenant)?;
        let suitable = |place: &&u64| self.all.get(place).is_some_and(|resting| suits(&resting.connection));
        let place = found.iter().rev().take(LOOKED_AT).find(suitable).or(found.last()).copied()?;
        self.remove(place)
    }

    /// The same, or one that serves nobody, else whoever has not been served for longest: the others may come back.
    pub(crate) fn take(
        &mut self,
        purpose: &Arc<Purpose>,
        tenant: Option<Uuid>,
        suits: impl Fn(&Connection) -> bool,
    ) -> Option<Resting> {
        if let Some(resting) = self.take_serving(purpose, tenant, &suits) {
            return Some(resting);
        }
        if tenant.is_some()
            && let Some(resting) = self.take_serving(purpose, None, suits)
        {
            return Some(resting);
        }
        let (place, _) = self.places.get(purpose)?.tenants.first_key_value()?;
        self.remove(*place)
    }

    /// Takes the one that has rested longest of all.
    pub(crate) fn take_oldest(&mut self) -> Option<Resting> {
        let (place, _) = self.all.first_key_value()?;
        self.remove(*place)
    }

    /// Takes all that are meant.
    pub(crate) fn take_all(&mut self, meant: impl Fn(&Resting) -> bool) -> Vec<Resting> {
        let places: Vec<u64> = self.all.iter().filter(|(_, resting)| meant(resting)).map(|(place, _)| *place).collect();
        places.into_iter().filter_map(|place| self.remove(place)).collect()
    }

    fn remove(&mut self, place: u64) -> Option<Resting> {
        let resting = self.all.remove(&place)?;
        if let Some(places) = self.places.get_mut(&resting.purpose) {
            places.remove(place);
            if places.tenants.is_empty() {
                self.places.remove(&resting.purpose);
            }
        }
        Some(resting)
    }
}
