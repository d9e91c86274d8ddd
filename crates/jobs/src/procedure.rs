//! What an operation of a kind does.

use std::pin::Pin;
use std::time::Duration;

use serde_json::Value;

use crate::{Fault, Work};

/// A step that is being done.
pub type Act<'a, T> = Pin<Box<dyn Future<Output = Result<T, Fault>> + Send + 'a>>;

/// A piece of an operation that can be done and undone as a whole.
///
/// A step that may have been begun before, by somebody who did not live to say so, is cleared before it is done again. So
/// `act` finds things as they were, and `clear` and `undo` are what has to work on whatever is there: nothing, half or all of it,
/// and somebody who was thought dead and is still at it.
pub trait Step: Send + Sync {
    /// For the journal; short, and the same for ever.
    fn name(&self) -> &'static str;

    /// Does it. What is returned is kept in the journal, so no secrets.
    fn act<'a>(&'a self, work: &'a Work) -> Act<'a, Value>;

    /// Takes it back, however far it has come.
    fn undo<'a>(&'a self, work: &'a Work) -> Act<'a, ()>;

    /// Makes it possible to do it again, however far it has come: by taking it back, unless a step knows better.
    fn clear<'a>(&'a self, work: &'a Work) -> Act<'a, ()> {
        self.undo(work)
    }
}

/// The steps of a kind of operation.
pub struct Procedure {
    pub(crate) steps: Vec<Box<dyn Step>>,
    pub(crate) gives_up: GivesUp,
}

/// When a procedure is undone because of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GivesUp {
    Never,
    AtOnce,
    /// At once for what will not pass; otherwise when the operation is so old.
    After(Duration),
}

impl Procedure {
    /// One that is undone when a step fails for good, or somebody cancels it.
    #[must_use]
    pub fn reversible(steps: Vec<Box<dyn Step>>) -> Self {
        Self { steps, gives_up: GivesUp::AtOnce }
    }

    /// One that is never undone: it is tried until it succeeds.
    #[must_use]
    pub fn unstoppable(steps: Vec<Box<dyn Step>>) -> Self {
        Self { steps, gives_up: GivesUp::Never }
    }

    /// A reversible one that is put off for as long as what keeps it may pass, but no longer than this after it was recorded.
    #[must_use]
    pub fn patient(steps: Vec<Box<dyn Step>>, longest: Duration) -> Self {
        Self { steps, gives_up: GivesUp::After(longest) }
    }

    /// Whether somebody may cancel it.
    pub(crate) fn is_reversible(&self) -> bool {
        self.gives_up != GivesUp::Never
    }

    /// Whether an operation of this age is to be gone on with later.
    pub(crate) fn waits(&self, fault: &Fault, age: Duration) -> bool {
        match self.gives_up {
            GivesUp::Never => true,
            GivesUp::AtOnce => false,
            GivesUp::After(longest) => matches!(fault, Fault::Passing(_)) && age < longest,
        }
    }
}
