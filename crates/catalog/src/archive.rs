//! Archives: rows that retention has taken out of tenants' tables, and what the control database knows of the objects that they are in.

use domain::{AppName, ArchiveFor, Slug, TenantId};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::error::read;
use crate::{Catalog, CatalogError, ControlTx};

/// Rows of one table, in one object.
#[derive(Debug, Clone)]
pub struct Archive {
    /// UUID version 7.
    pub id: Uuid,
    /// Whose rows; the tenant may be gone.
    pub tenant: TenantId,
    /// What it was called then.
    pub slug: Slug,
    /// Its app.
    pub app: AppName,
    /// The table that the rows were in.
    pub table: String,
    /// Whether the rows are out of the table.
    pub state: ArchiveState,
    /// Which store it is in.
    pub store: String,
    /// The operation that has removed the rows.
    pub operation: Uuid,
    /// Where the table was.
    pub cluster: Uuid,
    /// Which server that was.
    pub system_identifier: i64,
    /// The transaction there that removes the rows.
    pub xid: String,
    /// Names and types of the columns, as JSON, in the order of the values; unknown until the object is whole, like the next five.
    pub columns: Option<serde_json::Value>,
    /// No row's value of the rule's column is less, as PostgreSQL writes it.
    pub oldest: Option<String>,
    /// Nor greater.
    pub newest: Option<String>,
    /// How many rows.
    pub rows: Option<i64>,
    /// Bytes of the rows as text.
    pub bytes: Option<i64>,
    /// Bytes in the store.
    pub stored_bytes: Option<i64>,
    /// For how long it is kept.
    pub keep: ArchiveFor,
    /// When the rows were gone from the table.
    pub archived_at: Option<OffsetDateTime>,
    /// When it is removed; never without it.
    pub expires_at: Option<OffsetDateTime>,
}

/// Whether an archive has rows that are nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArchiveState {
    /// It is not known yet whether the rows are gone from the table.
    Writing,
    /// They are.
    Kept,
    /// Its object is being removed.
    Removing,
}

impl ArchiveState {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Writing, Self::Kept, Self::Removing];

    /// The word of the control database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Writing => "writing",
            Self::Kept => "kept",
            Self::Removing => "removing",
        }
    }
}

/// What is known before the first byte is written.
#[derive(Debug)]
pub struct NewArchive<'a> {
    /// UUID version 7.
    pub id: Uuid,
    /// Whose rows.
    pub tenant: TenantId,
    /// What it is called.
    pub slug: &'a Slug,
    /// Its app.
    pub app: &'a AppName,
    /// The table that the rows are in.
    pub table: &'a str,
    /// Which store it goes to.
    pub store: &'a str,
    /// The operation that removes the rows.
    pub operation: Uuid,
    /// Where the table is.
    pub cluster: Uuid,
    /// The transaction that removes the rows.
    pub xid: &'a str,
    /// For how long it is to be kept.
    pub keep: &'a ArchiveFor,
}

/// What is known when its object is whole.
#[derive(Debug)]
pub struct Archived {
    /// Names and types of the columns, as JSON.
    pub columns: serde_json::Value,
    /// No row's value of the rule's column is less.
    pub oldest: String,
    /// Nor greater.
    pub newest: String,
    /// How many rows.
    pub rows: i64,
    /// Bytes of the rows as text.
    pub bytes: i64,
    /// Bytes in the store.
    pub stored_bytes: i64,
}

/// Whose archives, of those of which it is not known whether their rows are gone.
#[derive(Debug, Clone, Copy)]
pub enum Unsettled {
    /// One tenant's.
    Tenant(TenantId),
    /// Those that an operation has begun.
    Operation(Uuid),
    /// Those whose operations have ended.
    Ended,
}

/// Which archives a listing shows, newest first.
#[derive(Debug, Default)]
pub struct ArchiveFilter {
    /// Only this one.
    pub id: Option<Uuid>,
    /// Only of this tenant.
    pub tenant: Option<TenantId>,
    /// Only of this app's tenants.
    pub app: Option<AppName>,
    /// Only of tables of this name.
    pub table: Option<String>,
    /// Only those begun before this one.
    pub before: Option<Uuid>,
    /// The most rows to return.
    pub limit: i64,
}

