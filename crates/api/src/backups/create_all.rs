//! `POST /apps/{app}/backups`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;

use crate::Door;
use crate::body::Path;
use crate::migrations::named;
use crate::operations::{OperationDetail, located};
use crate::problem::Problem;

/// Backs up every tenant of an app that is active or suspended. Where one fails, the operation fails, and the others have their backups.
#[utoipa::path(post, path = "/apps/{app}/backups", operation_id = "createBackups",
    tag = "backups", security(("admin" = [])),
    params(("app" = String, Path, description = "The app's name")),
    responses((status = 202, body = OperationDetail, headers(("location" = String, description = "The operation's address"))),
        (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem)))]
pub(crate) async fn create_all(
    State(door): State<Door>,
    Path(word): Path<String>,
) -> Result<impl IntoResponse, Problem> {
    let id = door.lifecycle.begin_backups(&named(&door, &word).await?).await?;
    let (operation, steps) = door.lifecycle.operation(id).await?;
    Ok((StatusCode::ACCEPTED, located(id), Json(OperationDetail::new(operation, steps))))
}
