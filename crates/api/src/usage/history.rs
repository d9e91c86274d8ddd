//! `GET /tenants/{tenant}/usage`.

use axum::Json;
use axum::extract::State;
use catalog::UsageFilter;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use utoipa::{IntoParams, ToSchema};

use crate::Door;
use crate::body::{Path, Query};
use crate::page::Limit;
use crate::problem::Problem;
use crate::tenants::named;
use crate::usage::UsageView;

/// Which samples, and how many at once.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct HistoryQuery {
    /// From then on, RFC 3339; from the first that is kept when absent.
    #[param(format = DateTime, example = "2026-01-31T00:00:00Z")]
    from: Option<String>,
    /// Before then, RFC 3339; to the last when absent.
    #[param(format = DateTime)]
    to: Option<String>,
    /// The `next` of the page before.
    #[param(format = DateTime)]
    after: Option<String>,
    /// 1 to 1000; 100 when absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<i64>,
}

/// A page of samples, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UsagePage {
    items: Vec<UsageView>,
    /// What to send as `after` for the next page; null on the last.
    next: Option<String>,
}

fn time(name: &str, word: Option<&str>) -> Result<Option<OffsetDateTime>, Problem> {
    let read = |word: &str| {
        OffsetDateTime::parse(word, &Rfc3339).map_err(|_| {
            let detail = format!(
                "{name} {word:?} is no time; give RFC 3339, such as 2026-01-31T00:00:00Z, with a + written as %2B"
            );
            Problem::field(name, detail)
        })
    };
    word.map(read).transpose()
}

/// What a tenant used each time that was collected, oldest first, page by page. Samples are kept as long as the configuration says.
#[utoipa::path(get, path = "/tenants/{tenant}/usage", operation_id = "getUsage",
    tag = "usage", security(("admin" = [])),
    params(("tenant" = String, Path, description = "Id or slug"), HistoryQuery),
    responses((status = 200, body = UsagePage), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn history(
    State(door): State<Door>,
    Path(word): Path<String>,
    Query(query): Query<HistoryQuery>,
) -> Result<Json<UsagePage>, Problem> {
    let limit = Limit::read(query.limit)?;
    let filter = UsageFilter {
        from: time("from", query.from.as_deref())?,
        to: time("to", query.to.as_deref())?,
        after: time("after", query.after.as_deref())?,
        limit: limit.and_one(),
    };
    if let (Some(from), Some(to)) = (filter.from, filter.to)
        && from >= to
    {
        return Err(Problem::field("to", "to is not later than from; give a later time, or leave one of them out"));
    }
    let mut points = door.lifecycle.usage_history(&named(&word)?, &filter).await?;
    let next = limit.cut(&mut points).and_then(|last| last.taken_at.format(&Rfc3339).ok());
    Ok(Json(UsagePage { items: points.into_iter().map(UsageView::from).collect(), next }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_is_none_is_refused_with_an_example() {
        assert!(time("from", None).expect("nothing").is_none());
        assert!(time("from", Some("2026-01-31T00:00:00.5-03:00")).expect("a time").is_some());
        for bad in ["", "yesterday", "2026-01-31", "2026-01-31T00:00:00 00:00"] {
            let problem = time("from", Some(bad)).expect_err(bad);
            assert!(problem.detail.contains("RFC 3339") && problem.errors[0].pointer == "from", "{problem:?}");
        }
    }
}
