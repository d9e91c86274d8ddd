//! Taking rows out of a table into an object.

use bytes::BytesMut;
use catalog::{Archived, CatalogError, Entry, NewArchive};
use domain::{AppName, ArchiveFor, quote_ident};
use futures_util::StreamExt;
use jobs::{Fault, JobsError, Work};
use objects::ObjectError;
use tokio_postgres::CopyOutStream;
use uuid::Uuid;

use super::{folder, object};
use crate::backup::{ColumnEntry, Tally};
use crate::migrate::last_value;
use crate::server::Session;
use crate::{Lifecycle, LifecycleError};

/// Rows are passed on when they are so many bytes.
const PIECE: usize = 256 << 10;

/// Whose rows go, from where, by which operation.
pub(crate) struct Archiving<'a> {
    pub(crate) desk: &'a Lifecycle,
    pub(crate) work: &'a Work,
    pub(crate) session: &'a Session,
    pub(crate) entry: &'a Entry,
    pub(crate) app: &'a AppName,
    pub(crate) table: &'a str,
    pub(crate) keep: &'a ArchiveFor,
    pub(crate) columns: &'a [ColumnEntry],
}

/// Which rows: `DELETE` up to its condition, and between which values of the rule's column they are.
pub(crate) struct Chosen<'a> {
    pub(crate) delete: &'a str,
    pub(crate) oldest: &'a str,
    pub(crate) newest: &'a str,
}

/// Why rows are still where they were.
pub(crate) enum Refused {
    /// The server, or a trigger, says no to these.
    Server(tokio_postgres::Error),
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
        let Self { desk, work, entry, .. } = self;
        let store = desk.backups.store.as_ref().ok_or(LifecycleError::NoStore)?;
        let id = Uuid::now_v7();
        let new = NewArchive {
            id,
            tenant: entry.tenant,
            slug: &entry.slug,
            app: self.app,
            table: self.table,
            store: store.place(),
            operation: work.operation(),
            cluster: entry.placement.cluster,
            keep: self.keep,
        };
        let mut tx = work.begin().await.map_err(lost)?;
        desk.catalog.begin_archive(&mut tx, &new).await?;
        tx.commit().await.map_err(CatalogError::from)?;
        let taken = self.within(begin, rows, id).await;
        match taken {
            Ok(0) => desk.discard(self.app, entry.tenant, id).await?,
            Ok(_) => {
                desk.probe.pass("archive committed")?;
                desk.catalog.keep_archive(id).await?;
            }
            // Whether the transaction has been committed is not known where the session is gone: it is asked later.
            Err(Refused::Server(error)) if error.as_db_error().is_some() && !self.session.is_closed() => {
                if self.session.run("ROLLBACK").await.is_ok() {
                    desk.discard(self.app, entry.tenant, id).await?;
                }
                return Err(error.into());
            }
            Err(_) => {}
        }
        taken
    }

    async fn within(&self, begin: &str, rows: &Chosen<'_>, id: Uuid) -> Result<i64, Refused> {
        let Self { desk, work, session, entry, .. } = self;
        let said =
            session.simple_query(&format!("{begin}; SELECT pg_catalog.pg_current_xact_id()::pg_catalog.text")).await?;
        let xid = last_value(&said).ok_or_else(|| LifecycleError::Unverified("a transaction's number".to_owned()))?;
        let columns: Vec<String> = self.columns.iter().map(|column| quote_ident(&column.name)).collect();
        let copy = format!("COPY ({} RETURNING {}) TO STDOUT", rows.delete, columns.join(", "));
        let store = desk.backups.store.as_ref().ok_or(LifecycleError::NoStore)?;
        let folder = folder(self.app, entry.tenant, id);
        let mut writer = store.write(&object(&folder), &desk.archive_key(entry.tenant));
        let mut tally = Tally::default();
        let mut stream: std::pin::Pin<Box<CopyOutStream>> = Box::pin(session.copy_out(&copy).await?);
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
        if let Some(Err(error)) = stream.next().await
            && (error.as_db_error().is_some() || session.is_closed())
        {
            return Err(error.into());
        }
        drop(stream);
        if tally.rows == 0 {
            session.batch_execute("COMMIT").await?;
            return Ok(0);
        }
        let written = writer.finish().await?;
        let whole = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let has = Archived {
            xid,
            columns: serde_json::json!(self.columns),
            oldest: rows.oldest.to_owned(),
            newest: rows.newest.to_owned(),
            rows: whole(tally.rows),
            bytes: whole(tally.bytes),
            stored_bytes: whole(written.stored),
        };
        let mut tx = work.begin().await.map_err(lost)?;
        if !desk.catalog.describe_archive(&mut tx, id, &has).await? {
            return Err(LifecycleError::TakenOver(work.operation()).into());
        }
        tx.commit().await.map_err(CatalogError::from)?;
        desk.probe.pass("archive written")?;
        session.batch_execute("COMMIT").await?;
        // A transaction that has failed is ended by the same word, and PostgreSQL does not mind.
        let asked = format!("SELECT pg_catalog.pg_xact_status('{}')", has.xid);
        match last_value(&session.simple_query(&asked).await?).as_deref() {
            Some("committed") => Ok(has.rows),
            _ => Err(LifecycleError::Unverified(format!("end of transaction {}", has.xid)).into()),
        }
    }
}

fn lost(fault: Fault) -> LifecycleError {
    match fault {
        Fault::Lost => JobsError::Lost.into(),
        Fault::Cancelled => LifecycleError::Cancelled,
        Fault::Passing(error) | Fault::Lasting(error) => LifecycleError::Step(error.to_string()),
    }
}
