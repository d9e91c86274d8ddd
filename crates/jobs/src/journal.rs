//! What is written down of an operation while it is worked on. Every statement asks for the fence: it changes nothing for who has lost
//! the operation.

use std::time::Duration;

use serde_json::Value;

use crate::claim::{LEASE, interval};
use crate::{JobsError, Work};

/// A step, by where it stands and what it is called.
pub(crate) type Place = (i32, &'static str);

/// How a step begins.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Begun {
    /// For the first time.
    Fresh,
    /// It may have been begun before.
    Again,
    /// It does not: somebody wants the operation cancelled.
    Cancelled,
}

/// What is heard when a lease is renewed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Renewed {
    Yes,
    /// Somebody wants the operation cancelled.
    Cancelled,
    /// It has come to its end meanwhile, by this process.
    Ended,
}

impl Work {
    /// A step is about to be done, after the one before it, if any, has been, with its output.
    pub(crate) async fn begin_step(
        &self,
        done: Option<&(i32, Value)>,
        (number, name): Place,
    ) -> Result<Begun, JobsError> {
        let (done, output) = done.map(|(number, output)| (*number, output)).unzip();
        let row = sqlx::query!(
            r#"WITH held AS (
                   UPDATE sindico.operations SET state = 'running', progress_done = NULL, progress_total = NULL,
                       at = CASE WHEN cancel_requested THEN at ELSE $3 END,
                       put_off = CASE WHEN $5::integer IS NULL THEN put_off ELSE 0 END,
                       started_at = coalesce(started_at, clock_timestamp()), leased_until = clock_timestamp() + $7::interval
                   WHERE id = $1 AND fence = $2 AND state IN ('queued', 'running') RETURNING id, cancel_requested
               ), done AS (
                   UPDATE sindico.operation_steps s SET state = 'done', output = $6, error = NULL, ended_at = clock_timestamp()
                   FROM held WHERE s.operation = held.id AND s.number = $5
               ), begun AS (
                   INSERT INTO sindico.operation_steps (operation, number, name, state)
                   SELECT id, $3, $4, 'begun' FROM held WHERE NOT cancel_requested
                   ON CONFLICT (operation, number) DO UPDATE
                       SET state = 'begun', attempts = operation_steps.attempts + 1, ended_at = NULL
                   RETURNING attempts
               )
               SELECT cancel_requested, (SELECT attempts FROM begun) AS attempts FROM held"#,
            self.operation,
            self.fence,
            number,
            name,
            done,
            output,
            interval(LEASE),
        )
        .fetch_optional(&self.db)
        .await?
        .ok_or(JobsError::Lost)?;
        Ok(match row.attempts {
            _ if row.cancel_requested => Begun::Cancelled,
            Some(1) => Begun::Fresh,
            _ => Begun::Again,
        })
    }

    /// Whether the last step has said itself that the operation is done ([`Work::conclude`]): it may not have lived to hear that it has.
    pub(crate) async fn has_concluded(&self) -> Result<bool, JobsError> {
        let concluded = sqlx::query_scalar!(
            "SELECT 1 FROM sindico.operations WHERE id = $1 AND fence = $2 AND state = 'succeeded'",
            self.operation,
            self.fence,
        );
        Ok(concluded.fetch_optional(&self.db).await?.is_some())
    }

    /// The last step has been done, and with it the operation, unless it has said so itself ([`Work::conclude`]).
    pub(crate) async fn succeed(&self, (number, output): &(i32, Value)) -> Result<(), JobsError> {
        if self.has_concluded().await? {
            return Ok(());
        }
        let written = sqlx::query!(
            "WITH held AS (
                 UPDATE sindico.operations SET state = 'succeeded', ended_at = clock_timestamp(), leased_until = NULL, error = NULL
                 WHERE id = $1 AND fence = $2 AND state = 'running' RETURNING id
             )
             UPDATE sindico.operation_steps s SET state = 'done', output = $4, error = NULL, ended_at = clock_timestamp()
             FROM held WHERE s.operation = held.id AND s.number = $3",
            self.operation,
            self.fence,
            number,
            output,
        )
        .execute(&self.db)
        .await?;
        one(written.rows_affected())
    }

    /// What is wrong with the step under way, if it has been begun.
    pub(crate) async fn note(&self, number: i32, error: &str) -> Result<(), JobsError> {
        sqlx::query!(
            "UPDATE sindico.operation_steps s SET error = $4 FROM sindico.operations o
             WHERE o.id = $1 AND o.fence = $2 AND o.ended_at IS NULL AND s.operation = o.id AND s.number = $3",
            self.operation,
            self.fence,
            number,
            error,
        )
        .execute(&self.db)
        .await?;
        Ok(())
    }

    /// From here on it is undone: because of an error, or at somebody's wish.
    pub(crate) async fn turn_back(&self, error: Option<&str>) -> Result<(), JobsError> {
        let written = sqlx::query!(
            "UPDATE sindico.operations SET state = 'undoing', error = $3, progress_done = NULL, progress_total = NULL,
                 leased_until = clock_timestamp() + $4::interval
             WHERE id = $1 AND fence = $2 AND ended_at IS NULL",
            self.operation,
            self.fence,
            error,
            interval(LEASE),
        )
        .execute(&self.db)
        .await?;
        one(written.rows_affected())
    }

    /// A step has been undone; the first to have been done is the last to be, and with it ends the operation.
    pub(crate) async fn undone(&self, number: i32) -> Result<(), JobsError> {
        let written = sqlx::query!(
            "WITH undone AS (
                 UPDATE sindico.operation_steps s SET state = 'undone', ended_at = clock_timestamp() FROM sindico.operations o
                 WHERE o.id = $1 AND o.fence = $2 AND s.operation = o.id AND s.number = $3
             )
             UPDATE sindico.operations SET at = $3 - 1, put_off = 0,
                 leased_until = CASE WHEN $3 > 0 THEN clock_timestamp() + $4::interval END,
                 ended_at = CASE WHEN $3 > 0 THEN NULL ELSE clock_timestamp() END,
                 state = CASE WHEN $3 > 0 THEN 'undoing' WHEN error IS NULL THEN 'cancelled' ELSE 'failed' END
             WHERE id = $1 AND fence = $2 AND state = 'undoing'",
            self.operation,
            self.fence,
            number,
            interval(LEASE),
        )
        .execute(&self.db)
        .await?;
        one(written.rows_affected())
    }

    /// Gives the operation back for now: it is due again after a while.
    pub(crate) async fn put_off(&self, by: Duration) -> Result<(), JobsError> {
        let written = sqlx::query!(
            "UPDATE sindico.operations SET leased_until = NULL, due_at = clock_timestamp() + $3::interval, put_off = put_off + 1
             WHERE id = $1 AND fence = $2 AND ended_at IS NULL",
            self.operation,
            self.fence,
            interval(by),
        )
        .execute(&self.db)
        .await?;
        one(written.rows_affected())
    }

    /// Says that this process is still at it.
    pub(crate) async fn renew(&self) -> Result<Renewed, JobsError> {
        let row = sqlx::query!(
            r#"UPDATE sindico.operations SET leased_until = clock_timestamp() + $3::interval
               WHERE id = $1 AND fence = $2 RETURNING cancel_requested, ended_at IS NOT NULL AS "ended!""#,
            self.operation,
            self.fence,
            interval(LEASE),
        )
        .fetch_optional(&self.db)
        .await?
        .ok_or(JobsError::Lost)?;
        Ok(match row.ended {
            true => Renewed::Ended,
            false if row.cancel_requested => Renewed::Cancelled,
            false => Renewed::Yes,
        })
    }
}

/// A statement that asked for the fence has found the operation, or it is lost.
pub(crate) fn one(rows: u64) -> Result<(), JobsError> {
    if rows == 1 { Ok(()) } else { Err(JobsError::Lost) }
}
