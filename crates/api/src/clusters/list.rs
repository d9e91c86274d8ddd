//! `GET /clusters`.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Door;
use crate::clusters::ClusterView;
use crate::problem::Problem;

/// All clusters, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ClusterList {
    items: Vec<ClusterView>,
}

/// All registered clusters.
#[utoipa::path(get, path = "/clusters", operation_id = "listClusters",
    tag = "clusters", security(("admin" = [])),
    responses((status = 200, body = ClusterList), (status = 401, body = Problem)))]
pub(crate) async fn list(State(door): State<Door>) -> Result<Json<ClusterList>, Problem> {
    let mut items = Vec::new();
    for cluster in door.catalog.clusters().await? {
        let tenants = door.catalog.tenants_on(cluster.id).await?;
        items.push(ClusterView::new(cluster, tenants));
    }
    Ok(Json(ClusterList { items }))
}
