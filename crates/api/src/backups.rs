//! `/backups`: copies of tenants in an object store.

pub(crate) mod coverage;
pub(crate) mod create;
pub(crate) mod create_all;
pub(crate) mod delete;
pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod replace;
pub(crate) mod restore;
pub(crate) mod rows;
pub(crate) mod verify;

use axum::http::StatusCode;
use catalog::{Backup, BackupState};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::problem::Problem;
use crate::words::{BackupStateWord, IsolationWord};

/// A copy of a tenant's rows.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BackupView {
    /// UUID version 7.
    id: Uuid,
    /// Whose rows; the tenant may be gone.
    tenant: Uuid,
    /// What it was called then.
    slug: String,
    /// What people called it then.
    name: String,
    /// Its app.
    app: String,
    /// How it was kept apart then.
    #[schema(value_type = IsolationWord)]
    isolation: String,
    /// How many of the app's migrations its tables had.
    version: i32,
    /// `running`, `complete` or `removing`. Only what is complete can be restored.
    #[schema(value_type = BackupStateWord)]
    state: BackupState,
    /// Which store it is in.
    store: String,
    /// The operation that has made it, or is making it.
    operation: Uuid,
    /// The moment that the rows are of (RFC 3339); null until it is complete, like everything below.
    #[serde(with = "time::serde::rfc3339::option")]
    taken_at: Option<OffsetDateTime>,
    /// RFC 3339.
    #[serde(with = "time::serde::rfc3339::option")]
    completed_at: Option<OffsetDateTime>,
    /// When it is removed, unless it is the newest of a tenant that there is (RFC 3339); null if it never is.
    #[serde(with = "time::serde::rfc3339::option")]
    expires_at: Option<OffsetDateTime>,
    /// How many tables.
    tables: Option<i32>,
    /// How many rows.
    rows: Option<i64>,
    /// Bytes of the rows as text.
    bytes: Option<i64>,
    /// Bytes in the store, compressed and sealed.
    stored_bytes: Option<i64>,
    /// When it was last restored for a trial (RFC 3339); null if it never was.
    #[serde(with = "time::serde::rfc3339::option")]
    verified_at: Option<OffsetDateTime>,
    /// What was wrong then; null if it was good.
    verify_error: Option<String>,
}

impl From<Backup> for BackupView {
    fn from(it: Backup) -> Self {
        Self {
            id: it.id,
            tenant: it.tenant.as_uuid(),
            slug: it.slug.to_string(),
            name: it.name.to_string(),
            app: it.app.to_string(),
            isolation: it.isolation.to_string(),
            version: it.version,
            state: it.state,
            store: it.store,
            operation: it.operation,
            taken_at: it.taken_at,
            completed_at: it.completed_at,
            expires_at: it.expires_at,
            tables: it.tables,
            rows: it.rows,
            bytes: it.bytes,
            stored_bytes: it.stored_bytes,
            verified_at: it.verified_at,
            verify_error: it.verify_error,
        }
    }
}

/// The backup that a path names.
fn named(word: &str) -> Result<Uuid, Problem> {
    word.parse().map_err(|_| unknown(format!("there is no backup {word:?}; GET /api/v1/backups lists them")))
}

pub(crate) fn unknown(detail: String) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "BACKUP_NOT_FOUND", "Backup not found", detail)
}
