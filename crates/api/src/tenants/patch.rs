//! `PATCH /tenants/{tenant}`.

use axum::Json;
use axum::extract::State;
use domain::{DisplayName, Status};
use lifecycle::EditTenant;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::Door;
use crate::body::{Body, Path};
use crate::problem::Problem;
use crate::tenants::{PoolBody, TenantView, named};
use crate::words::SettableStatusWord;

/// What to change; what is absent or null stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PatchBody {
    /// What people call it.
    #[schema(value_type = Option<String>, example = "Happier Paws", min_length = 1, max_length = 200, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*[^\\s\\x00-\\x1f\\x7f-\\x9f][^\\x00-\\x1f\\x7f-\\x9f]*$")]
    name: Option<DisplayName>,
    /// `suspended` closes every door and every connection, `active` opens them.
    #[schema(value_type = Option<SettableStatusWord>)]
    status: Option<Status>,
    /// How its clients share server connections: all of it, so what is absent there is what the configuration gives. New clients
    /// have it at once, those that are there keep to another number of server connections with their next transactions.
    pool: Option<PoolBody>,
}

/// Renames, suspends or resumes a tenant, or changes how its clients share server connections.
#[utoipa::path(patch, path = "/tenants/{tenant}", operation_id = "editTenant",
    tag = "tenants", security(("admin" = [])),
    params(("tenant" = String, Path, description = "Id or slug")), request_body = PatchBody,
    responses((status = 200, body = TenantView), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem),
        (status = 422, body = Problem)))]
pub(crate) async fn patch(
    State(door): State<Door>,
    Path(word): Path<String>,
    Body(edit): Body<PatchBody>,
) -> Result<Json<TenantView>, Problem> {
    if let Some(status @ (Status::Provisioning | Status::Spare | Status::Deleting)) = edit.status {
        let detail = format!("status {status} is síndico's own; set active or suspended");
        return Err(Problem::field("/status", detail));
    }
    if let Some(pool) = &edit.pool {
        for (field, number) in
            [("max_server_connections", pool.max_server_connections), ("max_clients", pool.max_clients)]
        {
            if number.is_some_and(|number| i32::try_from(number.get()).is_err()) {
                return Err(Problem::field(format!("/pool/{field}"), "give at most 2147483647"));
            }
        }
    }
    let edit = EditTenant { name: edit.name, status: edit.status, pool: edit.pool.map(Into::into) };
    let tenant = door.lifecycle.edit_tenant(named(&word)?, edit).await?;
    Ok(Json(tenant.into()))
}
