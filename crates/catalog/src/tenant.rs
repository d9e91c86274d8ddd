//! Tenants in the control database.

use std::num::NonZeroU32;
use std::str::FromStr;

use domain::{
    AppName, ClusterName, DisplayName, Invalid, Isolation, Placement, PoolMode, PoolOverrides, Pooling, Slug, Status,
    TenantId,
};
use serde::Serialize;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::error::read;
use crate::{Catalog, CatalogError, ControlTx};

/// A tenant as control data has it.
#[derive(Debug, Clone, Serialize)]
pub struct Tenant {
    /// UUID version 7.
    pub id: TenantId,
    /// Its short name.
    pub slug: Slug,
    /// What people call it.
    pub name: DisplayName,
    /// Which app it uses.
    pub app: AppName,
    /// What it may do at the moment.
    pub status: Status,
    /// Where its rows are.
    #[serde(skip)]
    pub placement: Placement,
    /// The cluster's name.
    pub cluster: ClusterName,
    /// False while a tenant in `schema` has had its schema dropped.
    pub present: bool,
    /// How many of the app's migrations its tables have.
    pub version: i32,
    /// How its clients share server connections.
    pub pool: PoolOverrides,
    /// When it was recorded.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When its record last changed.
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
}

/// How a route names a tenant. A slug never looks like an id, so one word is never both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TenantRef {
    /// By id.
    Id(TenantId),
    /// By slug.
    Slug(Slug),
}

impl FromStr for TenantRef {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(id) = text.parse() { Ok(Self::Id(id)) } else { text.parse().map(Self::Slug) }
    }
}

/// Which tenants a listing shows. Pages follow ids, which sort by when tenants were made; a spare's was before it was somebody's.
#[derive(Debug, Default)]
pub struct TenantFilter {
    /// Only those of this app.
    pub app: Option<AppName>,
    /// Only those kept apart in this way.
    pub isolation: Option<Isolation>,
    /// Only those in this state.
    pub status: Option<Status>,
    /// Only those made after this one.
    pub after: Option<TenantId>,
    /// The most rows to return.
    pub limit: i64,
}

/// A row as the two queries below select it.
struct Row {
    id: Uuid,
    slug: String,
    name: String,
    app: String,
    status: String,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
    cluster: Uuid,
    cluster_name: String,
    isolation: String,
    database: String,
    schema: String,
    present: bool,
    version: i32,
    pool_mode: Option<String>,
    pooling: Option<String>,
    max_server_connections: Option<i32>,
    max_clients: Option<i32>,
}

/// Pool settings as their columns have them.
pub(crate) fn pool_overrides(
    mode: Option<&str>,
    pooling: Option<&str>,
    max_server_connections: Option<i32>,
    max_clients: Option<i32>,
) -> Result<PoolOverrides, CatalogError> {
    let number = |what, value: Option<i32>| value.map(|value| read(what, &value.to_string())).transpose();
    Ok(PoolOverrides {
        mode: mode.map(|word| read("pool mode", word)).transpose()?,
        pooling: pooling.map(|word| read("pooling", word)).transpose()?,
        max_server_connections: number("max_server_connections", max_server_connections)?,
        max_clients: number("max_clients", max_clients)?,
    })
}

/// A placement as its columns have it.
pub(crate) fn placement(
    cluster: Uuid,
    isolation: &str,
    database: String,
    schema: String,
) -> Result<Placement, CatalogError> {
    Ok(Placement { cluster, isolation: read("isolation", isolation)?, database, schema })
}

impl TryFrom<Row> for Tenant {
    type Error = CatalogError;

