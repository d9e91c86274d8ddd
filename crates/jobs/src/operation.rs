//! Operations as people look at them.

use serde_json::Value;
use sqlx::{Postgres, Transaction};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{Jobs, JobsError};

/// How an operation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nobody has begun with it.
    Queued,
    /// Its steps are being done.
    Running,
    /// What was begun is being taken back.
    Undoing,
    /// All steps are done.
    Succeeded,
    /// A step failed; all is as it was.
    Failed,
    /// Somebody wanted it cancelled; all is as it was.
    Cancelled,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Queued, Self::Running, Self::Undoing, Self::Succeeded, Self::Failed, Self::Cancelled];

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Undoing => "undoing",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    fn read(word: &str) -> Result<Self, JobsError> {
        Self::ALL.into_iter().find(|state| state.as_str() == word).ok_or(JobsError::Unreadable("operation's state"))
    }
}

/// An operation.
#[derive(Debug, Clone)]
pub struct Operation {
    /// UUID version 7.
    pub id: Uuid,
    /// Which procedure.
    pub kind: String,
    /// What it changes.
    pub subject: Uuid,
    /// What people call that.
    pub title: String,
    /// How it stands.
    pub state: State,
    /// The last error, if its last attempt at something failed.
    pub error: Option<String>,
    /// Somebody wants it cancelled.
    pub cancel_requested: bool,
    /// Of a long step, how much is done and of how much.
    pub progress: Option<(i64, i64)>,
    /// When it was recorded.
    pub created_at: OffsetDateTime,
    /// When somebody began with it.
    pub started_at: Option<OffsetDateTime>,
    /// When it will be tried again, if it has been put off.
    pub due_at: Option<OffsetDateTime>,
    /// When it ended.
    pub ended_at: Option<OffsetDateTime>,
}

/// A step of an operation that has been begun.
#[derive(Debug, Clone)]
pub struct StepRecord {
    /// From 0.
    pub number: i32,
    /// What it is called.
    pub name: String,
    /// `begun`, `done` or `undone`.
    pub state: String,
    /// How often it has been begun.
    pub attempts: i32,
    /// What it has left for later.
    pub output: Option<Value>,
    /// What went wrong the last time.
    pub error: Option<String>,
    /// When it was begun first.
    pub begun_at: OffsetDateTime,
    /// When it was done or undone.
    pub ended_at: Option<OffsetDateTime>,
}

/// Which operations to list.
#[derive(Debug, Clone, Default)]
pub struct OperationFilter {
    /// In one state only.
    pub state: Option<State>,
    /// On one thing only.
    pub subject: Option<Uuid>,
    /// Those before this one.
    pub before: Option<Uuid>,
    /// At most so many.
    pub limit: i64,
}

struct Row {
    id: Uuid,
    kind: String,
    subject: Uuid,
    title: String,
    state: String,
    error: Option<String>,
    cancel_requested: bool,
    progress_done: Option<i64>,
    progress_total: Option<i64>,
    put_off: i32,
    created_at: OffsetDateTime,
    started_at: Option<OffsetDateTime>,
    due_at: OffsetDateTime,
    ended_at: Option<OffsetDateTime>,
}

impl TryFrom<Row> for Operation {
    type Error = JobsError;

    fn try_from(row: Row) -> Result<Self, JobsError> {
        Ok(Self {
            id: row.id,
            kind: row.kind,
            subject: row.subject,
            title: row.title,
            state: State::read(&row.state)?,
            error: row.error,
            cancel_requested: row.cancel_requested,
            progress: row.progress_done.zip(row.progress_total),
            created_at: row.created_at,
            started_at: row.started_at,
            due_at: Some(row.due_at).filter(|_| row.put_off > 0 && row.ended_at.is_none()),
            ended_at: row.ended_at,
        })
    }
}

impl Jobs {
    /// The operation, if it is known.
    pub async fn operation(&self, id: Uuid) -> Result<Option<Operation>, JobsError> {
        sqlx::query_as!(
            Row,
            "SELECT id, kind, subject, title, state, error, cancel_requested, progress_done, progress_total, put_off,
                    created_at, started_at, due_at, ended_at
             FROM sindico.operations WHERE id = $1",
            id,
        )
        .fetch_optional(&self.db)
        .await?
        .map(Operation::try_from)
        .transpose()
    }

    /// The kind of the operation that is under way on something, as a transaction sees it.
    pub async fn under_way(
        &self,
        tx: &mut Transaction<'static, Postgres>,
        subject: Uuid,
    ) -> Result<Option<String>, JobsError> {
        let kind = sqlx::query_scalar!(
            "SELECT kind FROM sindico.operations WHERE subject = $1 AND ended_at IS NULL",
            subject,
        )
        .fetch_optional(&mut **tx)
        .await?;
        Ok(kind)
    }

    /// A page of operations, newest first.
    pub async fn operations(&self, filter: &OperationFilter) -> Result<Vec<Operation>, JobsError> {
        let rows = sqlx::query_as!(
            Row,
            "SELECT id, kind, subject, title, state, error, cancel_requested, progress_done, progress_total, put_off,
                    created_at, started_at, due_at, ended_at
             FROM sindico.operations
             WHERE ($1::text IS NULL OR state = $1) AND ($2::uuid IS NULL OR subject = $2) AND ($3::uuid IS NULL OR id < $3)
             ORDER BY id DESC LIMIT $4",
            filter.state.map(State::as_str),
            filter.subject,
            filter.before,
            filter.limit,
        )
        .fetch_all(&self.db)
        .await?;
        rows.into_iter().map(Operation::try_from).collect()
    }

    /// An operation's steps that have been begun, in order.
    pub async fn steps(&self, id: Uuid) -> Result<Vec<StepRecord>, JobsError> {
        let steps = sqlx::query_as!(
            StepRecord,
            "SELECT number, name, state, attempts, output, error, begun_at, ended_at
             FROM sindico.operation_steps WHERE operation = $1 ORDER BY number",
            id,
        )
        .fetch_all(&self.db)
        .await?;
        Ok(steps)
    }

    /// Asks for an operation of one of these kinds to be cancelled. `false` if it has ended, is being undone, or is of another.
    pub async fn cancel(&self, id: Uuid, kinds: &[&str]) -> Result<bool, JobsError> {
        let kinds: Vec<String> = kinds.iter().map(|kind| (*kind).to_owned()).collect();
        let asked = sqlx::query!(
            "UPDATE sindico.operations SET cancel_requested = true
             WHERE id = $1 AND state IN ('queued', 'running') AND kind = ANY ($2)",
            id,
            &kinds,
        )
        .execute(&self.db)
        .await?;
        Ok(asked.rows_affected() == 1)
    }

    /// Forgets operations that ended so many days ago.
    pub async fn purge(&self, days: i32) -> Result<u64, JobsError> {
        let purged = sqlx::query!(
            "DELETE FROM sindico.operations WHERE ended_at < clock_timestamp() - make_interval(days => $1)",
            days,
        )
        .execute(&self.db)
        .await?;
        Ok(purged.rows_affected())
    }
}
