//! `GET /operations`.

use axum::Json;
use axum::extract::State;
use lifecycle::OperationFilter;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::Door;
use crate::body::Query;
use crate::operations::{OperationView, state_named};
use crate::page::Limit;
use crate::problem::Problem;
use crate::words::OperationStateWord;

/// Which operations, and how many at once.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// Only `queued`, `running`, `undoing`, `succeeded`, `failed` or `cancelled`.
    #[param(value_type = Option<OperationStateWord>)]
    state: Option<String>,
    /// Only those on the tenant of this id.
    subject: Option<Uuid>,
    /// The `next` of the page before.
    before: Option<Uuid>,
    /// 1 to 1000; 100 when absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<i64>,
}

/// A page of operations, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OperationPage {
    items: Vec<OperationView>,
    /// What to send as `before` for the next page; null on the last.
    next: Option<Uuid>,
}

/// Operations, newest first, page by page. Those that ended thirty days ago are forgotten.
#[utoipa::path(get, path = "/operations", operation_id = "listOperations",
    tag = "operations", security(("admin" = [])), params(ListQuery),
    responses((status = 200, body = OperationPage), (status = 401, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn list(
    State(door): State<Door>,
    Query(query): Query<ListQuery>,
) -> Result<Json<OperationPage>, Problem> {
    let limit = Limit::read(query.limit)?;
    let state = match &query.state {
        None => None,
        Some(word) => Some(state_named(word).ok_or_else(|| {
            let known = lifecycle::State::ALL.map(lifecycle::State::as_str).join(", ");
            Problem::field("state", format!("there is no state {word:?}; give one of {known}"))
        })?),
    };
    let filter = OperationFilter { state, subject: query.subject, before: query.before, limit: limit.and_one() };
    let mut operations = door.lifecycle.operations(&filter).await?;
    let next = limit.cut(&mut operations).map(|last| last.id);
    Ok(Json(OperationPage { items: operations.into_iter().map(OperationView::from).collect(), next }))
}
