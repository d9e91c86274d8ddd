//! `GET /backups`.

use axum::Json;
use axum::extract::State;
use catalog::{BackupFilter, BackupState};
use domain::{AppName, TenantId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::Door;
use crate::backups::BackupView;
use crate::body::Query;
use crate::page::Limit;
use crate::problem::Problem;
use crate::words::BackupStateWord;

/// Which backups, and how many at once.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// Only of the tenant of this id, which may be gone.
    tenant: Option<Uuid>,
    /// Only of tenants of this app.
    #[param(value_type = Option<String>, max_length = 24, pattern = "^[a-z][a-z0-9_]*$")]
    app: Option<AppName>,
    /// Only `running`, `complete` or `removing`.
    #[param(value_type = Option<BackupStateWord>)]
    state: Option<String>,
    /// The `next` of the page before.
    before: Option<Uuid>,
    /// 1 to 1000; 100 when absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<i64>,
}

/// A page of backups, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BackupPage {
    items: Vec<BackupView>,
    /// What to send as `before` for the next page; null on the last.
    next: Option<Uuid>,
}

/// Backups, newest first, page by page.
#[utoipa::path(get, path = "/backups", operation_id = "listBackups",
    tag = "backups", security(("admin" = [])), params(ListQuery),
    responses((status = 200, body = BackupPage), (status = 401, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn list(
    State(door): State<Door>,
    Query(query): Query<ListQuery>,
) -> Result<Json<BackupPage>, Problem> {
    let limit = Limit::read(query.limit)?;
    let state = match &query.state {
        None => None,
        Some(word) => Some(BackupState::ALL.into_iter().find(|state| state.as_str() == word).ok_or_else(|| {
            let known = BackupState::ALL.map(BackupState::as_str).join(", ");
            Problem::field("state", format!("there is no state {word:?}; give one of {known}"))
        })?),
    };
    let tenant = query.tenant.map(TenantId::from_uuid);
    let filter = BackupFilter { tenant, app: query.app, state, before: query.before, limit: limit.and_one() };
    let mut backups = door.catalog.backups(&filter).await?;
    let next = limit.cut(&mut backups).map(|last| last.id);
    Ok(Json(BackupPage { items: backups.into_iter().map(BackupView::from).collect(), next }))
}
