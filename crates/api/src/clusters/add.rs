//! `POST /clusters`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use domain::ClusterName;
use lifecycle::AddCluster;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Door;
use crate::body::Body;
use crate::clusters::ClusterView;
use crate::problem::Problem;

/// A server to be registered, or a registered one's new address. Not `Debug`: the DSN holds a password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewClusterBody {
    #[schema(value_type = String, example = "sa-east-1", max_length = 63, pattern = "^[a-z0-9_-]+$")]
    name: ClusterName,
    /// A superuser's connection string; kept sealed.
    #[schema(example = "postgresql://postgres:secret@10.0.0.5:5432/postgres")]
    dsn: String,
    /// Only for tenants of isolation `cluster`; false when absent.
    #[serde(default)]
    dedicated: bool,
    /// The most tenants it takes; when absent one if dedicated, else no bound.
    #[schema(minimum = 1)]
    capacity: Option<i32>,
}

/// A registered cluster.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AddedClusterView {
    #[serde(flatten)]
    cluster: ClusterView,
    /// What síndico did not change on the server but would.
    warnings: Vec<String>,
}

/// Registers a server: PostgreSQL 15 or later, checked before anything is recorded, and every app is built on it.
#[utoipa::path(post, path = "/clusters", operation_id = "addCluster",
    tag = "clusters", security(("admin" = [])), request_body = NewClusterBody,
    responses((status = 201, body = AddedClusterView), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 409, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem), (status = 422, body = Problem),
        (status = 502, body = Problem)))]
pub(crate) async fn add(
    State(door): State<Door>,
    Body(new): Body<NewClusterBody>,
) -> Result<impl IntoResponse, Problem> {
    if let Some(capacity) = new.capacity.filter(|capacity| *capacity < 1) {
        return Err(Problem::field("/capacity", format!("capacity {capacity} is out of range; give 1 or more")));
    }
    let wanted =
        AddCluster { name: new.name, dsn: new.dsn, dedicated: new.dedicated, capacity: new.capacity, exclusive: false };
    let added = door.lifecycle.add_cluster(wanted).await?;
    let tenants = door.catalog.tenants_on(added.cluster.id).await?;
    let view = AddedClusterView { cluster: ClusterView::new(added.cluster, tenants), warnings: added.warnings };
    Ok((StatusCode::CREATED, Json(view)))
}
