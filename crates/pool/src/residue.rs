//! What clients leave on a connection on purpose, between two transactions.

use std::collections::BTreeMap;
use std::sync::Arc;

use foldhash::HashMap;
use uuid::Uuid;

/// Settings that SQL has changed for the rest of a session, by name. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings(
    /// `None` for none, as most sessions have it.
    Option<Arc<BTreeMap<String, String>>>,
);

impl Settings {
    /// Whether none has been changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Name and value of each, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().flat_map(|settings| settings.iter()).map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether both are the same, most often because they are one object.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            (Some(one), Some(other)) => Arc::ptr_eq(one, other) || one == other,
            (None, Some(_)) | (Some(_), None) => false,
        }
    }
}

impl FromIterator<(String, String)> for Settings {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(settings: I) -> Self {
        let settings: BTreeMap<_, _> = settings.into_iter().collect();
        Self(if settings.is_empty() { None } else { Some(Arc::new(settings)) })
    }
}

/// The state of a connection's session beyond what a login gives it.
#[derive(Debug, Default)]
pub struct Residue {
    /// What its settings are; everything else is as after login.
    pub(crate) settings: Settings,
    /// Statements that it has prepared under names of síndico's.
    pub prepared: Prepared,
    /// The unnamed statement that it has prepared, by number.
    pub unnamed: Option<u64>,
    /// Whose statements have run on it since it last forgot what was drawn from sequences.
    drawn_by: Drawn,
    /// Whom a connection of a login that serves many serves.
    pub(crate) serves: Option<Uuid>,
}

/// Who may have drawn from sequences. Clients are numbers that no two share.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Drawn {
    #[default]
    Nobody,
    One(u64),
    Several,
}

impl Residue {
    /// Notes whose statements have run.
    pub fn used_by(&mut self, client: u64) {
        self.drawn_by = match self.drawn_by {
            Drawn::Nobody => Drawn::One(client),
            Drawn::One(other) if other == client => Drawn::One(client),
            Drawn::One(_) | Drawn::Several => Drawn::Several,
        };
    }

    /// Whether nobody's statements have run but this client's.
    #[must_use]
    pub fn is_of(&self, client: u64) -> bool {
        matches!(self.drawn_by, Drawn::Nobody) || self.drawn_by == Drawn::One(client)
    }

    /// Whether nobody's have, and it serves nobody.
    #[must_use]
    pub fn is_unused(&self) -> bool {
        self.drawn_by == Drawn::Nobody && self.serves.is_none()
    }

    /// The tenant that a connection of a login that serves many serves, since a token has shown it.
    #[must_use]
    pub fn serves(&self) -> Option<Uuid> {
        self.serves
    }

    /// What was drawn is forgotten.
    pub(crate) fn forgot_sequences(&mut self) {
        self.drawn_by = Drawn::Nobody;
    }
}

/// Numbers of the statements that a connection has prepared. Of too many, the one that was used longest ago goes.
#[derive(Debug, Default)]
pub struct Prepared {
    /// When each was used last, counted in uses.
    known: HashMap<u64, u64>,
    uses: u64,
}

impl Prepared {
    /// Whether a statement is there; if so, it counts as used.
    pub fn touch(&mut self, number: u64) -> bool {
        self.uses += 1;
        match self.known.get_mut(&number) {
            Some(used) => {
                *used = self.uses;
                true
            }
            None => false,
        }
    }

    /// Notes a statement, and says which one the server has to close for it.
    pub fn insert(&mut self, number: u64, limit: usize) -> Option<u64> {
        self.uses += 1;
        let full = self.known.len() >= limit.max(1) && !self.known.contains_key(&number);
        let oldest =
            full.then(|| self.known.iter().min_by_key(|(_, used)| **used).map(|(number, _)| *number)).flatten();
        if let Some(oldest) = oldest {
            self.known.remove(&oldest);
        }
        self.known.insert(number, self.uses);
        oldest
    }

    /// The numbers of all.
    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        self.known.keys().copied()
    }

    /// Forgets a statement.
    pub fn remove(&mut self, number: u64) {
        self.known.remove(&number);
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.known.clear();
    }

    /// Whether none is there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statement_used_longest_ago_makes_room() {
        let mut prepared = Prepared::default();
        assert_eq!((prepared.insert(1, 2), prepared.insert(2, 2)), (None, None));
        assert!(prepared.touch(1) && !prepared.touch(3));
        assert_eq!(prepared.insert(3, 2), Some(2));
        assert_eq!(prepared.insert(3, 2), None, "it is there");
        prepared.remove(3);
        assert!(!prepared.touch(3) && prepared.touch(1) && !prepared.is_empty());
    }

    #[test]
    fn settings_are_the_same_by_value() {
        let one = || Settings::from_iter([("a".to_owned(), "1".to_owned())]);
        assert!(one().same(&one()) && one().same(&one().clone()) && !one().same(&Settings::default()));
        assert!(Settings::default().is_empty());
    }
}
