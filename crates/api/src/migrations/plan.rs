//! `POST /apps/{app}/migrations/plan`.

use axum::Json;
use axum::extract::State;
use lifecycle::{PlannedMigration, UpgradePlan};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Door;
use crate::apps::add::NewAppBody;
use crate::body::{Body, Path};
use crate::migrations::{named, of_app};
use crate::problem::Problem;

/// What would run where.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PlanView {
    /// The app.
    app: String,
    /// How many migrations every tenant would have.
    version: i32,
    /// The last one's name.
    version_name: String,
    /// How many tenants would go further.
    behind: usize,
    /// How many there are.
    tenants: usize,
    /// What some tenants do not have yet, in order.
    migrations: Vec<MigrationView>,
}

/// One migration.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MigrationView {
    /// Its file.
    file: String,
    /// What it does in each kind of place.
    parts: Vec<PartView>,
}

/// What a migration does in one kind of place.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PartView {
    /// `global`, `shared`, `schema`, or `database` for isolation `cluster` too.
    place: &'static str,
    /// How often: once a cluster, or once a tenant.
    times: usize,
    /// For how many tenants rows are written within it.
    tenants_within: usize,
    /// What runs.
    statements: Vec<StatementView>,
    /// Locks on tables that are there already.
    locks: Vec<LockView>,
    /// What to think of first.
    warnings: Vec<String>,
}

/// A statement.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StatementView {
    /// `owner`, or `tenant` for what runs as each tenant.
    by: &'static str,
    /// Its text.
    sql: String,
}

/// A lock on a table, kept until the migration is through.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LockView {
    /// The migration.
    file: String,
    /// The statement's line.
    line: u32,
    /// The table.
    table: String,
    /// Its mode as PostgreSQL names it.
    lock: &'static str,
    /// What waits meanwhile.
    blocks: &'static str,
    /// What makes it last; null for what takes a moment.
    lasts: Option<&'static str>,
}

impl From<UpgradePlan> for PlanView {
    fn from(plan: UpgradePlan) -> Self {
        Self {
            app: plan.app.to_string(),
            version: plan.version,
            version_name: plan.version_name,
            behind: plan.behind,
            tenants: plan.tenants,
            migrations: plan.migrations.into_iter().map(MigrationView::from).collect(),
        }
    }
}

impl From<PlannedMigration> for MigrationView {
    fn from(migration: PlannedMigration) -> Self {
        let parts = migration.parts.into_iter().map(|part| PartView {
            place: part.place,
            times: part.times,
            tenants_within: part.tenants_within,
            statements: part.statements.into_iter().map(|it| StatementView { by: it.by, sql: it.sql }).collect(),
            locks: part
                .locks
                .into_iter()
                .map(|it| LockView {
                    file: it.file,
                    line: it.line,
                    table: it.table,
                    lock: it.lock,
                    blocks: it.blocks,
                    lasts: it.lasts,
                })
                .collect(),
            warnings: part.warnings,
        });
        Self { file: migration.file, parts: parts.collect() }
    }
}

/// What applying an app's files would run, where, and which locks that takes. Changes nothing.
#[utoipa::path(post, path = "/apps/{app}/migrations/plan", operation_id = "planMigration",
    tag = "migrations", security(("admin" = [])), params(("app" = String, Path, description = "Name")),
    request_body = NewAppBody,
    responses((status = 200, body = PlanView), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem), (status = 413, body = Problem),
        (status = 415, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn plan(
    State(door): State<Door>,
    Path(word): Path<String>,
    Body(new): Body<NewAppBody>,
) -> Result<Json<PlanView>, Problem> {
    let new = of_app(&named(&door, &word).await?, new.read()?)?;
    Ok(Json(door.lifecycle.plan_migration(new).await?.into()))
}
