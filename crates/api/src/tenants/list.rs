//! `GET /tenants`.

use axum::Json;
use axum::extract::State;
use catalog::TenantFilter;
use domain::{AppName, Isolation, Status, TenantId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::Door;
use crate::body::Query;
use crate::page::Limit;
use crate::problem::Problem;
use crate::tenants::TenantView;
use crate::words::{IsolationWord, StatusWord};

/// Which tenants, and how many at once.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// Only tenants of this app.
    #[param(value_type = Option<String>, max_length = 24, pattern = "^[a-z][a-z0-9_]*$")]
    app: Option<AppName>,
    /// Only `shared`, `schema`, `database` or `cluster`.
    #[param(value_type = Option<IsolationWord>)]
    isolation: Option<Isolation>,
    /// Only `provisioning`, `active`, `suspended` or `deleting`.
    #[param(value_type = Option<StatusWord>)]
    status: Option<Status>,
    /// The `next` of the page before.
    after: Option<Uuid>,
    /// 1 to 1000; 100 when absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<i64>,
}

/// A page of tenants, in the order of their ids.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TenantPage {
    items: Vec<TenantView>,
    /// What to send as `after` for the next page; null on the last.
    next: Option<Uuid>,
}

/// Tenants in the order of their ids, page by page.
#[utoipa::path(get, path = "/tenants", operation_id = "listTenants",
    tag = "tenants", security(("admin" = [])), params(ListQuery),
    responses((status = 200, body = TenantPage), (status = 401, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn list(
    State(door): State<Door>,
    Query(query): Query<ListQuery>,
) -> Result<Json<TenantPage>, Problem> {
    let limit = Limit::read(query.limit)?;
    let filter = TenantFilter {
        app: query.app,
        isolation: query.isolation,
        status: query.status,
        after: query.after.map(TenantId::from_uuid),
        limit: limit.and_one(),
    };
    let mut tenants = door.catalog.tenants(&filter).await?;
    let next = limit.cut(&mut tenants).map(|last| last.id.as_uuid());
    Ok(Json(TenantPage { items: tenants.into_iter().map(TenantView::from).collect(), next }))
}
