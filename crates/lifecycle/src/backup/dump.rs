//! A tenant's rows at one moment.

use catalog::Tenant;
use domain::{Access, Isolation, Placement, Role, TenantId, quote_ident};
use time::OffsetDateTime;
use tokio_postgres::CopyOutStream;

use super::manifest::{ColumnEntry, SequenceEntry};
use crate::server::{Builder, Session};
use crate::{Lifecycle, LifecycleError, stamp};

/// Values are written the same whatever the database, the role or the server are set to, and read back as they were: what `pg_dump` sets,
/// and the two that it leaves alone because it compares nothing.
pub(super) const SAME_TEXT: &str =
    "SET datestyle = ISO; SET intervalstyle = postgres; SET extra_float_digits = 3; SET timezone = 'UTC';
    SET bytea_output = hex; SET lc_monetary = 'C'; SET xmloption = content; SET client_encoding = 'UTF8';
    SET synchronize_seqscans = off; SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0";

/// Columns that rows are written with. A generated column is none of them, and neither is the one that says whose a shared row is.
const COLUMNS: &str = "
    SELECT c.relname::text, a.attname::text,
        replace(format_type(a.atttypid, a.atttypmod), quote_ident(c.relnamespace::regnamespace::text) || '.', '')
    FROM pg_class c LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
        AND NOT ($2 AND a.attname = 'tenant_id')
    WHERE c.relnamespace = $1::text::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
    ORDER BY c.relname COLLATE \"C\", a.attnum";

const SEQUENCES: &str = "
    SELECT relname::text FROM pg_class WHERE relkind = 'S' AND relnamespace = to_regnamespace($1)
    ORDER BY relname COLLATE \"C\"";

/// Tables that come and go while they are being locked, so often, are somebody's who does nothing else.
const ATTEMPTS: usize = 5;

/// A table with its columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) name: String,
    pub(super) columns: Vec<ColumnEntry>,
}

impl Source {
    /// Its columns, as SQL lists them.
    pub(super) fn column_list(&self) -> String {
        self.columns.iter().map(|column| quote_ident(&column.name)).collect::<Vec<_>>().join(", ")
    }
}

/// All rows of a tenant as they are at one moment, whatever is done to them meanwhile. Tables keep their columns for as long as it lives.
pub(super) struct Snapshot {
    session: Session,
    tenant: TenantId,
    placement: Placement,
    pub(super) version: i32,
    pub(super) taken_at: OffsetDateTime,
    pub(super) server_version: i32,
    pub(super) large_objects: i64,
    pub(super) tables: Vec<Source>,
}

impl Lifecycle {
    /// Takes one. The tenant reads its own rows: no mistake of ours gives it another's.
    pub(super) async fn snapshot(
        &self,
        by: Builder<'_>,
        tenant: TenantId,
        placement: &Placement,
        recorded_version: i32,
    ) -> Result<Snapshot, LifecycleError> {
        let session = self.builder(by, placement.cluster, Some(&placement.database)).await?;
        session.run(SAME_TEXT).await?;
        let mut attempts = 0;
        let tables = loop {
            let seen = tables_of(&session, placement).await?;
            session.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
            // Before the first query, which fixes the moment: afterwards nobody changes what was locked.
            if !seen.is_empty() {
                let list: Vec<String> = seen.iter().map(|table| place(placement, &table.name)).collect();
                session.run(&format!("LOCK TABLE {} IN ACCESS SHARE MODE", list.join(", "))).await?;
            }
            let locked = tables_of(&session, placement).await?;
            if locked == seen {
                break locked;
            }
            session.run("ROLLBACK").await?;
            attempts += 1;
            if attempts == ATTEMPTS {
                let why = format!("the tables of tenant {tenant} are being changed all the time; try again later");
                return Err(LifecycleError::Step(why));
            }
        };
        let version = version_of(&session, tenant, placement, recorded_version).await?;
        let roles = Role::both(tenant).map(|role| role.to_string()).to_vec();
        let row = session
            .query_one(
                "SELECT extract(epoch FROM clock_timestamp())::float8, current_setting('server_version_num')::int4,
                     (SELECT count(*) FROM pg_largeobject_metadata m JOIN pg_roles r ON r.oid = m.lomowner
                      WHERE r.rolname = ANY ($1::text[]))",
                &[&roles],
            )
            .await
            .map_err(|error| session.fault(&error))?;
        let fault = |error| session.fault(&error);
        let seconds: f64 = row.try_get(0).map_err(fault)?;
        let taken_at = OffsetDateTime::UNIX_EPOCH + time::Duration::seconds_f64(seconds);
        let (server_version, large_objects) = (row.try_get(1).map_err(fault)?, row.try_get(2).map_err(fault)?);
        let placement = placement.clone();
        Ok(Snapshot { session, tenant, placement, version, taken_at, server_version, large_objects, tables })
    }

