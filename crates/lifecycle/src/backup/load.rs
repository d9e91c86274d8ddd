//! Rows into a tenant's tables, all of them or none.

use std::pin::Pin;

use bytes::Bytes;
use domain::{Access, Isolation, Placement, Role, TenantId, quote_ident, quote_literal};
use futures_util::SinkExt;
use tenantize::{Runner, Statement};
use tokio_postgres::CopyInSink;

use super::dump::{SAME_TEXT, Source, place, sequence_schema, tables_of, version_of};
use super::manifest::{ColumnEntry, SequenceEntry, TableEntry};
use super::rows::with_value;
use crate::erase::{delete_rows, wait_for_served};
use crate::migrate::transact::{Script, Stop};
use crate::migrate::unit::turn_of;
use crate::server::{Builder, Session};
use crate::{Lifecycle, LifecycleError, stamp};

/// Tables that may run something of the app's when a row is written, even while triggers are left out, in checks, generated columns,
/// indexes, partition keys and types: all that are not known to compute with PostgreSQL's own immutable functions and nothing else.
const BUSY: &str = include_str!("busy.sql");

/// A trigger that the session's being a replica does not silence.
const ALWAYS: &str = "
    SELECT format('trigger %s of table %s', g.tgname, c.relname) FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid
    WHERE c.relnamespace = $1::text::regnamespace AND NOT g.tgisinternal AND g.tgenabled IN ('A', 'R') LIMIT 1";

/// Keys that lead out of the tenant, to what is the same for all.
const GLOBAL_KEYS: &str = "
    SELECT c.conname::text, t.relname::text, f.relname::text,
        (SELECT array_agg(attname::text ORDER BY n) FROM unnest(c.conkey) WITH ORDINALITY k (num, n)
         JOIN pg_attribute ON attrelid = c.conrelid AND attnum = num),
        (SELECT array_agg(attname::text ORDER BY n) FROM unnest(c.confkey) WITH ORDINALITY k (num, n)
         JOIN pg_attribute ON attrelid = c.confrelid AND attnum = num)
    FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid JOIN pg_class f ON f.oid = c.confrelid
    WHERE c.contype = 'f' AND c.conparentid = 0 AND t.relnamespace = $1::text::regnamespace
        AND f.relnamespace = 'global'::regnamespace";

/// Where rows wait that cannot be written at once.
const WAITING: &str = "pg_temp.\"sindico_waiting\"";

/// A transaction in which a tenant's rows are written. Nothing of it is there unless it is committed.
pub(super) struct Loader {
    session: Session,
    tenant: TenantId,
    placement: Placement,
    tables: Vec<Source>,
    busy: Vec<String>,
}

/// A table that is being written.
pub(super) struct TableLoad<'a> {
    loader: &'a Loader,
    table: &'a Source,
    written: Source,
    sink: Pin<Box<CopyInSink<Bytes>>>,
    /// What is added to each row.
    owner: Option<String>,
    waits: bool,
}

impl Lifecycle {
    /// Begins to write into a tenant that nobody is at. Its triggers have nothing to say: what they did is in the rows.
    pub(super) async fn loader(
        &self,
        by: Builder<'_>,
        tenant: TenantId,
        placement: &Placement,
    ) -> Result<Loader, LifecycleError> {
        let session = self.builder(by, placement.cluster, Some(&placement.database)).await?;
        session.run(SAME_TEXT).await?;
        // No migration of the tenant comes between what is read here and what is written.
        session
            .run(&format!(
                "BEGIN; SET LOCAL lock_timeout = 0; SELECT pg_advisory_xact_lock({}); SET LOCAL lock_timeout = '30s';
                 SET LOCAL session_replication_role = replica",
                turn_of(tenant)
            ))
            .await?;
        if let Some(trigger) = session
            .query_opt(ALWAYS, &[&quote_ident(&placement.schema)])
            .await
            .map_err(|error| session.fault(&error))?
        {
            let trigger: String = trigger.try_get(0).map_err(|error| session.fault(&error))?;
            return Err(LifecycleError::Step(format!(
                "{trigger} fires even for administrators, who cannot run what is an app's; ALTER TABLE … ENABLE TRIGGER first"
            )));
        }
        let tables = tables_of(&session, placement).await?;
        let fault = |error| session.fault(&error);
        let busy = session.query(BUSY, &[&quote_ident(&placement.schema)]).await.map_err(fault)?;
        let busy = busy.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>().map_err(fault)?;
        Ok(Loader { session, tenant, placement: placement.clone(), tables, busy })
    }
}

