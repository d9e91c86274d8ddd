//! Which migrations tenants have, and what their tables should look like.

use domain::{AppName, Isolation, Placement, Slug, Status, TenantId};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::error::read;
use crate::tenant::placement;
use crate::{Catalog, CatalogError};

/// Of more tenants than this, the routes are read all at once.
const READ_ONE_BY_ONE: usize = 50;

/// A tenant in the ledger of its app's migrations.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Who.
    pub tenant: TenantId,
    /// Its short name.
    pub slug: Slug,
    /// What it may do at the moment.
    pub status: Status,
    /// Whether it is nobody's yet.
    pub spare: bool,
    /// Where its tables are.
    pub placement: Placement,
    /// Whether it has any.
    pub present: bool,
    /// How many migrations they have.
    pub version: i32,
    /// When it last got one; none since it was made.
    pub migrated_at: Option<OffsetDateTime>,
    /// Why the last attempt to give it more has failed.
    pub error: Option<String>,
    /// How its tables differ from what they should be, as far as somebody has looked.
    pub drift: Option<String>,
}

/// What tables of a version look like.
#[derive(Debug, Clone)]
pub struct Shape {
    /// SHA-256 of the lines.
    pub fingerprint: String,
    /// A line for each object.
    pub lines: Vec<String>,
    /// How many rows of PostgreSQL's catalogs are about a tenant's own; unknown where nobody has counted them.
    pub catalog_rows: Option<i64>,
}

/// Whose tables a [`Shape`] is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ShapeKind {
    /// One tenant's.
    Own,
    /// Those that tenants share.
    Shared,
}

impl ShapeKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Shared => "shared",
        }
    }
}

struct Row {
    id: Uuid,
    slug: String,
    status: String,
    spare: bool,
    cluster: Uuid,
    isolation: String,
    database: String,
    schema: String,
    present: bool,
    version: i32,
    migrated_at: Option<OffsetDateTime>,
    migration_error: Option<String>,
    drift: Option<String>,
}

impl TryFrom<Row> for Entry {
    type Error = CatalogError;

    fn try_from(row: Row) -> Result<Self, CatalogError> {
        Ok(Self {
            tenant: TenantId::from_uuid(row.id),
            slug: read("slug", &row.slug)?,
            status: read("status", &row.status)?,
            spare: row.spare,
            placement: placement(row.cluster, &row.isolation, row.database, row.schema)?,
            present: row.present,
            version: row.version,
            migrated_at: row.migrated_at,
            error: row.migration_error,
            drift: row.drift,
        })
    }
}

impl Catalog {
    /// The ledger of an app, oldest tenant first; only those with fewer migrations than `below`, if that is given.
    pub async fn ledger(&self, app: &AppName, below: Option<i32>) -> Result<Vec<Entry>, CatalogError> {
        let rows = sqlx::query_as!(
            Row,
            r#"SELECT t.id, t.slug, t.status, t.spare_release IS NOT NULL AS "spare!", p.cluster, p.isolation, p.database, p.schema,
                      p.present, p.version, p.migrated_at, p.migration_error, p.drift
             FROM sindico.tenants t JOIN sindico.placements p ON p.tenant = t.id
             WHERE t.app = $1 AND ($2::integer IS NULL OR p.version < $2) ORDER BY t.id"#,
            app.as_str(),
            below,
        )
        .fetch_all(&self.db)
        .await?;
        rows.into_iter().map(Entry::try_from).collect()
    }

    /// How many tenants have each version.
    pub async fn versions(&self, app: &AppName) -> Result<Vec<(i32, i64)>, CatalogError> {
        let rows = sqlx::query!(
            r#"SELECT p.version, count(*) AS "tenants!" FROM sindico.tenants t JOIN sindico.placements p ON p.tenant = t.id
               WHERE t.app = $1 AND t.spare_release IS NULL GROUP BY p.version ORDER BY p.version"#,
            app.as_str(),
        )
        .fetch_all(&self.db)
        .await?;
        Ok(rows.into_iter().map(|row| (row.version, row.tenants)).collect())
    }

    /// Records which migrations a tenant has been made with.
    pub async fn set_made_with(&self, tenant: TenantId, version: i32) -> Result<(), CatalogError> {
        sqlx::query!(
            "UPDATE sindico.placements SET version = $2, migration_error = NULL, drift = NULL WHERE tenant = $1",
            tenant.as_uuid(),
            version,
        )
        .execute(&self.db)
        .await?;
        Ok(())
    }

