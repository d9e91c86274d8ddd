//! `POST /operations/{operation}/cancel`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use crate::Door;
use crate::body::Path;
use crate::operations::{OperationView, named};
use crate::problem::Problem;

/// Asks for an operation to be cancelled: within seconds it stops where it is, and what it has begun is undone. A removal cannot be.
#[utoipa::path(post, path = "/operations/{operation}/cancel", operation_id = "cancelOperation",
    tag = "operations", security(("admin" = [])),
    params(("operation" = String, Path, description = "Id")),
    responses((status = 202, body = OperationView), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn cancel(
    State(door): State<Door>,
    Path(word): Path<String>,
) -> Result<(StatusCode, Json<OperationView>), Problem> {
    let operation = door.lifecycle.cancel_operation(named(&word)?).await?;
    Ok((StatusCode::ACCEPTED, Json(operation.into())))
}