struct Row {
    id: Uuid,
    tenant: Uuid,
    slug: String,
    app: String,
    table_name: String,
    state: String,
    store: String,
    operation: Uuid,
    cluster: Uuid,
    system_identifier: i64,
    xid: String,
    columns: Option<serde_json::Value>,
    oldest: Option<String>,
    newest: Option<String>,
    rows: Option<i64>,
    bytes: Option<i64>,
    stored_bytes: Option<i64>,
    keep: String,
    archived_at: Option<OffsetDateTime>,
    expires_at: Option<OffsetDateTime>,
}

impl TryFrom<Row> for Archive {
    type Error = CatalogError;

    fn try_from(row: Row) -> Result<Self, CatalogError> {
        let state = ArchiveState::ALL.into_iter().find(|state| state.as_str() == row.state);
        Ok(Self {
            id: row.id,
            tenant: TenantId::from_uuid(row.tenant),
            slug: read("slug", &row.slug)?,
            app: read("app name", &row.app)?,
            table: row.table_name,
            state: state.ok_or(CatalogError::Unreadable { what: "archive's state", value: row.state })?,
            store: row.store,
            operation: row.operation,
            cluster: row.cluster,
            system_identifier: row.system_identifier,
            xid: row.xid,
            columns: row.columns,
            oldest: row.oldest,
            newest: row.newest,
            rows: row.rows,
            bytes: row.bytes,
            stored_bytes: row.stored_bytes,
            keep: read("time to keep an archive", &row.keep)?,
            archived_at: row.archived_at,
            expires_at: row.expires_at,
        })
    }
}

