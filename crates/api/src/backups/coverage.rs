//! `GET /apps/{app}/backups`.

use axum::Json;
use axum::extract::State;
use domain::TenantId;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::Door;
use crate::body::{Path, Query};
use crate::migrations::named;
use crate::page::Limit;
use crate::problem::Problem;

/// How many at once.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct CoverageQuery {
    /// The `next` of the page before.
    after: Option<Uuid>,
    /// 1 to 1000; 100 when absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<i64>,
}

/// A page of an app's tenants, oldest first, each with how old its newest backup is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CoveragePage {
    /// Seconds that the newest backup may be old (`backups.objective_hours`).
    objective_seconds: u64,
    items: Vec<CoverageView>,
    /// What to send as `after` for the next page; null on the last.
    next: Option<Uuid>,
}

/// A tenant's backups.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CoverageView {
    /// Its id.
    tenant: Uuid,
    /// Its slug.
    slug: String,
    /// How many complete backups it has.
    backups: i64,
    /// The newest of them.
    newest: Option<Uuid>,
    /// The moment that its rows are of (RFC 3339).
    #[serde(with = "time::serde::rfc3339::option")]
    taken_at: Option<OffsetDateTime>,
    /// When one of them was last restored for a trial, and was good (RFC 3339).
    #[serde(with = "time::serde::rfc3339::option")]
    verified_at: Option<OffsetDateTime>,
    /// Its newest backup, or the tenant while it has none, is older than the objective.
    overdue: bool,
}

/// Which tenants of an app have a backup that is young enough, and which have not.
#[utoipa::path(get, path = "/apps/{app}/backups", operation_id = "getBackupCoverage",
    tag = "backups", security(("admin" = [])),
    params(("app" = String, Path, description = "The app's name"), CoverageQuery),
    responses((status = 200, body = CoveragePage), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn coverage(
    State(door): State<Door>,
    Path(word): Path<String>,
    Query(query): Query<CoverageQuery>,
) -> Result<Json<CoveragePage>, Problem> {
    let app = named(&door, &word).await?;
    let limit = Limit::read(query.limit)?;
    let after = query.after.map(TenantId::from_uuid);
    let mut found = door.lifecycle.backup_coverage(&app, after, limit.and_one()).await?;
    let next = limit.cut(&mut found.tenants).map(|last| last.tenant.as_uuid());
    let items = found.tenants.into_iter().map(|it| CoverageView {
        tenant: it.tenant.as_uuid(),
        slug: it.slug.to_string(),
        backups: it.backups,
        newest: it.newest,
        taken_at: it.taken_at,
        verified_at: it.verified_at,
        overdue: it.overdue,
    });
    Ok(Json(CoveragePage { objective_seconds: found.objective_seconds, items: items.collect(), next }))
}
