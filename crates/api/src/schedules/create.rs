//! `POST /schedules`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use domain::ScheduleName;
use lifecycle::AddSchedule;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::Door;
use crate::body::Body;
use crate::problem::Problem;
use crate::schedules::ScheduleView;
use crate::words::ScheduleKindWord;

/// A schedule to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewScheduleBody {
    /// 1 to 63 of a-z, 0-9, '-' and '_'.
    #[schema(value_type = String, min_length = 1, max_length = 63, pattern = "^[a-z0-9_-]+$", example = "nightly-verify")]
    name: ScheduleName,
    /// What it begins.
    #[schema(value_type = ScheduleKindWord)]
    kind: String,
    /// What that needs to know: nothing for `usage`, `app` for `verify`.
    #[serde(default)]
    #[schema(value_type = Object, example = json!({"app": "petshop"}))]
    input: Map<String, Value>,
    /// Minute, hour, day of the month, month, day of the week; or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`.
    #[schema(example = "30 3 * * *")]
    cron: String,
    /// A name of the IANA time zone database; `UTC` when absent.
    #[schema(example = "America/Sao_Paulo")]
    time_zone: Option<String>,
    /// `false` for one that is to begin nothing yet.
    enabled: Option<bool>,
}

/// Makes a schedule, which waits for its first time from now on.
#[utoipa::path(post, path = "/schedules", operation_id = "createSchedule",
    tag = "schedules", security(("admin" = [])), request_body = NewScheduleBody,
    responses((status = 201, body = ScheduleView), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 409, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn create(
    State(door): State<Door>,
    Body(body): Body<NewScheduleBody>,
) -> Result<(StatusCode, Json<ScheduleView>), Problem> {
    let new = AddSchedule {
        name: body.name,
        kind: body.kind,
        input: Value::Object(body.input),
        cron: body.cron,
        time_zone: body.time_zone.unwrap_or_else(|| "UTC".to_owned()),
        enabled: body.enabled.unwrap_or(true),
    };
    Ok((StatusCode::CREATED, Json(door.lifecycle.add_schedule(new).await?.into())))
}
