//! Síndico's own questions on a connection between two clients: what a session has become, and making it another.

use std::{io, mem};

use bytes::BytesMut;
use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;
use wire::backend::TransactionStatus;
use wire::{frame, frontend};

use crate::connection::{Connection, Message, Reader, data_row};
use crate::residue::Settings;
use crate::{Lease, PoolError};

/// Most messages that the answer to one question may take: PostgreSQL has about 400 settings.
const MAX_MESSAGES: usize = 2048;

/// Characters of the longest value of a setting that is carried from one session to another.
const LONGEST: usize = 4096;

/// Where a session of the login that serves many keeps whom it serves, which no SQL of a client's can set (lifecycle's
/// `enter.sql`).
const WHOM_IT_SERVES: &str = "backtrace_functions";

/// What else than settings a session may keep beyond a transaction, as far as PostgreSQL tells: a role, cursors,
/// statements prepared by SQL, channels, and whatever is temporary.
const KEEPS: &str = "
    current_user <> session_user
    OR EXISTS (SELECT FROM pg_catalog.pg_cursors WHERE is_holdable)
    OR EXISTS (SELECT FROM pg_catalog.pg_prepared_statements WHERE from_sql)
    OR EXISTS (SELECT FROM pg_catalog.pg_listening_channels())
    OR EXISTS (SELECT FROM pg_catalog.pg_class WHERE relnamespace = pg_catalog.pg_my_temp_schema())
    OR EXISTS (SELECT FROM pg_catalog.pg_type WHERE typnamespace = pg_catalog.pg_my_temp_schema())
    OR EXISTS (SELECT FROM pg_catalog.pg_proc WHERE pronamespace = pg_catalog.pg_my_temp_schema())";

/// What a session keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Its settings at most, which are noted.
    Settings,
    /// Something that no other session can be given.
    More,
}

