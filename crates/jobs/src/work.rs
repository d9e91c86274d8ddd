//! What a step works with.

use serde::de::DeserializeOwned;
use serde_json::Value;
use sqlx::{PgPool, Postgres, Transaction};
use uuid::Uuid;

use crate::journal::one;
use crate::{Fault, JobsError};

/// An operation that this process works on, for as long as its lease lasts.
#[derive(Debug)]
pub struct Work {
    pub(crate) db: PgPool,
    pub(crate) operation: Uuid,
    pub(crate) fence: i64,
    pub(crate) input: Value,
}

impl Work {
    /// Which operation it is.
    #[must_use]
    pub fn operation(&self) -> Uuid {
        self.operation
    }

    /// What the operation was given.
    pub fn input<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        T::deserialize(&self.input).map_err(|error| Fault::Lasting(Box::new(error)))
    }

    /// A transaction on the control database that only whoever holds the operation can commit: nobody takes it over meanwhile.
    pub async fn begin(&self) -> Result<Transaction<'static, Postgres>, Fault> {
        let mut tx = self.db.begin().await?;
        sqlx::query_scalar!(
            "SELECT 1 FROM sindico.operations WHERE id = $1 AND fence = $2 AND ended_at IS NULL FOR UPDATE",
            self.operation,
            self.fence,
        )
        .fetch_optional(&mut *tx)
        .await?
        .ok_or(Fault::Lost)?;
        // Whoever stands still in the middle of it holds up whoever takes the operation over.
        sqlx::query!("SET LOCAL idle_in_transaction_session_timeout = '10s'").execute(&mut *tx).await?;
        Ok(tx)
    }

    /// Ends the operation as done in the transaction in which its last step makes its effect known: there is no moment at which others
    /// see the one without the other, and so nothing that is in use is ever undone. The step's output is what it would have returned.
    pub async fn conclude(&self, tx: &mut Transaction<'static, Postgres>, output: Option<&Value>) -> Result<(), Fault> {
        let ended = sqlx::query!(
            "UPDATE sindico.operations SET state = 'succeeded', ended_at = clock_timestamp(), leased_until = NULL, error = NULL
             WHERE id = $1 AND fence = $2 AND state = 'running' AND NOT cancel_requested",
            self.operation,
            self.fence,
        )
        .execute(&mut **tx)
        .await?;
        if ended.rows_affected() == 0 {
            // Whoever has lost it has not come here: `begin` has asked.
            return Err(Fault::Cancelled);
        }
        sqlx::query!(
            "UPDATE sindico.operation_steps SET state = 'done', output = $2, error = NULL, ended_at = clock_timestamp()
             WHERE operation = $1 AND state = 'begun'",
            self.operation,
            output,
        )
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    /// Makes sure that the operation is still this process' own. To be asked after a session on another server has been opened and
    /// before it is used: whoever takes the operation over ends such sessions, so one that was opened before that is ended, and one
    /// that is opened later fails here.
    pub async fn holds(&self) -> Result<(), JobsError> {
        sqlx::query_scalar!(
            "SELECT 1 FROM sindico.operations WHERE id = $1 AND fence = $2 AND ended_at IS NULL",
            self.operation,
            self.fence,
        )
        .fetch_optional(&self.db)
        .await?
        .map(|_| ())
        .ok_or(JobsError::Lost)
    }

    /// Tells how far a long step has come.
    pub async fn progress(&self, done: u64, total: u64) -> Result<(), Fault> {
        let [done, total] = [done, total].map(|count| i64::try_from(count).unwrap_or(i64::MAX));
        let told = sqlx::query!(
            "UPDATE sindico.operations SET progress_done = $3, progress_total = $4 WHERE id = $1 AND fence = $2",
            self.operation,
            self.fence,
            done,
            total,
        )
        .execute(&self.db)
        .await?;
        Ok(one(told.rows_affected())?)
    }
}
