//! What a tenant may take up with long statements, all its sessions together, so that it holds up none but itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use domain::TenantId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Clerk;

/// Memory is counted in units of this many bytes.
const UNIT: usize = 1024;

/// The shares of all tenants that have sessions.
#[derive(Debug)]
pub(super) struct Shares {
    known: Mutex<HashMap<TenantId, Weak<Share>>>,
    /// Units that each has.
    room: usize,
}

/// One tenant's share.
#[derive(Debug)]
pub(super) struct Share {
    room: Arc<Semaphore>,
    /// In units.
    size: usize,
    turn: Arc<Semaphore>,
    /// Who reads its sessions' statements.
    clerk: Mutex<Weak<Clerk>>,
}

/// Room for a statement from before it comes in until the server has taken it. A guard: dropping it gives the room back.
#[derive(Debug)]
pub(crate) struct Room {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Shares {
    /// `bytes` for each tenant.
    pub(super) fn new(bytes: usize) -> Self {
        Self { known: Mutex::default(), room: (bytes / UNIT).clamp(1, Semaphore::MAX_PERMITS) }
    }

    /// A tenant's share, the same for all its sessions.
    pub(super) fn of(&self, tenant: TenantId) -> Arc<Share> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = known.get(&tenant).and_then(Weak::upgrade) {
            return share;
        }
        known.retain(|_, share| share.strong_count() > 0);
        let (room, turn) = (Arc::new(Semaphore::new(self.room)), Arc::new(Semaphore::new(1)));
        let share = Arc::new(Share { room, size: self.room, turn, clerk: Mutex::default() });
        known.insert(tenant, Arc::downgrade(&share));
        share
    }
}

impl Share {
    /// This clerk, or the one that reads for other sessions of the tenant if it does the same: sessions are many.
    pub(super) fn served_by(&self, clerk: Clerk) -> Arc<Clerk> {
        let mut known = self.clerk.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(like) = known.upgrade().filter(|known| known.is_like(&clerk)) {
            return like;
        }
        let clerk = Arc::new(clerk);
        *known = Arc::downgrade(&clerk);
        clerk
    }

    /// Waits for room for a message; one that is larger than the share has it all to itself.
    pub(super) async fn room(&self, bytes: usize) -> Room {
        let units = u32::try_from(bytes.div_ceil(UNIT).min(self.size)).unwrap_or(u32::MAX);
        // The semaphore is never closed.
        Room { _permit: Arc::clone(&self.room).acquire_many_owned(units).await.ok() }
    }

    /// Waits for the tenant's turn to have a long statement read.
    pub(super) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.turn).acquire_owned().await.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_tenant_waits_for_itself_alone() {
        let one: TenantId = "0192f0c1-2345-7abc-8def-0123456789ab".parse().expect("an id");
        let other: TenantId = "0192f0c1-2345-7abc-8def-0123456789ac".parse().expect("an id");
        let shares = Shares::new(64 * 1024);
        let (first, second) = (shares.of(one), shares.of(one));
        let most = first.room(40 * 1024).await;
        let too_much = timeout(Duration::from_millis(10), second.room(40 * 1024)).await;
        assert!(too_much.is_err(), "its sessions share what it has");
        let _little = second.room(20 * 1024).await;
        let _others = shares.of(other).room(1 << 30).await;
        drop(most);
        let _after = second.room(40 * 1024).await;
        drop((first, second));
        shares.of(other);
        assert!(!shares.known.lock().expect("not poisoned").contains_key(&one), "nobody is left of it");
    }
}
