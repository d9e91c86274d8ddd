//! One change of a tenant, an app or a cluster at a time, whichever process makes it.

use aws_lc_rs::digest::{SHA256, digest};
use domain::{AppName, ClusterName, Status, TenantId};

use crate::error::read;
use crate::{Catalog, CatalogError, ControlTx};

/// The right to make a change, held as long as this value lives.
///
/// It is an advisory lock of a transaction on the control database: a process that dies gives it back by dying, and so
/// whoever gets the lock of something unfinished knows that nobody is at work on it.
#[derive(Debug)]
pub struct ChangeLock {
    held_by: ControlTx,
}

impl ChangeLock {
    /// Gives the right back now. Dropping gives it back as well, but only some time later, and whoever has been told that a
    /// change is done may want to make the next.
    pub async fn release(self) {
        if let Err(error) = self.held_by.rollback().await {
            // The connection is closed then, which gives it back too.
            tracing::warn!(%error, "a change's lock was not released in order");
        }
    }
}

impl Catalog {
    /// Takes a tenant's lock or answers [`CatalogError::Busy`] at once.
    pub async fn lock_tenant(&self, tenant: TenantId) -> Result<ChangeLock, CatalogError> {
        self.lock("tenant", tenant.as_uuid().as_bytes()).await
    }

    /// Takes an app's lock or answers [`CatalogError::Busy`] at once.
    pub async fn lock_app(&self, app: &AppName) -> Result<ChangeLock, CatalogError> {
        self.lock("app", app.as_str().as_bytes()).await
    }

    /// Takes a cluster's lock or answers [`CatalogError::Busy`] at once.
    pub async fn lock_cluster(&self, cluster: &ClusterName) -> Result<ChangeLock, CatalogError> {
        self.lock("cluster", cluster.as_str().as_bytes()).await
    }

    /// Takes the lock that lets one audit of the installation run at a time, or answers [`CatalogError::Busy`] at once.
    pub async fn lock_audit(&self) -> Result<ChangeLock, CatalogError> {
        self.lock("audit", b"").await
    }

    /// Takes a tenant's lock for as long as a transaction lasts, or answers [`CatalogError::Busy`] at once.
    pub async fn lock_tenant_within(&self, tx: &mut ControlTx, tenant: TenantId) -> Result<(), CatalogError> {
        lock(tx, "tenant", tenant.as_uuid().as_bytes()).await
    }

    /// Keeps a tenant's record as it is for as long as a transaction lasts, and tells its state; none when there is no such tenant. Whoever
    /// also records an operation on it does that before, as those do who end one: nobody waits for each other.
    pub async fn hold_tenant(&self, tx: &mut ControlTx, tenant: TenantId) -> Result<Option<Status>, CatalogError> {
        let status =
            sqlx::query_scalar!("SELECT status FROM sindico.tenants WHERE id = $1 FOR UPDATE", tenant.as_uuid())
                .fetch_optional(&mut **tx)
                .await?;
        status.map(|status| read("tenant's status", &status)).transpose()
    }

    /// Takes an app's lock for as long as a transaction lasts, or answers [`CatalogError::Busy`] at once. Nobody records a migration of
    /// it meanwhile, either.
    pub async fn lock_app_within(&self, tx: &mut ControlTx, app: &AppName) -> Result<(), CatalogError> {
        lock(tx, "app", app.as_str().as_bytes()).await?;
        sqlx::query!("SELECT name FROM sindico.apps WHERE name = $1 FOR UPDATE", app.as_str())
            .fetch_optional(&mut **tx)
            .await?;
        Ok(())
    }

    async fn lock(&self, what: &'static str, name: &[u8]) -> Result<ChangeLock, CatalogError> {
        let mut tx = self.db.begin().await?;
        lock(&mut tx, what, name).await?;
        Ok(ChangeLock { held_by: tx })
    }
}

async fn lock(tx: &mut ControlTx, what: &'static str, name: &[u8]) -> Result<(), CatalogError> {
    // PostgreSQL's advisory locks are numbers: 64 bits of a hash keep two things from meeting on one.
    let hash = digest(&SHA256, &[what.as_bytes(), name].concat());
    let number = hash.as_ref().iter().take(8).fold(0_i64, |sum, byte| (sum << 8) | i64::from(*byte));
    let locked = sqlx::query_scalar!(r#"SELECT pg_try_advisory_xact_lock($1) AS "locked!""#, number)
        .fetch_one(&mut **tx)
        .await?;
    if locked { Ok(()) } else { Err(CatalogError::Busy(what)) }
}