    /// Of a tenant that can be read.
    pub(super) async fn snapshot_of(&self, by: Builder<'_>, tenant: &Tenant) -> Result<Snapshot, LifecycleError> {
        self.snapshot(by, tenant.id, &tenant.placement, tenant.version).await
    }
}

impl Snapshot {
    /// The rows of a table, as text.
    pub(super) async fn rows(&self, table: &Source) -> Result<CopyOutStream, LifecycleError> {
        let role = quote_ident(&Role::new(self.tenant, Access::ReadOnly).to_string());
        self.session.run(&format!("SET LOCAL SESSION AUTHORIZATION {role}")).await?;
        let from = place(&self.placement, &table.name);
        let rows = self.session.copy_out(&format!("COPY (SELECT {} FROM {from}) TO STDOUT", table.column_list())).await;
        rows.map_err(|error| self.fault(&error))
    }

    /// What its sequences have come to, which is at least as much as the rows have used.
    pub(super) async fn sequences(&self) -> Result<Vec<SequenceEntry>, LifecycleError> {
        let Self { session, tenant, placement, .. } = self;
        session.run("SET LOCAL SESSION AUTHORIZATION DEFAULT").await?;
        let schema = sequence_schema(*tenant, placement);
        let fault = |error| session.fault(&error);
        let names = session.query(SEQUENCES, &[&quote_ident(&schema)]).await.map_err(fault)?;
        let mut found = Vec::with_capacity(names.len());
        for name in &names {
            let name: String = name.try_get(0).map_err(fault)?;
            let query = format!("SELECT last_value, is_called FROM {}.{}", quote_ident(&schema), quote_ident(&name));
            let row = session.query_one(&query, &[]).await.map_err(fault)?;
            let (value, called) = (row.try_get(0).map_err(fault)?, row.try_get(1).map_err(fault)?);
            found.push(SequenceEntry { name, value, called });
        }
        Ok(found)
    }

    pub(super) fn fault(&self, error: &tokio_postgres::Error) -> LifecycleError {
        self.session.fault(error)
    }

    /// The fingerprint of the tables, where they are the tenant's own.
    pub(super) async fn fingerprint(&self) -> Result<Option<String>, LifecycleError> {
        if self.placement.isolation == Isolation::Shared {
            return Ok(None);
        }
        let found = crate::shape::fingerprint(&self.session, &self.placement.schema).await;
        found.map(Some).map_err(|error| self.fault(&error))
    }
}

/// How many migrations the tables have that a tenant's rows are in.
pub(super) async fn version_of(
    session: &Session,
    tenant: TenantId,
    placement: &Placement,
    recorded: i32,
) -> Result<i32, LifecycleError> {
    let own = stamp::read(session, &stamp::of_tenant(tenant, placement)).await?;
    let common = match placement.isolation {
        // Migrations of rows alone come to one tenant after the other, and to the tables at last.
        Isolation::Shared => stamp::read(session, stamp::WHOLE).await?,
        Isolation::Schema | Isolation::Database | Isolation::Cluster => own,
    };
    if let (stamp::Stamp::Version(own), stamp::Stamp::Version(common)) = (own, common) {
        return Ok(own.max(common));
    }
    match common {
        stamp::Stamp::Version(version) => Ok(version),
        stamp::Stamp::None => Ok(recorded),
        stamp::Stamp::Gone => {
            Err(LifecycleError::Unverified(format!("tables of tenant {tenant}, which are not there")))
        }
    }
}

/// Where a tenant's sequences are.
pub(super) fn sequence_schema(tenant: TenantId, placement: &Placement) -> String {
    match placement.isolation {
        Isolation::Shared => tenant.sequence_schema(),
        Isolation::Schema | Isolation::Database | Isolation::Cluster => placement.schema.clone(),
    }
}

/// A table, as SQL names it.
pub(super) fn place(placement: &Placement, table: &str) -> String {
    format!("{}.{}", quote_ident(&placement.schema), quote_ident(table))
}

/// The tables of a tenant, or those that it shares.
pub(super) async fn tables_of(session: &Session, placement: &Placement) -> Result<Vec<Source>, LifecycleError> {
    let shared = placement.isolation == Isolation::Shared;
    let fault = |error| session.fault(&error);
    let rows = session.query(COLUMNS, &[&quote_ident(&placement.schema), &shared]).await.map_err(fault)?;
    let mut tables: Vec<Source> = Vec::new();
    for row in &rows {
        let table: String = row.try_get(0).map_err(fault)?;
        let Some(name): Option<String> = row.try_get(1).map_err(fault)? else {
            return Err(LifecycleError::Step(format!(
                "table {table} has no column that could be written; give it one"
            )));
        };
        let kind: String = row.try_get(2).map_err(fault)?;
        let column = ColumnEntry { name, kind };
        match tables.last_mut().filter(|last| last.name == table) {
            Some(last) => last.columns.push(column),
            None => tables.push(Source { name: table, columns: vec![column] }),
        }
    }
    Ok(tables)
}
