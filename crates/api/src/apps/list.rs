//! `GET /apps`.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Door;
use crate::apps::AppView;
use crate::problem::Problem;

/// All apps, by name.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AppList {
    items: Vec<AppView>,
}

/// All registered apps.
#[utoipa::path(get, path = "/apps", operation_id = "listApps",
    tag = "apps", security(("admin" = [])),
    responses((status = 200, body = AppList), (status = 401, body = Problem)))]
pub(crate) async fn list(State(door): State<Door>) -> Result<Json<AppList>, Problem> {
    let apps = door.catalog.apps().await?;
    Ok(Json(AppList { items: apps.into_iter().map(AppView::from).collect() }))
}
