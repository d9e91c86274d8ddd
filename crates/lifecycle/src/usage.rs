//! What tenants use: rows and bytes by PostgreSQL's own statistics, without a look at any row, and what their clients do.
//!
//! ```text
//! clusters' statistics ──measure──▶ sample ──▶ catalog ◀── meter ── what this process has counted
//! ```

mod collect;
mod measure;
mod meter;
mod spread;

use catalog::{Tenant, TenantRef, UsageFilter, UsagePoint};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{Lifecycle, LifecycleError};

pub(crate) use collect::{USAGE, collection};
pub(crate) use meter::Meter;

/// For how long samples are kept, unless somebody says otherwise.
pub(crate) const KEPT_DAYS: u32 = 90;

/// A process that has been silent for so long is no more.
const SILENT_HOURS: i32 = 24;

/// What a tenant uses.
#[derive(Debug, Clone)]
pub struct Usage {
    /// Who.
    pub tenant: Tenant,
    /// In all.
    pub point: UsagePoint,
    /// By table.
    pub tables: Vec<TableUsage>,
}

/// What a tenant has in one table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableUsage {
    /// Its name.
    pub name: String,
    /// Rows; none while PostgreSQL has no statistics.
    pub rows: Option<i64>,
    /// Bytes, with indexes and what is stored out of line; none while the tenant's share is not known.
    pub bytes: Option<i64>,
    /// When the table was last analyzed or vacuumed.
    #[serde(with = "time::serde::rfc3339::option")]
    pub analyzed_at: Option<OffsetDateTime>,
}

/// What stands for all tenants together where operations name what they are about.
pub(crate) fn subject() -> Uuid {
    // Any number that no tenant and no app has.
    Uuid::from_u128(0x7573_6167_6500_8000_8000_0000_0000_0001)
}

impl Lifecycle {
    /// What a tenant used when that was last collected.
    pub async fn usage(&self, which: &TenantRef) -> Result<Usage, LifecycleError> {
        let tenant = self.find(which).await?;
        let Some((point, tables)) = self.catalog.newest_usage(tenant.id).await? else {
            return Err(LifecycleError::NoUsage(tenant.slug));
        };
        let tables = Vec::deserialize(tables).map_err(|_| jobs::JobsError::Unreadable("tenant's tables"))?;
        Ok(Usage { tenant, point, tables })
    }

    /// What a tenant used at the times when that was collected, oldest first.
    pub async fn usage_history(
        &self,
        which: &TenantRef,
        filter: &UsageFilter,
    ) -> Result<Vec<UsagePoint>, LifecycleError> {
        let tenant = self.find(which).await?;
        Ok(self.catalog.usage(tenant.id, filter).await?)
    }

    /// Forgets what is too old to be kept, and adds up what processes have counted that are no more.
    pub(crate) async fn tidy_usage(&self) -> Result<(), LifecycleError> {
        self.catalog.purge_usage(i32::try_from(self.usage_days).unwrap_or(i32::MAX)).await?;
        self.catalog.fold_counters(SILENT_HOURS).await?;
        Ok(())
    }
}
