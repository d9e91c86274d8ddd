//! `PATCH /schedules/{schedule}`.

use axum::Json;
use axum::extract::State;
use domain::ScheduleName;
use lifecycle::EditSchedule;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::Door;
use crate::body::{Body, Path};
use crate::problem::Problem;
use crate::schedules::{ScheduleView, named};

/// What to change; what is absent or null stays. Another kind is another schedule.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScheduleBody {
    /// 1 to 63 of a-z, 0-9, '-' and '_'.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 63, pattern = "^[a-z0-9_-]+$")]
    name: Option<ScheduleName>,
    /// What its kind needs to know, all of it.
    #[schema(value_type = Option<Object>)]
    input: Option<Map<String, Value>>,
    /// Minute, hour, day of the month, month, day of the week. With another one it waits for the first time from now on.
    cron: Option<String>,
    /// A name of the IANA time zone database.
    time_zone: Option<String>,
    /// `false` pauses it. `true` has it wait for the first time from now on; what has passed meanwhile is not made up for.
    enabled: Option<bool>,
}

/// Renames, pauses, resumes or otherwise changes a schedule.
#[utoipa::path(patch, path = "/schedules/{schedule}", operation_id = "editSchedule",
    tag = "schedules", security(("admin" = [])),
    params(("schedule" = String, Path, description = "Id or name")), request_body = ScheduleBody,
    responses((status = 200, body = ScheduleView), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem),
        (status = 422, body = Problem)))]
pub(crate) async fn patch(
    State(door): State<Door>,
    Path(word): Path<String>,
    Body(body): Body<ScheduleBody>,
) -> Result<Json<ScheduleView>, Problem> {
    let ScheduleBody { name, input, cron, time_zone, enabled } = body;
    let edit = EditSchedule { name, input: input.map(Value::Object), cron, time_zone, enabled };
    Ok(Json(door.lifecycle.edit_schedule(&named(word), edit).await?.into()))
}
