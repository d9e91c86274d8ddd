//! Taking schedules whose time has come.

use sqlx::{Postgres, Transaction};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::cadence::Cadence;
use crate::{Jobs, JobsError, Schedule};

/// A schedule whose time has come, and that nobody else sees to meanwhile. Dropped, it is as if nobody had looked.
#[derive(Debug)]
pub struct Due {
    tx: Transaction<'static, Postgres>,
    now: OffsetDateTime,
    /// What is to be begun.
    pub schedule: Schedule,
}

impl Jobs {
    /// Takes a schedule that is due, if there is one, by the database's clock, or at a moment that is given.
    ///
    /// Its row is locked until [`Due::begun`] or [`Due::skipped`] commits, which moves it on to the first time after now. So each time is
    /// seen to once, whoever looks, and however many have gone by unseen are seen to once together. A clock that is put back
    /// finds nothing due that has been.
    pub async fn due(&self, now: Option<OffsetDateTime>) -> Result<Option<Due>, JobsError> {
        // Most looks find nothing, and cost one question.
        let looked = sqlx::query_scalar!(
            r#"SELECT now AS "now!" FROM coalesce($1::timestamptz, clock_timestamp()) AS now
               WHERE EXISTS (SELECT FROM sindico.schedules WHERE enabled AND next_at <= now)"#,
            now,
        );
        let Some(now) = looked.fetch_optional(&self.db).await? else { return Ok(None) };
        let mut tx = self.db.begin().await?;
        // Whoever stands still in the middle of it holds up this schedule.
        sqlx::query!("SET LOCAL idle_in_transaction_session_timeout = '10s'").execute(&mut *tx).await?;
        let found = sqlx::query_as!(
            Schedule,
            "SELECT id, name, kind, input, cron, time_zone, enabled, next_at, last_at, last_operation, last_error,
                    created_at, updated_at
             FROM sindico.schedules WHERE enabled AND next_at <= $1
             ORDER BY next_at, id FOR UPDATE SKIP LOCKED LIMIT 1",
            now,
        )
        .fetch_optional(&mut *tx)
        .await?;
        Ok(found.map(|schedule| Due { tx, now, schedule }))
    }
}

impl Due {
    /// Where what is begun is recorded: all of it happens, or nothing.
    pub fn transaction(&mut self) -> &mut Transaction<'static, Postgres> {
        &mut self.tx
    }

    /// It has begun an operation.
    pub async fn begun(self, operation: Uuid) -> Result<(), JobsError> {
        self.move_on(Some(operation), None).await
    }

    /// It has begun nothing this time.
    pub async fn skipped(self, why: &str) -> Result<(), JobsError> {
        self.move_on(None, Some(why)).await
    }

    async fn move_on(mut self, operation: Option<Uuid>, error: Option<&str>) -> Result<(), JobsError> {
        let Schedule { id, cron, time_zone, .. } = &self.schedule;
        let (next, trouble) = match Cadence::read(cron, time_zone) {
            Ok(cadence) => match cadence.after(self.now) {
                Some(next) => (Some(next), None),
                None => (None, Some("it has no next time, so it is paused".to_owned())),
            },
            // Another version of síndico has recorded it.
            Err(error) => (None, Some(format!("{error}; it is paused until that is changed"))),
        };
        sqlx::query!(
            "UPDATE sindico.schedules SET enabled = $2::timestamptz IS NOT NULL, next_at = coalesce($2, next_at), last_at = $3,
                 last_operation = coalesce($4, last_operation), last_error = $5
             WHERE id = $1",
            id,
            next,
            self.now,
            operation,
            trouble.as_deref().or(error),
        )
        .execute(&mut *self.tx)
        .await?;
        self.tx.commit().await?;
        Ok(())
    }
}
