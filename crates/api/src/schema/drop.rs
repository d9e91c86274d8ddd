//! `DELETE /tenants/{tenant}/schema`.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::Door;
use crate::body::{Path, Query, parse};
use crate::problem::Problem;
use crate::tenants::named;

/// The second word: the tenant's slug once more.
#[derive(Debug, Deserialize, ToSchema, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Confirmation {
    /// The tenant's slug.
    #[schema(value_type = String, required = false, example = "happy-paws")]
    confirm: Option<String>,
}

/// Drops a tenant's schema with everything in it; the tenant keeps its record, roles and keys. `confirm`, in the query or
/// in a JSON body, has to repeat the tenant's slug.
#[utoipa::path(delete, path = "/tenants/{tenant}/schema", operation_id = "dropSchema",
    tag = "tenants", security(("admin" = [])),
    params(("tenant" = String, Path, description = "Id or slug"), Confirmation),
    request_body(content = Confirmation, description = "Instead of the query parameter"),
    responses((status = 204), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem),
        (status = 502, body = Problem)))]
pub(crate) async fn drop(
    State(door): State<Door>,
    Path(word): Path<String>,
    Query(query): Query<Confirmation>,
    body: Bytes,
) -> Result<StatusCode, Problem> {
    let which = named(&word)?;
    let tenant = door.catalog.tenant(&which).await?.ok_or_else(|| Problem::tenant_not_found(&word))?;
    let in_body = if body.is_empty() { None } else { parse::<Confirmation>(&body)?.confirm };
    let confirmed = query.confirm.or(in_body);
    if confirmed.as_deref() != Some(tenant.slug.as_str()) {
        let detail = format!(
            "dropping a schema deletes all of the tenant's data; repeat its slug to confirm: confirm={}",
            tenant.slug
        );
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "CONFIRMATION_REQUIRED", "Not confirmed", detail)
            .at("confirm"));
    }
    door.lifecycle.drop_schema(which).await?;
    Ok(StatusCode::NO_CONTENT)
}
