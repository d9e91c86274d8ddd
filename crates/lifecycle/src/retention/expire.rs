//! One table of one tenant's: its old rows, a few at a time, oldest first.

use std::time::Duration;

use catalog::{Entry, RetentionRule};
use domain::{AppName, quote_ident, quote_literal};
use jobs::Work;
use objects::ObjectError;
use tokio::time::sleep;
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::error::SqlState;

use crate::archive::{Archiving, Chosen, Refused};
use crate::error::postgres_text;
use crate::migrate::last_value;
use crate::server::Session;
use crate::{Lifecycle, LifecycleError};

/// Rows in a transaction, and in one that archives them, which is an object.
const BATCH: usize = 1000;
const ARCHIVE_BATCH: usize = 10_000;

/// More rows than this that cannot be removed are not looked for one by one.
const MOST_HELD: i64 = 10_000;

/// Pauses before rows are tried again that somebody has locked.
const AGAIN: [Duration; 3] = [Duration::from_millis(100), Duration::from_millis(500), Duration::from_secs(2)];

/// What of a session the tenant, or a trigger of the app's, may have set otherwise. Times without a zone are taken for UTC, and archived
/// values are written as in a backup.
const BEGIN: &str = "
    BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL lock_timeout = '2s'; SET LOCAL statement_timeout = '60s';
    SET LOCAL idle_in_transaction_session_timeout = '60s'; SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO, YMD';
    SET LOCAL IntervalStyle = 'postgres'; SET LOCAL row_security = on; SET LOCAL extra_float_digits = 3; SET LOCAL bytea_output = hex;
    SET LOCAL lc_monetary = 'C'; SET LOCAL xmloption = content; SET LOCAL client_encoding = 'UTF8';
    SET LOCAL synchronous_commit = on";

/// What has come of a table.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Removed, or counted.
    pub(super) rows: i64,
    /// Whether those are in archives now, or would be.
    pub(super) archived: bool,
    /// That could not be removed.
    pub(super) held: i64,
    /// Why not, or why the table was left out.
    pub(super) note: Option<String>,
}

pub(super) struct Expiry<'a> {
    pub(super) desk: &'a Lifecycle,
    pub(super) work: &'a Work,
    pub(super) session: &'a Session,
    pub(super) entry: &'a Entry,
    pub(super) app: &'a AppName,
    pub(super) rule: &'a RetentionRule,
    /// What the store said to somebody before.
    pub(super) store_failed: Option<&'a str>,
}

/// What is old.
struct Old {
    table: String,
    column: String,
    /// The type's name in SQL.
    kind: String,
    /// The first moment that is not old.
    limit: String,
}

/// Where a row is, and from when.
struct Row {
    table: String,
    place: String,
    at: String,
}

/// Why rows were not removed.
enum Stop {
    /// By themselves, or one of them by itself, they cannot be.
    Held(String),
    /// The session is gone.
    Lost(LifecycleError),
}

