//! Taking rows out of a table into an object.

use std::pin::Pin;
use std::time::Duration;

use bytes::BytesMut;
use catalog::{Archived, CatalogError, Entry, NewArchive};
use domain::{AppName, ArchiveFor, Isolation, quote_ident, quote_literal};
use futures_util::StreamExt;
use jobs::{Fault, JobsError, Work};
use objects::{ObjectError, ObjectWriter};
use tokio::time::timeout;
use tokio_postgres::{CopyOutStream, SimpleQueryMessage};
use uuid::Uuid;

use super::{folder, object};
use crate::backup::{ColumnEntry, Tally};
use crate::migrate::last_value;
use crate::server::Session;
use crate::{Lifecycle, LifecycleError};

/// Rows are passed on when they are so many bytes.
const PIECE: usize = 256 << 10;

/// For the rest of an object to reach the store: a little less than the server waits for a client that is silent in a transaction.
const PATIENCE: Duration = Duration::from_secs(45);

/// Whose rows go, from where, by which operation.
pub(crate) struct Archiving<'a> {
    pub(crate) desk: &'a Lifecycle,
    pub(crate) work: &'a Work,
    pub(crate) session: &'a Session,
    pub(crate) entry: &'a Entry,
    pub(crate) app: &'a AppName,
    pub(crate) table: &'a str,
    pub(crate) keep: &'a ArchiveFor,
}

/// Which rows: the table as SQL has it, `DELETE` up to its condition, and between which values of the rule's column they are.
pub(crate) struct Chosen<'a> {
    pub(crate) table: &'a str,
    pub(crate) delete: &'a str,
    pub(crate) oldest: &'a str,
    pub(crate) newest: &'a str,
}

/// Why rows are still where they were.
pub(crate) enum Refused {
    /// The server, or a trigger, says no to these.
    Server(tokio_postgres::Error),
    /// They are too many for the time that there is.
    Slow(String),
    /// Nothing can be archived now.
    Failed(LifecycleError),
}

impl From<tokio_postgres::Error> for Refused {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Server(error)
    }
}

impl From<LifecycleError> for Refused {
    fn from(error: LifecycleError) -> Self {
        Self::Failed(error)
    }
}

