//! Tenants that are made before they are asked for.

use std::time::Duration;

use lifecycle::WarmPool;
use serde::{Deserialize, Serialize};

use super::{ConfigError, days};

/// More would be a database full of nobody's.
const MOST: u32 = 1_000;

/// A year.
const MOST_HOURS: u32 = 8_784;

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawWarmPool {
    pub(super) size: u32,
    pub(super) max_age_hours: u32,
    pub(super) idle_days: u32,
}

impl Default for RawWarmPool {
    fn default() -> Self {
        Self { size: 2, max_age_hours: 24, idle_days: 7 }
    }
}

impl RawWarmPool {
    pub(super) fn lower(self) -> Result<WarmPool, ConfigError> {
        let size = i32::try_from(self.size).ok().filter(|_| self.size <= MOST).ok_or_else(|| {
            ConfigError(format!("warm_pool.size: {} is out of range; give 0 (none) to {MOST}", self.size))
        })?;
        if !(1..=MOST_HOURS).contains(&self.max_age_hours) {
            let why = format!(
                "warm_pool.max_age_hours: {} is out of range; give 1 to {MOST_HOURS}, or warm_pool.size = 0 for none",
                self.max_age_hours
            );
            return Err(ConfigError(why));
        }
        Ok(WarmPool {
            size,
            max_age: Duration::from_hours(self.max_age_hours.into()),
            idle: Duration::from_hours(u64::from(days("warm_pool.idle_days", self.idle_days)?) * 24),
        })
    }
}

/// So many, and otherwise what a configuration means that says nothing.
pub(crate) fn of_size(size: u32) -> Result<WarmPool, ConfigError> {
    RawWarmPool { size, ..RawWarmPool::default() }.lower()
}
