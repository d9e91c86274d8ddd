//! Schedules as people keep them.

use serde_json::Value;
use sqlx::{Postgres, Transaction};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::cadence::{Cadence, CadenceError};
use crate::{Jobs, JobsError};

/// What begins by itself, and when.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// UUID version 7.
    pub id: Uuid,
    /// What people call it; no two have the same.
    pub name: String,
    /// What is begun.
    pub kind: String,
    /// With what.
    pub input: Value,
    /// When: a cron expression.
    pub cron: String,
    /// By the clocks of this time zone.
    pub time_zone: String,
    /// Whether it begins anything.
    pub enabled: bool,
    /// The time that it waits for, if it is enabled.
    pub next_at: OffsetDateTime,
    /// When it was last due and somebody saw to it.
    pub last_at: Option<OffsetDateTime>,
    /// What was begun the last time that something was.
    pub last_operation: Option<Uuid>,
    /// Why nothing was begun the last time, if nothing was.
    pub last_error: Option<String>,
    /// When it was recorded.
    pub created_at: OffsetDateTime,
    /// When somebody last changed it.
    pub updated_at: OffsetDateTime,
}

/// A schedule to be recorded.
#[derive(Debug)]
pub struct NewSchedule<'a> {
    /// See [`Schedule::name`].
    pub name: &'a str,
    /// See [`Schedule::kind`].
    pub kind: &'a str,
    /// See [`Schedule::input`].
    pub input: Value,
    /// See [`Schedule::cron`].
    pub cron: &'a str,
    /// See [`Schedule::time_zone`].
    pub time_zone: &'a str,
    /// See [`Schedule::enabled`].
    pub enabled: bool,
}

/// What is to be different; the rest stays.
#[derive(Debug, Clone, Default)]
pub struct ScheduleEdit {
    /// See [`Schedule::name`].
    pub name: Option<String>,
    /// See [`Schedule::input`].
    pub input: Option<Value>,
    /// See [`Schedule::cron`].
    pub cron: Option<String>,
    /// See [`Schedule::time_zone`].
    pub time_zone: Option<String>,
    /// See [`Schedule::enabled`]. Whoever enables one has it wait for the next time from now on, also if it was.
    pub enabled: Option<bool>,
}

/// How a schedule is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScheduleRef {
    /// By id.
    Id(Uuid),
    /// By name.
    Name(String),
}

impl ScheduleRef {
    fn parts(&self) -> (Option<Uuid>, Option<&str>) {
        match self {
            Self::Id(id) => (Some(*id), None),
            Self::Name(name) => (None, Some(name)),
        }
    }
}

