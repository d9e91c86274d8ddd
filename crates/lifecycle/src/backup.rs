//! Copies of tenants in an object store, and tenants made from copies.
//!
//! A backup has a tenant's rows as text, whatever its isolation, and which migrations its tables have: what tables are like follows from
//! those. So a copy taken in shared tables is restored into a database as well, and one of an older version is migrated on its way.

mod coverage;
mod create;
mod dump;
mod export;
mod load;
mod manifest;
mod many;

mod remove;
mod replace;
mod restore;
mod rows;
mod stage;
mod transfer;
mod verify;

use std::time::Duration;

use objects::{ObjectKey, ObjectReader, Store};
use uuid::Uuid;

pub use coverage::BackupCoverage;
pub(crate) use create::{BACKUP, backup};
pub(crate) use export::RowsOf;
pub use export::{RowFormat, RowReader};
pub use manifest::{ColumnEntry, Manifest, SequenceEntry, TableEntry};
pub(crate) use many::{BACKUPS, backups, subject_of};
pub(crate) use replace::{REPLACE, replacement};
pub(crate) use restore::{RESTORE, restoration};
pub(crate) use rows::Tally;
pub(crate) use verify::{VERIFY_BACKUP, trial};

use crate::{Lifecycle, LifecycleError};

/// Where backups go, and for how long they are kept.
#[derive(Debug, Clone)]
pub struct BackupSettings {
    /// Without one there are no backups.
    pub store: Option<Store>,
    /// Days until a backup is removed; without them it never is.
    pub keep_days: Option<i32>,
    /// How old a tenant's newest backup may be.
    pub objective: Duration,
}

impl Lifecycle {
    pub(crate) fn store(&self) -> Result<&Store, LifecycleError> {
        self.backups.store.as_ref().ok_or(LifecycleError::NoStore)
    }

    /// The store, if it is the one that something is in; otherwise why that cannot be used.
    pub(crate) fn store_at(
        &self,
        place: &str,
        unusable: impl FnOnce(String) -> LifecycleError,
    ) -> Result<&Store, LifecycleError> {
        let store = self.store()?;
        if store.place() == place {
            return Ok(store);
        }
        Err(unusable(format!("it is in {place}, and this síndico's store is {}; configure that one", store.place())))
    }

    fn store_of(&self, backup: &catalog::Backup) -> Result<&Store, LifecycleError> {
        self.store_at(&backup.store, |why| LifecycleError::BadBackup { backup: backup.id, why })
    }

    pub(crate) fn backup_key(&self, tenant: domain::TenantId) -> ObjectKey {
        ObjectKey::new(self.catalog.master().backup_key(tenant))
    }

    /// A backup, whole or not.
    pub async fn find_backup(&self, id: Uuid) -> Result<catalog::Backup, LifecycleError> {
        self.catalog.backup(id).await?.ok_or(LifecycleError::UnknownBackup(id))
    }

    /// One that can be used.
    async fn whole_backup(&self, id: Uuid) -> Result<catalog::Backup, LifecycleError> {
        let backup = self.find_backup(id).await?;
        let why = match backup.state {
            catalog::BackupState::Complete => return Ok(backup),
            catalog::BackupState::Running => "it is still being made; `sindico operation list` shows how far it is",
            catalog::BackupState::Removing => "it is being removed",
        };
        Err(LifecycleError::BadBackup { backup: id, why: why.to_owned() })
    }

    /// One that can be used, in the store that is configured, with what it says of itself, which is síndico's own.
    async fn open_backup(&self, id: Uuid) -> Result<Opened<'_>, LifecycleError> {
        let backup = self.whole_backup(id).await?;
        let (store, key) = (self.store_of(&backup)?, self.backup_key(backup.tenant));
        let manifest = Manifest::read(store, &key, &backup).await?;
        Ok(Opened { folder: folder(&backup.app, backup.tenant, id), backup, manifest, store, key })
    }
}

/// A backup that can be read.
struct Opened<'a> {
    backup: catalog::Backup,
    manifest: Manifest,
    store: &'a Store,
    key: ObjectKey,
    folder: String,
}

impl Opened<'_> {
    async fn rows(&self, table: &TableEntry) -> Result<ObjectReader, LifecycleError> {
        Ok(self.store.read(&format!("{}/{}", self.folder, table.object), &self.key).await?)
    }
}

/// What the names of a backup's objects begin with.
fn folder(app: &domain::AppName, tenant: domain::TenantId, id: Uuid) -> String {
    format!("{app}/{tenant}/{id}")
}
