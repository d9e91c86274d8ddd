//! Keeping a tenant's transactions waiting, so that something can be done to its data which nobody may see half done.

use std::sync::Arc;
use std::time::Duration;

use domain::TenantId;

use crate::Threshold;
use crate::seats::Presence;
use crate::visit::{Stance, VisitReport};

/// Why a tenant is not held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HoldError {
    /// Somebody else holds it.
    #[error("the tenant is held already; resume it first, or wait until its move has ended")]
    AlreadyHeld,
}

/// A tenant whose new transactions wait, in this process. A guard: dropping it lets them go on.
///
/// Each goes on at the placement that the routing snapshot has by then: whoever moves a tenant records its new placement
/// and has this process read it ([`catalog::Catalog::refresh_tenant`]) before it releases.
#[derive(Debug)]
pub struct Held {
    threshold: Threshold,
    tenant: TenantId,
    presence: Arc<Presence>,
}

impl Threshold {
    /// Has a tenant's new transactions wait, each for `patience` at most: then its client is told so (57P03). Those that
    /// run go on.
    pub fn hold(&self, tenant: TenantId, patience: Duration) -> Result<Held, HoldError> {
        let presence = self.seats.of(tenant);
        if !presence.gate.hold(patience) {
            return Err(HoldError::AlreadyHeld);
        }
        Ok(Held { threshold: self.clone(), tenant, presence })
    }

    /// Whether a tenant's new transactions wait at the moment.
    #[must_use]
    pub fn is_held(&self, tenant: TenantId) -> bool {
        self.seats.of(tenant).gate.is_held()
    }

    /// Ends all connections of a tenant at once, and says how many.
    #[must_use = "it says how many connections were ended"]
    pub fn end_visits(&self, tenant: TenantId) -> usize {
        let visits: Vec<_> = self.seats.of(tenant).visits().values().cloned().collect();
        for visit in &visits {
            visit.end();
        }
        visits.len()
    }
}

impl Held {
    /// Who it is.
    #[must_use]
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// Resolves when no transaction runs and nobody keeps a server connection, and closes those at rest.
    ///
    /// Of what this process has asked of a server nothing is unanswered then, a statement excepted whose client went away
    /// while it ran: it has been cancelled, and may be at its end just now. Who copies data waits for the tenant's last
    /// server process, too.
    pub async fn quiet(&self) {
        self.presence.gate.quiet().await;
        self.threshold.forget(self.tenant);
    }

    /// Whom [`Held::quiet`] waits for: clients with a transaction, and those that keep a server connection, because they
    /// are pooled by session or because their session holds what no other connection has.
    #[must_use]
    pub fn remaining(&self) -> Vec<VisitReport> {
        let visits = self.presence.visits();
        let inside = |stance| matches!(stance, Stance::Active | Stance::Keeping);
        visits.values().map(|visit| visit.report()).filter(|report| inside(report.stance)).collect()
    }

    /// Asks those who keep a server connection to leave between two transactions (57P01).
    pub fn ask_to_yield(&self) {
        for visit in self.presence.visits().values() {
            visit.ask_to_yield();
        }
    }

    /// Ends those that [`Held::remaining`] shows, in the middle of whatever they do (57P01).
    pub fn end_remaining(&self) {
        for visit in self.presence.visits().values() {
            if matches!(visit.stance(), Stance::Active | Stance::Keeping) {
                visit.end();
            }
        }
    }

    /// Lets the waiting go on. The same as dropping it.
    pub fn release(self) {}
}

impl Drop for Held {
    fn drop(&mut self) {
        self.presence.gate.open();
    }
}
