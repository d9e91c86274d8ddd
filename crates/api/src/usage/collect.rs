//! `POST /tenants/{tenant}/resources`.

use axum::Json;
use axum::extract::State;

use crate::Door;
use crate::body::Path;
use crate::problem::Problem;
use crate::tenants::named;
use crate::usage::ResourcesView;

/// Collects what a tenant uses now, and answers with it. What other síndicos have counted of its clients is up to a minute old.
#[utoipa::path(post, path = "/tenants/{tenant}/resources", operation_id = "collectResources",
    tag = "usage", security(("admin" = [])),
    params(("tenant" = String, Path, description = "Id or slug")),
    responses((status = 200, body = ResourcesView), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem), (status = 502, body = Problem)))]
pub(crate) async fn collect(
    State(door): State<Door>,
    Path(word): Path<String>,
) -> Result<Json<ResourcesView>, Problem> {
    Ok(Json(door.lifecycle.collect_usage(named(&word)?).await?.into()))
}
