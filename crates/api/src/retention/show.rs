//! `GET /tenants/{tenant}/retention`.

use axum::Json;
use axum::extract::State;

use super::LimitsView;
use crate::Door;
use crate::body::Path;
use crate::problem::Problem;
use crate::tenants::named;

/// For how long a tenant's rows are kept, table by table. Rows of other tables are kept for ever.
#[utoipa::path(get, path = "/tenants/{tenant}/retention", operation_id = "getTenantRetention",
    tag = "tenants", security(("admin" = [])), params(("tenant" = String, Path, description = "Id or slug")),
    responses((status = 200, body = LimitsView), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 404, body = Problem)))]
pub(crate) async fn show(State(door): State<Door>, Path(word): Path<String>) -> Result<Json<LimitsView>, Problem> {
    Ok(Json(door.lifecycle.retention_of(&named(&word)?).await?.into()))
}
