//! `DELETE /archives/{archive}`.

use axum::extract::State;
use axum::http::StatusCode;

use crate::Door;
use crate::archives::named;
use crate::body::Path;
use crate::problem::Problem;

/// Removes an archive from the store, for good: its rows are nowhere else.
#[utoipa::path(delete, path = "/archives/{archive}", operation_id = "deleteArchive",
    tag = "archives", security(("admin" = [])),
    params(("archive" = String, Path, description = "Id")),
    responses((status = 204), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 502, body = Problem)))]
pub(crate) async fn delete(State(door): State<Door>, Path(word): Path<String>) -> Result<StatusCode, Problem> {
    door.lifecycle.remove_archive(named(&word)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
