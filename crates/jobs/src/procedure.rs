//! What an operation of a kind does.

use std::pin::Pin;

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
    pub(crate) gives_up: bool,
}

impl Procedure {
    /// One that is undone when a step fails for good, or somebody cancels it.
    #[must_use]
    pub fn reversible(steps: Vec<Box<dyn Step>>) -> Self {
        Self { steps, gives_up: true }
    }

    /// One that is never undone: it is tried until it succeeds.
    #[must_use]
    pub fn unstoppable(steps: Vec<Box<dyn Step>>) -> Self {
        Self { steps, gives_up: false }
    }
}
