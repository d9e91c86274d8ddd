//! What tenants use, over time.

use domain::{Isolation, Placement, Slug, TenantId};
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::error::read;
use crate::tenant::placement;
use crate::{Catalog, CatalogError, Traffic};

/// A tenant whose tables can be looked at.
#[derive(Debug, Clone)]
pub struct Metered {
    /// Who.
    pub tenant: TenantId,
    /// Its short name.
    pub slug: Slug,
    /// Where its tables are.
    pub placement: Placement,
    /// Whether it has any.
    pub present: bool,
    /// Whether it is nobody's yet: it has a part of shared tables, and no usage.
    pub spare: bool,
}

/// What a tenant's tables were found to hold.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Whose.
    pub tenant: TenantId,
    /// How they were kept apart.
    pub isolation: Isolation,
    /// Rows, by PostgreSQL's statistics.
    pub rows: i64,
    /// Bytes, with indexes and what is stored out of line.
    pub bytes: i64,
    /// Whether these follow from statistics, too.
    pub bytes_estimated: bool,
    /// The oldest analysis that the rows follow from.
    pub analyzed_at: Option<OffsetDateTime>,
    /// Tables without statistics, of which nothing is in the sums.
    pub unanalyzed: i32,
    /// The same by table, as JSON.
    pub tables: Value,
}

/// A tenant's usage at one moment.
#[derive(Debug, Clone)]
pub struct UsagePoint {
    /// When.
    pub taken_at: OffsetDateTime,
    /// How it was kept apart.
    pub isolation: String,
    /// See [`Sample::rows`].
    pub rows: i64,
    /// See [`Sample::bytes`].
    pub bytes: i64,
    /// See [`Sample::bytes_estimated`].
    pub bytes_estimated: bool,
    /// See [`Sample::analyzed_at`].
    pub analyzed_at: Option<OffsetDateTime>,
    /// See [`Sample::unanalyzed`].
    pub unanalyzed: i32,
    /// Clients that were connected to any process.
    pub clients: i64,
    /// What clients had done since the tenant was made.
    pub traffic: Traffic,
    /// Of that, what came after the sample before; none if there is none before.
    pub since_previous: Option<Traffic>,
}

/// Which samples.
#[derive(Debug, Clone, Copy, Default)]
pub struct UsageFilter {
    /// From then on.
    pub from: Option<OffsetDateTime>,
    /// Before then.
    pub to: Option<OffsetDateTime>,
    /// After the last of the page before.
    pub after: Option<OffsetDateTime>,
    /// At most so many.
    pub limit: i64,
}

struct Row {
    taken_at: OffsetDateTime,
    isolation: String,
    rows: i64,
    bytes: i64,
    bytes_estimated: bool,
    analyzed_at: Option<OffsetDateTime>,
    unanalyzed: i32,
    clients: i64,
    transactions: i64,
    queries: i64,
    errors: i64,
    received: i64,
    sent: i64,
    transactions_before: Option<i64>,
    queries_before: Option<i64>,
    errors_before: Option<i64>,
    received_before: Option<i64>,
    sent_before: Option<i64>,
}

impl From<Row> for UsagePoint {
    fn from(row: Row) -> Self {
        let Row { transactions, queries, errors, received, sent, .. } = row;
        let since = |now: i64, before: Option<i64>| before.map(|before| now.saturating_sub(before));
        let since_previous = || {
            Some(Traffic {
                transactions: since(transactions, row.transactions_before)?,
                queries: since(queries, row.queries_before)?,
                errors: since(errors, row.errors_before)?,
                received: since(received, row.received_before)?,
                sent: since(sent, row.sent_before)?,
            })
        };
        Self {
            taken_at: row.taken_at,
            rows: row.rows,
            bytes: row.bytes,
            bytes_estimated: row.bytes_estimated,
            analyzed_at: row.analyzed_at,
            unanalyzed: row.unanalyzed,
            clients: row.clients,
            traffic: Traffic { transactions, queries, errors, received, sent },
            since_previous: since_previous(),
            isolation: row.isolation,
        }
    }
}

