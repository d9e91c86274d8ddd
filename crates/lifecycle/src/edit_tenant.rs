//! Renaming, suspending and resuming a tenant, and how its clients share server connections: edits of its record, effective at every door at once.

use catalog::{Tenant, TenantRef};
use domain::{DisplayName, PoolOverrides, Status, TenantId};
use jobs::JobsError;
use tracing::info;

use crate::backup::REPLACE;
use crate::{Lifecycle, LifecycleError};

/// What to change; what is absent stays.
#[derive(Debug, Default)]
pub struct EditTenant {
    /// What people call it.
    pub name: Option<DisplayName>,
    /// [`Status::Active`] or [`Status::Suspended`].
    pub status: Option<Status>,
    /// How its clients share server connections, all of it.
    pub pool: Option<PoolOverrides>,
}

impl Lifecycle {
    /// Changes a tenant's record. Suspending closes its connections; resuming opens the doors again.
    pub async fn edit_tenant(&self, which: TenantRef, edit: EditTenant) -> Result<Tenant, LifecycleError> {
        let before = self.find(&which).await?;
        let mut tx = self.catalog.begin().await?;
        if self.catalog.hold_tenant(&mut tx, before.id).await?.is_none() {
            return Err(LifecycleError::UnknownTenant(before.slug.to_string()));
        }
        // Whoever takes a tenant back to a backup has closed it, and opens it again: as it was when that was recorded, which nobody does
        // while the record is held.
        let kind = self.jobs.under_way(&mut tx, before.id.as_uuid()).await?;
        if edit.status.is_some() && kind.is_some_and(|kind| kind == REPLACE) {
            return Err(JobsError::UnderWay.into());
        }
        if !self.catalog.edit_tenant(tx, before.id, edit.name.as_ref(), edit.status, edit.pool.as_ref()).await? {
            let now = self.find(&which).await?;
            return Err(unchangeable(now));
        }
        if edit.status == Some(Status::Suspended) {
            self.threshold.forget(before.id);
        }
        let after = self.find(&TenantRef::Id(before.id)).await?;
        if after.status != before.status {
            info!(tenant = %after.id, slug = %after.slug, status = %after.status, "tenant's status changed");
        }
        Ok(after)
    }

    /// A tenant that may be changed. To be read under its lock: only what is seen there stays true.
    pub(crate) async fn find_changeable(&self, id: TenantId) -> Result<Tenant, LifecycleError> {
        let tenant = self.find(&TenantRef::Id(id)).await?;
        if tenant.status.is_settled() { Ok(tenant) } else { Err(unchangeable(tenant)) }
    }
}

fn unchangeable(tenant: Tenant) -> LifecycleError {
    let remedy = "only active and suspended tenants can be changed";
    LifecycleError::WrongStatus { slug: tenant.slug, status: tenant.status, remedy }
}
