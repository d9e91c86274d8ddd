//! Recording operations, and taking one that is due.

use std::time::Duration;

use serde_json::Value;
use sqlx::postgres::types::PgInterval;
use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use crate::run::LONGEST;
use crate::{Jobs, JobsError, Work};

/// For how long an operation is its holder's who does not say that it is still there.
pub(crate) const LEASE: Duration = Duration::from_secs(10);

/// An operation to be recorded.
#[derive(Debug)]
pub struct NewOperation<'a> {
    /// Which procedure.
    pub kind: &'a str,
    /// What it changes. While one operation is under way, there is no other for the same.
    pub subject: Uuid,
    /// What people call that.
    pub title: &'a str,
    /// What its steps need to know, without secrets.
    pub input: Value,
    /// Of two that are due the higher goes first.
    pub priority: i16,
}

/// An operation that this process holds the lease of.
#[derive(Debug)]
pub struct Claim {
    pub(crate) work: Work,
    /// Which procedure.
    pub kind: String,
    /// What people call its subject.
    pub title: String,
    /// The step that is next, was begun, or is to be undone next.
    pub(crate) at: i32,
    pub(crate) undoing: bool,
    /// Why it is being undone; not at somebody's wish, then.
    pub(crate) error: Option<String>,
    pub(crate) put_off: i32,
    /// How long ago it was recorded.
    pub(crate) age: Duration,
}

impl Claim {
    /// Which operation it is.
    #[must_use]
    pub fn operation(&self) -> Uuid {
        self.work.operation
    }
}

impl Jobs {
    /// Records an operation, in the transaction in which its subject is made ready for it, and takes it at once: whoever records it
    /// begins with it, or, if it does not live so long, somebody else does when the lease is over.
    pub async fn enqueue(
        &self,
        tx: &mut Transaction<'static, Postgres>,
        new: NewOperation<'_>,
    ) -> Result<Claim, JobsError> {
        let id = Uuid::now_v7();
        let fence = 1;
        let inserted = sqlx::query!(
            "INSERT INTO sindico.operations (id, kind, subject, title, input, priority, fence, leased_until)
             VALUES ($1, $2, $3, $4, $5, $6, $7, clock_timestamp() + $8::interval)
             ON CONFLICT (subject) WHERE ended_at IS NULL DO NOTHING",
            id,
            new.kind,
            new.subject,
            new.title,
            new.input,
            new.priority,
            fence,
            interval(LEASE),
        )
        .execute(&mut **tx)
        .await?;
        if inserted.rows_affected() == 0 {
            return Err(JobsError::UnderWay);
        }
        Ok(Claim {
            work: Work { db: self.db.clone(), operation: id, fence, input: new.input },
            kind: new.kind.to_owned(),
            title: new.title.to_owned(),
            at: 0,
            undoing: false,
            error: None,
            put_off: 0,
            age: Duration::ZERO,
        })
    }

    /// Records an operation that is done, in the transaction in which it is: with the one step that it took, and what that came to.
    pub async fn record(
        &self,
        tx: &mut Transaction<'static, Postgres>,
        new: NewOperation<'_>,
        step: &str,
        output: Value,
    ) -> Result<Uuid, JobsError> {
        let id = Uuid::now_v7();
        sqlx::query!(
            "WITH done AS (
                 INSERT INTO sindico.operations (id, kind, subject, title, input, priority, state, started_at, ended_at)
                 VALUES ($1, $2, $3, $4, $5, $6, 'succeeded', now(), clock_timestamp()) RETURNING id
             )
             INSERT INTO sindico.operation_steps (operation, number, name, state, output, begun_at, ended_at)
             SELECT id, 0, $7, 'done', $8, now(), clock_timestamp() FROM done",
            id,
            new.kind,
            new.subject,
            new.title,
            new.input,
            new.priority,
            step,
            output,
        )
        .execute(&mut **tx)
        .await?;
        Ok(id)
    }

    /// Takes an operation of these kinds that is due and that nobody is at, if there is one.
    pub async fn claim(&self, kinds: &[&str]) -> Result<Option<Claim>, JobsError> {
        self.take(kinds, None, false, &[]).await
    }

    /// The same with what has been put off, due or not, besides these.
    pub async fn claim_early(&self, kinds: &[&str], besides: &[Uuid]) -> Result<Option<Claim>, JobsError> {
        self.take(kinds, None, true, besides).await
    }

    /// Takes the operation that changes this, if it is of this kind and nobody is at it, due or not.
    pub async fn claim_for(&self, subject: Uuid, kind: &str) -> Result<Option<Claim>, JobsError> {
        self.take(&[kind], Some(subject), true, &[]).await
    }

    async fn take(
        &self,
        kinds: &[&str],
        subject: Option<Uuid>,
        early: bool,
        besides: &[Uuid],
    ) -> Result<Option<Claim>, JobsError> {
        let kinds: Vec<String> = kinds.iter().map(|kind| (*kind).to_owned()).collect();
        // What is put off for longer than anything is, or leased for longer, was so before the clock was set back.
        let row = sqlx::query!(
            "UPDATE sindico.operations SET fence = fence + 1, leased_until = clock_timestamp() + $2::interval
             WHERE id = (SELECT id FROM sindico.operations
                         WHERE ended_at IS NULL AND kind = ANY ($1)
                             AND ($4 OR due_at <= clock_timestamp() OR due_at > clock_timestamp() + $6::interval)
                             AND ($3::uuid IS NULL OR subject = $3) AND id <> ALL ($5)
                             AND (leased_until IS NULL OR leased_until < clock_timestamp()
                                  OR leased_until > clock_timestamp() + $7::interval)
                         ORDER BY priority DESC, due_at FOR UPDATE SKIP LOCKED LIMIT 1)
             RETURNING id, fence, kind, title, input, state, at, error, put_off,
                 extract(epoch FROM clock_timestamp() - created_at)::float8 AS \"age!\"",
            &kinds,
            interval(LEASE),
            subject,
            early,
            besides,
            interval(LONGEST * 2),
            interval(LEASE * 2),
        )
        .fetch_optional(&self.db)
        .await?;
        Ok(row.map(|row| Claim {
            work: Work { db: self.db.clone(), operation: row.id, fence: row.fence, input: row.input },
            kind: row.kind,
            title: row.title,
            at: row.at,
            undoing: row.state == "undoing",
            error: row.error,
            put_off: row.put_off,
            // A clock that was set back makes nothing older.
            age: Duration::try_from_secs_f64(row.age).unwrap_or_default(),
        }))
    }
}

pub(crate) fn interval(duration: Duration) -> PgInterval {
    let microseconds = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    PgInterval { months: 0, days: 0, microseconds }
}
