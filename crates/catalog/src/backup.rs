//! Backups: what the control database knows of copies in an object store.

use domain::{AppName, DisplayName, Isolation, Slug, TenantId};
use serde::Serialize;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::error::read;
use crate::{Catalog, CatalogError, ControlTx, Tenant};

/// A copy of a tenant's rows.
#[derive(Debug, Clone, Serialize)]
pub struct Backup {
    /// UUID version 7.
    pub id: Uuid,
    /// Whose rows; the tenant may be gone.
    pub tenant: TenantId,
    /// What it was called then.
    pub slug: Slug,
    /// What people called it then.
    pub name: DisplayName,
    /// Its app.
    pub app: AppName,
    /// How it was kept apart then.
    pub isolation: Isolation,
    /// How many of the app's migrations its tables had.
    pub version: i32,
    /// Whether it is whole.
    pub state: BackupState,
    /// Which store it is in.
    pub store: String,
    /// The operation that has made it, or is making it.
    pub operation: Uuid,
    /// The moment that the rows are of; unknown until it is whole, like everything below.
    #[serde(with = "time::serde::rfc3339::option")]
    pub taken_at: Option<OffsetDateTime>,
    /// When the last object was written.
    #[serde(with = "time::serde::rfc3339::option")]
    pub completed_at: Option<OffsetDateTime>,
    /// When it is removed; never without it.
    #[serde(with = "time::serde::rfc3339::option")]
    pub expires_at: Option<OffsetDateTime>,
    /// How many tables it has.
    pub tables: Option<i32>,
    /// How many rows.
    pub rows: Option<i64>,
    /// Bytes of the rows as text.
    pub bytes: Option<i64>,
    /// Bytes in the store.
    pub stored_bytes: Option<i64>,
    /// When it was last restored for a trial.
    #[serde(with = "time::serde::rfc3339::option")]
    pub verified_at: Option<OffsetDateTime>,
    /// What was wrong then.
    pub verify_error: Option<String>,
}

/// Whether a backup can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BackupState {
    /// It is being made, or its making was cut off.
    Running,
    /// It can be restored.
    Complete,
    /// Its objects are being removed.
    Removing,
}

impl BackupState {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Running, Self::Complete, Self::Removing];

    /// The word of the control database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Complete => "complete",
            Self::Removing => "removing",
        }
    }
}

/// What is known of a backup when it is whole.
#[derive(Debug, Clone, Copy)]
pub struct Contents {
    /// How many of the app's migrations the tables have.
    pub version: i32,
    /// The moment that the rows are of.
    pub taken_at: OffsetDateTime,
    /// How many tables.
    pub tables: i32,
    /// How many rows.
    pub rows: i64,
    /// Bytes of the rows as text.
    pub bytes: i64,
    /// Bytes in the store.
    pub stored_bytes: i64,
}

/// Which backups a listing shows, newest first.
#[derive(Debug, Default)]
pub struct BackupFilter {
    /// Only of this tenant.
    pub tenant: Option<TenantId>,
    /// Only of this app's tenants.
    pub app: Option<AppName>,
    /// Only those in this state.
    pub state: Option<BackupState>,
    /// Only those begun before this one.
    pub before: Option<Uuid>,
    /// The most rows to return.
    pub limit: i64,
}

/// How far a tenant's newest backup is behind.
#[derive(Debug, Clone, Serialize)]
pub struct Coverage {
    /// Who.
    pub tenant: TenantId,
    /// What it is called.
    pub slug: Slug,
    /// How many whole backups it has.
    pub backups: i64,
    /// The newest of them.
    pub newest: Option<Uuid>,
    /// The moment that its rows are of.
    #[serde(with = "time::serde::rfc3339::option")]
    pub taken_at: Option<OffsetDateTime>,
    /// When one of them was last restored for a trial and was good.
    #[serde(with = "time::serde::rfc3339::option")]
    pub verified_at: Option<OffsetDateTime>,
    /// Whether rows could be lost that are older than the objective allows.
    pub overdue: bool,
}

struct Row {
    id: Uuid,
    tenant: Uuid,
    slug: String,
    name: String,
    app: String,
    isolation: String,
    version: i32,
    state: String,
    store: String,
    operation: Uuid,
    taken_at: Option<OffsetDateTime>,
    completed_at: Option<OffsetDateTime>,
    expires_at: Option<OffsetDateTime>,
    tables: Option<i32>,
    rows: Option<i64>,
    bytes: Option<i64>,
    stored_bytes: Option<i64>,
    verified_at: Option<OffsetDateTime>,
    verify_error: Option<String>,
}

impl TryFrom<Row> for Backup {
    type Error = CatalogError;

