//! `POST /tenants/{tenant}/backups`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;

use crate::Door;
use crate::body::Path;
use crate::operations::{OperationDetail, located};
use crate::problem::Problem;
use crate::tenants::named;

/// Backs a tenant up, as it is at one moment, while it works. The output of the operation's step names the backup.
#[utoipa::path(post, path = "/tenants/{tenant}/backups", operation_id = "createBackup",
    tag = "backups", security(("admin" = [])),
    params(("tenant" = String, Path, description = "Id or slug")),
    responses((status = 202, body = OperationDetail, headers(("location" = String, description = "The operation's address"))),
        (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem)))]
pub(crate) async fn create(State(door): State<Door>, Path(word): Path<String>) -> Result<impl IntoResponse, Problem> {
    let id = door.lifecycle.begin_backup(&named(&word)?).await?;
    let (operation, steps) = door.lifecycle.operation(id).await?;
    Ok((StatusCode::ACCEPTED, located(id), Json(OperationDetail::new(operation, steps))))
}
