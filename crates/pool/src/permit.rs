//! The right to have one connection to a cluster, and the list of those who use it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::cluster::Cluster;

/// One unit of a cluster's budget. A guard: dropping it hands the unit to whoever waits longest, or back to the
/// cluster. Wherever it stands next to a connection it stands after it, so that the connection is closed first.
#[derive(Debug)]
pub(crate) struct Permit {
    cluster: Option<Arc<Cluster>>,
}

impl Permit {
    /// Stands for a unit that the caller has already taken from the cluster's count.
    pub(crate) fn new(cluster: Arc<Cluster>) -> Self {
        Self { cluster: Some(cluster) }
    }

    /// Gives the unit up without telling the cluster, which goes on counting it as taken.
    pub(crate) fn defuse(mut self) {
        self.cluster = None;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(cluster) = self.cluster.take() {
            cluster.pass_on();
        }
    }
}

/// Whether somebody has said, since this use began, that its connection must not be used again.
#[derive(Debug, Clone, Default)]
pub(crate) struct Condemned(Arc<AtomicBool>);

impl Condemned {
    pub(crate) fn condemn(&self) {
        self.0.store(true, Ordering::Release);
    }

    pub(crate) fn is_condemned(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// A place in the cluster's list of those who use a connection, open one or wait for one. A guard: dropping it
/// strikes it off. It begins before the connection is taken and ends after it is put back, so that closing a role
/// finds every connection of it either here or at rest.
#[derive(Debug)]
pub(crate) struct Enlisted {
    cluster: Arc<Cluster>,
    number: u64,
    condemned: Condemned,
}

impl Enlisted {
    /// Stands for the place that the caller has already written into the list.
    pub(crate) fn new(cluster: Arc<Cluster>, number: u64, condemned: Condemned) -> Self {
        Self { cluster, number, condemned }
    }

    pub(crate) fn cluster(&self) -> &Arc<Cluster> {
        &self.cluster
    }

    pub(crate) fn is_condemned(&self) -> bool {
        self.condemned.is_condemned()
    }
}

impl Drop for Enlisted {
    fn drop(&mut self) {
        self.cluster.strike(self.number);
    }
}
