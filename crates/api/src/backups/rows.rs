//! `GET /backups/{backup}/tables/{table}`.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use lifecycle::{RowFormat, RowReader};
use serde::Deserialize;
use tracing::warn;
use utoipa::IntoParams;

use crate::Door;
use crate::backups::named;
use crate::body::{Path, Query};
use crate::problem::Problem;
use crate::words::RowFormatWord;

/// In which format.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RowsQuery {
    /// `csv`, `ndjson` or, as PostgreSQL's COPY has it, `copy`; `csv` when absent.
    #[param(value_type = Option<RowFormatWord>)]
    format: Option<String>,
}

/// The rows of a table in a backup. An answer that breaks off is not whole: síndico has found the backup to be damaged, or was stopped.
#[utoipa::path(get, path = "/backups/{backup}/tables/{table}", operation_id = "getBackupRows",
    tag = "backups", security(("admin" = [])),
    params(("backup" = String, Path, description = "Id"), ("table" = String, Path, description = "The table's name"), RowsQuery),
    responses(
        (status = 200, description = "The rows", body = String, content_type = "text/csv",
            headers(("x-row-count" = i64, description = "How many rows there are"))),
        (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 422, body = Problem), (status = 502, body = Problem)))]
pub(crate) async fn rows(
    State(door): State<Door>,
    Path((word, table)): Path<(String, String)>,
    Query(query): Query<RowsQuery>,
) -> Result<Response, Problem> {
    let format = query.read()?;
    let (entry, reader) = door.lifecycle.backup_rows(named(&word)?, &table, format).await?;
    Ok(streamed(reader, format, entry.rows))
}

impl RowsQuery {
    pub(crate) fn read(&self) -> Result<RowFormat, Problem> {
        let word = self.format.as_deref().unwrap_or("csv");
        let format = RowFormat::ALL.into_iter().find(|(_, name)| *name == word).map(|(format, _)| format);
        format.ok_or_else(|| {
            let known = RowFormat::ALL.map(|(_, name)| name).join(", ");
            Problem::field("format", format!("there is no format {word:?}; give one of {known}"))
        })
    }
}

/// Rows on their way, and how many there are.
pub(crate) fn streamed(reader: RowReader, format: RowFormat, count: u64) -> Response {
    let pieces = unfold(Some(reader), |reader| async {
        let mut reader = reader?;
        match reader.next().await {
            Ok(Some(piece)) => Some((Ok(piece), Some(reader))),
            Ok(None) => None,
            Err(error) => {
                warn!(%error, "rows could not be read to their end");
                Some((Err(error), None))
            }
        }
    });
    let kind = match format {
        RowFormat::Csv => "text/csv; charset=utf-8; header=present",
        RowFormat::Ndjson => "application/x-ndjson",
        RowFormat::Copy => "text/plain; charset=utf-8",
    };
    let mut response = Body::from_stream(pieces).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(HeaderName::from_static("x-row-count"), HeaderValue::from(count));
    response
}
