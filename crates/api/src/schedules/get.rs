//! `GET /schedules/{schedule}`.

use axum::Json;
use axum::extract::State;

use crate::Door;
use crate::body::Path;
use crate::problem::Problem;
use crate::schedules::{ScheduleView, named};

/// One schedule, by id or name.
#[utoipa::path(get, path = "/schedules/{schedule}", operation_id = "getSchedule",
    tag = "schedules", security(("admin" = [])),
    params(("schedule" = String, Path, description = "Id or name")),
    responses((status = 200, body = ScheduleView), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn get(State(door): State<Door>, Path(word): Path<String>) -> Result<Json<ScheduleView>, Problem> {
    Ok(Json(door.lifecycle.schedule(&named(word)).await?.into()))
}
