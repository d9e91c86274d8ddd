//! `GET /apps/{app}/migrations`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use lifecycle::{Overview, TenantVersion};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::Door;
use crate::body::{Path, Query};
use crate::migrations::named;
use crate::page::Limit;
use crate::problem::Problem;
use crate::words::IsolationWord;

/// Which tenants, and how many at once.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct VersionQuery {
    /// All tenants, and not only those that are behind, have failed or differ.
    #[serde(default)]
    all: bool,
    /// The `next` of the page before.
    after: Option<Uuid>,
    /// 1 to 1000; 100 when absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<i64>,
}

/// Which versions an app's tenants have.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VersionsView {
    /// The app.
    app: String,
    /// How many migrations its newest files have.
    version: i32,
    /// The last one's name.
    version_name: String,
    /// How many tenants have each version, the lowest first.
    versions: Vec<VersionCount>,
    /// How many tenants the last attempt to migrate has failed for.
    failed: usize,
    /// How many tenants' tables differ from what their version has, as far as somebody has looked.
    drifted: usize,
    /// Tenants, oldest first.
    items: Vec<TenantVersionView>,
    /// What to send as `after` for the next page; null on the last.
    next: Option<Uuid>,
}

/// A version and how many have it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VersionCount {
    /// How many migrations.
    version: i32,
    /// The last one's name.
    name: String,
    /// How many tenants.
    tenants: usize,
}

/// A tenant's version.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TenantVersionView {
    /// UUID version 7.
    id: Uuid,
    /// Its short name.
    slug: String,
    /// How it is kept apart.
    #[schema(value_type = IsolationWord)]
    isolation: String,
    /// How many migrations its tables have.
    version: i32,
    /// The last one's name.
    version_name: String,
    /// RFC 3339; null for who has had none since it was made.
    #[serde(with = "time::serde::rfc3339::option")]
    migrated_at: Option<OffsetDateTime>,
    /// Why the last attempt to migrate it has failed.
    error: Option<String>,
    /// How its tables differ from what its version has, a line each.
    drift: Option<String>,
}

impl TenantVersionView {
    fn new(it: TenantVersion, names: &[String]) -> Self {
        Self {
            id: it.tenant.as_uuid(),
            slug: it.slug.to_string(),
            isolation: it.isolation.to_string(),
            version: it.version,
            version_name: name_of(it.version, names),
            migrated_at: it.migrated_at,
            error: it.error,
            drift: it.drift,
        }
    }
}

fn name_of(version: i32, names: &[String]) -> String {
    let nth = usize::try_from(version).unwrap_or(0).checked_sub(1);
    nth.and_then(|nth| names.get(nth)).cloned().unwrap_or_default()
}

/// Which versions an app's tenants have, by síndico's records; no tenant's tables are looked at.
#[utoipa::path(get, path = "/apps/{app}/migrations", operation_id = "getMigrations",
    tag = "migrations", security(("admin" = [])), params(("app" = String, Path, description = "Name"), VersionQuery),
    responses((status = 200, body = VersionsView), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn get(
    State(door): State<Door>,
    Path(word): Path<String>,
    Query(query): Query<VersionQuery>,
) -> Result<Json<VersionsView>, Problem> {
    let limit = Limit::read(query.limit)?;
    let Overview { app, newest, names, tenants } =
        door.lifecycle.migration_overview(&named(&door, &word).await?).await?;
    let mut counts: BTreeMap<i32, usize> = BTreeMap::new();
    for tenant in &tenants {
        *counts.entry(tenant.version).or_default() += 1;
    }
    let failed = tenants.iter().filter(|it| it.error.is_some()).count();
    let drifted = tenants.iter().filter(|it| it.drift.is_some()).count();
    let wanted =
        |it: &TenantVersion| query.all || it.version < newest.version || it.error.is_some() || it.drift.is_some();
    let mut items: Vec<TenantVersionView> = tenants
        .into_iter()
        .filter(|it| wanted(it) && query.after.is_none_or(|after| it.tenant.as_uuid() > after))
        .map(|it| TenantVersionView::new(it, &names))
        .collect();
    let next = limit.cut(&mut items).map(|last| last.id);
    let versions = counts
        .into_iter()
        .map(|(version, tenants)| VersionCount { version, name: name_of(version, &names), tenants })
        .collect();
    let version_name = name_of(newest.version, &names);
    let (app, version) = (app.to_string(), newest.version);
    Ok(Json(VersionsView { app, version, version_name, versions, failed, drifted, items, next }))
}
