//! `POST /apps/{app}/retention/run`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::Door;
use crate::body::{Body, Path};
use crate::migrations::named;
use crate::operations::{OperationDetail, located};
use crate::problem::Problem;
use crate::tenants;

/// Whose rows.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RetentionBody {
    /// Ids or slugs; all tenants of the app when absent.
    tenants: Option<Vec<String>>,
    /// Only count what would be removed.
    #[serde(default)]
    dry_run: bool,
}

/// Removes rows that are older than they are to be kept, as an operation, whose step tells how many. Each tenant's go by its own login.
/// One at a time is under way for an app, and none while it is migrated.
#[utoipa::path(post, path = "/apps/{app}/retention/run", operation_id = "runRetention",
    tag = "apps", security(("admin" = [])), params(("app" = String, Path, description = "Name")),
    request_body = RetentionBody,
    responses(
        (status = 202, body = OperationDetail, headers(("location" = String, description = "The operation's address"))),
        (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem),
        (status = 422, body = Problem)))]
pub(crate) async fn run(
    State(door): State<Door>,
    Path(word): Path<String>,
    Body(RetentionBody { tenants, dry_run }): Body<RetentionBody>,
) -> Result<impl IntoResponse, Problem> {
    let app = named(&door, &word).await?;
    let tenants =
        tenants.map(|words| words.iter().map(|word| tenants::named(word)).collect::<Result<_, _>>()).transpose()?;
    let id = door.lifecycle.begin_retention(&app, tenants, dry_run).await?;
    let (operation, steps) = door.lifecycle.operation(id).await?;
    Ok((StatusCode::ACCEPTED, located(id), Json(OperationDetail::new(operation, steps))))
}
