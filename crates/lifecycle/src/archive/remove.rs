//! Removing archives: at somebody's wish, when they have been kept long enough, and those whose rows never left their table.

use catalog::{Archive, ArchiveFilter};
use domain::{AppName, TenantId};
use tracing::{info, warn};
use uuid::Uuid;

use super::folder;
use crate::{Lifecycle, LifecycleError};

/// So many in one turn.
const AT_ONCE: i64 = 100;

impl Lifecycle {
    /// An archive, whole or not.
    pub async fn find_archive(&self, id: Uuid) -> Result<Archive, LifecycleError> {
        let filter = ArchiveFilter { id: Some(id), limit: 1, ..ArchiveFilter::default() };
        let found = self.catalog.archives(&filter).await?.into_iter().next();
        found.ok_or(LifecycleError::UnknownArchive(id))
    }

    /// Removes an archive for good, its object first.
    pub async fn remove_archive(&self, id: Uuid) -> Result<(), LifecycleError> {
        let archive = self.find_archive(id).await?;
        self.store_of_archive(&archive)?;
        if !self.catalog.begin_archive_removal(id).await? {
            self.find_archive(id).await?;
            let why = "it is being written; `sindico operation list` shows how far that is".to_owned();
            return Err(LifecycleError::BadArchive { archive: id, why });
        }
        self.discard(&archive.app, archive.tenant, id).await
    }

    /// Removes those that have been kept long enough.
    pub async fn expire_archives(&self) -> Result<(), LifecycleError> {
        let Some(store) = &self.backups.store else { return Ok(()) };
        for Archive { id, app, tenant, slug, table, .. } in self.catalog.expire_archives(store.place(), AT_ONCE).await?
        {
            match self.discard(&app, tenant, id).await {
                Ok(()) => info!(archive = %id, %tenant, %slug, table, "archive expired"),
                Err(error) => warn!(archive = %id, %error, "an archive could not be removed; trying again later"),
            }
        }
        Ok(())
    }

    /// Object and record.
    pub(super) async fn discard(&self, app: &AppName, tenant: TenantId, id: Uuid) -> Result<(), LifecycleError> {
        let store = self.backups.store.as_ref().ok_or(LifecycleError::NoStore)?;
        store.remove_all(&folder(app, tenant, id)).await?;
        Ok(self.catalog.forget_archive(id).await?)
    }
}
