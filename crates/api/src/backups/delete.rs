//! `DELETE /backups/{backup}`.

use axum::extract::State;
use axum::http::StatusCode;

use crate::Door;
use crate::backups::named;
use crate::body::Path;
use crate::problem::Problem;

/// Removes a backup from the store, for good.
#[utoipa::path(delete, path = "/backups/{backup}", operation_id = "deleteBackup",
    tag = "backups", security(("admin" = [])),
    params(("backup" = String, Path, description = "Id")),
    responses((status = 204), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 502, body = Problem)))]
pub(crate) async fn delete(State(door): State<Door>, Path(word): Path<String>) -> Result<StatusCode, Problem> {
    door.lifecycle.remove_backup(named(&word)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