impl From<CatalogError> for Refused {
    fn from(error: CatalogError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<ObjectError> for Refused {
    fn from(error: ObjectError) -> Self {
        Self::Failed(error.into())
    }
}

impl Archiving<'_> {
    /// Removes the rows in a transaction that begins as told, and archives those that went. How many.
    pub(crate) async fn take(&self, begin: &str, rows: &Chosen<'_>) -> Result<i64, Refused> {
        let Self { desk, session, .. } = self;
        let begin = format!(
            "{begin}; LOCK TABLE {} IN ROW EXCLUSIVE MODE; SELECT pg_catalog.pg_current_xact_id()::pg_catalog.text",
            rows.table
        );
        let said = session.simple_query(&begin).await?;
        let xid = last_value(&said).ok_or_else(|| LifecycleError::Unverified("a transaction's number".to_owned()))?;
        let id = self.begin(&xid).await?;
        let sent = self.send(rows, id).await;
        let committed = match &sent {
            // A trigger may have set it otherwise.
            Ok(_) => session.batch_execute("SET LOCAL synchronous_commit = on; COMMIT").await,
            // Where the session is gone, so is what it did, unless that is seen otherwise below.
            Err(_) => session.batch_execute("ROLLBACK").await,
        };
        if let Err(Refused::Slow(_)) = sent {
            // Its object may still come to be whole: what is left of it goes later.
            desk.catalog.give_up_archive(id).await?;
            return sent;
        }
        desk.probe.pass("archive committed")?;
        // Whatever was said, this is what counts: a transaction that has failed ends with COMMIT as well, and one that was committed may
        // have nobody left to say so.
        let written = !matches!(sent, Err(Refused::Failed(_)));
        let kept = desk.settle(&desk.find_archive(id).await?, written).await?;
        match (sent, committed, kept) {
            (Ok(count), _, true) => Ok(count),
            (Ok(_), Err(error), false) => Err(error.into()),
            (Ok(0), Ok(()), false) => Ok(0),
            (Ok(_), Ok(()), false) => Err(LifecycleError::Unverified(format!("end of transaction {xid}")).into()),
            (Err(refused), ..) => Err(refused),
        }
    }

    /// Records an archive before anything of it is written, so that whatever a crash leaves of it is known.
    async fn begin(&self, xid: &str) -> Result<Uuid, Refused> {
        let Self { desk, work, entry, .. } = self;
        let id = Uuid::now_v7();
        let new = NewArchive {
            id,
            tenant: entry.tenant,
            slug: &entry.slug,
            app: self.app,
            table: self.table,
            store: desk.store()?.place(),
            operation: work.operation(),
            cluster: entry.placement.cluster,
            xid,
            keep: self.keep,
        };
        let mut tx = work.begin().await.map_err(lost)?;
        desk.catalog.begin_archive(&mut tx, &new).await?;
        tx.commit().await.map_err(CatalogError::from)?;
        Ok(id)
    }

    /// Deletes the rows and writes them; what there is to say of them is recorded.
    async fn send(&self, rows: &Chosen<'_>, id: Uuid) -> Result<i64, Refused> {
        let Self { desk, work, session, entry, .. } = self;
        let columns = self.columns(rows.table).await?;
        let names: Vec<String> = columns.iter().map(|column| quote_ident(&column.name)).collect();
        let copy = format!("COPY ({} RETURNING {}) TO STDOUT", rows.delete, names.join(", "));
        let store = desk.store()?;
        let folder = folder(self.app, entry.tenant, id);
        let mut writer = store.write(&object(&folder), &desk.backup_key(entry.tenant));
        let stream = Box::pin(session.copy_out(&copy).await?);
        let tally = self.pass_on(stream, &mut writer).await?;
        if tally.rows == 0 {
            return Ok(0);
        }
        let Ok(written) = timeout(PATIENCE, writer.finish()).await else {
            return Err(Refused::Slow(format!("the store took over {} s for {} rows", PATIENCE.as_secs(), tally.rows)));
        };
        let whole = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let has = Archived {
            columns: serde_json::json!(columns),
            oldest: rows.oldest.to_owned(),
            newest: rows.newest.to_owned(),
            rows: whole(tally.rows),
            bytes: whole(tally.bytes),
            stored_bytes: whole(written?.stored),
        };
        let mut tx = work.begin().await.map_err(lost)?;
        if !desk.catalog.describe_archive(&mut tx, id, &has).await? {
            return Err(LifecycleError::TakenOver(work.operation()).into());
        }
        tx.commit().await.map_err(CatalogError::from)?;
        desk.probe.pass("archive written")?;
        Ok(has.rows)
    }

    async fn pass_on(&self, mut stream: Pin<Box<CopyOutStream>>, writer: &mut ObjectWriter) -> Result<Tally, Refused> {
        let mut tally = Tally::default();
        let mut gathered = BytesMut::with_capacity(PIECE);
        loop {
            let row = stream.next().await.transpose()?;
            let ended = row.is_none();
            gathered.extend_from_slice(&row.unwrap_or_default());
            if gathered.len() >= PIECE || ended && !gathered.is_empty() {
                let piece = gathered.split().freeze();
                tally.add(&piece);
                writer.write(piece).await?;
            }
            if ended {
                break;
            }
        }
        // Constraints and triggers have their say when the last row has been sent, and the stream ends before that: what follows is the
        // statement's end, which it does not expect, or the error.
        match stream.next().await {
            Some(Err(error)) if error.as_db_error().is_some() || self.session.is_closed() => Err(error.into()),
            _ => Ok(tally),
        }
    }

    /// Names and types of what rows are archived with: as in a backup. Nobody changes them meanwhile, since the table is locked.
    async fn columns(&self, table: &str) -> Result<Vec<ColumnEntry>, Refused> {
        let shared = self.entry.placement.isolation == Isolation::Shared;
        let sql = format!(
            "SELECT a.attname, pg_catalog.replace(pg_catalog.format_type(a.atttypid, a.atttypmod), {}, '')
             FROM pg_catalog.pg_attribute a WHERE a.attrelid = pg_catalog.to_regclass({}) AND a.attnum > 0
                 AND NOT a.attisdropped AND a.attgenerated = '' AND NOT ({shared} AND a.attname = 'tenant_id')
             ORDER BY a.attnum",
            quote_literal(&format!("{}.", quote_ident(&self.entry.placement.schema))),
            quote_literal(table)
        );
        let said = self.session.simple_query(&sql).await?;
        let columns: Vec<ColumnEntry> = said
            .iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => {
                    Some(ColumnEntry { name: row.get(0)?.to_owned(), kind: row.get(1)?.to_owned() })
                }
                _ => None,
            })
            .collect();
        if columns.is_empty() {
            return Err(LifecycleError::Step(format!("table {table} has no column that could be archived")).into());
        }
        Ok(columns)
    }
}

fn lost(fault: Fault) -> LifecycleError {
    match fault {
        Fault::Lost => JobsError::Lost.into(),
        Fault::Cancelled => LifecycleError::Cancelled,
        Fault::Passing(error) | Fault::Lasting(error) => match error.downcast::<JobsError>() {
            Ok(error) => (*error).into(),
            Err(error) => LifecycleError::Step(error.to_string()),
        },
    }
}
