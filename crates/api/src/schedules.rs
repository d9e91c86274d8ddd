//! `/schedules`: what begins by itself, and when.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod patch;

use axum::http::StatusCode;
use lifecycle::{Schedule, ScheduleRef, upcoming};
use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::problem::Problem;
use crate::words::ScheduleKindWord;

/// So many of the next times are shown.
const UPCOMING: usize = 3;

/// What begins by itself, and when. A time is seen to once, however many síndicos run; times that passed while none did are seen to once
/// together.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ScheduleView {
    /// UUID version 7; routes take it or the name.
    id: Uuid,
    /// Unique in the installation.
    name: String,
    /// `usage` collects what all tenants use, `verify` compares the tables of an app's tenants with what their versions have.
    #[schema(value_type = ScheduleKindWord)]
    kind: String,
    /// What that needs to know.
    #[schema(value_type = Object)]
    input: Value,
    /// Minute, hour, day of the month, month, day of the week.
    cron: String,
    /// By the clocks of this time zone (IANA).
    time_zone: String,
    /// Whether it begins anything.
    enabled: bool,
    /// The next times, RFC 3339 in UTC; none while it is paused.
    #[schema(value_type = Vec<String>)]
    upcoming: Vec<String>,
    /// When it was last due and seen to; null before the first time.
    #[serde(with = "time::serde::rfc3339::option")]
    last_at: Option<OffsetDateTime>,
    /// The last operation that it has begun; operations are forgotten thirty days after their end.
    last_operation: Option<Uuid>,
    /// Why nothing was begun the last time; null if something was.
    last_error: Option<String>,
    /// RFC 3339.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// RFC 3339.
    #[serde(with = "time::serde::rfc3339")]
    updated_at: OffsetDateTime,
}

impl From<Schedule> for ScheduleView {
    fn from(it: Schedule) -> Self {
        let upcoming = upcoming(&it, UPCOMING);
        Self {
            id: it.id,
            name: it.name,
            kind: it.kind,
            input: it.input,
            cron: it.cron,
            time_zone: it.time_zone,
            enabled: it.enabled,
            upcoming: upcoming.into_iter().filter_map(|at| at.format(&Rfc3339).ok()).collect(),
            last_at: it.last_at,
            last_operation: it.last_operation,
            last_error: it.last_error,
            created_at: it.created_at,
            updated_at: it.updated_at,
        }
    }
}

/// The schedule that a path names. Nothing that could be a name is an id.
pub(crate) fn named(word: String) -> ScheduleRef {
    word.parse().map_or_else(|_| ScheduleRef::Name(word), ScheduleRef::Id)
}

pub(crate) fn unknown(detail: String) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "SCHEDULE_NOT_FOUND", "Schedule not found", detail)
}
