//! What a backup says of itself: readable by anybody, and signed, so that nobody else has written it.

use catalog::{AppFile, Backup};
use data_encoding::HEXLOWER;
use objects::{ObjectKey, Store};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use super::folder;
use crate::LifecycleError;

/// What this síndico writes, and all that it reads.
const FORMAT: u32 = 1;

/// What is in a backup.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Manifest {
    /// Of the archive; 1.
    pub format: u32,
    /// The backup's id.
    pub backup: Uuid,
    /// Whose rows.
    pub tenant: Uuid,
    /// What the tenant was called.
    pub slug: String,
    /// What people called it.
    pub name: String,
    /// Its app.
    pub app: String,
    /// How it was kept apart.
    pub isolation: String,
    /// How many of the app's migrations its tables had.
    pub version: i32,
    /// The fingerprint of its tables, where they were its own.
    pub fingerprint: Option<String>,
    /// The server's version, as a number: 150020.
    pub server_version: i32,
    /// The moment that the rows are of.
    #[serde(with = "time::serde::rfc3339")]
    pub taken_at: OffsetDateTime,
    /// Large objects that its logins own. They belong to no table and are not in the backup.
    pub large_objects: i64,
    /// Its tables.
    pub tables: Vec<TableEntry>,
    /// Its sequences.
    pub sequences: Vec<SequenceEntry>,
    /// The migrations that made its tables.
    pub migrations: Vec<MigrationEntry>,
}

/// A table in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableEntry {
    /// Its name.
    pub name: String,
    /// The columns of its rows, in order. Generated columns and `tenant_id` are none of them.
    pub columns: Vec<ColumnEntry>,
    /// The object that has its rows.
    pub object: String,
    /// How many rows.
    pub rows: u64,
    /// Their bytes as text.
    pub bytes: u64,
    /// Their bytes in the store.
    pub stored_bytes: u64,
    /// The sum, modulo 2^256, of the SHA-256 of each row's text: the same in whichever order rows are.
    pub digest: String,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnEntry {
    /// Its name.
    pub name: String,
    /// Its type, as SQL writes it.
    #[serde(rename = "type")]
    pub kind: String,
}

/// A sequence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SequenceEntry {
    /// Its name.
    pub name: String,
    /// Its last value.
    pub value: i64,
    /// Whether that has been given out.
    pub called: bool,
}

/// One of the app's files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MigrationEntry {
    /// Such as `migrations/0001_clients.sql`.
    pub path: String,
    /// Its text.
    pub content: String,
}

impl From<AppFile> for MigrationEntry {
    fn from(file: AppFile) -> Self {
        Self { path: file.path, content: file.content }
    }
}

impl Manifest {
    pub(super) const FORMAT: u32 = FORMAT;

    /// Written last: without it, the objects before it are no backup.
    pub(super) async fn write(&self, store: &Store, key: &ObjectKey, folder: &str) -> Result<(), LifecycleError> {
        let text = serde_json::to_vec_pretty(self).map_err(|error| LifecycleError::Step(error.to_string()))?;
        store.put(&format!("{folder}/manifest.sig"), HEXLOWER.encode(&key.sign(&text)).into_bytes()).await?;
        Ok(store.put(&format!("{folder}/manifest.json"), text).await?)
    }

    /// Reads that of a backup, if it is síndico's own.
    pub(super) async fn read(store: &Store, key: &ObjectKey, backup: &Backup) -> Result<Self, LifecycleError> {
        let folder = folder(&backup.app, backup.tenant, backup.id);
        let text = store.get(&format!("{folder}/manifest.json")).await?;
        let proof = store.get(&format!("{folder}/manifest.sig")).await?;
        let proof = HEXLOWER.decode(&proof).unwrap_or_default();
        let bad = |why: String| LifecycleError::BadBackup { backup: backup.id, why };
        if !key.has_signed(&text, &proof) {
            return Err(bad("its manifest was changed, or signed with another master key".to_owned()));
        }
        let manifest: Self = serde_json::from_slice(&text).map_err(|error| bad(format!("its manifest: {error}")))?;
        if manifest.format != FORMAT {
            return Err(bad(format!("it has format {}, and this síndico reads {FORMAT}", manifest.format)));
        }
        if manifest.backup != backup.id || manifest.tenant != backup.tenant.as_uuid() {
            return Err(bad("its manifest is another backup's".to_owned()));
        }
        Ok(manifest)
    }

    /// Rows of all tables.
    pub(super) fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.rows).sum()
    }
}
