//! How often something happened, by kind.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Classes of SQLSTATE (PostgreSQL manual, appendix A), and one for what a function has made up.
const ERROR_CLASSES: &[&str] = &[
    "03", "08", "09", "0A", "0B", "0F", "0L", "0P", "0Z", "20", "21", "22", "23", "24", "25", "26", "27", "28", "2B",
    "2D", "2F", "34", "38", "39", "3B", "3D", "3F", "40", "42", "44", "53", "54", "55", "57", "58", "72", "F0", "HV",
    "P0", "XX", OTHER,
];

/// SQLSTATEs with which clients are not let in, those that a server may add apart.
const REFUSALS: &[&str] = &[
    "08004",
    "08006",
    "08P01",
    "0A000",
    "22023",
    "28000",
    "28P01",
    "3D000",
    "3F000",
    "42704",
    "53200",
    "53300",
    "57014",
    "57P01",
    "57P03",
    TURNED_AWAY,
    OTHER,
];

/// What stands for clients that were disconnected without a word.
pub(crate) const TURNED_AWAY: &str = "turned_away";

const OTHER: &str = "other";

/// Counts of kinds that are known beforehand; the last of them stands for all others. Cheap to clone; all clones count
/// together.
#[derive(Debug, Clone)]
pub(crate) struct Tally {
    kinds: &'static [&'static str],
    counts: Arc<[AtomicU64]>,
}

impl Tally {
    fn of(kinds: &'static [&'static str]) -> Self {
        Self { kinds, counts: kinds.iter().map(|_| AtomicU64::new(0)).collect() }
    }

    /// For errors of servers, by the first two characters of SQLSTATE.
    pub(crate) fn of_error_classes() -> Self {
        Self::of(ERROR_CLASSES)
    }

    /// For logins that were refused, by SQLSTATE.
    pub(crate) fn of_refusals() -> Self {
        Self::of(REFUSALS)
    }

    pub(crate) fn add(&self, kind: &[u8]) {
        let place = self.kinds.iter().position(|known| known.as_bytes() == kind);
        if let Some(count) = self.counts.get(place.unwrap_or(self.kinds.len() - 1)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many there were of each kind.
    pub(crate) fn read(&self) -> Vec<(&'static str, u64)> {
        self.kinds.iter().copied().zip(self.counts.iter().map(|count| count.load(Ordering::Relaxed))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_knows_is_counted_with_the_others() {
        let tally = Tally::of_error_classes();
        for kind in ["23", "ZZ", "", "23"] {
            tally.add(kind.as_bytes());
        }
        let read: Vec<_> = tally.read().into_iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(read, [("23", 2), ("other", 2)]);
    }
}
