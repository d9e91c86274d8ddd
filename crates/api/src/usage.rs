//! `/tenants/{tenant}/resources` and `/tenants/{tenant}/usage`: what a tenant uses, and has used.

pub(crate) mod collect;
pub(crate) mod get;
pub(crate) mod history;

use catalog::{Traffic, UsagePoint};
use lifecycle::{TableUsage, Usage};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::words::IsolationWord;

/// What a tenant used at one moment. Nobody reads its rows for that: counts of rows are estimates by PostgreSQL's own statistics.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UsageView {
    /// When, RFC 3339.
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) taken_at: OffsetDateTime,
    /// How it was kept apart then.
    #[schema(value_type = IsolationWord)]
    isolation: String,
    /// Rows in all of its tables.
    rows: CountView,
    /// Bytes on the servers' disks, with indexes and what is stored out of line.
    bytes: BytesView,
    /// Clients that were connected.
    connections: i64,
    /// What clients had done since the tenant was made, and síndico counted.
    requests: RequestsView,
    /// Of that, what came after the sample before; null if there is none before.
    requests_since_previous: Option<RequestsView>,
}

/// Rows.
#[derive(Debug, Serialize, ToSchema)]
struct CountView {
    /// How many.
    count: i64,
    /// Always true: they are PostgreSQL's statistics and not counted.
    estimated: bool,
    /// When the statistics were last renewed, of the table where that is longest ago; null while none were. RFC 3339.
    #[serde(with = "time::serde::rfc3339::option")]
    as_of: Option<OffsetDateTime>,
    /// So many tables have no statistics yet, and are in no sum here.
    unknown_tables: i32,
}

/// Bytes.
#[derive(Debug, Serialize, ToSchema)]
struct BytesView {
    /// How many.
    count: i64,
    /// Whether they are a share of tables that tenants have in common; otherwise they are sizes of files. Also true if tables were locked
    /// when they were to be looked at, and the sizes are those of the statistics.
    estimated: bool,
}

/// What clients have done.
#[derive(Debug, Serialize, ToSchema)]
struct RequestsView {
    /// Transactions that have ended.
    transactions: i64,
    /// Statements that were answered; several that were sent at once count as one.
    queries: i64,
    /// Errors that servers answered with.
    errors: i64,
    /// Bytes from clients.
    received_bytes: i64,
    /// Bytes to clients.
    sent_bytes: i64,
}

/// What a tenant has in one table.
#[derive(Debug, Serialize, ToSchema)]
struct TableUsageView {
    /// The table.
    name: String,
    /// Rows, estimated; null while PostgreSQL has no statistics of it.
    rows: Option<i64>,
    /// Bytes; null while the tenant's share of them is not known.
    bytes: Option<i64>,
    /// When its statistics were last renewed; null if never. RFC 3339.
    #[serde(with = "time::serde::rfc3339::option")]
    as_of: Option<OffsetDateTime>,
}

/// What a tenant used when that was last collected.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ResourcesView {
    /// The tenant's id.
    tenant: Uuid,
    /// Its short name.
    slug: String,
    #[serde(flatten)]
    usage: UsageView,
    /// The same by table, by name.
    tables: Vec<TableUsageView>,
}

impl From<Traffic> for RequestsView {
    fn from(it: Traffic) -> Self {
        Self {
            transactions: it.transactions,
            queries: it.queries,
            errors: it.errors,
            received_bytes: it.received,
            sent_bytes: it.sent,
        }
    }
}

impl From<UsagePoint> for UsageView {
    fn from(it: UsagePoint) -> Self {
        Self {
            taken_at: it.taken_at,
            isolation: it.isolation,
            rows: CountView { count: it.rows, estimated: true, as_of: it.analyzed_at, unknown_tables: it.unanalyzed },
            bytes: BytesView { count: it.bytes, estimated: it.bytes_estimated },
            connections: it.clients,
            requests: it.traffic.into(),
            requests_since_previous: it.since_previous.map(RequestsView::from),
        }
    }
}

impl From<Usage> for ResourcesView {
    fn from(it: Usage) -> Self {
        let view =
            |TableUsage { name, rows, bytes, analyzed_at }| TableUsageView { name, rows, bytes, as_of: analyzed_at };
        Self {
            tenant: it.tenant.id.as_uuid(),
            slug: it.tenant.slug.to_string(),
            usage: it.point.into(),
            tables: it.tables.into_iter().map(view).collect(),
        }
    }
}
