//! Asking one database what all of its tenants have, in a question for those with tables of their own and one for those who share.
//! Nothing reads a row: counts are PostgreSQL's statistics, sizes those of files.

use std::collections::{BTreeMap, HashMap, HashSet};

use catalog::{Metered, Sample};
use domain::{Isolation, TenantId};
use serde_json::json;
use time::OffsetDateTime;
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;
use uuid::Uuid;

use super::TableUsage;
use super::spread::{Spread, Statistics};
use crate::LifecycleError;
use crate::server::Session;

/// A size asks for a lock that a migration may keep to itself; the statistics are there without.
const LIMITS: &str = "SET lock_timeout = '1s'";

/// Each table with a file: how many rows, how many bytes with indexes and TOAST, when somebody last counted. Partitions come under
/// the name of the whole. A count of -1 says that nobody has counted; what is known then is what has been inserted and deleted since the
/// server collects such things. `$2` is whether sizes may wait for locks; otherwise they are as old as the count.
macro_rules! tables {
    ($columns:literal, $more:literal, $which:literal) => {
        concat!(
            "SELECT n.nspname::text AS schema, r.relname::text AS name,
                    CASE WHEN c.reltuples >= 0 THEN c.reltuples::float8
                         WHEN pg_stat_get_live_tuples(c.oid) > 0 THEN pg_stat_get_live_tuples(c.oid)::float8
                         WHEN s.bytes = 0 THEN 0 END AS rows,
                    s.bytes + coalesce(s.beside, 0) AS bytes,
                    (extract(epoch FROM greatest(
                        pg_stat_get_last_analyze_time(c.oid), pg_stat_get_last_autoanalyze_time(c.oid),
                        pg_stat_get_last_vacuum_time(c.oid), pg_stat_get_last_autovacuum_time(c.oid))) * 1000000)::int8 AS analyzed",
            $columns,
            "
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             JOIN pg_class r ON r.oid = coalesce(pg_partition_root(c.oid)::oid, c.oid)
             CROSS JOIN LATERAL (
                 SELECT CASE WHEN $2 THEN pg_table_size(c.oid) ELSE c.relpages::int8 * current_setting('block_size')::int8 END AS bytes,
                        CASE WHEN $2 THEN pg_indexes_size(c.oid) ELSE (
                            SELECT sum(b.relpages)::int8 * current_setting('block_size')::int8 FROM pg_class b
                            WHERE b.oid = c.reltoastrelid
                               OR b.oid IN (SELECT indexrelid FROM pg_index WHERE indrelid IN (c.oid, c.reltoastrelid))) END AS beside
                 ) s",
            $more,
            "
             WHERE c.relkind IN ('r', 'm') AND ",
            $which,
            " ORDER BY 1, 2"
        )
    };
}

const OWN: &str = tables!("", "", "n.nspname = ANY ($1::text[])");

const SHARED: &str = tables!(
    ", p.n_distinct::float8 AS distinct, p.most_common_vals::text::uuid[] AS common, p.most_common_freqs AS parts",
    "
             JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND a.atttypid = 'uuid'::regtype
             LEFT JOIN pg_stats p ON p.schemaname = n.nspname AND p.tablename = c.relname AND p.attname = 'tenant_id' AND NOT p.inherited",
    "n.nspname = $1::text"
);

/// A table as the server describes it.
struct Table {
    schema: String,
    name: String,
    rows: Option<f64>,
    /// None if it was dropped just now.
    bytes: Option<i64>,
    analyzed_at: Option<OffsetDateTime>,
}

/// What these tenants, all in the session's database, have in it; `of` alone, if one is named.
pub(super) async fn measure(
    session: &Session,
    tenants: &[Metered],
    of: Option<TenantId>,
) -> Result<Vec<Sample>, LifecycleError> {
    session.run(LIMITS).await?;
    let wanted: Vec<&Metered> = tenants.iter().filter(|it| !it.spare && of.is_none_or(|of| it.tenant == of)).collect();
    let (sharing, own): (Vec<&Metered>, Vec<&Metered>) =
        wanted.into_iter().partition(|it| it.placement.isolation == Isolation::Shared);
    let mut samples = Vec::new();
    if !own.is_empty() {
        let schemas: Vec<&str> = own.iter().map(|it| it.placement.schema.as_str()).collect();
        let (rows, exact) = ask(session, OWN, &schemas).await?;
        let mut by_schema: HashMap<String, Parts> = HashMap::new();
        for row in &rows {
            let table = Table::read(session, row)?;
            by_schema.entry(table.schema.clone()).or_default().add(&table, table.rows, table.bytes);
        }
        samples.extend(own.into_iter().map(|it| {
            let parts = by_schema.remove(&it.placement.schema).unwrap_or_default();
            parts.sample(it, !exact)
        }));
    }
    if let Some(first) = sharing.first() {
        let everybody: HashSet<TenantId> =
            tenants.iter().filter(|it| it.placement.isolation == Isolation::Shared).map(|it| it.tenant).collect();
        let (rows, _) = ask(session, SHARED, &first.placement.schema.as_str()).await?;
        let mut by_tenant: HashMap<TenantId, Parts> = HashMap::new();
        for row in &rows {
            let spread = spread(session, row, &everybody)?;
            let table = Table::read(session, row)?;
            for it in &sharing {
                let part = match (table.rows, &spread) {
                    (Some(0.0), _) => Some(0.0),
                    (_, spread) => spread.as_ref().map(|spread| spread.part(it.tenant)),
                };
                let rows = table.rows.zip(part).map(|(rows, part)| rows * part);
                let bytes = table.bytes.zip(part).map(|(bytes, part)| rounded(float(bytes) * part));
                by_tenant.entry(it.tenant).or_default().add(&table, rows, bytes);
            }
        }
        samples.extend(sharing.into_iter().map(|it| by_tenant.remove(&it.tenant).unwrap_or_default().sample(it, true)));
    }
    Ok(samples)
}