impl Catalog {
    /// Records an archive before anything of it is written, so that whatever a crash leaves of it is known.
    pub async fn begin_archive(&self, tx: &mut ControlTx, new: &NewArchive<'_>) -> Result<(), CatalogError> {
        sqlx::query!(
            "INSERT INTO sindico.archives (id, tenant, slug, app, table_name, store, operation, cluster, system_identifier, xid, keep)
             SELECT $1, $2, $3, $4, $5, $6, $7, id, system_identifier, $9, $10 FROM sindico.clusters WHERE id = $8",
            new.id,
            new.tenant.as_uuid(),
            new.slug.as_str(),
            new.app.as_str(),
            new.table,
            new.store,
            new.operation,
            new.cluster,
            new.xid,
            new.keep.as_str(),
        )
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    /// Records what is in its object, before the transaction is committed that removes the rows. `false` if it has been given up.
    pub async fn describe_archive(&self, tx: &mut ControlTx, id: Uuid, has: &Archived) -> Result<bool, CatalogError> {
        let done = sqlx::query!(
            "UPDATE sindico.archives SET columns = $2, oldest = $3, newest = $4, rows = $5, bytes = $6, stored_bytes = $7
             WHERE id = $1 AND state = 'writing'",
            id,
            has.columns,
            has.oldest,
            has.newest,
            has.rows,
            has.bytes,
            has.stored_bytes,
        )
        .execute(&mut **tx)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Records that its rows are gone from the table. `false` if there is no such archive, or it has been given up.
    pub async fn keep_archive(&self, id: Uuid) -> Result<bool, CatalogError> {
        let kept = sqlx::query!(
            "UPDATE sindico.archives SET state = 'kept', archived_at = coalesce(archived_at, clock_timestamp()),
                 expires_at = CASE WHEN keep <> 'forever' THEN coalesce(archived_at, clock_timestamp()) + keep::interval END
             WHERE id = $1 AND state IN ('writing', 'kept')",
            id,
        )
        .execute(&self.db)
        .await?;
        Ok(kept.rows_affected() == 1)
    }

    /// Marks an archive whose rows are in their table, before its object is removed. `false` if it is not to be removed.
    pub async fn give_up_archive(&self, id: Uuid) -> Result<bool, CatalogError> {
        let given_up = sqlx::query!(
            "UPDATE sindico.archives SET state = 'removing' WHERE id = $1 AND state IN ('writing', 'removing')",
            id,
        )
        .execute(&self.db)
        .await?;
        Ok(given_up.rows_affected() == 1)
    }

    /// A page of archives, newest first.
    pub async fn archives(&self, filter: &ArchiveFilter) -> Result<Vec<Archive>, CatalogError> {
        let rows = sqlx::query_as!(
            Row,
            "SELECT id, tenant, slug, app, table_name, state, store, operation, cluster, system_identifier, xid, columns, oldest, newest, rows, bytes,
                    stored_bytes, keep, archived_at, expires_at
             FROM sindico.archives
             WHERE ($1::uuid IS NULL OR id = $1) AND ($2::uuid IS NULL OR tenant = $2) AND ($3::text IS NULL OR app = $3)
               AND ($4::text IS NULL OR table_name = $4) AND ($5::uuid IS NULL OR id < $5)
             ORDER BY id DESC LIMIT $6",
            filter.id,
            filter.tenant.map(TenantId::as_uuid),
            filter.app.as_ref().map(AppName::as_str),
            filter.table,
            filter.before,
            filter.limit,
        )
        .fetch_all(&self.db)
        .await?;
        rows.into_iter().map(Archive::try_from).collect()
    }

    /// Those of which it is not known whether their rows are gone.
    pub async fn unsettled_archives(&self, which: Unsettled) -> Result<Vec<Archive>, CatalogError> {
        let (tenant, operation) = match which {
            Unsettled::Tenant(tenant) => (Some(tenant.as_uuid()), None),
            Unsettled::Operation(operation) => (None, Some(operation)),
            Unsettled::Ended => (None, None),
        };
        let rows = sqlx::query_as!(
            Row,
            "SELECT id, tenant, slug, app, table_name, state, store, operation, cluster, system_identifier, xid, columns, oldest, newest, rows, bytes,
                    stored_bytes, keep, archived_at, expires_at
             FROM sindico.archives a
             WHERE state = 'writing' AND CASE
                 WHEN $1::uuid IS NOT NULL THEN tenant = $1
                 WHEN $2::uuid IS NOT NULL THEN operation = $2
                 ELSE NOT EXISTS (SELECT FROM sindico.operations p WHERE p.id = a.operation AND p.ended_at IS NULL) END
             ORDER BY id",
            tenant,
            operation,
        )
        .fetch_all(&self.db)
        .await?;
        rows.into_iter().map(Archive::try_from).collect()
    }

    /// Marks an archive before its object is removed, unless its rows may still be in the table.
    pub async fn begin_archive_removal(&self, id: Uuid) -> Result<(), CatalogError> {
        sqlx::query!("UPDATE sindico.archives SET state = 'removing' WHERE id = $1 AND state = 'kept'", id)
            .execute(&self.db)
            .await?;
        Ok(())
    }

    /// Forgets an archive that was marked and has no object. One that somebody may still be writing, who has not heard that nobody waits for
    /// it, is only forgotten after an hour.
    pub async fn forget_archive(&self, id: Uuid, written: bool) -> Result<(), CatalogError> {
        sqlx::query!(
            "DELETE FROM sindico.archives WHERE id = $1 AND state = 'removing'
                 AND ($2 OR archived_at IS NOT NULL OR begun_at < clock_timestamp() - interval '1 hour')",
            id,
            written,
        )
        .execute(&self.db)
        .await?;
        Ok(())
    }

    /// Marks those in a store that have been kept long enough, and gives them with those whose removal was cut off, page by page.
    pub async fn expire_archives(
        &self,
        store: &str,
        after: Option<Uuid>,
        most: i64,
    ) -> Result<Vec<Archive>, CatalogError> {
        let rows = sqlx::query_as!(
            Row,
            "UPDATE sindico.archives SET state = 'removing' WHERE id IN (
                 SELECT id FROM sindico.archives
                 WHERE store = $2 AND (state = 'removing' OR state = 'kept' AND expires_at < clock_timestamp())
                     AND ($3::uuid IS NULL OR id > $3)
                 ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED)
             RETURNING id, tenant, slug, app, table_name, state, store, operation, cluster, system_identifier, xid, columns, oldest, newest, rows, bytes,
                 stored_bytes, keep, archived_at, expires_at",
            most,
            store,
            after,
        )
        .fetch_all(&self.db)
        .await?;
        rows.into_iter().map(Archive::try_from).collect()
    }
}
