//! `PUT /tenants/{tenant}/views`.

use axum::Json;
use axum::extract::State;

use super::ViewsView;
use crate::Door;
use crate::body::Path;
use crate::problem::Problem;
use crate::tenants::named;

/// Makes the views of a tenant that shares tables, or makes them anew. Whoever is a member of `readers` may read them.
#[utoipa::path(put, path = "/tenants/{tenant}/views", operation_id = "makeViews",
    tag = "tenants", security(("admin" = [])),
    params(("tenant" = String, Path, description = "Id or slug")),
    responses((status = 200, body = ViewsView), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem), (status = 502, body = Problem)))]
pub(crate) async fn put(State(door): State<Door>, Path(word): Path<String>) -> Result<Json<ViewsView>, Problem> {
    Ok(Json(door.lifecycle.create_views(named(&word)?).await?.into()))
}