/// Asks for sizes of files, and, where somebody has a table to himself, for what is known without them.
async fn ask<P>(session: &Session, sql: &str, which: &P) -> Result<(Vec<Row>, bool), LifecycleError>
where
    P: tokio_postgres::types::ToSql + Sync,
{
    match session.query(sql, &[which, &true]).await {
        Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
            let rows = session.query(sql, &[which, &false]).await.map_err(|error| session.fault(&error))?;
            Ok((rows, false))
        }
        rows => Ok((rows.map_err(|error| session.fault(&error))?, true)),
    }
}

impl Table {
    fn read(session: &Session, row: &Row) -> Result<Self, LifecycleError> {
        let fault = |error| session.fault(&error);
        let analyzed: Option<i64> = row.try_get("analyzed").map_err(fault)?;
        Ok(Self {
            schema: row.try_get("schema").map_err(fault)?,
            name: row.try_get("name").map_err(fault)?,
            rows: row.try_get("rows").map_err(fault)?,
            bytes: row.try_get("bytes").map_err(fault)?,
            analyzed_at: analyzed
                .and_then(|micros| OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1000).ok()),
        })
    }
}

/// How a table is spread; none if it was never analyzed.
fn spread(session: &Session, row: &Row, tenants: &HashSet<TenantId>) -> Result<Option<Spread>, LifecycleError> {
    let fault = |error| session.fault(&error);
    let (Some(distinct), Some(rows)) =
        (row.try_get::<_, Option<f64>>("distinct").map_err(fault)?, row.try_get("rows").map_err(fault)?)
    else {
        return Ok(None);
    };
    let common: Option<Vec<Uuid>> = row.try_get("common").map_err(fault)?;
    let parts: Option<Vec<f32>> = row.try_get("parts").map_err(fault)?;
    let statistics = Statistics { distinct, common: common.unwrap_or_default(), parts: parts.unwrap_or_default() };
    Ok(Some(Spread::new(&statistics, rows, tenants)))
}

/// A tenant's tables, partitions added up.
#[derive(Default)]
struct Parts(BTreeMap<String, Part>);

#[derive(Default)]
struct Part {
    rows: f64,
    bytes: i64,
    analyzed_at: Option<OffsetDateTime>,
    unknown: bool,
}

impl Parts {
    fn add(&mut self, table: &Table, rows: Option<f64>, bytes: Option<i64>) {
        if table.bytes.is_none() {
            return;
        }
        let part = self.0.entry(table.name.clone()).or_default();
        part.unknown |= rows.is_none();
        part.rows += rows.unwrap_or_default();
        part.bytes += bytes.unwrap_or_default();
        part.analyzed_at = match (part.analyzed_at, table.analyzed_at) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }

    fn sample(self, of: &Metered, bytes_estimated: bool) -> Sample {
        let tables: Vec<TableUsage> = self
            .0
            .into_iter()
            .map(|(name, part)| TableUsage {
                name,
                rows: (!part.unknown).then(|| rounded(part.rows)),
                // Of a table of its own the size is known in any case.
                bytes: (!part.unknown || of.placement.isolation != Isolation::Shared).then_some(part.bytes),
                analyzed_at: part.analyzed_at,
            })
            .collect();
        let unanalyzed = tables.iter().filter(|table| table.rows.is_none()).count();
        Sample {
            tenant: of.tenant,
            isolation: of.placement.isolation,
            rows: tables.iter().filter_map(|table| table.rows).sum(),
            bytes: tables.iter().filter_map(|table| table.bytes).sum(),
            bytes_estimated,
            analyzed_at: tables.iter().filter_map(|table| table.analyzed_at).min(),
            unanalyzed: i32::try_from(unanalyzed).unwrap_or(i32::MAX),
            tables: json!(tables),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "counts and sizes of a database are below 2^53, and a cast saturates"
)]
fn rounded(number: f64) -> i64 {
    number.round() as i64
}

#[expect(clippy::cast_precision_loss, reason = "a share of a size is an estimate; nobody misses a byte of 2^53")]
fn float(number: i64) -> f64 {
    number as f64
}
