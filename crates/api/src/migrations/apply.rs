//! `POST /apps/{app}/migrations`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use lifecycle::MigrateOptions;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Door;
use crate::apps::add::{FileBody, NewAppBody};
use crate::body::{Body, Path};
use crate::migrations::{named, of_app};
use crate::operations::{OperationDetail, located};
use crate::problem::Problem;

/// An app's folder, and how its tenants are to be brought to it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MigrationBody {
    /// The text of `app.toml`.
    manifest: String,
    /// `migrations/*.sql` and `seed/*.sql`: those that there were, unchanged, and new ones after them.
    #[schema(min_items = 1)]
    files: Vec<FileBody>,
    /// How carefully.
    #[serde(default)]
    options: OptionsBody,
}

/// How carefully tenants are migrated.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OptionsBody {
    /// Slugs of tenants with tables of their own that go first; if one fails, no other is begun.
    canaries: Option<Vec<String>>,
    /// If none are named, so many of the oldest; 1 when absent.
    canary_count: Option<u32>,
    /// Seconds to wait after the canaries and between waves; 0 when absent.
    soak_seconds: Option<u32>,
    /// Tenants in a wave; all at once when absent or 0.
    wave: Option<u32>,
    /// Tenants at a time on each cluster, 1 to 64; 4 when absent.
    parallel: Option<u32>,
    /// How many tenants may fail before no other is begun; 0 when absent.
    max_failures: Option<u32>,
    /// Milliseconds that a statement waits for a lock before it is tried again, 1 or more; 2000 when absent.
    #[schema(minimum = 1)]
    lock_timeout_ms: Option<u32>,
    /// How often it is tried again, at most 1000; 20 when absent.
    #[schema(maximum = 1000)]
    lock_retries: Option<u32>,
    /// Milliseconds that a statement may run; as long as it takes when absent or 0.
    statement_timeout_ms: Option<u32>,
}

impl From<OptionsBody> for MigrateOptions {
    fn from(body: OptionsBody) -> Self {
        let usual = Self::default();
        Self {
            canaries: body.canaries.unwrap_or(usual.canaries),
            canary_count: body.canary_count.unwrap_or(usual.canary_count),
            soak_seconds: body.soak_seconds.unwrap_or(usual.soak_seconds),
            wave: body.wave.unwrap_or(usual.wave),
            parallel: body.parallel.unwrap_or(usual.parallel),
            max_failures: body.max_failures.unwrap_or(usual.max_failures),
            lock_timeout_ms: body.lock_timeout_ms.unwrap_or(usual.lock_timeout_ms),
            lock_retries: body.lock_retries.unwrap_or(usual.lock_retries),
            statement_timeout_ms: body.statement_timeout_ms.unwrap_or(usual.statement_timeout_ms),
        }
    }
}

/// There is nothing to do.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CurrentView {
    /// Always true: the app has these files, and all of its tenants these migrations.
    current: bool,
}

/// Brings an app and all of its tenants to the files given, as an operation. If some tenants are there already, the others follow; if
/// all are, nothing is done.
#[utoipa::path(post, path = "/apps/{app}/migrations", operation_id = "applyMigration",
    tag = "migrations", security(("admin" = [])), params(("app" = String, Path, description = "Name")),
    request_body = MigrationBody,
    responses((status = 200, body = CurrentView),
        (status = 202, body = OperationDetail, headers(("location" = String, description = "The operation's address"))),
        (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem),
        (status = 422, body = Problem)))]
pub(crate) async fn apply(
    State(door): State<Door>,
    Path(word): Path<String>,
    Body(MigrationBody { manifest, files, options }): Body<MigrationBody>,
) -> Result<Response, Problem> {
    let new = of_app(&named(&door, &word).await?, NewAppBody { manifest, files }.read()?)?;
    let Some(id) = door.lifecycle.begin_migration(new, options.into()).await? else {
        return Ok(Json(CurrentView { current: true }).into_response());
    };
    let (operation, steps) = door.lifecycle.operation(id).await?;
    Ok((StatusCode::ACCEPTED, located(id), Json(OperationDetail::new(operation, steps))).into_response())
}
