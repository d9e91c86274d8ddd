//! Spares: tenants that have been made before anybody has asked for them. Somebody who does becomes one in a transaction
//! ([`Catalog::reserve`]); until then no door knows of them. Those that share tables are migrated with the others.

use std::time::Duration;

use domain::{AppName, Isolation, Placement, Slug, TenantId};
use uuid::Uuid;

use crate::error::read;
use crate::reserve::{Reservation, insert_placement, insert_tenant};
use crate::seal::new_salt;
use crate::tenant::placement;
use crate::{Catalog, CatalogError, ControlTx};

/// How many spares are kept, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WarmPool {
    /// So many for each app and isolation on each cluster where tenants have been made lately.
    pub size: i32,
    /// How old one may become.
    pub max_age: Duration,
    /// What has not been asked for in this time is not kept ready any more.
    pub idle: Duration,
}

impl WarmPool {
    /// Nothing is made ahead.
    pub const NONE: Self = Self { size: 0, max_age: Duration::ZERO, idle: Duration::ZERO };

    /// How old a spare may be that somebody becomes; none where nobody keeps any.
    #[must_use]
    pub fn claimable(&self) -> Option<Duration> {
        (self.size > 0).then_some(self.max_age)
    }
}

/// What is to be kept ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedSpare {
    /// Of which app.
    pub app: AppName,
    /// How it is kept apart.
    pub isolation: Isolation,
    /// Where.
    pub cluster: Uuid,
    /// The release that new tenants get there.
    pub release: i32,
}

/// A spare.
#[derive(Debug, Clone)]
pub struct Spare {
    /// The id of the tenant that it may become.
    pub id: TenantId,
    /// What it is called until then.
    pub slug: Slug,
    /// Of which app.
    pub app: AppName,
    /// Where its tables are.
    pub placement: Placement,
}

struct Row {
    id: Uuid,
    slug: String,
    app: String,
    cluster: Uuid,
    isolation: String,
    database: String,
    schema: String,
}

impl TryFrom<Row> for Spare {
    type Error = CatalogError;

    fn try_from(row: Row) -> Result<Self, CatalogError> {
        Ok(Self {
            id: TenantId::from_uuid(row.id),
            slug: read("slug", &row.slug)?,
            app: read("app name", &row.app)?,
            placement: placement(row.cluster, &row.isolation, row.database, row.schema)?,
        })
    }
}

impl Catalog {
    /// What is lacking most, if anything is. Until the transaction ends nobody else is told of anything. What could not be made a few minutes
    /// ago is not tried again yet, and nothing is made while the app is being migrated.
    pub async fn wanted_spare(&self, tx: &mut ControlTx, pool: &WarmPool) -> Result<Option<WantedSpare>, CatalogError> {
        // Whoever stands still in the middle of it must not hold up the others for ever.
        sqlx::query!("SET LOCAL idle_in_transaction_session_timeout = '10s'").execute(&mut **tx).await?;
        let alone = sqlx::query_scalar!(
            r#"SELECT pg_try_advisory_xact_lock(hashtextextended('sindico spares', 0)) AS "alone!""#
        );
        if !alone.fetch_one(&mut **tx).await? {
            return Ok(None);
        }
        let row = sqlx::query!(
            r#"SELECT w.app AS "app!", w.isolation AS "isolation!", w.cluster AS "cluster!", c.release
               FROM (SELECT t.app, p.isolation, p.cluster FROM sindico.tenants t JOIN sindico.placements p ON p.tenant = t.id
                     WHERE t.spare_release IS NULL AND t.created_at > now() - make_interval(secs => $2)
                         AND p.isolation <> 'cluster'
                     GROUP BY t.app, p.isolation, p.cluster) w
               JOIN sindico.apps a ON a.name = w.app AND a.ready AND a.warm_pool
               JOIN sindico.clusters k ON k.id = w.cluster AND k.ready
               JOIN sindico.app_clusters c ON c.app = w.app AND c.cluster = w.cluster AND NOT c.switching
               CROSS JOIN LATERAL (
                   SELECT count(*) AS n FROM sindico.tenants s JOIN sindico.placements q ON q.tenant = s.id
                   WHERE s.app = w.app AND s.spare_release IS NOT NULL AND s.status <> 'deleting'
                       AND q.isolation = w.isolation AND q.cluster = w.cluster) have
               WHERE have.n < $1
                 AND NOT EXISTS (SELECT FROM sindico.operations o WHERE o.kind = 'migrate' AND o.ended_at IS NULL AND o.title = w.app)
                 AND NOT EXISTS (
                     SELECT FROM sindico.operations o
                     WHERE o.ended_at > now() - interval '5 minutes' AND o.kind = 'spare' AND o.state = 'failed'
                         AND o.input ->> 'app' = w.app AND o.input ->> 'isolation' = w.isolation
                         AND o.input ->> 'cluster' = w.cluster::text)
               ORDER BY have.n, w.app, w.isolation, w.cluster LIMIT 1"#,
            i64::from(pool.size),
            pool.idle.as_secs_f64(),
        )
        .fetch_optional(&mut **tx)
        .await?;
        row.map(|row| {
            Ok(WantedSpare {
                app: read("app name", &row.app)?,
                isolation: read("isolation", &row.isolation)?,
                cluster: row.cluster,
                release: row.release,
            })
        })
        .transpose()
    }

