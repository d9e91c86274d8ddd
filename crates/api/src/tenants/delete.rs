//! `DELETE /tenants/{tenant}`.

use axum::extract::State;
use axum::http::StatusCode;

use crate::Door;
use crate::body::Path;
use crate::problem::Problem;
use crate::tenants::named;

/// Deletes a tenant with all its data, keys and roles, at once and for good.
#[utoipa::path(delete, path = "/tenants/{tenant}", operation_id = "deleteTenant",
    tag = "tenants", security(("admin" = [])),
    params(("tenant" = String, Path, description = "Id or slug")),
    responses((status = 204), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 502, body = Problem)))]
pub(crate) async fn delete(State(door): State<Door>, Path(word): Path<String>) -> Result<StatusCode, Problem> {
    door.lifecycle.delete_tenant(named(&word)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
