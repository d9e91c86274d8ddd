//! `/archives`: rows that retention has taken out of tenants' tables.

pub(crate) mod delete;
pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod rows;

use axum::http::StatusCode;
use catalog::Archive;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::problem::Problem;
use crate::words::ArchiveStateWord;

/// Rows of one table that were removed from it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ArchiveView {
    /// UUID version 7.
    id: Uuid,
    /// Whose rows; the tenant may be gone.
    tenant: Uuid,
    /// What it was called then.
    slug: String,
    /// Its app.
    app: String,
    /// The table that the rows were in.
    table: String,
    /// `writing` until it is known that the rows are gone from the table, then `kept`; `removing` in the end. Only what is kept can be read.
    #[schema(value_type = ArchiveStateWord)]
    state: &'static str,
    /// Which store it is in.
    store: String,
    /// The operation that has removed the rows.
    operation: Uuid,
    /// No row's value of the rule's column is less, as PostgreSQL writes it in UTC.
    oldest: Option<String>,
    /// Nor greater.
    newest: Option<String>,
    /// How many rows.
    rows: Option<i64>,
    /// Bytes of the rows as text.
    bytes: Option<i64>,
    /// Bytes in the store, compressed and sealed.
    stored_bytes: Option<i64>,
    /// For how long it is kept, or `forever`.
    #[schema(value_type = String, example = "5 years")]
    keep: domain::ArchiveFor,
    /// When it was known that the rows are gone from the table (RFC 3339).
    #[serde(with = "time::serde::rfc3339::option")]
    archived_at: Option<OffsetDateTime>,
    /// When it is removed (RFC 3339); null if it never is.
    #[serde(with = "time::serde::rfc3339::option")]
    expires_at: Option<OffsetDateTime>,
}

impl From<Archive> for ArchiveView {
    fn from(it: Archive) -> Self {
        Self {
            id: it.id,
            tenant: it.tenant.as_uuid(),
            slug: it.slug.to_string(),
            app: it.app.to_string(),
            table: it.table,
            state: it.state.as_str(),
            store: it.store,
            operation: it.operation,
            oldest: it.oldest,
            newest: it.newest,
            rows: it.rows,
            bytes: it.bytes,
            stored_bytes: it.stored_bytes,
            keep: it.keep,
            archived_at: it.archived_at,
            expires_at: it.expires_at,
        }
    }
}

/// The archive that a path names.
fn named(word: &str) -> Result<Uuid, Problem> {
    word.parse().map_err(|_| unknown(format!("there is no archive {word:?}; GET /api/v1/archives lists them")))
}

pub(crate) fn unknown(detail: String) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "ARCHIVE_NOT_FOUND", "Archive not found", detail)
}