    /// Whether an app's tenants may be made before they are asked for.
    pub async fn set_warm_pool(&self, app: &AppName, may: bool) -> Result<(), CatalogError> {
        sqlx::query!("UPDATE sindico.apps SET warm_pool = $2 WHERE name = $1 AND warm_pool <> $2", app.as_str(), may)
            .execute(&self.db)
            .await?;
        Ok(())
    }

    /// Records a spare as `provisioning`.
    pub async fn reserve_spare(
        &self,
        tx: &mut ControlTx,
        id: TenantId,
        wanted: &WantedSpare,
    ) -> Result<Spare, CatalogError> {
        let WantedSpare { app, isolation, cluster, release } = wanted;
        let slug: Slug = read("slug", &format!("spare-{}", id.hex()))?;
        let name = read("tenant name", slug.as_str())?;
        insert_tenant(tx, id, (&slug, &name), app, (&new_salt()?, Some(*release))).await?;
        let placement = Placement::of(id, app, *isolation, *cluster);
        insert_placement(tx, id, app, &placement).await?;
        Ok(Spare { id, slug, app: app.clone(), placement })
    }

    /// Those that nobody should become, or that are too many.
    pub async fn unwanted_spares(&self, pool: &WarmPool) -> Result<Vec<Spare>, CatalogError> {
        let rows = sqlx::query_as!(
            Row,
            r#"SELECT s.id AS "id!", s.slug AS "slug!", s.app AS "app!", s.cluster AS "cluster!", s.isolation AS "isolation!",
                      s.database AS "database!", s.schema AS "schema!"
               FROM (SELECT t.id, t.slug, t.app, p.cluster, p.isolation, p.database, p.schema, t.created_at,
                            row_number() OVER (PARTITION BY t.app, p.isolation, p.cluster ORDER BY t.id DESC) AS nth,
                            t.spare_release <> coalesce(c.release, a.release) OR NOT a.warm_pool OR p.version <> r.version AS unfit
                     FROM sindico.tenants t JOIN sindico.placements p ON p.tenant = t.id JOIN sindico.apps a ON a.name = t.app
                     LEFT JOIN sindico.app_clusters c ON c.app = t.app AND c.cluster = p.cluster
                     JOIN sindico.app_releases r ON r.app = a.name AND r.release = coalesce(c.release, a.release)
                     WHERE t.spare_release IS NOT NULL AND t.status = 'spare') s
               WHERE NOT EXISTS (SELECT FROM sindico.operations o WHERE o.kind = 'migrate' AND o.ended_at IS NULL AND o.title = s.app)
                 AND (s.unfit OR s.nth > $1 OR s.created_at < now() - make_interval(secs => $2)
                      OR NOT EXISTS (
                          SELECT FROM sindico.tenants t JOIN sindico.placements p ON p.tenant = t.id
                          WHERE t.spare_release IS NULL AND t.created_at > now() - make_interval(secs => $3)
                              AND t.app = s.app AND p.isolation = s.isolation AND p.cluster = s.cluster))
               ORDER BY s.id"#,
            i64::from(pool.size),
            pool.max_age.as_secs_f64(),
            pool.idle.as_secs_f64(),
        )
        .fetch_all(&self.db)
        .await?;
        rows.into_iter().map(Spare::try_from).collect()
    }

