//! How carefully tenants are migrated.

use std::time::Duration;

use domain::Slug;
use serde::{Deserialize, Serialize};

use crate::LifecycleError;

/// How carefully tenants are migrated. What is not given has a default.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MigrateOptions {
    /// Tenants with tables of their own that go first.
    pub canaries: Vec<String>,
    /// If none are named, so many of the oldest.
    pub canary_count: u32,
    /// For how long to wait after the canaries, and after each wave.
    pub soak_seconds: u32,
    /// So many tenants in a wave; 0 for all at once.
    pub wave: u32,
    /// So many at a time on each cluster.
    pub parallel: u32,
    /// So many tenants may fail before no other is begun.
    pub max_failures: u32,
    /// For how long a statement waits for a lock, and others behind it.
    pub lock_timeout_ms: u32,
    /// How often it is tried again after that.
    pub lock_retries: u32,
    /// For how long a statement may run; 0 for as long as it takes.
    pub statement_timeout_ms: u32,
}

impl Default for MigrateOptions {
    fn default() -> Self {
        Self {
            canaries: Vec::new(),
            canary_count: 1,
            soak_seconds: 0,
            wave: 0,
            parallel: 4,
            max_failures: 0,
            lock_timeout_ms: 2_000,
            lock_retries: 20,
            statement_timeout_ms: 0,
        }
    }
}

/// PostgreSQL has no longer timeouts.
const MOST_MS: u32 = i32::MAX.unsigned_abs();

impl MigrateOptions {
    /// The most tenants at a time on a cluster.
    const MAX_PARALLEL: u32 = 64;

    /// Fails for what makes no sense.
    pub(crate) fn check(&self) -> Result<(), LifecycleError> {
        let refuse = |what: &str| Err(LifecycleError::BadOption(what.to_owned()));
        if self.parallel == 0 || self.parallel > Self::MAX_PARALLEL {
            return refuse("parallel is how many tenants of a cluster are migrated at a time; give 1 to 64");
        }
        if self.lock_timeout_ms == 0 {
            return refuse("lock_timeout_ms 0 would let clients wait behind a lock for ever; give 1 or more");
        }
        if self.lock_timeout_ms > MOST_MS || self.statement_timeout_ms > MOST_MS {
            return refuse("a timeout is at most 2147483647 milliseconds");
        }
        if self.lock_retries > 1_000 {
            return refuse("lock_retries is at most 1000");
        }
        self.named().map(|_| ())
    }

    /// The canaries' names.
    pub(crate) fn named(&self) -> Result<Vec<Slug>, LifecycleError> {
        let read =
            |word: &String| word.parse().map_err(|error: domain::Invalid| LifecycleError::BadOption(error.to_string()));
        self.canaries.iter().map(read).collect()
    }

    pub(crate) fn soak(&self) -> Duration {
        Duration::from_secs(self.soak_seconds.into())
    }

    /// What a transaction of a migration begins with.
    pub(crate) fn begin(&self) -> String {
        format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = {}; SET LOCAL statement_timeout = {}",
            self.lock_timeout_ms, self.statement_timeout_ms
        )
    }
}
