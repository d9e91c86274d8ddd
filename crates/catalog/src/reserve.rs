//! Reserving a new tenant's name, place and first key, all or nothing.

use std::time::Duration;

use domain::{Access, AppName, ClusterName, DisplayName, Isolation, KeyId, Placement, Slug, TenantId};
use uuid::Uuid;

use crate::seal::new_salt;
use crate::spare::claim_spare;
use crate::{Catalog, CatalogError, ControlTx, Key, KeySecret};

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
    /// How old a tenant may be that has been made before; none, if it has to be made now.
    pub spares: Option<Duration>,
}

/// What has been reserved.
#[derive(Debug)]
pub struct Reserved {
    /// The tenant's id: that of the reservation, or a spare's.
    pub id: TenantId,
    /// Whether it was a spare: then it is made, and active.
    pub spare: bool,
    /// Where its tables are.
    pub placement: Placement,
    /// Its first key.
    pub key: Key,
    /// The first key's secret.
    pub secret: KeySecret,
}

impl Catalog {
    /// Records the tenant as `provisioning`, with its placement and a first key. Once this is committed, nobody else can have the slug
    /// or the place on the cluster. If there is a spare there, it becomes that one and is active at once.
    pub async fn reserve(&self, tx: &mut ControlTx, wanted: &Reservation<'_>) -> Result<Reserved, CatalogError> {
        let salt = new_salt()?;
        let secret = KeySecret::generate()?;
        let verifier = secret.verifier(&salt).to_string();

        let found = sqlx::query!(
            r#"SELECT (SELECT ready FROM sindico.apps WHERE name = $1) AS ready,
                      EXISTS (SELECT FROM sindico.tenants WHERE slug = $2) AS "taken!""#,
            wanted.app.as_str(),
            wanted.slug.as_str(),
        )
        .fetch_one(&mut **tx)
        .await?;
        match found.ready {
            None => return Err(CatalogError::AppUnknown(wanted.app.clone())),
            Some(false) => return Err(CatalogError::AppNotReady(wanted.app.clone())),
            Some(true) => {}
        }
        if found.taken {
            return Err(CatalogError::SlugTaken(wanted.slug.clone()));
        }
        let cluster = choose_cluster(tx, wanted).await?;
        let claimed = match wanted.spares {
            Some(max_age) => claim_spare(tx, wanted, cluster, (&salt, max_age)).await?,
            None => None,
        };
        let id = claimed.unwrap_or(wanted.id);
        let placement = Placement::of(id, wanted.app, wanted.isolation, cluster);
        if claimed.is_none() {
            insert_tenant(tx, id, (wanted.slug, wanted.name), wanted.app, (&salt, None)).await?;
            insert_placement(tx, id, wanted.app, &placement).await?;
        }
        let key = KeyId::from_uuid(Uuid::now_v7());
        let created_at = sqlx::query_scalar!(
            "INSERT INTO sindico.keys (id, tenant, label, access, verifier) VALUES ($1, $2, 'first key', $3, $4)
             RETURNING created_at",
            key.as_uuid(),
            id.as_uuid(),
            Access::ReadWrite.as_str(),
            verifier,
        )
        .fetch_one(&mut **tx)
        .await?;
        let key =
            Key { id: key, label: "first key".to_owned(), access: Access::ReadWrite, created_at, expires_at: None };
        Ok(Reserved { id, spare: claimed.is_some(), placement, key, secret })
    }
}

/// The record of a tenant that is being made, with the salt of its keys; of a spare with the release that it is made from.
pub(crate) async fn insert_tenant(
    tx: &mut ControlTx,
    id: TenantId,
    (slug, name): (&Slug, &DisplayName),
    app: &AppName,
    (salt, spare_release): (&[u8], Option<i32>),
) -> Result<(), CatalogError> {
    let inserted = sqlx::query!(
        "INSERT INTO sindico.tenants (id, slug, name, app, status, salt, spare_release)
         VALUES ($1, $2, $3, $4, 'provisioning', $5, $6) ON CONFLICT (slug) DO NOTHING",
        id.as_uuid(),
        slug.as_str(),
        name.as_str(),
        app.as_str(),
        salt,
        spare_release,
    )
    .execute(&mut **tx)
    .await?;
    if inserted.rows_affected() == 0 { Err(CatalogError::SlugTaken(slug.clone())) } else { Ok(()) }
}

/// Where it is, and which version of the app it is to get there.
pub(crate) async fn insert_placement(
    tx: &mut ControlTx,
    id: TenantId,
    app: &AppName,
    placement: &Placement,
) -> Result<(), CatalogError> {
    sqlx::query!(
        "INSERT INTO sindico.placements (tenant, cluster, isolation, database, schema, version)
         SELECT $1, $2, $3, $4, $5, r.version FROM sindico.apps a
         LEFT JOIN sindico.app_clusters c ON c.app = a.name AND c.cluster = $2
         JOIN sindico.app_releases r ON r.app = a.name AND r.release = coalesce(c.release, a.release)
         WHERE a.name = $6",
        id.as_uuid(),
        placement.cluster,
        placement.isolation.as_str(),
        placement.database,
        placement.schema,
        app.as_str(),
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
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
         CROSS JOIN LATERAL (
             SELECT count(*) AS n FROM sindico.placements p JOIN sindico.tenants t ON t.id = p.tenant
             WHERE p.cluster = c.id AND t.spare_release IS NULL) used
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
