//! `DELETE /tenants/{tenant}/keys/{key}`.

use axum::extract::State;
use axum::http::StatusCode;
use domain::KeyId;
use uuid::Uuid;

use crate::Door;
use crate::body::Path;
use crate::problem::Problem;
use crate::tenants::owner;

/// Takes a key back: it opens nothing from now on, and the connections that it opened are closed.
#[utoipa::path(delete, path = "/tenants/{tenant}/keys/{key}", operation_id = "revokeKey",
    tag = "keys", security(("admin" = [])),
    params(("tenant" = String, Path, description = "Id or slug"), ("key" = String, Path, description = "The key's id")),
    responses((status = 204), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn revoke(
    State(door): State<Door>,
    Path((word, key)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let tenant = owner(&door, &word).await?;
    let id = key.parse::<Uuid>().ok().map(KeyId::from_uuid);
    let revoked = match id {
        Some(id) => door.catalog.revoke_key(tenant.id, id).await?,
        None => false,
    };
    if revoked {
        return Ok(StatusCode::NO_CONTENT);
    }
    let detail =
        format!("tenant \"{}\" has no key {key:?}; GET /api/v1/tenants/{}/keys lists them", tenant.slug, tenant.slug);
    Err(Problem::new(StatusCode::NOT_FOUND, "KEY_NOT_FOUND", "Key not found", detail))
}
