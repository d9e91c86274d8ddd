//! `POST /orphans/sweep`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::Door;
use crate::body::Body;
use crate::operations::{OperationDetail, located};
use crate::problem::Problem;

/// What to remove.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SweepBody {
    /// The report's.
    digest: String,
    /// What was left out of the report.
    #[serde(default)]
    exclude: Vec<String>,
}

/// Removes what a report shows, as an operation, if just that is still found. Each thing is looked at again before it is removed; the
/// operation's step tells what was `removed`, what was `gone` already, and what was `left`, and why.
#[utoipa::path(post, path = "/orphans/sweep", operation_id = "sweepOrphans",
    tag = "clusters", security(("admin" = [])), request_body = SweepBody,
    responses(
        (status = 202, body = OperationDetail, headers(("location" = String, description = "The operation's address"))),
        (status = 400, body = Problem), (status = 401, body = Problem), (status = 409, body = Problem),
        (status = 413, body = Problem), (status = 415, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn sweep(
    State(door): State<Door>,
    Body(SweepBody { digest, exclude }): Body<SweepBody>,
) -> Result<impl IntoResponse, Problem> {
    let id = door.lifecycle.begin_sweep(&digest, exclude).await?;
    let (operation, steps) = door.lifecycle.operation(id).await?;
    Ok((StatusCode::ACCEPTED, located(id), Json(OperationDetail::new(operation, steps))))
}
