//! Deleting a tenant.

use catalog::{Tenant, TenantRef};
use domain::{Placement, Status, TenantId};
use tracing::info;

use crate::{Lifecycle, LifecycleError};

impl Lifecycle {
    /// Closes every door to a tenant, then removes all of it. There is no way back. A deletion that fails halfway stays
    /// recorded as `deleting` and is finished by [`Lifecycle::recover`].
    pub async fn delete_tenant(&self, which: TenantRef) -> Result<(), LifecycleError> {
        let desk = self.clone();
        self.through(Box::pin(async move { desk.delete_tenant_now(&which).await })).await
    }

    async fn delete_tenant_now(&self, which: &TenantRef) -> Result<(), LifecycleError> {
        let id = self.find(which).await?.id;
        let lock = self.catalog.lock_tenant(id).await?;
        Self::under(lock, self.delete_locked(id)).await
    }

    async fn delete_locked(&self, id: TenantId) -> Result<(), LifecycleError> {
        // Read again: whoever held the lock may have deleted it.
        let Tenant { slug, placement, .. } = self.find(&TenantRef::Id(id)).await?;
        self.catalog.set_status(id, &[Status::Active, Status::Suspended], Status::Deleting).await?;
        self.remove(id, &placement).await?;
        info!(tenant = %id, %slug, "tenant deleted");
        Ok(())
    }

    /// The end of a deletion, and the undoing of a creation: data first, the record last.
    pub(crate) async fn remove(&self, id: TenantId, placement: &Placement) -> Result<(), LifecycleError> {
        self.erase(id, placement).await?;
        self.probe.pass("forget")?;
        Ok(self.catalog.remove_tenant(id).await?)
    }
}
