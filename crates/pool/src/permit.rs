//! The right to have one connection to a cluster, and the list of those who use it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use tokio::time::Instant;
use uuid::Uuid;

use crate::cluster::Cluster;
use crate::connection::Connection;
use crate::route::Serves;

/// One unit of a cluster's budget. A guard: dropping it hands the unit to whoever is next, or back to the cluster.
/// Wherever it stands next to a connection it stands after it, so that the connection is closed first.
#[derive(Debug)]
pub(crate) struct Permit<C = Box<Connection>> {
    cluster: Option<Arc<Cluster<C>>>,
    /// Whose connection is in use; `None` for one at rest.
    tenant: Option<Uuid>,
    change: Option<Change>,
}

/// A connection is on its way from one tenant to another: by being closed and another opened, or handed over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Change {
    /// Whom the login serves.
    pub(crate) of: Serves,
    pub(crate) since: Instant,
}

impl<C> Permit<C> {
    /// Stands for a unit that the caller has already taken from the cluster's count and lent to a tenant.
    pub(crate) fn new(cluster: Arc<Cluster<C>>, tenant: Uuid) -> Self {
        Self { cluster: Some(cluster), tenant: Some(tenant), change: None }
    }

    /// The unit changes hands, as the cluster has noted; or does not.
    pub(crate) fn begin(&mut self, change: Option<Change>) {
        self.change = change;
    }

    /// If it was changing hands, it has.
    pub(crate) fn settle(&mut self) {
        if let (Some(cluster), Some(change)) = (&self.cluster, self.change.take()) {
            cluster.settle(change);
        }
    }

    /// If it is changing hands, that takes longer than it should for a reason that other changes may not have.
    pub(crate) fn excuse(&mut self) {
        if let (Some(cluster), Some(change)) = (&self.cluster, self.change.take()) {
            cluster.excuse(change);
        }
    }

    /// If it is changing hands, the work on it begins now.
    pub(crate) fn proceed(&mut self) {
        if let Some(change) = &mut self.change {
            change.since = Instant::now();
        }
    }

    #[cfg(test)]
    pub(crate) fn is_changing(&self) -> bool {
        self.change.is_some()
    }

    /// The change that has not been said to be done, of which the cluster takes note.
    pub(crate) fn abandon(&mut self) -> Option<Change> {
        self.change.take()
    }

    /// The unit is in use by a tenant, as the cluster has noted.
    pub(crate) fn charge(&mut self, tenant: Uuid) {
        self.tenant = Some(tenant);
    }

    /// The unit is in use by nobody, as the cluster has noted.
    pub(crate) fn discharge(&mut self) {
        self.tenant = None;
    }

    /// Gives the unit up without telling the cluster, which goes on counting it as taken and lent.
    pub(crate) fn defuse(mut self) {
        self.cluster = None;
    }
}

impl<C> Drop for Permit<C> {
    fn drop(&mut self) {
        if let Some(cluster) = self.cluster.take() {
            cluster.pass_on(self.tenant, self.change.take());
        }
    }
}

/// Whether somebody has said, since this use began, that its connection must not be used again; and which it is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Condemned(Arc<Use>);

#[derive(Debug, Default)]
struct Use {
    condemned: AtomicBool,
    /// The server process; 0 before there is one.
    pid: AtomicU32,
    /// How often it has been seen with one.
    seen: AtomicU32,
}

impl Condemned {
    pub(crate) fn condemn(&self) {
        self.0.condemned.store(true, Ordering::Release);
    }

    pub(crate) fn is_condemned(&self) -> bool {
        self.0.condemned.load(Ordering::Acquire)
    }

    /// The server process; `None` for who opens a connection or waits for one.
    pub(crate) fn pid(&self) -> Option<u32> {
        Some(self.0.pid.load(Ordering::Relaxed)).filter(|pid| *pid > 0)
    }

    /// How often this has been asked of a connection in use, this time included; 0 for who has none.
    pub(crate) fn seen(&self) -> u32 {
        if self.pid().is_some() { self.0.seen.fetch_add(1, Ordering::Relaxed).saturating_add(1) } else { 0 }
    }
}

/// A place in the cluster's list of those who use a connection, open one or wait for one. A guard: dropping it
/// strikes it off, and ends the wait. It begins before the connection is taken and ends after it is put back, so that
/// closing a role finds every connection of it either here or at rest.
#[derive(Debug)]
pub(crate) struct Enlisted<C = Box<Connection>> {
    cluster: Arc<Cluster<C>>,
    number: u64,
    tenant: Uuid,
    condemned: Condemned,
}

impl<C> Enlisted<C> {
    /// Stands for the place that the caller has already written into the list.
    pub(crate) fn new(cluster: Arc<Cluster<C>>, number: u64, tenant: Uuid, condemned: Condemned) -> Self {
        Self { cluster, number, tenant, condemned }
    }

    pub(crate) fn cluster(&self) -> &Arc<Cluster<C>> {
        &self.cluster
    }

    /// What the list knows it by.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Notes which server process it has got.
    pub(crate) fn got(&self, pid: u32) {
        self.condemned.0.pid.store(pid, Ordering::Relaxed);
    }

    /// In whose name.
    pub(crate) fn tenant(&self) -> Uuid {
        self.tenant
    }

    pub(crate) fn is_condemned(&self) -> bool {
        self.condemned.is_condemned()
    }
}

impl<C> Drop for Enlisted<C> {
    fn drop(&mut self) {
        self.cluster.strike(self.tenant, self.number);
    }
}
