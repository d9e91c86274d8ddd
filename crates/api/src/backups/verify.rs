//! `POST /backups/{backup}/verify`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;

use crate::Door;
use crate::backups::named;
use crate::body::Path;
use crate::operations::{OperationDetail, located};
use crate::problem::Problem;

/// Restores a backup where nobody is, compares every row with what was backed up, and removes it again.
#[utoipa::path(post, path = "/backups/{backup}/verify", operation_id = "verifyBackup",
    tag = "backups", security(("admin" = [])),
    params(("backup" = String, Path, description = "Id")),
    responses((status = 202, body = OperationDetail, headers(("location" = String, description = "The operation's address"))),
        (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem)))]
pub(crate) async fn verify(State(door): State<Door>, Path(word): Path<String>) -> Result<impl IntoResponse, Problem> {
    let id = door.lifecycle.begin_backup_verification(named(&word)?).await?;
    let (operation, steps) = door.lifecycle.operation(id).await?;
    Ok((StatusCode::ACCEPTED, located(id), Json(OperationDetail::new(operation, steps))))
}