impl Lease {
    /// The settings of the session, as far as they were asked for or set here.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.connection.residue.settings
    }

    /// Gives the session these settings and no others. On any error the lease is of no more use.
    pub async fn adopt(&mut self, wanted: &Settings) -> Result<(), PoolError> {
        if self.connection.residue.settings.same(wanted) {
            return Ok(());
        }
        let set =
            |name: &str, value: &str| format!("pg_catalog.set_config({}, {value}, false)", domain::quote_literal(name));
        let (mut questions, mut all) = (Vec::new(), Vec::new());
        let residue = &self.connection.residue;
        if residue.serves.is_some() {
            // RESET ALL would also end whom it serves. NULL is the default.
            all.extend(residue.settings.iter().map(|(name, _)| set(name, "NULL")));
        } else if !residue.settings.is_empty() {
            questions.push("RESET ALL".to_owned());
        }
        all.extend(wanted.iter().map(|(name, value)| set(name, &domain::quote_literal(value))));
        if !all.is_empty() {
            questions.push(format!("SELECT {}", all.join(", ")));
        }
        // What the server reports meanwhile is what the client has set itself, and has been told when it did.
        self.ask(&questions).await?.ok_or(PoolError::Protocol("it does not take a client's settings"))?;
        self.connection.overheard.clear();
        self.connection.residue.settings = wanted.clone();
        Ok(())
    }

    /// Asks the server what has become of the session. `names` are settings of the app's own making, which PostgreSQL does
    /// not list. What the server says besides waits in [`Lease::overheard`]. On any error the lease is of no more use.
    pub async fn take_stock<'n>(&mut self, names: impl IntoIterator<Item = &'n str>) -> Result<Kept, PoolError> {
        let mut settings = format!(
            "SELECT name, setting FROM pg_catalog.pg_settings WHERE source = 'session' AND name <> '{WHOM_IT_SERVES}'"
        );
        for name in names.into_iter().map(domain::quote_literal) {
            // One that was never set in this session is NULL, one that was taken back is empty: either is nothing.
            settings.push_str(&format!(
                " UNION ALL SELECT {name}, s FROM pg_catalog.current_setting({name}, true) s WHERE s <> ''"
            ));
        }
        let keeps = format!(
            "SELECT {KEEPS} OR EXISTS (SELECT FROM ({settings}) s (n, v) WHERE pg_catalog.length(v) > {LONGEST})"
        );
        settings = format!("SELECT n, v FROM ({settings}) s (n, v) WHERE pg_catalog.length(v) <= {LONGEST}");
        let Some(rows) = self.ask(&[keeps, settings]).await? else {
            // A statement_timeout of next to nothing, for instance: then nobody knows.
            return Ok(Kept::More);
        };
        let (mut found, mut kept) = (Vec::new(), None);
        for row in rows {
            match row.as_slice() {
                [answer] => kept = Some(if answer == "f" { Kept::Settings } else { Kept::More }),
                [name, value] => found.push((name.clone(), value.clone())),
                _ => return Err(PoolError::Protocol("it answers a question with something else")),
            }
        }
        let kept = kept.ok_or(PoolError::Protocol("it does not say what its session keeps"))?;
        self.connection.residue.settings = found.into_iter().collect();
        Ok(kept)
    }

    /// Takes away what `currval` and `lastval` remember of another client's statements.
    pub async fn forget_sequences(&mut self) -> Result<(), PoolError> {
        let done = self.ask(&["DISCARD SEQUENCES".to_owned()]).await?;
        self.connection.residue.forgot_sequences();
        done.map(drop).ok_or(PoolError::Protocol("it does not forget sequences"))
    }

    /// Ends a transaction that has only begun.
    pub async fn roll_back(&mut self) -> Result<(), PoolError> {
        self.ask(&["ROLLBACK".to_owned()]).await?.map(drop).ok_or(PoolError::Protocol("it does not roll back"))
    }

    /// Begins a transaction in a client's words.
    pub async fn begin(&mut self, sql: &str) -> Result<(), PoolError> {
        let mut out = BytesMut::new();
        frontend::query(&mut out, sql);
        self.connection.residue.unnamed = None;
        let answer = answered(&mut self.connection, &out, 1, TransactionStatus::Open);
        let begun = timeout(self.within, answer)
            .await
            .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))?;
        begun.map(drop).ok_or(PoolError::Protocol("it does not begin a transaction"))
    }

    /// Has the server give up the statements that it has prepared under numbers, by their names. Others stay.
    pub async fn forget_statements(&mut self, name: impl Fn(u64) -> String) -> Result<(), PoolError> {
        let mut out = BytesMut::new();
        for number in self.connection.residue.prepared.numbers() {
            frontend::close_statement(&mut out, &name(number));
        }
        frontend::sync(&mut out);
        self.connection.residue.prepared.clear();
        timeout(self.within, answered(&mut self.connection, &out, 1, TransactionStatus::Idle))
            .await
            .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
            .map(drop)
    }

    /// What the server has said unasked while it was asked something here, for the client to hear.
    pub fn overheard(&mut self) -> BytesMut {
        mem::take(&mut self.connection.overheard)
    }

    /// Asks one question after the other, all sent at once, and gives the rows of all of them; `None` if the server
    /// refused one.
    async fn ask(&mut self, sql: &[String]) -> Result<Option<Vec<Vec<String>>>, PoolError> {
        timeout(self.within, converse(&mut self.connection, sql))
            .await
            .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
    }
}

async fn converse(connection: &mut Connection, sql: &[String]) -> Result<Option<Vec<Vec<String>>>, PoolError> {
    let mut out = BytesMut::new();
    for sql in sql {
        frontend::query(&mut out, sql);
    }
    // A question is a Query, which ends the unnamed statement.
    connection.residue.unnamed = None;
    answered(connection, &out, sql.len(), TransactionStatus::Idle).await
}

/// Sends messages that ask for so many `ReadyForQuery`, which leave the session so, and reads up to the last of them.
async fn answered(
    connection: &mut Connection,
    out: &[u8],
    mut open: usize,
    then: TransactionStatus,
) -> Result<Option<Vec<Vec<String>>>, PoolError> {
    connection.stream.write_all(out).await?;
    let mut reader = Reader::new();
    let mut rows = Some(Vec::new());
    for _ in 0..MAX_MESSAGES {
        let Message { tag, body } = reader.next(&mut connection.stream).await?;
        match tag {
            b'S' | b'N' | b'A' => frame::append(&mut connection.overheard, tag, &body),
            b'T' | b'C' | b'3' => {}
            // One that cannot be read, in another encoding for instance, is as good as none.
            b'D' => match (&mut rows, data_row(&body)) {
                (Some(rows), Some(row)) => rows.push(row),
                _ => rows = None,
            },
            b'E' => rows = None,
            b'Z' if TransactionStatus::parse(&body) == Some(then) => open -= 1,
            _ => return Err(PoolError::Protocol("it did not answer a question about its session")),
        }
        if open == 0 {
            let quiet = !reader.has_rest();
            return if quiet { Ok(rows) } else { Err(PoolError::Protocol("it says more than was asked for")) };
        }
    }
    Err(PoolError::Protocol("its answer does not come to an end"))
}
