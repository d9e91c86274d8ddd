//! `GET /schedules`.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::Door;
use crate::body::Query;
use crate::page::Limit;
use crate::problem::Problem;
use crate::schedules::ScheduleView;

/// How many schedules at once.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// The `next` of the page before.
    after: Option<Uuid>,
    /// 1 to 1000; 100 when absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<i64>,
}

/// A page of schedules, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SchedulePage {
    items: Vec<ScheduleView>,
    /// What to send as `after` for the next page; null on the last.
    next: Option<Uuid>,
}

/// Schedules, oldest first, page by page.
#[utoipa::path(get, path = "/schedules", operation_id = "listSchedules",
    tag = "schedules", security(("admin" = [])), params(ListQuery),
    responses((status = 200, body = SchedulePage), (status = 401, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn list(
    State(door): State<Door>,
    Query(query): Query<ListQuery>,
) -> Result<Json<SchedulePage>, Problem> {
    let limit = Limit::read(query.limit)?;
    let mut found = door.lifecycle.schedules(query.after, limit.and_one()).await?;
    let next = limit.cut(&mut found).map(|last| last.id);
    Ok(Json(SchedulePage { items: found.into_iter().map(ScheduleView::from).collect(), next }))
}
