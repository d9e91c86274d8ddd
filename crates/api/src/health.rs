//! `GET /health`.

use axum::Json;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Door;

/// A control database that takes longer is as good as gone.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether this síndico works.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ok`, or `degraded` when the control database does not answer; tenants' connections go on by the last snapshot.
    #[schema(value_type = String)]
    status: &'static str,
    /// `ok` or `unreachable`.
    #[schema(value_type = String)]
    database: &'static str,
    /// Tenants, those being made and removed included; absent when the control database does not answer.
    tenants_count: Option<i64>,
    /// The version of síndico.
    #[schema(value_type = String)]
    version: &'static str,
}

/// Whether this síndico works. Open to everybody, for load balancers.
#[utoipa::path(get, path = "/health", operation_id = "health",
    tag = "health",
    responses((status = 200, body = Health), (status = 503, body = Health)))]
pub(crate) async fn health(State(door): State<Door>) -> Response {
    // Load balancers ask often and do not wait long.
    let count = tokio::time::timeout(PATIENCE, door.catalog.count_tenants()).await.ok().and_then(Result::ok);
    let (code, status, database) = match count {
        Some(_) => (StatusCode::OK, "ok", "ok"),
        None => (StatusCode::SERVICE_UNAVAILABLE, "degraded", "unreachable"),
    };
    let version = env!("CARGO_PKG_VERSION");
    (code, Json(Health { status, database, tenants_count: count, version })).into_response()
}
