//! `GET /apps/{app}/retention`.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::Door;
use crate::body::Path;
use crate::migrations::named;
use crate::problem::Problem;

/// For how long an app's rows are kept, and what has come of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RetentionView {
    /// By table; rows of other tables are kept for ever.
    rules: Vec<RuleView>,
    /// By tenant and table.
    runs: Vec<RunView>,
}

/// A rule of the app's.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RuleView {
    /// Which table.
    table: String,
    /// The column that says from when a row is.
    column: String,
    /// For how long it is kept, unless a tenant has another time.
    #[schema(value_type = String, example = "30 days")]
    keep: domain::Keep,
    /// For how long it is archived then, or `forever`; null if it is not.
    #[schema(value_type = Option<String>, example = "5 years")]
    archive: Option<domain::ArchiveFor>,
}

/// What has come of one tenant's table.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RunView {
    /// Whose.
    tenant: Uuid,
    /// Its short name.
    slug: String,
    /// Which table.
    table: String,
    /// The last operation that was at it.
    operation: Uuid,
    /// Rows that were removed ever.
    removed_in_all: i64,
    /// Rows that the last operation has removed; those that went with them by foreign keys are not counted.
    removed: i64,
    /// Rows that it could not remove.
    held: i64,
    /// Why not, or why it left the table out.
    note: Option<String>,
    /// RFC 3339.
    #[serde(with = "time::serde::rfc3339")]
    ran_at: OffsetDateTime,
}

/// For how long an app's rows are kept, and what of each tenant's has been removed.
#[utoipa::path(get, path = "/apps/{app}/retention", operation_id = "getRetention",
    tag = "apps", security(("admin" = [])), params(("app" = String, Path, description = "Name")),
    responses((status = 200, body = RetentionView), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 404, body = Problem)))]
pub(crate) async fn get(State(door): State<Door>, Path(word): Path<String>) -> Result<Json<RetentionView>, Problem> {
    let retained = door.lifecycle.retained(&named(&door, &word).await?).await?;
    let rules = retained.rules.into_iter();
    let runs = retained.runs.into_iter().map(|it| RunView {
        tenant: it.tenant.as_uuid(),
        slug: it.slug.to_string(),
        table: it.table,
        operation: it.operation,
        removed_in_all: it.removed_in_all,
        removed: it.removed,
        held: it.held,
        note: it.note,
        ran_at: it.ran_at,
    });
    Ok(Json(RetentionView {
        rules: rules
            .map(|it| RuleView { table: it.table, column: it.column, keep: it.keep, archive: it.archive })
            .collect(),
        runs: runs.collect(),
    }))
}
