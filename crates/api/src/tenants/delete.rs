//! `DELETE /tenants/{tenant}`.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::Door;
use crate::body::Path;
use crate::operations::{OperationDetail, accepted, wants_no_wait};
use crate::problem::Problem;
use crate::tenants::named;

/// Deletes a tenant with all its data, keys and roles, at once and for good. With the header `Prefer: respond-async` (RFC 7240) the
/// answer comes as soon as the operation is recorded.
#[utoipa::path(delete, path = "/tenants/{tenant}", operation_id = "deleteTenant",
    tag = "tenants", security(("admin" = [])),
    params(("tenant" = String, Path, description = "Id or slug"),
        ("prefer" = Option<String>, Header, description = "`respond-async`: do not wait")),
    responses((status = 204),
        (status = 202, body = OperationDetail, headers(("location" = String, description = "The operation's address"))),
        (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 502, body = Problem)))]
pub(crate) async fn delete(
    State(door): State<Door>,
    headers: HeaderMap,
    Path(word): Path<String>,
) -> Result<Response, Problem> {
    let tenant = named(&word)?;
    if wants_no_wait(&headers) {
        let id = door.lifecycle.begin_removal(tenant).await?;
        let (operation, steps) = door.lifecycle.operation(id).await?;
        let shown = Json(OperationDetail::new(operation, steps));
        return Ok((StatusCode::ACCEPTED, accepted(id), shown).into_response());
    }
    door.lifecycle.delete_tenant(tenant).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