impl Catalog {
    /// Tenants whose tables can be looked at: all of them, or those in one database. Those that are nobody's yet have a part of what is shared.
    pub async fn metered(&self, within: Option<&Placement>) -> Result<Vec<Metered>, CatalogError> {
        let rows = sqlx::query!(
            r#"SELECT t.id, t.slug, t.status = 'spare' AS "spare!", p.cluster, p.isolation, p.database, p.schema, p.present
               FROM sindico.tenants t JOIN sindico.placements p ON p.tenant = t.id
               WHERE (t.status IN ('active', 'suspended') OR t.status = 'spare' AND p.isolation = 'shared')
                 AND ($1::uuid IS NULL OR p.cluster = $1) AND ($2::text IS NULL OR p.database = $2)
               ORDER BY t.id"#,
            within.map(|place| place.cluster),
            within.map(|place| place.database.as_str()),
        )
        .fetch_all(&self.db)
        .await?;
        let metered = rows.into_iter().map(|row| {
            Ok(Metered {
                tenant: TenantId::from_uuid(row.id),
                slug: read("slug", &row.slug)?,
                placement: placement(row.cluster, &row.isolation, row.database, row.schema)?,
                present: row.present,
                spare: row.spare,
            })
        });
        metered.collect()
    }

    /// The control database's clock, by which samples are taken.
    pub async fn now(&self) -> Result<OffsetDateTime, CatalogError> {
        Ok(sqlx::query_scalar!(r#"SELECT clock_timestamp() AS "now!""#).fetch_one(&self.db).await?)
    }

    /// Records what tables were found to hold, of the tenants that there still are, with what all processes have counted by now. Of a
    /// process that has been silent for three minutes, no client is taken to be there.
    pub async fn put_samples(&self, taken_at: OffsetDateTime, samples: &[Sample]) -> Result<(), CatalogError> {
        let tenants: Vec<Uuid> = samples.iter().map(|it| it.tenant.as_uuid()).collect();
        let isolations: Vec<String> = samples.iter().map(|it| it.isolation.to_string()).collect();
        let [rows, bytes]: [Vec<i64>; 2] =
            [|it: &Sample| it.rows, |it: &Sample| it.bytes].map(|of| samples.iter().map(of).collect());
        let estimated: Vec<bool> = samples.iter().map(|it| it.bytes_estimated).collect();
        let analyzed: Vec<Option<OffsetDateTime>> = samples.iter().map(|it| it.analyzed_at).collect();
        let unanalyzed: Vec<i32> = samples.iter().map(|it| it.unanalyzed).collect();
        let tables: Vec<Value> = samples.iter().map(|it| it.tables.clone()).collect();
        let mut tx = self.db.begin().await?;
        sqlx::query!(
            "INSERT INTO sindico.usage_samples (tenant, taken_at, isolation, rows, bytes, bytes_estimated, analyzed_at, unanalyzed,
                 clients, transactions, queries, errors, received, sent)
             SELECT t.id, $1, s.isolation, s.rows, s.bytes, s.bytes_estimated, s.analyzed_at, s.unanalyzed,
                    c.clients, c.transactions, c.queries, c.errors, c.received, c.sent
             FROM unnest($2::uuid[], $3::text[], $4::bigint[], $5::bigint[], $6::boolean[], $7::timestamptz[], $8::integer[])
                      AS s (tenant, isolation, rows, bytes, bytes_estimated, analyzed_at, unanalyzed)
             JOIN sindico.tenants t ON t.id = s.tenant
             CROSS JOIN LATERAL (
                 SELECT coalesce(sum(u.clients) FILTER (WHERE p.seen_at > clock_timestamp() - interval '3 min'), 0)::bigint AS clients,
                        coalesce(sum(u.transactions), 0)::bigint AS transactions, coalesce(sum(u.queries), 0)::bigint AS queries,
                        coalesce(sum(u.errors), 0)::bigint AS errors, coalesce(sum(u.received), 0)::bigint AS received,
                        coalesce(sum(u.sent), 0)::bigint AS sent
                 FROM sindico.usage_counters u LEFT JOIN sindico.usage_processes p ON p.id = u.process
                 WHERE u.tenant = t.id) c
             FOR KEY SHARE OF t
             ON CONFLICT (tenant, taken_at) DO NOTHING",
            taken_at,
            &tenants,
            &isolations,
            &rows,
            &bytes,
            &estimated,
            &analyzed as _,
            &unanalyzed,
        )
        .execute(&mut *tx)
        .await?;
        sqlx::query!(
            "INSERT INTO sindico.usage_tables AS known (tenant, taken_at, tables)
             SELECT t.id, $1, s.tables FROM unnest($2::uuid[], $3::jsonb[]) AS s (tenant, tables)
             JOIN sindico.tenants t ON t.id = s.tenant
             FOR KEY SHARE OF t
             ON CONFLICT (tenant) DO UPDATE SET taken_at = excluded.taken_at, tables = excluded.tables
                 WHERE known.taken_at <= excluded.taken_at",
            taken_at,
            &tenants,
            &tables,
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// A tenant's newest sample, and what it was by table.
    pub async fn newest_usage(&self, tenant: TenantId) -> Result<Option<(UsagePoint, Value)>, CatalogError> {
        let newest =
            sqlx::query!("SELECT taken_at, tables FROM sindico.usage_tables WHERE tenant = $1", tenant.as_uuid())
                .fetch_optional(&self.db)
                .await?;
        let Some(newest) = newest else { return Ok(None) };
        let filter = UsageFilter { from: Some(newest.taken_at), limit: 1, ..UsageFilter::default() };
        Ok(self.usage(tenant, &filter).await?.pop().map(|point| (point, newest.tables)))
    }

    /// A tenant's samples, oldest first.
    pub async fn usage(&self, tenant: TenantId, filter: &UsageFilter) -> Result<Vec<UsagePoint>, CatalogError> {
        let rows = sqlx::query_as!(
            Row,
            r#"SELECT s.taken_at, s.isolation, s.rows, s.bytes, s.bytes_estimated, s.analyzed_at, s.unanalyzed, s.clients,
                      s.transactions, s.queries, s.errors, s.received, s.sent,
                      b.transactions AS "transactions_before?", b.queries AS "queries_before?", b.errors AS "errors_before?",
                      b.received AS "received_before?", b.sent AS "sent_before?"
               FROM sindico.usage_samples s LEFT JOIN LATERAL (
                   SELECT * FROM sindico.usage_samples b WHERE b.tenant = s.tenant AND b.taken_at < s.taken_at
                   ORDER BY b.taken_at DESC LIMIT 1) b ON true
               WHERE s.tenant = $1 AND ($2::timestamptz IS NULL OR s.taken_at >= $2)
                 AND ($3::timestamptz IS NULL OR s.taken_at < $3) AND ($4::timestamptz IS NULL OR s.taken_at > $4)
               ORDER BY s.taken_at LIMIT $5"#,
            tenant.as_uuid(),
            filter.from,
            filter.to,
            filter.after,
            filter.limit,
        )
        .fetch_all(&self.db)
        .await?;
        Ok(rows.into_iter().map(UsagePoint::from).collect())
    }

    /// Forgets samples that were taken so many days ago.
    pub async fn purge_usage(&self, days: i32) -> Result<u64, CatalogError> {
        let purged = sqlx::query!(
            "DELETE FROM sindico.usage_samples WHERE taken_at < clock_timestamp() - make_interval(days => $1)",
            days
        )
        .execute(&self.db)
        .await?;
        Ok(purged.rows_affected())
    }
}
