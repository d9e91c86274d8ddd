//! `GET /tenant`: a tenant's own view of itself, by `X-Tenant-ID` and one of its keys.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::Door;
use crate::admin::bearer;
use crate::problem::Problem;
use crate::words::AccessWord;

/// What a tenant may know of itself.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OwnView {
    id: Uuid,
    slug: String,
    /// What the key that was sent allows: `read_write` or `read_only`.
    #[schema(value_type = AccessWord)]
    access: &'static str,
}

/// The tenant that a key belongs to. The first thing for a client to try.
#[utoipa::path(get, path = "/tenant", operation_id = "getOwnTenant",
    tag = "tenant", security(("tenant_key" = [])),
    params(("X-Tenant-ID" = Option<String>, Header, description = "The tenant's id or slug")),
    responses((status = 200, body = OwnView), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 429, body = Problem), (status = 503, body = Problem)))]
pub(crate) async fn tenant(State(door): State<Door>, headers: HeaderMap) -> Result<Json<OwnView>, Problem> {
    let header = headers.get("x-tenant-id").map(|value| value.to_str().unwrap_or("\u{fffd}").trim());
    let name = header.filter(|name| !name.is_empty()).ok_or_else(Problem::tenant_required)?;
    let claim = door.threshold.claim_header(name)?;
    let Some(key) = bearer(&headers).map(ToOwned::to_owned) else {
        return Err(Problem::unauthorized("send one of the tenant's keys: Authorization: Bearer <key>"));
    };
    // Checking a key costs a PBKDF2, too much for a thread that serves others.
    let identity = tokio::task::spawn_blocking(move || claim.with_key(&key))
        .await
        .map_err(|_| lifecycle::LifecycleError::Stopping)??;
    let handle = door.threshold.admit(identity)?;
    let view =
        OwnView { id: handle.tenant().as_uuid(), slug: handle.slug().to_string(), access: handle.access().as_str() };
    Ok(Json(view))
}
