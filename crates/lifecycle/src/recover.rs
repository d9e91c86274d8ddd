//! Finishing what another process, or this one's predecessor, could not.

use std::time::Duration;

use catalog::{CatalogError, TenantRef};
use domain::{AppName, Status, TenantId};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::removal::removal;
use crate::{Lifecycle, LifecycleError};

/// How often unfinished changes are looked for.
const INTERVAL: Duration = Duration::from_secs(30);

impl Lifecycle {
    /// Goes on with operations, and undoes registrations of apps, that nobody is at work on; for a start. Returns how many.
    ///
    /// A tenant whose cluster does not answer is left for later; it keeps no other from being recovered.
    pub async fn recover(&self) -> Result<usize, LifecycleError> {
        Ok(self.resume_all().await? + self.recover_strays().await?)
    }

    /// What no operation knows of.
    async fn recover_strays(&self) -> Result<usize, LifecycleError> {
        let mut recovered = 0;
        for id in self.catalog.unfinished_tenants().await? {
            match self.recover_tenant(id).await {
                Ok(done) => recovered += usize::from(done),
                Err(error) => warn!(tenant = %id, %error, "unfinished tenant could not be removed yet"),
            }
        }
        for app in self.catalog.apps().await?.into_iter().filter(|app| !app.ready) {
            match self.recover_app(&app.name).await {
                Ok(done) => recovered += usize::from(done),
                Err(error) => warn!(app = %app.name, %error, "unfinished app could not be removed yet"),
            }
        }
        Ok(recovered)
    }

    /// Records the removal of a tenant that is neither made nor gone.
    async fn recover_tenant(&self, id: TenantId) -> Result<bool, LifecycleError> {
        let Some(tenant) = self.catalog.tenant(&TenantRef::Id(id)).await? else {
            let Some(spare) = self.catalog.spare(id).await? else { return Ok(false) };
            return Ok(self.discard_spare(&spare).await?.is_some());
        };
        if !matches!(tenant.status, Status::Provisioning | Status::Deleting) {
            return Ok(false);
        }
        info!(tenant = %id, slug = %tenant.slug, status = %tenant.status, "removing an unfinished tenant");
        let claim = self.enqueue_removal(&tenant).await?;
        self.leave(claim, removal(self));
        Ok(true)
    }

    async fn recover_app(&self, name: &AppName) -> Result<bool, LifecycleError> {
        let lock = match self.catalog.lock_app(name).await {
            Ok(lock) => lock,
            Err(CatalogError::Busy(_)) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        Self::under(lock, self.recover_app_locked(name)).await
    }

    async fn recover_app_locked(&self, name: &AppName) -> Result<bool, LifecycleError> {
        // Its maker may have finished between the listing and the lock.
        if !self.catalog.apps().await?.iter().any(|app| app.name == *name && !app.ready) {
            return Ok(false);
        }
        info!(app = %name, "removing an app whose registration was cut off");
        self.discard_app(name).await?;
        Ok(true)
    }

    /// Recovers now, and again and again until `shutdown`. Cut off in the middle, it goes on at the next start.
    pub async fn recover_forever(&self, shutdown: CancellationToken) {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                done = self.recover_strays() => if let Err(error) = done {
                    warn!(%error, "unfinished changes could not be looked for");
                }
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(INTERVAL) => {}
            }
        }
    }
}
