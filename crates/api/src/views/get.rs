//! `GET /tenants/{tenant}/views`.

use axum::Json;
use axum::extract::State;

use super::ViewsView;
use crate::Door;
use crate::body::Path;
use crate::problem::Problem;
use crate::tenants::named;

/// The views that were made for a tenant.
#[utoipa::path(get, path = "/tenants/{tenant}/views", operation_id = "getViews",
    tag = "tenants", security(("admin" = [])),
    params(("tenant" = String, Path, description = "Id or slug")),
    responses((status = 200, body = ViewsView), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem), (status = 502, body = Problem)))]
pub(crate) async fn get(State(door): State<Door>, Path(word): Path<String>) -> Result<Json<ViewsView>, Problem> {
    Ok(Json(door.lifecycle.views(named(&word)?).await?.into()))
}
