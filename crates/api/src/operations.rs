//! `/operations`: durable work, how far it is, and why it is not farther.

pub(crate) mod cancel;
pub(crate) mod get;
pub(crate) mod list;

use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use lifecycle::{Operation, State, StepRecord};
use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::problem::Problem;
use crate::words::OperationStateWord;

/// A piece of durable work. It ends, whatever crashes: everything is done, or all is as it was; of a migration that has failed, or was
/// cancelled, each tenant is as it was or through.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OperationView {
    /// UUID version 7.
    pub(crate) id: Uuid,
    /// What is done: `provision` makes a tenant, `spare` makes one that nobody has asked for yet, `remove` removes one, `migrate` brings an
    /// app's tenants to newer migrations, `verify` compares their tables with what they should be, `backup` copies a tenant, `backups` all
    /// tenants of an app, `verify_backup` restores a backup for a trial, `restore` makes a tenant from one, `restore_in_place` takes a
    /// tenant back to one, `usage` collects what tenants use, `sweep` removes what nobody owns, `retention` removes old rows, `confirmation`
    /// writes to a member.
    pub(crate) kind: String,
    /// The id of what it is done to.
    pub(crate) subject: Uuid,
    /// What that is called, or was when the operation was recorded.
    pub(crate) title: String,
    /// `queued`, `running`, `undoing`, `succeeded`, `failed` or `cancelled`. After the last two all is as it was.
    #[schema(value_type = OperationStateWord)]
    pub(crate) state: &'static str,
    /// Why it is being undone, or was.
    pub(crate) error: Option<String>,
    /// Somebody has asked for it to be cancelled.
    pub(crate) cancel_requested: bool,
    /// How far a long step is; null for short ones.
    pub(crate) progress: Option<ProgressView>,
    /// RFC 3339.
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) created_at: OffsetDateTime,
    /// RFC 3339; null before anybody has begun with it.
    #[serde(with = "time::serde::rfc3339::option")]
    pub(crate) started_at: Option<OffsetDateTime>,
    /// When it is tried again, if it has been put off.
    #[serde(with = "time::serde::rfc3339::option")]
    pub(crate) due_at: Option<OffsetDateTime>,
    /// RFC 3339; null while it is under way.
    #[serde(with = "time::serde::rfc3339::option")]
    pub(crate) ended_at: Option<OffsetDateTime>,
}

/// How far a step is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProgressView {
    /// So much is done.
    done: i64,
    /// Of so much.
    total: i64,
}

/// An operation with its steps.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OperationDetail {
    #[serde(flatten)]
    operation: OperationView,
    /// Those that have been begun, in order.
    steps: Vec<StepView>,
}

/// A step of an operation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StepView {
    /// From 0.
    number: i32,
    /// What is done.
    name: String,
    /// `begun`, `done` or `undone`.
    state: String,
    /// How often it has been begun.
    attempts: i32,
    /// What it has left for later.
    #[schema(value_type = Option<Object>)]
    output: Option<Value>,
    /// What went wrong the last time.
    error: Option<String>,
    /// RFC 3339.
    #[serde(with = "time::serde::rfc3339")]
    begun_at: OffsetDateTime,
    /// RFC 3339; null while it is under way.
    #[serde(with = "time::serde::rfc3339::option")]
    ended_at: Option<OffsetDateTime>,
}

impl From<Operation> for OperationView {
    fn from(it: Operation) -> Self {
        Self {
            id: it.id,
            kind: it.kind,
            subject: it.subject,
            title: it.title,
            state: it.state.as_str(),
            error: it.error,
            cancel_requested: it.cancel_requested,
            progress: it.progress.map(|(done, total)| ProgressView { done, total }),
            created_at: it.created_at,
            started_at: it.started_at,
            due_at: it.due_at,
            ended_at: it.ended_at,
        }
    }
}

impl OperationDetail {
    pub(crate) fn new(operation: Operation, steps: Vec<StepRecord>) -> Self {
        let steps = steps.into_iter().map(|it| StepView {
            number: it.number,
            name: it.name,
            state: it.state,
            attempts: it.attempts,
            output: it.output,
            error: it.error,
            begun_at: it.begun_at,
            ended_at: it.ended_at,
        });
        Self { operation: operation.into(), steps: steps.collect() }
    }
}

/// The state that a word names.
fn state_named(word: &str) -> Option<State> {
    State::ALL.into_iter().find(|state| state.as_str() == word)
}

/// The operation that a path names.
pub(crate) fn named(word: &str) -> Result<Uuid, Problem> {
    word.parse().map_err(|_| unknown(format!("there is no operation {word:?}; GET /api/v1/operations lists them")))
}

pub(crate) fn unknown(detail: String) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "OPERATION_NOT_FOUND", "Operation not found", detail)
}

/// Whether the client does not wait for the end (RFC 7240, section 4.1).
pub(crate) fn wants_no_wait(headers: &HeaderMap) -> bool {
    let preferences = headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok());
    preferences.flat_map(|value| value.split(',')).any(|one| {
        let name = one.split([';', '=']).next().unwrap_or_default();
        name.trim().eq_ignore_ascii_case("respond-async")
    })
}

const PREFER: HeaderName = HeaderName::from_static("prefer");

/// Where an operation is found that has begun.
pub(crate) fn located(operation: Uuid) -> [(HeaderName, String); 1] {
    [(header::LOCATION, format!("/api/v1/operations/{operation}"))]
}

/// The headers of an answer to who does not wait.
pub(crate) fn accepted(operation: Uuid) -> [(HeaderName, String); 3] {
    let applied = HeaderName::from_static("preference-applied");
    [
        (header::LOCATION, format!("/api/v1/operations/{operation}")),
        (applied, "respond-async".to_owned()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preferences_are_a_list_of_words() {
        let wants = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(PREFER, value.parse().expect("a value"));
            }
            wants_no_wait(&headers)
        };
        assert!(
            wants(&["respond-async"]) && wants(&["wait=10, Respond-Async ; x=1"]) && wants(&["a", "respond-async"])
        );
        assert!(!wants(&[]) && !wants(&["wait=10"]) && !wants(&["return=respond-async"]));
    }
}
