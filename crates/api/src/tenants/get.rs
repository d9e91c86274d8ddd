//! `GET /tenants/{tenant}`.

use axum::Json;
use axum::extract::State;

use crate::Door;
use crate::body::Path;
use crate::problem::Problem;
use crate::tenants::{TenantView, named};

/// One tenant, by id or slug.
#[utoipa::path(get, path = "/tenants/{tenant}", operation_id = "getTenant",
    tag = "tenants", security(("admin" = [])),
    params(("tenant" = String, Path, description = "Id or slug")),
    responses((status = 200, body = TenantView), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn get(State(door): State<Door>, Path(word): Path<String>) -> Result<Json<TenantView>, Problem> {
    let tenant = door.catalog.tenant(&named(&word)?).await?;
    tenant.map(|tenant| Json(tenant.into())).ok_or_else(|| Problem::tenant_not_found(&word))
}
