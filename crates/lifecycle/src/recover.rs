//! Finishing what another process, or this one's predecessor, could not.

use std::time::Duration;

use catalog::{CatalogError, TenantRef};
use domain::{AppName, TenantId};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{Lifecycle, LifecycleError};

/// How often unfinished tenants are looked for.
const INTERVAL: Duration = Duration::from_secs(30);

impl Lifecycle {
    /// Undoes creations and registrations of apps, and finishes deletions, that nobody is at work on. Returns how many.
    ///
    /// A tenant whose cluster does not answer is left for the next time; it keeps no other from being recovered.
    pub async fn recover(&self) -> Result<usize, LifecycleError> {
        let mut recovered = 0;
        for id in self.catalog.unfinished_tenants().await? {
            match self.recover_one(id).await {
                Ok(true) => recovered += 1,
                Ok(false) => {}
                Err(error) => warn!(tenant = %id, %error, "unfinished tenant could not be removed yet"),
            }
        }
        for app in self.catalog.apps().await?.into_iter().filter(|app| !app.ready) {
            match self.recover_app(&app.name).await {
                Ok(true) => recovered += 1,
                Ok(false) => {}
                Err(error) => warn!(app = %app.name, %error, "unfinished app could not be removed yet"),
            }
        }
        Ok(recovered)
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
                done = self.recover() => if let Err(error) = done {
                    warn!(%error, "unfinished tenants could not be looked for");
                }
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(INTERVAL) => {}
            }
        }
    }

    async fn recover_one(&self, id: TenantId) -> Result<bool, LifecycleError> {
        let lock = match self.catalog.lock_tenant(id).await {
            Ok(lock) => lock,
            // Its maker is alive.
            Err(CatalogError::Busy(_)) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        Self::under(lock, self.recover_locked(id)).await
    }

    async fn recover_locked(&self, id: TenantId) -> Result<bool, LifecycleError> {
        // Its maker may have finished between the listing and the lock.
        let Some(tenant) = self.catalog.tenant(&TenantRef::Id(id)).await? else { return Ok(false) };
        if matches!(tenant.status, domain::Status::Active | domain::Status::Suspended) {
            return Ok(false);
        }
        info!(tenant = %id, slug = %tenant.slug, status = %tenant.status, "removing an unfinished tenant");
        self.remove(id, &tenant.placement).await?;
        Ok(true)
    }
}
