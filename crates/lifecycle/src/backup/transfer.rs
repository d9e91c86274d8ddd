//! Rows from one place to another, piece by piece.

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use objects::{ObjectKey, Store};

use super::Opened;
use super::dump::{Snapshot, Source};
use super::load::Loader;
use super::manifest::TableEntry;
use super::rows::Tally;
use crate::LifecycleError;

/// Rows are passed on when they are so many bytes.
const PIECE: usize = 256 << 10;

/// Writes a table's rows into an object.
pub(super) async fn store_table(
    snapshot: &Snapshot,
    table: &Source,
    store: &Store,
    key: &ObjectKey,
    folder: &str,
    object: String,
) -> Result<TableEntry, LifecycleError> {
    let mut tally = Tally::default();
    let mut writer = store.write(&format!("{folder}/{object}"), key);
    let mut pieces = Pieces::of(snapshot, table).await?;
    while let Some(piece) = pieces.next().await? {
        tally.add(&piece);
        writer.write(piece).await?;
    }
    let written = writer.finish().await?;
    Ok(TableEntry {
        name: table.name.clone(),
        columns: table.columns.clone(),
        object,
        rows: tally.rows,
        bytes: tally.bytes,
        stored_bytes: written.stored,
        digest: tally.digest(),
    })
}

/// Writes the rows of a backup's tables into a tenant's, if they are those that were backed up.
pub(super) async fn load_backup(loader: &Loader, backup: &Opened<'_>) -> Result<(), LifecycleError> {
    let manifest = &backup.manifest;
    for table in &manifest.tables {
        let mut tally = Tally::default();
        let mut reader = backup.rows(table).await?;
        let mut load = loader.table(&table.name, &table.columns).await?;
        while let Some(piece) = reader.next().await {
            let piece = piece?;
            tally.add(&piece);
            load.give(piece).await?;
        }
        let rows = load.end().await?;
        let whole = tally.is_whole() && tally.rows == table.rows && tally.digest() == table.digest;
        if !whole || rows != table.rows {
            let why =
                format!("table {} has {} rows that are not the {} of its manifest", table.name, tally.rows, table.rows);
            return Err(LifecycleError::BadBackup { backup: manifest.backup, why });
        }
    }
    loader.sequences(&manifest.sequences).await
}

/// Writes one tenant's rows into another's tables. How many each table has got.
pub(super) async fn pour(snapshot: &Snapshot, loader: &Loader) -> Result<Vec<(String, u64)>, LifecycleError> {
    let mut poured = Vec::with_capacity(snapshot.tables.len());
    for table in &snapshot.tables {
        let mut load = loader.table(&table.name, &table.columns).await?;
        let mut pieces = Pieces::of(snapshot, table).await?;
        while let Some(piece) = pieces.next().await? {
            load.give(piece).await?;
        }
        poured.push((table.name.clone(), load.end().await?));
    }
    loader.sequences(&snapshot.sequences().await?).await?;
    Ok(poured)
}

/// What rows a table has, without passing them on.
pub(super) async fn count(snapshot: &Snapshot, table: &Source) -> Result<Tally, LifecycleError> {
    let mut tally = Tally::default();
    let mut pieces = Pieces::of(snapshot, table).await?;
    while let Some(piece) = pieces.next().await? {
        tally.add(&piece);
    }
    Ok(tally)
}

/// A table's rows, many at a time: the server sends each by itself.
struct Pieces<'a> {
    snapshot: &'a Snapshot,
    rows: std::pin::Pin<Box<tokio_postgres::CopyOutStream>>,
    gathered: BytesMut,
    ended: bool,
}

impl<'a> Pieces<'a> {
    async fn of(snapshot: &'a Snapshot, table: &Source) -> Result<Self, LifecycleError> {
        let rows = Box::pin(snapshot.rows(table).await?);
        Ok(Self { snapshot, rows, gathered: BytesMut::with_capacity(PIECE), ended: false })
    }

    async fn next(&mut self) -> Result<Option<Bytes>, LifecycleError> {
        // Beyond its end the stream would read what follows.
        while !self.ended {
            let Some(row) = self.rows.next().await else {
                self.ended = true;
                break;
            };
            let row = row.map_err(|error| self.snapshot.fault(&error))?;
            self.gathered.extend_from_slice(&row);
            if self.gathered.len() >= PIECE {
                let piece = self.gathered.split().freeze();
                self.gathered.reserve(PIECE);
                return Ok(Some(piece));
            }
        }
        let last = self.gathered.split().freeze();
        Ok(Some(last).filter(|last| !last.is_empty()))
    }
}
