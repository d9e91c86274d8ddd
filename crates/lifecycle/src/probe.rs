//! Where tests make a change fail.

use std::fmt;
use std::sync::Arc;

/// Asked before each step of a change, by name; answering `true` makes the step fail there. In production it is silent.
#[derive(Clone, Default)]
pub struct Probe(Option<Arc<Question>>);

type Question = dyn Fn(&str) -> bool + Send + Sync;

impl Probe {
    /// A probe that fails the steps that `fails` picks.
    pub fn new(fails: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(fails)))
    }

    pub(crate) fn pass(&self, step: &'static str) -> Result<(), crate::LifecycleError> {
        match &self.0 {
            Some(fails) if fails(step) => Err(crate::LifecycleError::Injected(step)),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Probe(armed)" } else { "Probe(silent)" })
    }
}
