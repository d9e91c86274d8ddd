//! Who has a backup that is young enough.

use catalog::Coverage;
use domain::{AppName, TenantId};

use crate::{Lifecycle, LifecycleError};

/// How old backups may be, and how old they are.
#[derive(Debug)]
pub struct BackupCoverage {
    /// Seconds that the newest may be old.
    pub objective_seconds: u64,
    /// A page of tenants.
    pub tenants: Vec<Coverage>,
}

impl Lifecycle {
    /// How far the newest backups of an app's tenants are behind, page by page.
    pub async fn backup_coverage(
        &self,
        app: &AppName,
        after: Option<TenantId>,
        limit: i64,
    ) -> Result<BackupCoverage, LifecycleError> {
        self.app(app).await?;
        let objective = self.backups.objective;
        let tenants = self.catalog.backup_coverage(app, objective.as_secs_f64(), after, limit).await?;
        Ok(BackupCoverage { objective_seconds: objective.as_secs(), tenants })
    }
}
