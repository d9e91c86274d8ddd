//! `DELETE /tenants/{tenant}/views`.

use axum::extract::State;
use axum::http::StatusCode;

use crate::Door;
use crate::body::Path;
use crate::problem::Problem;
use crate::tenants::named;

/// Removes a tenant's views; no row of the tenant goes with them.
#[utoipa::path(delete, path = "/tenants/{tenant}/views", operation_id = "dropViews",
    tag = "tenants", security(("admin" = [])),
    params(("tenant" = String, Path, description = "Id or slug")),
    responses((status = 204), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem), (status = 502, body = Problem)))]
pub(crate) async fn drop(State(door): State<Door>, Path(word): Path<String>) -> Result<StatusCode, Problem> {
    door.lifecycle.drop_views(named(&word)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