    fn try_from(row: Row) -> Result<Self, CatalogError> {
        let state = BackupState::ALL.into_iter().find(|state| state.as_str() == row.state);
        Ok(Self {
            id: row.id,
            tenant: TenantId::from_uuid(row.tenant),
            slug: read("slug", &row.slug)?,
            name: read("tenant name", &row.name)?,
            app: read("app name", &row.app)?,
            isolation: read("isolation", &row.isolation)?,
            version: row.version,
            state: state.ok_or(CatalogError::Unreadable { what: "backup's state", value: row.state })?,
            store: row.store,
            operation: row.operation,
            taken_at: row.taken_at,
            completed_at: row.completed_at,
            expires_at: row.expires_at,
            tables: row.tables,
            rows: row.rows,
            bytes: row.bytes,
            stored_bytes: row.stored_bytes,
            verified_at: row.verified_at,
            verify_error: row.verify_error,
        })
    }
}

impl Catalog {
    /// Records a backup before its first object is written, so that whatever a crash leaves of it is known.
    pub async fn begin_backup(
        &self,
        tx: &mut ControlTx,
        id: Uuid,
        tenant: &Tenant,
        store: &str,
        operation: Uuid,
    ) -> Result<(), CatalogError> {
        sqlx::query!(
            "INSERT INTO sindico.backups (id, tenant, slug, name, app, isolation, version, store, operation)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            id,
            tenant.id.as_uuid(),
            tenant.slug.as_str(),
            tenant.name.as_str(),
            tenant.app.as_str(),
            tenant.placement.isolation.as_str(),
            tenant.version,
            store,
            operation,
        )
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    /// Records that it is whole. Kept for so many days; for ever without them. `false` when there is no such backup under way.
    pub async fn complete_backup(
        &self,
        tx: &mut ControlTx,
        id: Uuid,
        has: &Contents,
        keep_days: Option<i32>,
    ) -> Result<bool, CatalogError> {
        let done = sqlx::query!(
            "UPDATE sindico.backups SET state = 'complete', completed_at = clock_timestamp(), version = $2, taken_at = $3,
                 tables = $4, rows = $5, bytes = $6, stored_bytes = $7,
                 expires_at = clock_timestamp() + make_interval(days => $8)
             WHERE id = $1 AND state = 'running'",
            id,
            has.version,
            has.taken_at,
            has.tables,
            has.rows,
            has.bytes,
            has.stored_bytes,
            keep_days,
        )
        .execute(&mut **tx)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// A backup, if there is one.
    pub async fn backup(&self, id: Uuid) -> Result<Option<Backup>, CatalogError> {
        let filter = BackupFilter { limit: 1, ..BackupFilter::default() };
        Ok(self.find_backups(&filter, Some(id)).await?.into_iter().next())
    }

    /// A page of backups, newest first.
    pub async fn backups(&self, filter: &BackupFilter) -> Result<Vec<Backup>, CatalogError> {
        self.find_backups(filter, None).await
    }

    async fn find_backups(&self, filter: &BackupFilter, id: Option<Uuid>) -> Result<Vec<Backup>, CatalogError> {
        let rows = sqlx::query_as!(
            Row,
            "SELECT id, tenant, slug, name, app, isolation, version, state, store, operation, taken_at, completed_at, expires_at,
                    tables, rows, bytes, stored_bytes, verified_at, verify_error
             FROM sindico.backups
             WHERE ($1::uuid IS NULL OR id = $1) AND ($2::uuid IS NULL OR tenant = $2) AND ($3::text IS NULL OR app = $3)
               AND ($4::text IS NULL OR state = $4) AND ($5::uuid IS NULL OR id < $5)
             ORDER BY id DESC LIMIT $6",
            id,
            filter.tenant.map(TenantId::as_uuid),
            filter.app.as_ref().map(AppName::as_str),
            filter.state.map(BackupState::as_str),
            filter.before,
            filter.limit,
        )
        .fetch_all(&self.db)
        .await?;
        rows.into_iter().map(Backup::try_from).collect()
    }

    /// Marks those that an operation has begun and not finished, and gives them.
    pub async fn give_up_backups(&self, operation: Uuid) -> Result<Vec<Backup>, CatalogError> {
        let rows = sqlx::query_as!(
            Row,
            "UPDATE sindico.backups SET state = 'removing' WHERE operation = $1 AND state <> 'complete'
             RETURNING id, tenant, slug, name, app, isolation, version, state, store, operation, taken_at, completed_at, expires_at,
                 tables, rows, bytes, stored_bytes, verified_at, verify_error",
            operation,
        )
        .fetch_all(&self.db)
        .await?;
        rows.into_iter().map(Backup::try_from).collect()
    }

    /// Marks a backup before its objects are removed. `false` when it is still being made, is being restored or tried, or is gone.
    pub async fn begin_backup_removal(&self, id: Uuid) -> Result<bool, CatalogError> {
        let marked = sqlx::query!(
            "UPDATE sindico.backups SET state = 'removing' WHERE id = $1 AND state <> 'running'
                 AND NOT EXISTS (SELECT FROM sindico.operations p WHERE p.ended_at IS NULL AND p.input ->> 'backup' = $1::uuid::text)",
            id,
        )
        .execute(&self.db)
        .await?;
        Ok(marked.rows_affected() == 1)
    }

    /// Forgets a backup that has no objects any more.
    pub async fn forget_backup(&self, id: Uuid) -> Result<(), CatalogError> {
        sqlx::query!("DELETE FROM sindico.backups WHERE id = $1", id).execute(&self.db).await?;
        Ok(())
    }

    /// Marks those in a store that have been kept long enough, and gives them with those whose removal was cut off. The newest of a tenant that
    /// there is stays, however old it is, and one before it if that was found to be bad; so does what is being restored.
    pub async fn expire_backups(&self, store: &str, most: i64) -> Result<Vec<Backup>, CatalogError> {
        let rows = sqlx::query_as!(
            Row,
            "UPDATE sindico.backups b SET state = 'removing' WHERE id IN (
                 SELECT id FROM sindico.backups o
                 WHERE store = $2 AND (state = 'removing' OR state = 'complete' AND expires_at < clock_timestamp()
                     AND NOT EXISTS (SELECT FROM sindico.operations p WHERE p.ended_at IS NULL AND p.input ->> 'backup' = o.id::text)
                     AND (EXISTS (SELECT FROM sindico.backups n WHERE n.tenant = o.tenant AND n.state = 'complete'
                                      AND n.taken_at > o.taken_at AND n.verify_error IS NULL)
                          OR NOT EXISTS (SELECT FROM sindico.tenants t WHERE t.id = o.tenant)))
                 ORDER BY state DESC, expires_at LIMIT $1 FOR UPDATE SKIP LOCKED)
             RETURNING id, tenant, slug, name, app, isolation, version, state, store, operation, taken_at, completed_at, expires_at,
                 tables, rows, bytes, stored_bytes, verified_at, verify_error",
            most,
            store,
        )
        .fetch_all(&self.db)
        .await?;
        rows.into_iter().map(Backup::try_from).collect()
    }

    /// Records what came of restoring a backup for a trial.
    pub async fn set_backup_verified(&self, id: Uuid, error: Option<&str>) -> Result<(), CatalogError> {
        sqlx::query!(
            "UPDATE sindico.backups SET verified_at = clock_timestamp(), verify_error = $2 WHERE id = $1",
            id,
            error,
        )
        .execute(&self.db)
        .await?;
        Ok(())
    }

    /// How far the newest backups of an app's tenants are behind, oldest tenants first.
    pub async fn backup_coverage(
        &self,
        app: &AppName,
        objective_seconds: f64,
        after: Option<TenantId>,
        limit: i64,
    ) -> Result<Vec<Coverage>, CatalogError> {
        let rows = sqlx::query!(
            r#"SELECT t.id, t.slug, b.newest AS "newest?", b.taken_at, v.verified_at, coalesce(b.backups, 0) AS "backups!",
                      coalesce(b.taken_at, t.created_at) < clock_timestamp() - make_interval(secs => $2) AS "overdue!"
               FROM sindico.tenants t
               LEFT JOIN LATERAL (
                   SELECT count(*) AS backups, max(taken_at) AS taken_at, (array_agg(id ORDER BY taken_at DESC))[1] AS newest
                   FROM sindico.backups b WHERE b.tenant = t.id AND b.state = 'complete') b ON true
               LEFT JOIN LATERAL (
                   SELECT max(verified_at) AS verified_at FROM sindico.backups b
                   WHERE b.tenant = t.id AND b.state = 'complete' AND b.verify_error IS NULL) v ON true
               WHERE t.app = $1 AND t.status IN ('active', 'suspended') AND ($3::uuid IS NULL OR t.id > $3)
               ORDER BY t.id LIMIT $4"#,
            app.as_str(),
            objective_seconds,
            after.map(TenantId::as_uuid),
            limit,
        )
        .fetch_all(&self.db)
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(Coverage {
                    tenant: TenantId::from_uuid(row.id),
                    slug: read("slug", &row.slug)?,
                    backups: row.backups,
                    newest: row.newest,
                    taken_at: row.taken_at,
                    verified_at: row.verified_at,
                    overdue: row.overdue,
                })
            })
            .collect()
    }
}
