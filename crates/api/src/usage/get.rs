//! `GET /tenants/{tenant}/resources`.

use axum::Json;
use axum::extract::State;

use crate::Door;
use crate::body::Path;
use crate::problem::Problem;
use crate::tenants::named;
use crate::usage::ResourcesView;

/// What a tenant used when that was last collected, by the schedule `usage` or by `POST` to the same.
#[utoipa::path(get, path = "/tenants/{tenant}/resources", operation_id = "getResources",
    tag = "usage", security(("admin" = [])),
    params(("tenant" = String, Path, description = "Id or slug")),
    responses((status = 200, body = ResourcesView), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn get(State(door): State<Door>, Path(word): Path<String>) -> Result<Json<ResourcesView>, Problem> {
    Ok(Json(door.lifecycle.usage(&named(&word)?).await?.into()))
}
