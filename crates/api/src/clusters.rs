//! `/clusters`: PostgreSQL servers that tenants are placed on.

pub(crate) mod add;
pub(crate) mod list;

use catalog::Cluster;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// A cluster. Its DSN is a secret and never shown.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ClusterView {
    id: Uuid,
    name: String,
    host: String,
    port: u16,
    /// `server_version_num`, such as 150018.
    server_version: i32,
    /// Takes only tenants of isolation `cluster`, and nobody else takes those.
    dedicated: bool,
    /// The most tenants it takes; null: no bound.
    capacity: Option<i32>,
    /// How many are placed on it.
    tenants: i64,
    /// RFC 3339.
    #[serde(with = "time::serde::rfc3339")]
    created_at: time::OffsetDateTime,
}

impl ClusterView {
    fn new(cluster: Cluster, tenants: i64) -> Self {
        Self {
            id: cluster.id,
            name: cluster.name.to_string(),
            host: cluster.host,
            port: cluster.port,
            server_version: cluster.server_version,
            dedicated: cluster.dedicated,
            capacity: cluster.capacity,
            tenants,
            created_at: cluster.created_at,
        }
    }
}