    /// Records that tenants have come to a version, and what their tables look like now.
    pub async fn set_migrated(
        &self,
        tenants: &[TenantId],
        version: i32,
        fingerprint: Option<&str>,
    ) -> Result<(), CatalogError> {
        let ids: Vec<Uuid> = tenants.iter().map(|tenant| tenant.as_uuid()).collect();
        sqlx::query!(
            "UPDATE sindico.placements
             SET version = $2, migrated_at = now(), migration_error = NULL, drift = NULL, fingerprint = $3
             WHERE tenant = ANY ($1) AND version < $2",
            &ids,
            version,
            fingerprint,
        )
        .execute(&self.db)
        .await?;
        Ok(())
    }

    /// Records that a tenant without tables has nothing to be migrated, unless it has been given some meanwhile.
    pub async fn set_absent_version(&self, tenant: TenantId, version: i32) -> Result<(), CatalogError> {
        sqlx::query!(
            "UPDATE sindico.placements SET version = $2, migration_error = NULL, drift = NULL WHERE tenant = $1 AND NOT present",
            tenant.as_uuid(),
            version,
        )
        .execute(&self.db)
        .await?;
        Ok(())
    }

    /// Records why a tenant stays at its version.
    pub async fn set_migration_error(&self, tenant: TenantId, error: &str) -> Result<(), CatalogError> {
        sqlx::query!("UPDATE sindico.placements SET migration_error = $2 WHERE tenant = $1", tenant.as_uuid(), error)
            .execute(&self.db)
            .await?;
        Ok(())
    }

    /// Records what was seen of a tenant's tables: how they differ, or that they are as they should be.
    pub async fn set_seen(&self, tenant: TenantId, fingerprint: &str, drift: Option<&str>) -> Result<(), CatalogError> {
        sqlx::query!(
            "UPDATE sindico.placements SET fingerprint = $2, drift = $3 WHERE tenant = $1",
            tenant.as_uuid(),
            fingerprint,
            drift,
        )
        .execute(&self.db)
        .await?;
        Ok(())
    }

    /// Records that the tables which tenants share on a cluster have come to a version, and with them all of the tenants.
    pub async fn set_shared_version(&self, app: &AppName, cluster: Uuid, version: i32) -> Result<(), CatalogError> {
        let mut tx = self.db.begin().await?;
        sqlx::query!(
            "UPDATE sindico.app_clusters SET version = $3 WHERE app = $1 AND cluster = $2",
            app.as_str(),
            cluster,
            version,
        )
        .execute(&mut *tx)
        .await?;
        let moved = sqlx::query_scalar!(
            "UPDATE sindico.placements p SET version = $3, migrated_at = now(), migration_error = NULL, drift = NULL
             FROM sindico.tenants t
             WHERE t.id = p.tenant AND t.app = $1 AND p.cluster = $2 AND p.isolation = $4 AND p.version < $3
             RETURNING p.tenant",
            app.as_str(),
            cluster,
            version,
            Isolation::Shared.as_str(),
        )
        .fetch_all(&mut *tx)
        .await?;
        tx.commit().await?;
        if moved.len() > READ_ONE_BY_ONE {
            return self.reload_routes().await;
        }
        for tenant in moved {
            self.refresh_tenant(TenantId::from_uuid(tenant)).await?;
        }
        Ok(())
    }

    /// What tables of a version should look like on a cluster, if that was ever seen.
    pub async fn shape(
        &self,
        app: &AppName,
        cluster: Uuid,
        version: i32,
        kind: ShapeKind,
    ) -> Result<Option<Shape>, CatalogError> {
        let shape = sqlx::query_as!(
            Shape,
            "SELECT fingerprint, shape AS lines, catalog_rows FROM sindico.app_shapes
             WHERE app = $1 AND cluster = $2 AND version = $3 AND kind = $4",
            app.as_str(),
            cluster,
            version,
            kind.as_str(),
        )
        .fetch_optional(&self.db)
        .await?;
        Ok(shape)
    }

    /// Records what tables of a version look like on a cluster.
    pub async fn put_shape(
        &self,
        app: &AppName,
        cluster: Uuid,
        version: i32,
        kind: ShapeKind,
        shape: &Shape,
    ) -> Result<(), CatalogError> {
        sqlx::query!(
            "INSERT INTO sindico.app_shapes (app, cluster, version, kind, fingerprint, shape, catalog_rows)
             VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT (app, cluster, version, kind) DO UPDATE
             SET fingerprint = excluded.fingerprint, shape = excluded.shape, catalog_rows = excluded.catalog_rows",
            app.as_str(),
            cluster,
            version,
            kind.as_str(),
            shape.fingerprint,
            &shape.lines,
            shape.catalog_rows,
        )
        .execute(&self.db)
        .await?;
        Ok(())
    }
}
