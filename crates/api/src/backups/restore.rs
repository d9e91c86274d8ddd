//! `POST /backups/{backup}/restore`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use domain::{ClusterName, DisplayName, Isolation, Slug};
use lifecycle::NewTenant;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::Door;
use crate::backups::named;
use crate::body::{Body, Path};
use crate::operations::accepted;
use crate::problem::Problem;
use crate::tenants::create::CreatedView;
use crate::words::IsolationWord;

/// The tenant to make from a backup.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RestoredTenantBody {
    /// A DNS label, unique in the installation.
    #[schema(value_type = String, example = "happy-paws-2", min_length = 1, max_length = 63, pattern = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")]
    slug: Slug,
    /// What people call it; as in the backup when absent.
    #[schema(value_type = Option<String>, example = "Happy Paws", min_length = 1, max_length = 200, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*[^\\s\\x00-\\x1f\\x7f-\\x9f][^\\x00-\\x1f\\x7f-\\x9f]*$")]
    name: Option<DisplayName>,
    /// As in the backup when absent.
    #[schema(value_type = Option<IsolationWord>)]
    isolation: Option<Isolation>,
    /// A cluster's name; whichever has room when absent.
    #[schema(value_type = Option<String>, example = "main", max_length = 63, pattern = "^[a-z0-9_-]+$")]
    cluster: Option<ClusterName>,
}

/// Makes a new tenant from a backup, in any isolation, with the migrations that its app has by now. The answer comes as soon as the
/// operation is recorded; the tenant is open when that has succeeded.
#[utoipa::path(post, path = "/backups/{backup}/restore", operation_id = "restoreBackup",
    tag = "backups", security(("admin" = [])),
    params(("backup" = String, Path, description = "Id")), request_body = RestoredTenantBody,
    responses((status = 202, body = CreatedView, headers(("location" = String, description = "The operation's address"))),
        (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem),
        (status = 422, body = Problem), (status = 502, body = Problem)))]
pub(crate) async fn restore(
    State(door): State<Door>,
    Path(word): Path<String>,
    Body(new): Body<RestoredTenantBody>,
) -> Result<impl IntoResponse, Problem> {
    let backup = door.lifecycle.find_backup(named(&word)?).await?;
    let wanted = NewTenant {
        slug: new.slug,
        name: new.name.unwrap_or(backup.name),
        app: backup.app,
        isolation: new.isolation.unwrap_or(backup.isolation),
        cluster: new.cluster,
        admin: None,
    };
    let created = door.lifecycle.begin_restore(backup.id, wanted).await?;
    let view = CreatedView::new(&door, created);
    Ok((StatusCode::ACCEPTED, accepted(view.operation()), Json(view)))
}
