//! `GET /tenants/{tenant}/keys`.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Door;
use crate::body::Path;
use crate::keys::KeyView;
use crate::problem::Problem;
use crate::tenants::owner;

/// A tenant's keys, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyList {
    items: Vec<KeyView>,
}

/// A tenant's keys, without their secrets, which nobody has any more.
#[utoipa::path(get, path = "/tenants/{tenant}/keys", operation_id = "listKeys",
    tag = "keys", security(("admin" = [])),
    params(("tenant" = String, Path, description = "Id or slug")),
    responses((status = 200, body = KeyList), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn list(State(door): State<Door>, Path(word): Path<String>) -> Result<Json<KeyList>, Problem> {
    let tenant = owner(&door, &word).await?;
    let keys = door.catalog.keys(tenant.id).await?;
    Ok(Json(KeyList { items: keys.into_iter().map(KeyView::from).collect() }))
}