impl Loader {
    /// Waits until the tenant is served to nobody, and keeps it so until the transaction ends. Its logins are closed already.
    pub(super) async fn alone(&self) -> Result<(), LifecycleError> {
        match self.placement.isolation {
            Isolation::Shared => wait_for_served(&self.session, self.tenant).await,
            Isolation::Schema | Isolation::Database | Isolation::Cluster => Ok(()),
        }
    }

    /// How many migrations the tables have.
    pub(super) async fn version(&self, recorded: i32) -> Result<i32, LifecycleError> {
        version_of(&self.session, self.tenant, &self.placement, recorded).await
    }

    /// Removes the rows that there are.
    pub(super) async fn empty(&self) -> Result<(), LifecycleError> {
        if self.placement.isolation == Isolation::Shared {
            return delete_rows(&self.session, self.tenant).await;
        }
        let list: Vec<String> = self.tables.iter().map(|table| place(&self.placement, &table.name)).collect();
        if list.is_empty() { Ok(()) } else { self.session.run(&format!("TRUNCATE {}", list.join(", "))).await }
    }

    /// Begins to write a table's rows, which have these columns.
    pub(super) async fn table(&self, name: &str, columns: &[ColumnEntry]) -> Result<TableLoad<'_>, LifecycleError> {
        let unfit = |what: String| LifecycleError::Step(format!("{what}; its tables have been changed by hand"));
        let table = self.tables.iter().find(|table| table.name == name);
        let table = table.ok_or_else(|| unfit(format!("there is no table {name} to write to")))?;
        for column in columns {
            if !table.columns.iter().any(|it| it.name == column.name) {
                return Err(unfit(format!("table {name} has no column {} to write to", column.name)));
            }
        }
        let written = Source { name: name.to_owned(), columns: columns.to_vec() };
        let list = written.column_list();
        let waits = self.busy.iter().any(|busy| busy == name);
        let (into, list, owner) = if waits {
            let texts: Vec<String> =
                columns.iter().map(|column| format!("{} text", quote_ident(&column.name))).collect();
            self.session.run(&format!("CREATE TEMPORARY TABLE {WAITING} ({})", texts.join(", "))).await?;
            (WAITING.to_owned(), list, None)
        } else if self.placement.isolation == Isolation::Shared {
            (place(&self.placement, name), format!("{list}, tenant_id"), Some(self.tenant.to_string()))
        } else {
            (place(&self.placement, name), list, None)
        };
        let sink = self.session.copy_in(&format!("COPY {into} ({list}) FROM STDIN")).await;
        let sink = Box::pin(sink.map_err(|error| self.session.fault(&error))?);
        Ok(TableLoad { loader: self, table, written, sink, owner, waits })
    }

    /// Sequences go on from here.
    pub(super) async fn sequences(&self, sequences: &[SequenceEntry]) -> Result<(), LifecycleError> {
        let schema = quote_ident(&sequence_schema(self.tenant, &self.placement));
        for SequenceEntry { name, value, called } in sequences {
            let sequence = quote_literal(&format!("{schema}.{}", quote_ident(name)));
            // `setval` alone would stay whatever becomes of the transaction; on a sequence that was restarted in it, it goes with it.
            let restart = format!("ALTER SEQUENCE {schema}.{} RESTART", quote_ident(name));
            self.session.run(&format!("{restart}; SELECT setval({sequence}, {value}, {called})")).await?;
        }
        Ok(())
    }

    /// The tenant's rows have been written by migrations up to this one.
    pub(super) async fn stamp(&self, version: i32) -> Result<(), LifecycleError> {
        self.session.run(&stamp::write(&stamp::of_tenant(self.tenant, &self.placement), version)).await
    }

    /// Reads back how many rows there are, and whether everything that they refer to outside is there.
    pub(super) async fn check(&self, expected: &[(String, u64)]) -> Result<(), LifecycleError> {
        let Self { session, tenant, placement, .. } = self;
        let shared = placement.isolation == Isolation::Shared;
        let fault = |error| session.fault(&error);
        for (table, rows) in expected {
            let own = if shared { format!(" WHERE tenant_id = '{tenant}'") } else { String::new() };
            let query = format!("SELECT count(*) FROM {}{own}", place(placement, table));
            let found: i64 = session.query_one(&query, &[]).await.map_err(fault)?.try_get(0).map_err(fault)?;
            if u64::try_from(found) != Ok(*rows) {
                return Err(LifecycleError::Unverified(format!("table {table}: {found} rows instead of {rows}")));
            }
        }
        // Taken back at once, and with it the locks on tables of everybody's: whoever makes or removes a tenant would wait for them.
        session.run("SAVEPOINT sindico_keys").await?;
        self.check_global_keys().await?;
        session.run("ROLLBACK TO SAVEPOINT sindico_keys").await
    }

    async fn check_global_keys(&self) -> Result<(), LifecycleError> {
        let Self { session, tenant, placement, .. } = self;
        let shared = placement.isolation == Isolation::Shared;
        let fault = |error| session.fault(&error);
        for key in session.query(GLOBAL_KEYS, &[&quote_ident(&placement.schema)]).await.map_err(fault)? {
            let (name, table, foreign): (String, String, String) =
                (key.try_get(0).map_err(fault)?, key.try_get(1).map_err(fault)?, key.try_get(2).map_err(fault)?);
            let columns: (Vec<String>, Vec<String>) = (key.try_get(3).map_err(fault)?, key.try_get(4).map_err(fault)?);
            let pairs: Vec<_> =
                columns.0.iter().zip(&columns.1).map(|(a, b)| (quote_ident(a), quote_ident(b))).collect();
            let given: Vec<String> = pairs.iter().map(|(a, _)| format!("r.{a} IS NOT NULL")).collect();
            let equal: Vec<String> = pairs.iter().map(|(a, b)| format!("g.{b}::text = r.{a}::text")).collect();
            let own = if shared { format!(" AND r.tenant_id = '{tenant}'") } else { String::new() };
            let lost = format!(
                "SELECT EXISTS (SELECT FROM {} r WHERE {}{own} AND NOT EXISTS (SELECT FROM global.{} g WHERE {}))",
                place(placement, &table),
                given.join(" AND "),
                quote_ident(&foreign),
                equal.join(" AND ")
            );
            if session.ask(&lost, &[]).await? {
                return Err(LifecycleError::Step(format!(
                    "rows of {table} refer to rows of global table {foreign} that are not there any more ({name}); put those back first"
                )));
            }
        }
        Ok(())
    }

    pub(super) async fn commit(&self) -> Result<(), LifecycleError> {
        self.session.run("COMMIT").await
    }
}

