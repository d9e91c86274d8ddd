//! `GET /orphans`.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::OrphansView;
use crate::Door;
use crate::body::Query;
use crate::problem::Problem;

/// What to leave out.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct OrphansQuery {
    /// Names, with commas between them: of things, of databases that they are in, or ids of tenants.
    exclude: Option<String>,
}

/// Looks on every cluster for what síndico has made there and nobody owns: roles, schemas, databases and rows of tenants that are gone
/// or live elsewhere, and databases that were not finished. Removes nothing.
#[utoipa::path(get, path = "/orphans", operation_id = "listOrphans",
    tag = "clusters", security(("admin" = [])), params(OrphansQuery),
    responses((status = 200, body = OrphansView), (status = 401, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn list(
    State(door): State<Door>,
    Query(query): Query<OrphansQuery>,
) -> Result<Json<OrphansView>, Problem> {
    let exclude = query.exclude.unwrap_or_default();
    let exclude = exclude.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    Ok(Json(door.lifecycle.orphans(exclude).await?.into()))
}