    fn try_from(row: Row) -> Result<Self, CatalogError> {
        let (mode, pooling) = (row.pool_mode.as_deref(), row.pooling.as_deref());
        let pool = pool_overrides(mode, pooling, row.max_server_connections, row.max_clients)?;
        Ok(Self {
            id: TenantId::from_uuid(row.id),
            slug: read("slug", &row.slug)?,
            name: read("tenant name", &row.name)?,
            app: read("app name", &row.app)?,
            status: read("status", &row.status)?,
            placement: placement(row.cluster, &row.isolation, row.database, row.schema)?,
            cluster: read("cluster name", &row.cluster_name)?,
            present: row.present,
            version: row.version,
            pool,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

impl Catalog {
    /// The tenant, if there is one.
    pub async fn tenant(&self, which: &TenantRef) -> Result<Option<Tenant>, CatalogError> {
        let (id, slug) = match which {
            TenantRef::Id(id) => (Some(id.as_uuid()), None),
            TenantRef::Slug(slug) => (None, Some(slug.as_str())),
        };
        sqlx::query_as!(
            Row,
            "SELECT t.id, t.slug, t.name, t.app, t.status, t.created_at, t.updated_at,
                    t.pool_mode, t.pooling, t.max_server_connections, t.max_clients,
                    p.cluster, c.name AS cluster_name, p.isolation, p.database, p.schema, p.present, p.version
             FROM sindico.tenants t
             JOIN sindico.placements p ON p.tenant = t.id
             JOIN sindico.clusters c ON c.id = p.cluster
             WHERE (t.id = $1 OR t.slug = $2) AND t.spare_release IS NULL",
            id,
            slug,
        )
        .fetch_optional(&self.db)
        .await?
        .map(Tenant::try_from)
        .transpose()
    }

    /// A page of tenants, in the order of their ids.
    pub async fn tenants(&self, filter: &TenantFilter) -> Result<Vec<Tenant>, CatalogError> {
        let rows = sqlx::query_as!(
            Row,
            "SELECT t.id, t.slug, t.name, t.app, t.status, t.created_at, t.updated_at,
                    t.pool_mode, t.pooling, t.max_server_connections, t.max_clients,
                    p.cluster, c.name AS cluster_name, p.isolation, p.database, p.schema, p.present, p.version
             FROM sindico.tenants t
             JOIN sindico.placements p ON p.tenant = t.id
             JOIN sindico.clusters c ON c.id = p.cluster
             WHERE ($1::text IS NULL OR t.app = $1) AND ($2::text IS NULL OR p.isolation = $2)
               AND ($3::text IS NULL OR t.status = $3) AND ($4::uuid IS NULL OR t.id > $4) AND t.spare_release IS NULL
             ORDER BY t.id LIMIT $5",
            filter.app.as_ref().map(AppName::as_str),
            filter.isolation.map(Isolation::as_str),
            filter.status.map(Status::as_str),
            filter.after.map(TenantId::as_uuid),
            filter.limit,
        )
        .fetch_all(&self.db)
        .await?;
        rows.into_iter().map(Tenant::try_from).collect()
    }

    /// How many tenants there are, those being made and removed included.
    pub async fn count_tenants(&self) -> Result<i64, CatalogError> {
        let count =
            sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM sindico.tenants WHERE spare_release IS NULL"#)
                .fetch_one(&self.db)
                .await?;
        Ok(count)
    }

    /// A tenant's state, or a spare's, if there is one.
    pub async fn status(&self, id: TenantId) -> Result<Option<Status>, CatalogError> {
        let status = sqlx::query_scalar!("SELECT status FROM sindico.tenants WHERE id = $1", id.as_uuid())
            .fetch_optional(&self.db)
            .await?;
        status.map(|status| read("status", &status)).transpose()
    }

    /// Tenants that are neither made nor gone and that no operation is under way for: there are none, unless somebody has changed the
    /// control database by hand.
    pub async fn unfinished_tenants(&self) -> Result<Vec<TenantId>, CatalogError> {
        let ids = sqlx::query_scalar!(
            "SELECT id FROM sindico.tenants t WHERE status IN ('provisioning', 'deleting')
                 AND NOT EXISTS (SELECT FROM sindico.operations o WHERE o.subject = t.id AND o.ended_at IS NULL)
             ORDER BY id"
        )
        .fetch_all(&self.db)
        .await?;
        Ok(ids.into_iter().map(TenantId::from_uuid).collect())
    }

    /// Moves a tenant to another state, if it is in one of those named, and commits. `false` when it is not, or is gone: then nothing of
    /// the transaction happens.
    pub async fn set_status(
        &self,
        mut tx: ControlTx,
        id: TenantId,
        from: &[Status],
        to: Status,
    ) -> Result<bool, CatalogError> {
        let from: Vec<String> = from.iter().map(ToString::to_string).collect();
        let done = sqlx::query!(
            "UPDATE sindico.tenants SET status = $3, updated_at = now() WHERE id = $1 AND status = ANY ($2)",
            id.as_uuid(),
            &from,
            to.as_str(),
        )
        .execute(&mut *tx)
        .await?;
        if done.rows_affected() == 0 {
            tx.rollback().await?;
            return Ok(false);
        }
        tx.commit().await?;
        self.refresh_tenant(id).await?;
        Ok(true)
    }

    /// Changes what people see and what doors allow, in one statement, and commits; pool settings all at once. `false` when the tenant is neither active nor
    /// suspended.
    pub async fn edit_tenant(
        &self,
        mut tx: ControlTx,
        id: TenantId,
        name: Option<&DisplayName>,
        status: Option<Status>,
        pool: Option<&PoolOverrides>,
    ) -> Result<bool, CatalogError> {
        let number = |value: Option<NonZeroU32>| value.map(|value| i32::try_from(value.get()).unwrap_or(i32::MAX));
        let done = sqlx::query!(
            "UPDATE sindico.tenants SET name = coalesce($2, name), status = coalesce($3, status), updated_at = now(),
                 pool_mode = CASE WHEN $4 THEN $5 ELSE pool_mode END,
                 pooling = CASE WHEN $4 THEN $6 ELSE pooling END,
                 max_server_connections = CASE WHEN $4 THEN $7 ELSE max_server_connections END,
                 max_clients = CASE WHEN $4 THEN $8 ELSE max_clients END
             WHERE id = $1 AND status IN ('active', 'suspended')",
            id.as_uuid(),
            name.map(DisplayName::as_str),
            status.map(Status::as_str),
            pool.is_some(),
            pool.and_then(|pool| pool.mode).map(PoolMode::as_str),
            pool.and_then(|pool| pool.pooling).map(Pooling::as_str),
            pool.and_then(|pool| number(pool.max_server_connections)),
            pool.and_then(|pool| number(pool.max_clients)),
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        self.refresh_tenant(id).await?;
        Ok(done.rows_affected() == 1)
    }

    /// Records whether the tenant's schema is there.
    pub async fn set_present(&self, id: TenantId, present: bool) -> Result<(), CatalogError> {
        sqlx::query!("UPDATE sindico.placements SET present = $2 WHERE tenant = $1", id.as_uuid(), present)
            .execute(&self.db)
            .await?;
        self.refresh_tenant(id).await
    }

    /// Forgets a tenant that has nothing left outside the control database, and commits. `false` if it may be in use.
    pub async fn remove_tenant(&self, mut tx: ControlTx, id: TenantId) -> Result<bool, CatalogError> {
        sqlx::query!(
            "DELETE FROM sindico.tenants WHERE id = $1 AND status IN ('provisioning', 'deleting')",
            id.as_uuid()
        )
        .execute(&mut *tx)
        .await?;
        let there = sqlx::query_scalar!("SELECT 1 FROM sindico.tenants WHERE id = $1", id.as_uuid())
            .fetch_optional(&mut *tx)
            .await?;
        tx.commit().await?;
        self.refresh_tenant(id).await?;
        Ok(there.is_none())
    }
}
