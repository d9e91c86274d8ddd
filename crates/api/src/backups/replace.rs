//! `POST /tenants/{tenant}/restore`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::Door;
use crate::body::{Body, Path};
use crate::operations::{OperationDetail, located};
use crate::problem::Problem;
use crate::tenants::named;

/// Which of its backups.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RestoreBody {
    /// A backup's id.
    backup: Uuid,
}

/// Replaces all rows of a tenant by those of one of its backups. The tenant is closed meanwhile; its keys stay. Until the operation has
/// succeeded its rows are those that it had, and if it fails they stay so.
#[utoipa::path(post, path = "/tenants/{tenant}/restore", operation_id = "restoreTenant",
    tag = "backups", security(("admin" = [])),
    params(("tenant" = String, Path, description = "Id or slug")), request_body = RestoreBody,
    responses((status = 202, body = OperationDetail, headers(("location" = String, description = "The operation's address"))),
        (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem),
        (status = 422, body = Problem), (status = 502, body = Problem)))]
pub(crate) async fn replace(
    State(door): State<Door>,
    Path(word): Path<String>,
    Body(RestoreBody { backup }): Body<RestoreBody>,
) -> Result<impl IntoResponse, Problem> {
    let id = door.lifecycle.begin_replacement(backup, &named(&word)?).await?;
    let (operation, steps) = door.lifecycle.operation(id).await?;
    Ok((StatusCode::ACCEPTED, located(id), Json(OperationDetail::new(operation, steps))))
}
