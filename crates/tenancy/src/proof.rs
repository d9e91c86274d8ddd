//! On the strength of what a client was let in.

use std::time::{Duration, Instant};

use domain::KeyId;

/// What a client has proven itself by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    /// One of the tenant's keys, which counts until it is taken off the tenant.
    Key(KeyId),
    /// A token, which counts for as long as it says itself.
    Token(Lapse),
}

/// The end of a right that was given for a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lapse {
    /// From then on no transaction begins.
    pub at: Instant,
    /// For how long afterwards one that runs may go on.
    pub grace: Duration,
}
