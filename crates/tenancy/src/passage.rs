//! A session's way through its tenant's gate.

use std::sync::Arc;

use crate::seats::Presence;
use crate::{Refusal, TenantHandle};

/// Goes in with each transaction of a session and out behind it. A guard: dropping it goes out.
#[derive(Debug)]
pub struct Passage {
    presence: Arc<Presence>,
    inside: bool,
}

impl TenantHandle {
    /// A way through this tenant's gate. Whoever takes connections at a [`crate::Counter`] is inside for as long as it has
    /// one, so that [`crate::Threshold::hold`] knows.
    #[must_use]
    pub fn passage(&self) -> Passage {
        Passage { presence: Arc::clone(self.presence()), inside: false }
    }

    /// Goes inside as soon as the tenant is not held, unless that takes longer than its holder has anybody wait.
    pub async fn enter(&self, passage: &mut Passage) -> Result<(), Refusal> {
        passage.inside = passage.inside || passage.presence.gate.enter().await;
        if passage.inside { Ok(()) } else { Err(Refusal::Held(self.slug().clone())) }
    }
}

impl Passage {
    /// Goes inside unless the tenant is held; `true` as well for who is inside.
    #[must_use]
    pub fn try_enter(&mut self) -> bool {
        self.inside = self.inside || self.presence.gate.try_enter();
        self.inside
    }

    /// Goes out, after the last connection was given back.
    pub fn leave(&mut self) {
        if std::mem::take(&mut self.inside) {
            self.presence.gate.leave();
        }
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        self.leave();
    }
}
