//! Reserving a new tenant's name, place and first key, all or nothing.

use domain::{Access, AppName, ClusterName, DisplayName, Isolation, KeyId, Placement, Slug, TenantId};
use uuid::Uuid;

use crate::{Catalog, CatalogError, ControlTx, Key, KeySecret, SealError};

/// What a new tenant asks for. Its id is chosen by the caller, who records in the same transaction what makes it.
#[derive(Debug)]
pub struct Reservation<'a> {
    /// A fresh id.
    pub id: TenantId,
    /// Unique in the installation.
    pub slug: &'a Slug,
    /// What people call it.
    pub name: &'a DisplayName,
    /// Which app it uses.
    pub app: &'a AppName,
    /// How it is kept apart.
    pub isolation: Isolation,
    /// A particular cluster, or whichever has room.
    pub cluster: Option<&'a ClusterName>,
}

impl Catalog {
    /// Records the tenant as `provisioning`, with its placement and a first key. Once this is committed, nobody else can have the slug
    /// or the place on the cluster.
    pub async fn reserve(
        &self,
        tx: &mut ControlTx,
        wanted: &Reservation<'_>,
    ) -> Result<(Placement, Key, KeySecret), CatalogError> {
        let mut salt = [0; 16];
        aws_lc_rs::rand::fill(&mut salt).map_err(|_| SealError::Random)?;
        let secret = KeySecret::generate()?;
        let verifier = secret.verifier(&salt).to_string();

        let ready = sqlx::query_scalar!("SELECT ready FROM sindico.apps WHERE name = $1", wanted.app.as_str())
            .fetch_optional(&mut **tx)
            .await?;
        match ready {
            None => return Err(CatalogError::AppUnknown(wanted.app.clone())),
            Some(false) => return Err(CatalogError::AppNotReady(wanted.app.clone())),
            Some(true) => {}
        }
        let inserted = sqlx::query!(
            "INSERT INTO sindico.tenants (id, slug, name, app, status, salt)
             VALUES ($1, $2, $3, $4, 'provisioning', $5) ON CONFLICT (slug) DO NOTHING",
            wanted.id.as_uuid(),
            wanted.slug.as_str(),
            wanted.name.as_str(),
            wanted.app.as_str(),
            salt.as_slice(),
        )
        .execute(&mut **tx)
        .await?;
        if inserted.rows_affected() == 0 {
            return Err(CatalogError::SlugTaken(wanted.slug.clone()));
        }
        let cluster = choose_cluster(tx, wanted).await?;
        let placement = Placement::of(wanted.id, wanted.app, wanted.isolation, cluster);
        sqlx::query!(
            "INSERT INTO sindico.placements (tenant, cluster, isolation, database, schema, version)
             SELECT $1, $2, $3, $4, $5, r.version FROM sindico.apps a
             LEFT JOIN sindico.app_clusters c ON c.app = a.name AND c.cluster = $2
             JOIN sindico.app_releases r ON r.app = a.name AND r.release = coalesce(c.release, a.release)
             WHERE a.name = $6",
            wanted.id.as_uuid(),
            placement.cluster,
            placement.isolation.as_str(),
            placement.database,
            placement.schema,
            wanted.app.as_str(),
        )
        .execute(&mut **tx)
        .await?;
        let key = KeyId::from_uuid(Uuid::now_v7());
        let created_at = sqlx::query_scalar!(
            "INSERT INTO sindico.keys (id, tenant, label, access, verifier) VALUES ($1, $2, 'first key', $3, $4)
             RETURNING created_at",
            key.as_uuid(),
            wanted.id.as_uuid(),
            Access::ReadWrite.as_str(),
            verifier,
        )
        .fetch_one(&mut **tx)
        .await?;
        let key =
            Key { id: key, label: "first key".to_owned(), access: Access::ReadWrite, created_at, expires_at: None };
        Ok((placement, key, secret))
    }
}

/// The emptiest cluster of the right kind with room. Its row stays locked until the reservation commits, so that two
/// creations cannot both take the last place.
async fn choose_cluster(tx: &mut ControlTx, wanted: &Reservation<'_>) -> Result<Uuid, CatalogError> {
    let dedicated = wanted.isolation == Isolation::Cluster;
    if let Some(name) = wanted.cluster {
        let is_dedicated = sqlx::query_scalar!("SELECT dedicated FROM sindico.clusters WHERE name = $1", name.as_str())
            .fetch_optional(&mut **tx)
            .await?
            .ok_or_else(|| CatalogError::ClusterUnknown(name.clone()))?;
        if is_dedicated != dedicated {
            let why = if is_dedicated { "it is dedicated" } else { "it is not dedicated" };
            return Err(CatalogError::ClusterUnfit { cluster: name.clone(), isolation: wanted.isolation, why });
        }
    }
    // Locks every candidate, in one order, before counting: a count made before a lock could be stale. Clusters without
    // a capacity need no count to be exact and are not locked.
    sqlx::query!(
        "SELECT id FROM sindico.clusters
         WHERE dedicated = $1 AND ready AND capacity IS NOT NULL AND ($2::text IS NULL OR name = $2) ORDER BY id FOR UPDATE",
        dedicated,
        wanted.cluster.map(ClusterName::as_str),
    )
    .fetch_all(&mut **tx)
    .await?;
    sqlx::query_scalar!(
        "SELECT c.id FROM sindico.clusters c
         CROSS JOIN LATERAL (SELECT count(*) AS n FROM sindico.placements p WHERE p.cluster = c.id) used
         WHERE c.dedicated = $1 AND c.ready AND ($2::text IS NULL OR c.name = $2)
           AND (c.capacity IS NULL OR used.n < c.capacity)
         ORDER BY used.n, c.id LIMIT 1",
        dedicated,
        wanted.cluster.map(ClusterName::as_str),
    )
    .fetch_optional(&mut **tx)
    .await?
    .ok_or_else(|| match wanted.cluster {
        Some(name) => CatalogError::ClusterFull(name.clone()),
        None => CatalogError::NoRoom(wanted.isolation),
    })
}