/// Why a schedule is not kept.
#[derive(Debug, thiserror::Error)]
pub enum ScheduleError {
    /// The control database refused or does not answer.
    #[error("control database: {0}")]
    Database(#[from] sqlx::Error),
    /// Its cadence is none.
    #[error(transparent)]
    Cadence(#[from] CadenceError),
    /// Another has the name.
    #[error("there is a schedule \"{0}\" already; choose another name, or change that one")]
    Taken(String),
}

impl Jobs {
    /// Records a schedule, which waits for its first time from now on.
    pub async fn add_schedule(&self, new: NewSchedule<'_>) -> Result<Schedule, ScheduleError> {
        let mut tx = self.db.begin().await?;
        let next = first(&mut tx, new.cron, new.time_zone).await?;
        let added = sqlx::query_as!(
            Schedule,
            "INSERT INTO sindico.schedules (id, name, kind, input, cron, time_zone, enabled, next_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
             ON CONFLICT (name) DO NOTHING
             RETURNING id, name, kind, input, cron, time_zone, enabled, next_at, last_at, last_operation, last_error,
                       created_at, updated_at",
            Uuid::now_v7(),
            new.name,
            new.kind,
            new.input,
            new.cron,
            new.time_zone,
            new.enabled,
            next,
        )
        .fetch_optional(&mut *tx)
        .await?;
        tx.commit().await?;
        added.ok_or_else(|| ScheduleError::Taken(new.name.to_owned()))
    }

    /// The schedule, if it is known.
    pub async fn schedule(&self, which: &ScheduleRef) -> Result<Option<Schedule>, JobsError> {
        let (id, name) = which.parts();
        let found = sqlx::query_as!(
            Schedule,
            "SELECT id, name, kind, input, cron, time_zone, enabled, next_at, last_at, last_operation, last_error,
                    created_at, updated_at
             FROM sindico.schedules WHERE id = $1 OR name = $2",
            id,
            name,
        )
        .fetch_optional(&self.db)
        .await?;
        Ok(found)
    }

    /// A page of schedules, oldest first.
    pub async fn schedules(&self, after: Option<Uuid>, limit: i64) -> Result<Vec<Schedule>, JobsError> {
        let found = sqlx::query_as!(
            Schedule,
            "SELECT id, name, kind, input, cron, time_zone, enabled, next_at, last_at, last_operation, last_error,
                    created_at, updated_at
             FROM sindico.schedules WHERE $1::uuid IS NULL OR id > $1 ORDER BY id LIMIT $2",
            after,
            limit,
        )
        .fetch_all(&self.db)
        .await?;
        Ok(found)
    }

    /// Changes a schedule. None if there is none.
    pub async fn edit_schedule(
        &self,
        which: &ScheduleRef,
        edit: ScheduleEdit,
    ) -> Result<Option<Schedule>, ScheduleError> {
        let (id, name) = which.parts();
        let mut tx = self.db.begin().await?;
        // Whoever is beginning what it is about comes first.
        let found = sqlx::query!(
            "SELECT id, cron, time_zone, next_at FROM sindico.schedules WHERE id = $1 OR name = $2 FOR UPDATE",
            id,
            name,
        )
        .fetch_optional(&mut *tx)
        .await?;
        let Some(found) = found else { return Ok(None) };
        let cron = edit.cron.unwrap_or_else(|| found.cron.clone());
        let time_zone = edit.time_zone.unwrap_or_else(|| found.time_zone.clone());
        let as_before = (&cron, &time_zone) == (&found.cron, &found.time_zone) && edit.enabled != Some(true);
        let next = if as_before { found.next_at } else { first(&mut tx, &cron, &time_zone).await? };
        let edited = sqlx::query_as!(
            Schedule,
            "UPDATE sindico.schedules SET name = coalesce($2, name), input = coalesce($3, input), cron = $4, time_zone = $5,
                 enabled = coalesce($6, enabled), next_at = $7, updated_at = clock_timestamp()
             WHERE id = $1
             RETURNING id, name, kind, input, cron, time_zone, enabled, next_at, last_at, last_operation, last_error,
                       created_at, updated_at",
            found.id,
            edit.name,
            edit.input,
            cron,
            time_zone,
            edit.enabled,
            next,
        )
        .fetch_one(&mut *tx)
        .await;
        let edited = match (edited, edit.name) {
            (Err(sqlx::Error::Database(error)), Some(name)) if error.is_unique_violation() => {
                return Err(ScheduleError::Taken(name));
            }
            (edited, _) => edited?,
        };
        tx.commit().await?;
        Ok(Some(edited))
    }

    /// Forgets a schedule; what it has begun goes on. `false` if there is none.
    pub async fn remove_schedule(&self, which: &ScheduleRef) -> Result<bool, JobsError> {
        let (id, name) = which.parts();
        let removed = sqlx::query!("DELETE FROM sindico.schedules WHERE id = $1 OR name = $2", id, name)
            .execute(&self.db)
            .await?;
        Ok(removed.rows_affected() > 0)
    }
}

/// The first time from now on, by the database's clock.
async fn first(
    tx: &mut Transaction<'static, Postgres>,
    cron: &str,
    time_zone: &str,
) -> Result<OffsetDateTime, ScheduleError> {
    let cadence = Cadence::read(cron, time_zone)?;
    let now = sqlx::query_scalar!(r#"SELECT clock_timestamp() AS "now!""#).fetch_one(&mut **tx).await?;
    Ok(cadence.after(now).ok_or_else(|| CadenceError::Never(cron.to_owned()))?)
}
