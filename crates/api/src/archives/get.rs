//! `GET /archives/{archive}`.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Door;
use crate::archives::{ArchiveView, named};
use crate::backups::get::ColumnView;
use crate::body::Path;
use crate::problem::Problem;

/// An archive with what its rows are made of.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ArchiveDetail {
    #[serde(flatten)]
    archive: ArchiveView,
    /// In the order of the values; none until the object is whole.
    columns: Vec<ColumnView>,
}

/// An archive, and the columns that its table had then.
#[utoipa::path(get, path = "/archives/{archive}", operation_id = "getArchive",
    tag = "archives", security(("admin" = [])),
    params(("archive" = String, Path, description = "Id")),
    responses((status = 200, body = ArchiveDetail), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 404, body = Problem)))]
pub(crate) async fn get(State(door): State<Door>, Path(word): Path<String>) -> Result<Json<ArchiveDetail>, Problem> {
    let archive = door.lifecycle.find_archive(named(&word)?).await?;
    let columns = lifecycle::archived_columns(&archive)?.into_iter().map(ColumnView::from).collect();
    Ok(Json(ArchiveDetail { archive: archive.into(), columns }))
}
