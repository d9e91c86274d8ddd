//! `POST /apps/{app}/migrations/verify`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;

use crate::Door;
use crate::body::Path;
use crate::migrations::named;
use crate::operations::{OperationDetail, located};
use crate::problem::Problem;

/// Compares the tables of every tenant with what its version has, as an operation. `GET /apps/{app}/migrations` then tells who
/// differs, and how.
#[utoipa::path(post, path = "/apps/{app}/migrations/verify", operation_id = "verifyMigration",
    tag = "migrations", security(("admin" = [])), params(("app" = String, Path, description = "Name")),
    responses(
        (status = 202, body = OperationDetail, headers(("location" = String, description = "The operation's address"))),
        (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem)))]
pub(crate) async fn verify(State(door): State<Door>, Path(word): Path<String>) -> Result<impl IntoResponse, Problem> {
    let id = door.lifecycle.begin_verification(&named(&door, &word).await?).await?;
    let (operation, steps) = door.lifecycle.operation(id).await?;
    Ok((StatusCode::ACCEPTED, located(id), Json(OperationDetail::new(operation, steps))))
}