impl TableLoad<'_> {
    pub(super) async fn give(&mut self, piece: Bytes) -> Result<(), LifecycleError> {
        let piece = match &self.owner {
            Some(owner) => with_value(&piece, owner),
            None => piece,
        };
        self.sink.send(piece).await.map_err(|error| self.refused(&error))
    }

    /// How many rows were written.
    pub(super) async fn end(mut self) -> Result<u64, LifecycleError> {
        let Loader { session, tenant, placement, .. } = self.loader;
        let rows = self.sink.as_mut().finish().await;
        let rows = rows.map_err(|error| self.refused(&error))?;
        if !self.waits {
            return Ok(rows);
        }
        // As the tenant, within what it cannot leave: what the app's functions do with a row, they do as the row's owner.
        let role = Role::new(*tenant, Access::ReadWrite).to_string();
        session.run(&format!("GRANT SELECT ON {WAITING} TO {}", quote_ident(&role))).await?;
        let kind = |name: &str| {
            let own = self.table.columns.iter().find(|column| column.name == name);
            own.map_or("text", |column| column.kind.as_str())
        };
        let value = |name: &str| format!("CAST({} AS {})", quote_ident(name), kind(name));
        let values: Vec<String> = self.written.columns.iter().map(|column| value(&column.name)).collect();
        let sql = format!(
            "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {WAITING}",
            place(placement, &self.table.name),
            self.written.column_list(),
            values.join(", ")
        );
        let mut script = Script::new(false);
        let statement = Statement { sql, file: String::new(), line: 0 };
        script.tenant(*tenant, Runner::Filler, &placement.search_path(*tenant), [statement]);
        script.end();
        script.ours(format!(
            "SET LOCAL search_path = pg_catalog, pg_temp; SET LOCAL session_replication_role = replica; DROP TABLE {WAITING}"
        ));
        match script.at_once(session).await {
            Ok(()) => Ok(rows),
            Err(Stop::Failed(error)) => Err(LifecycleError::Step(format!("table {}: {error}", self.table.name))),
            Err(stop) => Err(stop.into_error()),
        }
    }

    /// What PostgreSQL has against rows, it will have again; a server that does not answer may answer later.
    fn refused(&self, error: &tokio_postgres::Error) -> LifecycleError {
        let told = self.loader.session.fault(error);
        match error.code().map(|code| code.code().get(..2).unwrap_or_default()) {
            Some("22" | "23" | "42" | "44") => LifecycleError::Step(format!("table {}: {told}", self.table.name)),
            _ => told,
        }
    }
}

/// What rows there should be.
pub(super) fn counts(tables: &[TableEntry]) -> Vec<(String, u64)> {
    tables.iter().map(|table| (table.name.clone(), table.rows)).collect()
}
