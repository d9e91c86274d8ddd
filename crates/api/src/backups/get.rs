//! `GET /backups/{backup}`.

use axum::Json;
use axum::extract::State;
use catalog::BackupState;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Door;
use crate::backups::{BackupView, named};
use crate::body::Path;
use crate::problem::Problem;

/// A backup with what is in it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BackupDetail {
    #[serde(flatten)]
    backup: BackupView,
    /// What its manifest says; null until it is complete.
    contents: Option<ContentsView>,
}

/// What is in a backup.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ContentsView {
    /// The server's version, as a number: 150020.
    server_version: i32,
    /// The fingerprint of its tables; null where they were shared.
    fingerprint: Option<String>,
    /// Large objects of the tenant's, which belong to no table and are not in the backup.
    large_objects: i64,
    tables: Vec<TableView>,
    sequences: Vec<SequenceView>,
    /// The migrations that made its tables.
    migrations: Vec<FileView>,
}

/// A table in a backup.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TableView {
    name: String,
    columns: Vec<ColumnView>,
    rows: u64,
    /// Of the rows as text.
    bytes: u64,
    /// In the store.
    stored_bytes: u64,
    /// The sum, modulo 2^256, of the SHA-256 of each row's text, in hexadecimal digits.
    digest: String,
}

/// A column of a table.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ColumnView {
    name: String,
    /// As SQL writes it.
    #[serde(rename = "type")]
    kind: String,
}

/// A sequence in a backup.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SequenceView {
    name: String,
    /// Its last value.
    value: i64,
    /// Whether that has been given out.
    called: bool,
}

/// One of the app's files.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FileView {
    /// Such as `migrations/0001_clients.sql`.
    path: String,
    content: String,
}

impl From<lifecycle::ColumnEntry> for ColumnView {
    fn from(it: lifecycle::ColumnEntry) -> Self {
        Self { name: it.name, kind: it.kind }
    }
}

impl From<lifecycle::Manifest> for ContentsView {
    fn from(it: lifecycle::Manifest) -> Self {
        let table = |it: lifecycle::TableEntry| TableView {
            name: it.name,
            columns: it.columns.into_iter().map(ColumnView::from).collect(),
            rows: it.rows,
            bytes: it.bytes,
            stored_bytes: it.stored_bytes,
            digest: it.digest,
        };
        let sequence =
            |it: lifecycle::SequenceEntry| SequenceView { name: it.name, value: it.value, called: it.called };
        Self {
            server_version: it.server_version,
            fingerprint: it.fingerprint,
            large_objects: it.large_objects,
            tables: it.tables.into_iter().map(table).collect(),
            sequences: it.sequences.into_iter().map(sequence).collect(),
            migrations: it.migrations.into_iter().map(|it| FileView { path: it.path, content: it.content }).collect(),
        }
    }
}

/// A backup and what is in it, as its signed manifest in the store says.
#[utoipa::path(get, path = "/backups/{backup}", operation_id = "getBackup",
    tag = "backups", security(("admin" = [])),
    params(("backup" = String, Path, description = "Id")),
    responses((status = 200, body = BackupDetail), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem), (status = 502, body = Problem)))]
pub(crate) async fn get(State(door): State<Door>, Path(word): Path<String>) -> Result<Json<BackupDetail>, Problem> {
    let backup = door.lifecycle.find_backup(named(&word)?).await?;
    let contents = match backup.state {
        BackupState::Complete => Some(door.lifecycle.backup_manifest(backup.id).await?.into()),
        BackupState::Running | BackupState::Removing => None,
    };
    Ok(Json(BackupDetail { backup: backup.into(), contents }))
}
