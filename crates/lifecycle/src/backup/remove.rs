//! Removing backups: at somebody's wish, when they have been kept long enough, and what was never finished.

use catalog::Backup;
use jobs::Work;
use tracing::{info, warn};
use uuid::Uuid;

use super::folder;
use crate::{Lifecycle, LifecycleError};

/// So many in one turn.
const AT_ONCE: i64 = 100;

impl Lifecycle {
    /// Removes a backup, its objects first.
    pub async fn remove_backup(&self, id: Uuid) -> Result<(), LifecycleError> {
        let backup = self.find_backup(id).await?;
        self.store_of(&backup)?;
        if !self.catalog.begin_backup_removal(id).await? {
            self.whole_backup(id).await?;
            return Err(LifecycleError::BadBackup { backup: id, why: "it is being restored or tried".to_owned() });
        }
        self.clear_away(&backup).await
    }

    /// Removes those that have been kept long enough. A tenant's newest stays.
    pub async fn expire_backups(&self) -> Result<(), LifecycleError> {
        let Some(store) = &self.backups.store else { return Ok(()) };
        for backup in self.catalog.expire_backups(store.place(), AT_ONCE).await? {
            match self.clear_away(&backup).await {
                Ok(()) => info!(backup = %backup.id, tenant = %backup.tenant, slug = %backup.slug, "backup expired"),
                Err(error) => warn!(backup = %backup.id, %error, "a backup could not be removed; trying again later"),
            }
        }
        Ok(())
    }

    /// What an operation has begun to write and has not finished. A store that is away keeps nobody from ending the operation, and from
    /// beginning another on the tenant: what is left there goes later.
    pub(super) async fn remove_unfinished(&self, work: &Work) -> Result<(), LifecycleError> {
        for backup in self.catalog.give_up_backups(work.operation()).await? {
            if let Err(error) = self.clear_away(&backup).await {
                warn!(backup = %backup.id, %error, "what was written of a backup could not be removed; trying again later");
            }
        }
        Ok(())
    }

    async fn clear_away(&self, backup: &Backup) -> Result<(), LifecycleError> {
        let store = self.store_of(backup)?;
        store.remove_all(&folder(&backup.app, backup.tenant, backup.id)).await?;
        Ok(self.catalog.forget_backup(backup.id).await?)
    }
}
