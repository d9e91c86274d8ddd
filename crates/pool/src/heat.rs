//! How much a tenant has been served lately, which says how soon a connection of its will be wanted again.

use std::cmp::Ordering;
use std::time::Duration;

/// After so long a use counts half. Of a thousand tenants with a hundred connections it makes no difference whether this is one
/// second or thirty; one that has stopped being busy should not keep its connections for much longer than it takes to notice.
const HALF_LIFE: Duration = Duration::from_secs(3);

/// A point in time, in units in which a use counts e times less after each.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub(crate) struct Age(f64);

impl Age {
    pub(crate) fn after(time: Duration) -> Self {
        Self(time.as_secs_f64() / HALF_LIFE.as_secs_f64() * std::f64::consts::LN_2)
    }
}

/// The uses so far, each counted the less the longer ago it was. It is kept as the logarithm of what they would count at the
/// beginning of time: as all grow less at the same rate, which of two is more does not change while neither is used.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub(crate) struct Heat(f64);

impl Heat {
    /// Of what has never been used.
    pub(crate) const COLD: Self = Self(f64::NEG_INFINITY);

    /// With one more use.
    pub(crate) fn used(self, at: Age) -> Self {
        let (more, less) = if self.0 > at.0 { (self.0, at.0) } else { (at.0, self.0) };
        Self(more + (less - more).exp().ln_1p())
    }

    /// The greater of two.
    pub(crate) fn max(self, other: Self) -> Self {
        Self(self.0.max(other.0))
    }

    /// What one of so many connections is worth.
    pub(crate) fn shared_by(self, count: usize) -> Worth {
        let count = u32::try_from(count.max(1)).map_or(f64::INFINITY, f64::from);
        Worth(self.0 - count.ln())
    }
}

/// What it is worth to keep a connection as it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Worth(f64);

impl Worth {
    /// Of a connection that serves nobody.
    pub(crate) const NOTHING: Self = Self(f64::NEG_INFINITY);
}

impl Ord for Worth {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Worth {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Worth {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Worth {}

#[cfg(test)]
mod tests {
    use super::*;

    fn heat(uses: impl IntoIterator<Item = u64>) -> Heat {
        uses.into_iter().fold(Heat::COLD, |heat, second| heat.used(Age::after(Duration::from_secs(second))))
    }

    #[test]
    fn what_is_used_more_or_later_is_hotter() {
        assert!(heat([1]) > Heat::COLD);
        assert!(heat([1, 1]) > heat([1]));
        assert!(heat([2]) > heat([1]));
        assert!(heat([4, 4]) > heat([1, 1, 1]), "three seconds halve it");
        assert!(heat([4]) < heat([1, 1, 1]));
        assert!(heat([1, 9]) < heat([9, 9]) && heat([1, 9]) > heat([9]));
    }

    #[test]
    fn years_are_not_too_long() {
        let year = 365 * 24 * 3600;
        assert!(heat([100 * year]) > heat([year; 1000]));
        assert!(heat([100 * year, 100 * year]) > heat([100 * year]));
    }

    #[test]
    fn each_of_several_is_worth_less() {
        let hot = heat([1, 1, 1, 1]);
        assert!(hot.shared_by(5) < heat([1]).shared_by(1));
        assert!(hot.shared_by(3) > heat([1]).shared_by(1));
        assert_eq!(hot.shared_by(0), hot.shared_by(1));
        assert_eq!(Heat::COLD.shared_by(7), Worth::NOTHING);
    }
}
