//! `GET /operations/{operation}`.

use axum::Json;
use axum::extract::State;

use crate::Door;
use crate::body::Path;
use crate::operations::{OperationDetail, named};
use crate::problem::Problem;

/// An operation, with the steps that have been begun.
#[utoipa::path(get, path = "/operations/{operation}", operation_id = "getOperation",
    tag = "operations", security(("admin" = [])),
    params(("operation" = String, Path, description = "Id")),
    responses((status = 200, body = OperationDetail), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 404, body = Problem)))]
pub(crate) async fn get(State(door): State<Door>, Path(word): Path<String>) -> Result<Json<OperationDetail>, Problem> {
    let (operation, steps) = door.lifecycle.operation(named(&word)?).await?;
    Ok(Json(OperationDetail::new(operation, steps)))
}
