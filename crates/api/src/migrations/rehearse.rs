//! `POST /apps/{app}/migrations/rehearse`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Door;
use crate::apps::add::NewAppBody;
use crate::body::{Body, Path};
use crate::migrations::{named, of_app};
use crate::operations::{OperationDetail, located};
use crate::problem::Problem;

/// There is nothing to try.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RehearsedView {
    /// Always true: it is known that the files can be applied to the tables as they are now, or they have been.
    rehearsed: bool,
}

/// Tries an app's files as an operation: builds the release anew, migrates tables of the version that tenants have now beside it, and
/// compares them. No tenant is touched, and applying the same files afterwards begins without trying them again.
#[utoipa::path(post, path = "/apps/{app}/migrations/rehearse", operation_id = "rehearseMigration",
    tag = "migrations", security(("admin" = [])), params(("app" = String, Path, description = "Name")),
    request_body = NewAppBody,
    responses((status = 200, body = RehearsedView),
        (status = 202, body = OperationDetail, headers(("location" = String, description = "The operation's address"))),
        (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem),
        (status = 422, body = Problem)))]
pub(crate) async fn rehearse(
    State(door): State<Door>,
    Path(word): Path<String>,
    Body(new): Body<NewAppBody>,
) -> Result<Response, Problem> {
    let new = of_app(&named(&door, &word).await?, new.read()?)?;
    let Some(id) = door.lifecycle.begin_rehearsal(new).await? else {
        return Ok(Json(RehearsedView { rehearsed: true }).into_response());
    };
    let (operation, steps) = door.lifecycle.operation(id).await?;
    Ok((StatusCode::ACCEPTED, located(id), Json(OperationDetail::new(operation, steps))).into_response())
}
