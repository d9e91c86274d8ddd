//! Removing archives: at somebody's wish, when they have been kept long enough, and those whose rows never left their table.

use catalog::{Archive, ArchiveFilter, ArchiveState, Unsettled};
use tracing::{info, warn};
use uuid::Uuid;

use super::folder;
use crate::{Lifecycle, LifecycleError};

/// So many at a time.
const AT_ONCE: i64 = 100;

impl Lifecycle {
    /// An archive, whole or not.
    pub async fn find_archive(&self, id: Uuid) -> Result<Archive, LifecycleError> {
        let filter = ArchiveFilter { id: Some(id), limit: 1, ..ArchiveFilter::default() };
        let found = self.catalog.archives(&filter).await?.into_iter().next();
        found.ok_or(LifecycleError::UnknownArchive(id))
    }

    /// The same, once it is known whether its rows are gone, unless somebody is at it.
    pub(super) async fn settled_archive(&self, id: Uuid) -> Result<Archive, LifecycleError> {
        let archive = self.find_archive(id).await?;
        if archive.state != ArchiveState::Writing {
            return Ok(archive);
        }
        self.try_to_settle_archives(Unsettled::Ended).await?;
        let archive = self.find_archive(id).await?;
        if archive.state != ArchiveState::Writing {
            return Ok(archive);
        }
        let why = format!(
            "it is not known yet whether its rows are gone from their table; `sindico operation show {}` tells how far that is",
            archive.operation
        );
        Err(LifecycleError::BadArchive { archive: id, why })
    }

    /// Removes an archive for good, its object first.
    pub async fn remove_archive(&self, id: Uuid) -> Result<(), LifecycleError> {
        let archive = self.settled_archive(id).await?;
        self.store_of_archive(&archive)?;
        self.catalog.begin_archive_removal(id).await?;
        self.discard(&archive, false).await
    }

    /// Removes those that have been kept long enough.
    pub async fn expire_archives(&self) -> Result<(), LifecycleError> {
        let Some(store) = &self.backups.store else { return Ok(()) };
        let mut after = None;
        loop {
            let page = self.catalog.expire_archives(store.place(), after, AT_ONCE).await?;
            for archive in &page {
                let Archive { id, tenant, slug, table, .. } = archive;
                match self.discard(archive, false).await {
                    Ok(()) => info!(archive = %id, %tenant, %slug, table, "archive removed"),
                    Err(error) => warn!(archive = %id, %error, "an archive could not be removed; trying again later"),
                }
            }
            let Some(last) = page.iter().map(|archive| archive.id).max() else { return Ok(()) };
            after = Some(last);
        }
    }

    /// The object of an archive that has been marked, and then the record, if nobody can be writing it any more.
    pub(super) async fn discard(&self, archive: &Archive, written: bool) -> Result<(), LifecycleError> {
        let Archive { id, app, tenant, .. } = archive;
        self.store_of_archive(archive)?.remove_all(&folder(app, *tenant, *id)).await?;
        Ok(self.catalog.forget_archive(*id, written).await?)
    }
}
