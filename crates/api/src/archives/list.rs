//! `GET /archives`.

use axum::Json;
use axum::extract::State;
use catalog::ArchiveFilter;
use domain::{AppName, TenantId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::Door;
use crate::archives::ArchiveView;
use crate::body::Query;
use crate::page::Limit;
use crate::problem::Problem;

/// Which archives, and how many at once.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// Only of the tenant of this id, which may be gone.
    tenant: Option<Uuid>,
    /// Only of tenants of this app.
    #[param(value_type = Option<String>, max_length = 24, pattern = "^[a-z][a-z0-9_]*$")]
    app: Option<AppName>,
    /// Only of tables of this name.
    table: Option<String>,
    /// The `next` of the page before.
    before: Option<Uuid>,
    /// 1 to 1000; 100 when absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<i64>,
}

/// A page of archives, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ArchivePage {
    items: Vec<ArchiveView>,
    /// What to send as `before` for the next page; null on the last.
    next: Option<Uuid>,
}

/// Archives, newest first, page by page.
#[utoipa::path(get, path = "/archives", operation_id = "listArchives",
    tag = "archives", security(("admin" = [])), params(ListQuery),
    responses((status = 200, body = ArchivePage), (status = 401, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn list(
    State(door): State<Door>,
    Query(query): Query<ListQuery>,
) -> Result<Json<ArchivePage>, Problem> {
    let limit = Limit::read(query.limit)?;
    let ListQuery { tenant, app, table, before, .. } = query;
    let tenant = tenant.map(TenantId::from_uuid);
    let filter = ArchiveFilter { id: None, tenant, app, table, before, limit: limit.and_one() };
    let mut archives = door.catalog.archives(&filter).await?;
    let next = limit.cut(&mut archives).map(|last| last.id);
    Ok(Json(ArchivePage { items: archives.into_iter().map(ArchiveView::from).collect(), next }))
}
