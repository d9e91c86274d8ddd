//! `GET /archives/{archive}/rows`.

use axum::extract::State;
use axum::response::Response;

use crate::Door;
use crate::archives::named;
use crate::backups::rows::{RowsQuery, streamed};
use crate::body::{Path, Query};
use crate::problem::Problem;

/// The rows of an archive. An answer that breaks off is not whole: síndico has found the archive to be damaged, or was stopped.
#[utoipa::path(get, path = "/archives/{archive}/rows", operation_id = "getArchiveRows",
    tag = "archives", security(("admin" = [])),
    params(("archive" = String, Path, description = "Id"), RowsQuery),
    responses(
        (status = 200, description = "The rows", body = String, content_type = "text/csv",
            headers(("x-row-count" = i64, description = "How many rows there are"))),
        (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 422, body = Problem), (status = 502, body = Problem)))]
pub(crate) async fn rows(
    State(door): State<Door>,
    Path(word): Path<String>,
    Query(query): Query<RowsQuery>,
) -> Result<Response, Problem> {
    let format = query.read()?;
    let (archive, reader) = door.lifecycle.archive_rows(named(&word)?, format).await?;
    Ok(streamed(reader, format, archive.rows.and_then(|rows| u64::try_from(rows).ok()).unwrap_or_default()))
}
