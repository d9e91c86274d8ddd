//! Tenants that an operator has paused.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::TenantId;
use tenancy::{Held, VisitReport};
use tokio::time::timeout;

use super::Refused;
use crate::serve::Gateway;

/// How long the console waits until a tenant is quiet, before it says who is not; and again after these were asked to leave.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many of those who keep connections are named.
const NAMED: usize = 8;

/// Tenants that an operator has paused, in this process. Cheap to clone; all clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Paused(Arc<Mutex<HashMap<TenantId, Arc<Held>>>>);

impl Paused {
    /// Holds a tenant, if it is not held yet, and waits until no transaction of it runs.
    pub(super) async fn pause(&self, gateway: &Gateway, id: TenantId, name: &str, force: bool) -> Result<(), Refused> {
        let known = self.held().get(&id).cloned();
        let held = if let Some(held) = known {
            held
        } else {
            let held = gateway.threshold.hold(id, gateway.settings.dials.read().pause_patience);
            let hint = "Wait until its move has ended, then try again.";
            let held = Arc::new(held.map_err(|error| Refused::new("55006", error.to_string(), hint))?);
            self.held().insert(id, Arc::clone(&held));
            held
        };
        if force {
            held.ask_to_yield();
        }
        if timeout(PATIENCE, held.quiet()).await.is_ok() {
            return Ok(());
        }
        if force {
            held.end_remaining();
            if timeout(PATIENCE, held.quiet()).await.is_ok() {
                return Ok(());
            }
        }
        let message = format!("tenant {name:?} is paused, but not quiet yet: {}", told(&held.remaining()));
        Err(Refused::new("55006", message, "PAUSE again waits on; PAUSE … FORCE disconnects them; RESUME gives up."))
    }

    /// Lets one tenant go, or all.
    pub(super) fn resume(&self, id: Option<TenantId>) -> Result<(), Refused> {
        let Some(id) = id else {
            self.held().clear();
            return Ok(());
        };
        let released = self.held().remove(&id);
        let hint = "SHOW TENANTS tells which are paused; one that is being moved resumes by itself.";
        released.map(drop).ok_or_else(|| Refused::new("55000", "the tenant was not paused at this console", hint))
    }

    fn held(&self) -> MutexGuard<'_, HashMap<TenantId, Arc<Held>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn told(remaining: &[VisitReport]) -> String {
    let mut told: Vec<String> = remaining
        .iter()
        .take(NAMED)
        .map(|visit| {
            let application = visit.guest.as_ref().and_then(|guest| guest.application.as_deref()).unwrap_or("unnamed");
            format!("client {} ({application:?}, {} for {:?})", visit.number, visit.stance.as_str(), visit.stance_age)
        })
        .collect();
    if remaining.len() > NAMED {
        told.push(format!("and {} more", remaining.len() - NAMED));
    }
    if told.is_empty() {
        "requests of another door, or clients about to get a connection".to_owned()
    } else {
        told.join(", ")
    }
}