impl Expiry<'_> {
    pub(super) async fn count(&self) -> Result<Outcome, LifecycleError> {
        match self.look().await? {
            Ok(old) => {
                let archived = self.rule.archive.is_some();
                Ok(Outcome { rows: self.how_many(&old).await?, archived, ..Outcome::default() })
            }
            Err(why) => Ok(Outcome { note: Some(why), ..Outcome::default() }),
        }
    }

    pub(super) async fn remove(&self) -> Result<Outcome, LifecycleError> {
        let mut outcome = Outcome { archived: self.rule.archive.is_some(), ..Outcome::default() };
        match self.look().await? {
            Ok(old) => self.remove_old(&old, &mut outcome).await?,
            Err(why) => outcome.note = Some(why),
        }
        self.tell(0, Some((outcome.held, outcome.note.as_deref()))).await?;
        Ok(outcome)
    }

    /// What is old now, or why there is no such thing.
    async fn look(&self) -> Result<Result<Old, String>, LifecycleError> {
        let RetentionRule { table, column, keep, archive } = self.rule;
        let no_store = self.desk.backups.store.is_none().then(|| LifecycleError::NoStore.to_string());
        if let Some(why) = no_store.or_else(|| self.store_failed.map(str::to_owned)).filter(|_| archive.is_some()) {
            return Ok(Err(format!("rows of {table} are to be archived: {why}")));
        }
        let quoted = format!("{}.{}", quote_ident(&self.entry.placement.schema), quote_ident(table));
        let sql = format!(
            "SELECT atttypid::regtype::text FROM pg_attribute
             WHERE attrelid = to_regclass({}) AND attname = {} AND NOT attisdropped",
            quote_literal(&quoted),
            quote_literal(column)
        );
        let said = self.ask(&sql).await?;
        let Some(kind) = last_value(&said) else {
            return Ok(Err(format!("its tables have no {table}.{column} (yet); it may be behind with migrations")));
        };
        let now = match kind.as_str() {
            "timestamp with time zone" => "now()",
            "timestamp without time zone" | "date" => "localtimestamp",
            _ => return Ok(Err(format!("{table}.{column} is of type {kind}, which does not say when"))),
        };
        let said =
            self.ask(&format!("SELECT ({now} - interval {})::{kind}::text", quote_literal(keep.as_str()))).await?;
        let limit = last_value(&said).ok_or_else(|| LifecycleError::Unverified("the server's time".to_owned()))?;
        Ok(Ok(Old { table: quoted, column: quote_ident(column), kind, limit }))
    }

    async fn how_many(&self, old: &Old) -> Result<i64, LifecycleError> {
        let said = self.ask(&format!("SELECT count(*) FROM {} WHERE {}", old.table, old.condition())).await?;
        Ok(last_value(&said).and_then(|count| count.parse().ok()).unwrap_or_default())
    }

    async fn remove_old(&self, old: &Old, outcome: &mut Outcome) -> Result<(), LifecycleError> {
        // A trigger may write rows that are old from the beginning, for ever.
        let mut left = self.how_many(old).await?;
        let mut last: Option<Row> = None;
        while left > 0 {
            let page = self.page(old, last.as_ref()).await?;
            left = left.saturating_sub(i64::try_from(page.len()).unwrap_or(i64::MAX));
            if page.is_empty() {
                break;
            }
            self.remove_page(old, &page, outcome).await?;
            if outcome.held >= MOST_HELD {
                let why = outcome.note.take().unwrap_or_default();
                outcome.note = Some(format!("given up after so many rows that cannot be removed: {why}"));
                break;
            }
            last = page.into_iter().next_back();
        }
        Ok(())
    }

    /// The rows that come next. Without the `t` they would be in the order of the texts, which have the columns' names.
    async fn page(&self, old: &Old, after: Option<&Row>) -> Result<Vec<Row>, LifecycleError> {
        let Old { table, column, kind, .. } = old;
        let batch = if self.rule.archive.is_some() { ARCHIVE_BATCH } else { BATCH };
        let beyond = after.map_or_else(String::new, |Row { table, place, at }| {
            format!(
                "AND ({column}, tableoid, ctid) > ({}::{kind}, {}::oid, {}::tid)",
                quote_literal(at),
                quote_literal(table),
                quote_literal(place)
            )
        });
        let said = self
            .ask(&format!(
                "SELECT tableoid::text, ctid::text, {column}::text FROM {table} AS t WHERE {} {beyond}
                 ORDER BY t.{column}, t.tableoid, t.ctid LIMIT {batch}",
                old.condition()
            ))
            .await?;
        let text = |row: &tokio_postgres::SimpleQueryRow, nth| row.get(nth).unwrap_or_default().to_owned();
        Ok(said
            .iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => {
                    Some(Row { table: text(row, 0), place: text(row, 1), at: text(row, 2) })
                }
                _ => None,
            })
            .collect())
    }

    /// All of them at once, or, if one is in the way, halves of them, down to that one.
    async fn remove_page(&self, old: &Old, page: &[Row], outcome: &mut Outcome) -> Result<(), LifecycleError> {
        let mut parts = vec![page];
        while let Some(part) = parts.pop() {
            self.work.holds().await?;
            self.desk.probe.pass("retention")?;
            match self.delete(old, part).await {
                Ok(removed) => {
                    outcome.rows = outcome.rows.saturating_add(removed);
                    self.tell(removed, None).await?;
                }
                Err(Stop::Held(_)) if part.len() > 1 => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first]);
                }
                Err(Stop::Held(why)) => {
                    outcome.held += 1;
                    outcome.note.get_or_insert(why);
                }
                Err(Stop::Lost(error)) => return Err(error),
            }
        }
        Ok(())
    }

    /// Where a table is divided, a row in the same place of another part may go too: it is as old.
    async fn delete(&self, old: &Old, rows: &[Row]) -> Result<i64, Stop> {
        let places: Vec<String> = rows.iter().map(|row| format!("\"{}\"", row.place)).collect();
        let Old { table, column, kind, .. } = old;
        let (places, condition) = (places.join(","), old.condition());
        let [first, last] = [rows.first(), rows.last()].map(|row| quote_literal(row.map_or("", |row| &row.at)));
        let sql = format!(
            "DELETE FROM {table} WHERE ctid = ANY ('{{{places}}}'::tid[]) AND {condition}
                 AND {column} BETWEEN {first}::{kind} AND {last}::{kind}"
        );
        let mut pauses = AGAIN.iter();
        loop {
            let error = match self.attempt(old, &sql, rows).await {
                Ok(removed) => return Ok(removed),
                Err(Refused::Failed(error)) => return Err(Stop::Lost(error)),
                // With so few rows it is the store that is slow, for everybody.
                Err(Refused::Slow(reason)) if rows.len() < BATCH => {
                    let failed = ObjectError::Store { object: "an archive".to_owned(), reason };
                    return Err(Stop::Lost(failed.into()));
                }
                Err(Refused::Slow(why)) => return Err(Stop::Held(why)),
                Err(Refused::Server(error)) => error,
            };
            let Some(said) = error.as_db_error().filter(|_| !self.session.is_closed()) else {
                return Err(Stop::Lost(self.session.fault(&error)));
            };
            if let Err(error) = self.session.run("ROLLBACK").await {
                return Err(Stop::Lost(error));
            }
            let busy = [SqlState::LOCK_NOT_AVAILABLE, SqlState::T_R_DEADLOCK_DETECTED];
            match (busy.contains(said.code()), pauses.next()) {
                (true, Some(pause)) => sleep(*pause).await,
                _ => return Err(Stop::Held(why(said, &error))),
            }
        }
    }

    async fn attempt(&self, old: &Old, delete: &str, rows: &[Row]) -> Result<i64, Refused> {
        let Self { desk, work, session, entry, app, rule, .. } = *self;
        let (Some(keep), Some(first), Some(last)) = (&rule.archive, rows.first(), rows.last()) else {
            let sql = format!("{BEGIN}; WITH gone AS ({delete} RETURNING 1) SELECT count(*) FROM gone");
            // The end by itself: if this is cancelled meanwhile, the server takes it back.
            let said = session.simple_query(&sql).await?;
            session.batch_execute("COMMIT").await?;
            return Ok(last_value(&said).and_then(|count| count.parse().ok()).unwrap_or_default());
        };
        let archiving = Archiving { desk, work, session, entry, app, table: &rule.table, keep };
        archiving.take(BEGIN, &Chosen { table: &old.table, delete, oldest: &first.at, newest: &last.at }).await
    }

    /// A transaction that changes nothing.
    async fn ask(&self, sql: &str) -> Result<Vec<SimpleQueryMessage>, LifecycleError> {
        match self.session.simple_query(&format!("{BEGIN}; {sql}; COMMIT")).await {
            Ok(said) => Ok(said),
            Err(error) => {
                let _gone = self.session.batch_execute("ROLLBACK").await;
                Err(self.session.fault(&error))
            }
        }
    }

    async fn tell(&self, removed: i64, outcome: Option<(i64, Option<&str>)>) -> Result<(), LifecycleError> {
        let (tenant, operation) = (self.entry.tenant, self.work.operation());
        Ok(self.desk.catalog.add_retention_run(tenant, &self.rule.table, operation, removed, outcome).await?)
    }
}

impl Old {
    fn condition(&self) -> String {
        format!("{} < {}::{}", self.column, quote_literal(&self.limit), self.kind)
    }
}

/// Which constraint is in the way, or what the server or a trigger says.
fn why(said: &tokio_postgres::error::DbError, error: &tokio_postgres::Error) -> String {
    match (said.constraint(), said.table()) {
        (Some(constraint), Some(table)) => {
            format!("constraint {constraint} of {table} keeps rows: {}", postgres_text(error))
        }
        _ => postgres_text(error),
    }
}
