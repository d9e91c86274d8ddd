//! Why an app's SQL is not accepted, in words for the person who wrote it.

use std::fmt;

/// One thing that cannot be made safe or cannot be made the same in every isolation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {reason}; {remedy}")]
pub struct Refusal {
    /// The file as [`crate::Sources`] named it.
    pub file: String,
    /// Line of the statement, or of the offending word where the grammar rejects one; from 1.
    pub line: u32,
    /// The statement's beginning on one line, for display beside the reason. May be empty when no statement is meant.
    pub statement: String,
    /// What was wrong.
    pub reason: String,
    /// What to write or do instead.
    pub remedy: String,
}

/// Everything that was refused, in the order of the files. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusals(Vec<Refusal>);

impl Refusals {
    /// `None` when there is nothing to refuse.
    pub(crate) fn of(refusals: Vec<Refusal>) -> Option<Self> {
        (!refusals.is_empty()).then_some(Self(refusals))
    }

    /// Each of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Refusal> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a Refusals {
    type Item = &'a Refusal;
    type IntoIter = std::slice::Iter<'a, Refusal>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, refusal) in self.0.iter().enumerate() {
            if nth > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{refusal}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Refusals {}

/// A refusal before it is known which file and line it belongs to; rules return it and the reader adds the place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) reason: String,
    pub(crate) remedy: String,
    /// Set when the statement fails only because an earlier one was refused, so that nobody needs to hear of it.
    pub(crate) echo: bool,
    /// Set when no rule is broken, but more would be needed than is given to one text.
    pub(crate) excess: bool,
}

/// What rules return.
pub(crate) type Verdict<T> = Result<T, Fault>;

impl Fault {
    pub(crate) fn new(reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { reason: reason.into(), remedy: remedy.into(), echo: false, excess: false }
    }

    /// A consequence of an earlier refusal.
    pub(crate) fn echo() -> Self {
        Self { reason: String::new(), remedy: String::new(), echo: true, excess: false }
    }

    /// For what would take more than is given to one text.
    pub(crate) fn excess(reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { excess: true, ..Self::new(reason, remedy) }
    }

    /// For what no rule covers.
    pub(crate) fn unsupported(what: impl fmt::Display, remedy: impl Into<String>) -> Self {
        Self::new(format!("{what} cannot be used in an app's SQL"), remedy)
    }
}
