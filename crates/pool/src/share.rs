//! On whose account connections are borrowed.

use uuid::Uuid;

/// A tenant, and how much of a cluster it may have. Stands beside a purpose and not in it: the login of many serves tenants
/// with different shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Among whose clients connections are divided fairly.
    pub tenant: Uuid,
    /// Connections that it may have on one cluster at once, at most. Those of its own logins count while they rest, too.
    pub most: usize,
}
