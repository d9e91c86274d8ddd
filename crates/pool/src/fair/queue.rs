//! Tenants that wait, by what the first of each waits for: where none may change hands on one kind of login, one may on the
//! other.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::lane::Turn;
use crate::route::Serves;

#[derive(Debug, Default)]
pub(super) struct Queue {
    one: BTreeMap<Turn, Uuid>,
    many: BTreeMap<Turn, Uuid>,
}

impl Queue {
    /// Those whose first waits for such a login.
    pub(super) fn of(&mut self, serves: Serves) -> &mut BTreeMap<Turn, Uuid> {
        match serves {
            Serves::One => &mut self.one,
            Serves::Many => &mut self.many,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.one.is_empty() && self.many.is_empty()
    }

    /// Whose turn it is.
    pub(super) fn first(&self) -> Option<(Turn, Uuid)> {
        let first = |queue: &BTreeMap<Turn, Uuid>| queue.first_key_value().map(|(turn, tenant)| (*turn, *tenant));
        first(&self.one).into_iter().chain(first(&self.many)).min()
    }

    /// All, those that want a login of one tenant's first.
    pub(super) fn all(&self) -> impl Iterator<Item = Uuid> {
        self.one.values().chain(self.many.values()).copied()
    }

    /// Those whose turn it is and will be next, in order: up to so many of each kind that is asked for, half of `SEEN`.
    pub(super) fn next<const SEEN: usize>(&self, one: bool, many: bool) -> impl Iterator<Item = Uuid> + use<SEEN> {
        let mut seen = [None; SEEN];
        let (ones, manys) = seen.split_at_mut(SEEN / 2);
        for (queue, places, wanted) in [(&self.one, ones, one), (&self.many, manys, many)] {
            let waiting = queue.iter().filter(|_| wanted).map(|(turn, tenant)| Some((*turn, *tenant)));
            places.iter_mut().zip(waiting).for_each(|(place, it)| *place = it);
        }
        seen.sort_unstable();
        seen.into_iter().flatten().map(|(_, tenant)| tenant)
    }
}
