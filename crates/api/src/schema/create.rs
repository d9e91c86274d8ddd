//! `POST /tenants/{tenant}/schema`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;

use crate::Door;
use crate::body::Path;
use crate::problem::Problem;
use crate::tenants::{TenantView, named};

/// Gives a tenant whose schema was dropped a new one, with the app's tables and first rows.
#[utoipa::path(post, path = "/tenants/{tenant}/schema", operation_id = "createSchema",
    tag = "tenants", security(("admin" = [])),
    params(("tenant" = String, Path, description = "Id or slug")),
    responses((status = 201, body = TenantView), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 502, body = Problem)))]
pub(crate) async fn create(State(door): State<Door>, Path(word): Path<String>) -> Result<impl IntoResponse, Problem> {
    let tenant = door.lifecycle.create_schema(named(&word)?).await?;
    Ok((StatusCode::CREATED, Json(TenantView::from(tenant))))
}