    /// A spare in whatever state, if there is one of this id.
    pub async fn spare(&self, id: TenantId) -> Result<Option<Spare>, CatalogError> {
        let row = sqlx::query_as!(
            Row,
            "SELECT t.id, t.slug, t.app, p.cluster, p.isolation, p.database, p.schema
             FROM sindico.tenants t JOIN sindico.placements p ON p.tenant = t.id
             WHERE t.id = $1 AND t.spare_release IS NOT NULL",
            id.as_uuid(),
        );
        row.fetch_optional(&self.db).await?.map(Spare::try_from).transpose()
    }

    /// From here on nobody becomes it, and it has to be removed. `false` if somebody has, or it is gone.
    pub async fn close_spare(&self, tx: &mut ControlTx, id: TenantId) -> Result<bool, CatalogError> {
        let closed = sqlx::query!(
            "UPDATE sindico.tenants SET status = 'deleting', updated_at = now() WHERE id = $1 AND spare_release IS NOT NULL",
            id.as_uuid(),
        )
        .execute(&mut **tx)
        .await?;
        Ok(closed.rows_affected() == 1)
    }
}

/// Somebody becomes a spare of the newest release, if there is one on the cluster that is not too old. Whoever changes what new
/// tenants get there waits for the transaction's end, or is waited for: nobody is left behind by a migration that has looked already.
pub(crate) async fn claim_spare(
    tx: &mut ControlTx,
    wanted: &Reservation<'_>,
    cluster: Uuid,
    (salt, max_age): (&[u8], Duration),
) -> Result<Option<TenantId>, CatalogError> {
    let claimed = sqlx::query_scalar!(
        "UPDATE sindico.tenants SET slug = $1, name = $2, salt = $6, status = 'active', spare_release = NULL, created_at = now(), updated_at = now()
         WHERE id = (
             SELECT t.id FROM sindico.tenants t JOIN sindico.placements p ON p.tenant = t.id JOIN sindico.apps a ON a.name = t.app
             JOIN sindico.app_clusters c ON c.app = t.app AND c.cluster = p.cluster
             JOIN sindico.app_releases r ON r.app = c.app AND r.release = c.release
             WHERE t.app = $3 AND t.spare_release = c.release AND t.status = 'spare' AND p.isolation = $4 AND p.cluster = $5
                 AND p.version = r.version AND a.warm_pool AND NOT c.switching
                 AND t.created_at > now() - make_interval(secs => $7)
             ORDER BY t.id LIMIT 1 FOR UPDATE OF t SKIP LOCKED FOR SHARE OF c)
         RETURNING id",
        wanted.slug.as_str(),
        wanted.name.as_str(),
        wanted.app.as_str(),
        wanted.isolation.as_str(),
        cluster,
        salt,
        max_age.as_secs_f64(),
    )
    .fetch_optional(&mut **tx)
    .await;
    match claimed {
        Ok(id) => Ok(id.map(TenantId::from_uuid)),
        // Somebody has taken it after it was looked for.
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
            Err(CatalogError::SlugTaken(wanted.slug.clone()))
        }
        Err(error) => Err(error.into()),
    }
}
