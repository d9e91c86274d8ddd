//! `PUT /tenants/{tenant}/retention`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use domain::Keep;

use super::LimitsView;
use crate::Door;
use crate::body::{Body, Path};
use crate::problem::Problem;
use crate::tenants::named;

/// Gives a tenant times of its own, by table, such as `{"recordings": "7 days"}`, in the place of those that it had. For tables that are
/// not named the app's times hold.
#[utoipa::path(put, path = "/tenants/{tenant}/retention", operation_id = "putTenantRetention",
    tag = "tenants", security(("admin" = [])), params(("tenant" = String, Path, description = "Id or slug")),
    request_body = BTreeMap<String, String>,
    responses((status = 200, body = LimitsView), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 404, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem),
        (status = 422, body = Problem)))]
pub(crate) async fn put(
    State(door): State<Door>,
    Path(word): Path<String>,
    Body(own): Body<BTreeMap<String, Keep>>,
) -> Result<Json<LimitsView>, Problem> {
    Ok(Json(door.lifecycle.set_retention(&named(&word)?, own).await?.into()))
}
