//! `DELETE /schedules/{schedule}`.

use axum::extract::State;
use axum::http::StatusCode;

use crate::Door;
use crate::body::Path;
use crate::problem::Problem;
use crate::schedules::named;

/// Deletes a schedule. Operations that it has begun go on.
#[utoipa::path(delete, path = "/schedules/{schedule}", operation_id = "deleteSchedule",
    tag = "schedules", security(("admin" = [])),
    params(("schedule" = String, Path, description = "Id or name")),
    responses((status = 204), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn delete(State(door): State<Door>, Path(word): Path<String>) -> Result<StatusCode, Problem> {
    door.lifecycle.remove_schedule(&named(word)).await?;
    Ok(StatusCode::NO_CONTENT)
}
