//! `/tenants`: an operator's view of tenants.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod patch;

use std::num::NonZeroU32;

use catalog::Tenant;
use domain::{Invalid, PoolMode, PoolOverrides, Pooling};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::Door;
use crate::problem::Problem;
use crate::words::{IsolationWord, PoolModeWord, PoolingWord, StatusWord};

/// A tenant.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TenantView {
    /// UUID version 7; routes take it or the slug.
    pub(crate) id: Uuid,
    /// Unique in the installation.
    pub(crate) slug: String,
    /// What people call it.
    pub(crate) name: String,
    /// Which app it uses.
    pub(crate) app: String,
    /// `provisioning`, `active`, `suspended` or `deleting`.
    #[schema(value_type = StatusWord)]
    pub(crate) status: String,
    /// `shared`, `schema`, `database` or `cluster`.
    #[schema(value_type = IsolationWord)]
    pub(crate) isolation: String,
    /// Where its rows are.
    pub(crate) placement: PlacementView,
    /// How many of its app's migrations its tables have.
    pub(crate) version: i32,
    /// How its clients share server connections.
    pub(crate) pool: PoolBody,
    /// RFC 3339.
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) created_at: time::OffsetDateTime,
    /// RFC 3339.
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) updated_at: time::OffsetDateTime,
}

/// Where a tenant lives.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PlacementView {
    /// The cluster's name.
    pub(crate) cluster: String,
    /// The database on it.
    pub(crate) database: String,
    /// The schema in that database; null while it is dropped.
    pub(crate) schema: Option<String>,
}

/// What a tenant has instead of what the configuration gives to all; null is what the configuration gives.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PoolBody {
    /// What clients get that do not say: a server connection for a `transaction` or for a `session` (`gateway.pool_mode`).
    #[schema(value_type = Option<PoolModeWord>)]
    pub(crate) mode: Option<PoolMode>,
    /// Whether transactions run on server connections of the tenant's `own`, or, while it is in `shared`, on `dense` ones
    /// that tenants take turns on (`gateway.pooling`).
    #[schema(value_type = Option<PoolingWord>)]
    pub(crate) pooling: Option<Pooling>,
    /// Server connections that it may have at once (`pool.connections_per_tenant`).
    #[schema(value_type = Option<i32>, minimum = 1, maximum = 2_147_483_647)]
    pub(crate) max_server_connections: Option<NonZeroU32>,
    /// Clients that it may have at once (`gateway.connections_per_tenant`).
    #[schema(value_type = Option<i32>, minimum = 1, maximum = 2_147_483_647)]
    pub(crate) max_clients: Option<NonZeroU32>,
}

impl From<PoolOverrides> for PoolBody {
    fn from(pool: PoolOverrides) -> Self {
        let PoolOverrides { mode, pooling, max_server_connections, max_clients } = pool;
        Self { mode, pooling, max_server_connections, max_clients }
    }
}

impl From<PoolBody> for PoolOverrides {
    fn from(pool: PoolBody) -> Self {
        let PoolBody { mode, pooling, max_server_connections, max_clients } = pool;
        Self { mode, pooling, max_server_connections, max_clients }
    }
}

impl From<Tenant> for TenantView {
    fn from(tenant: Tenant) -> Self {
        Self {
            id: tenant.id.as_uuid(),
            slug: tenant.slug.to_string(),
            name: tenant.name.to_string(),
            app: tenant.app.to_string(),
            status: tenant.status.to_string(),
            isolation: tenant.placement.isolation.to_string(),
            placement: PlacementView {
                cluster: tenant.cluster.to_string(),
                database: tenant.placement.database,
                schema: tenant.present.then_some(tenant.placement.schema),
            },
            version: tenant.version,
            pool: tenant.pool.into(),
            created_at: tenant.created_at,
            updated_at: tenant.updated_at,
        }
    }
}

/// The tenant that a path names. A word that can be neither id nor slug names nobody.
pub(crate) fn named(word: &str) -> Result<catalog::TenantRef, Problem> {
    word.parse().map_err(|_: Invalid| Problem::tenant_not_found(word))
}

/// The tenant that a path names.
pub(crate) async fn owner(door: &Door, word: &str) -> Result<Tenant, Problem> {
    door.catalog.tenant(&named(word)?).await?.ok_or_else(|| Problem::tenant_not_found(word))
}
