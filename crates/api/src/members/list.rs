//! `GET /tenants/{tenant}/members`.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Door;
use crate::body::Path;
use crate::members::MemberView;
use crate::problem::Problem;
use crate::tenants::owner;

/// A tenant's members, the first to come first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MemberList {
    items: Vec<MemberView>,
}

/// The people who belong to a tenant.
#[utoipa::path(get, path = "/tenants/{tenant}/members", operation_id = "listMembers",
    tag = "members", security(("admin" = [])),
    params(("tenant" = String, Path, description = "Id or slug")),
    responses((status = 200, body = MemberList), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn list(State(door): State<Door>, Path(word): Path<String>) -> Result<Json<MemberList>, Problem> {
    let tenant = owner(&door, &word).await?;
    let members = door.catalog.members(tenant.id).await?;
    Ok(Json(MemberList { items: members.into_iter().map(MemberView::from).collect() }))
}
