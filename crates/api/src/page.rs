//! Lists, page by page.

use crate::problem::Problem;

const DEFAULT: i64 = 100;
const MOST: i64 = 1000;

/// How many a page has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit(i64);

impl Limit {
    /// What the client has asked for.
    pub(crate) fn read(asked: Option<i64>) -> Result<Self, Problem> {
        let limit = asked.unwrap_or(DEFAULT);
        if (1..=MOST).contains(&limit) {
            return Ok(Self(limit));
        }
        Err(Problem::field("limit", format!("limit {limit} is out of range; give 1 to {MOST}")))
    }

    /// What to ask for: one more tells whether there is a next page.
    pub(crate) fn and_one(self) -> i64 {
        self.0 + 1
    }

    /// Cuts what was found to a page. The last on it, if there is a next one.
    pub(crate) fn cut<T>(self, found: &mut Vec<T>) -> Option<&T> {
        let most = usize::try_from(self.0).unwrap_or(usize::MAX);
        if found.len() <= most {
            return None;
        }
        found.truncate(most);
        found.last()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_more_tells_that_there_is_more() {
        let limit = Limit::read(Some(2)).expect("a limit");
        assert_eq!(limit.and_one(), 3);
        let (mut two, mut three) = (vec![1, 2], vec![1, 2, 3]);
        assert_eq!((limit.cut(&mut two), limit.cut(&mut three).copied()), (None, Some(2)));
        assert_eq!(three, [1, 2]);
        for bad in [0, -1, 1001] {
            assert!(Limit::read(Some(bad)).is_err(), "{bad}");
        }
        assert_eq!(Limit::read(None).expect("a limit").and_one(), 101);
    }
}
