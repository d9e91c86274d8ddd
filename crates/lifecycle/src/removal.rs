//! Removing a tenant: close → evict → storage → roles → forget. There is no way back, so it is never undone: it is gone on with
//! until it is done.

mod close;
mod evict;
mod forget;
mod roles;
mod storage;

use catalog::{Tenant, TenantRef};
use domain::{AppName, Placement, Slug, Status, TenantId};
use jobs::{Claim, JobsError, NewOperation, Procedure};
use tracing::info;
use uuid::Uuid;

use crate::subject::Subject;
use crate::{Lifecycle, LifecycleError};

/// What the operation is called.
pub(crate) const REMOVE: &str = "remove";

impl Lifecycle {
    /// Closes every door to a tenant, then removes all of it. What cannot be removed now is tried again until it is.
    pub async fn delete_tenant(&self, which: TenantRef) -> Result<(), LifecycleError> {
        let desk = self.clone();
        self.through(Box::pin(async move {
            let tenant = desk.find(&which).await?;
            let claim = desk.enqueue_removal(&tenant).await?;
            desk.finish(claim, &removal(&desk)).await?;
            info!(tenant = %tenant.id, slug = %tenant.slug, "tenant deleted");
            Ok(())
        }))
        .await
    }

    /// The same for who does not wait. Returns the operation.
    pub async fn begin_removal(&self, which: TenantRef) -> Result<Uuid, LifecycleError> {
        let tenant = self.find(&which).await?;
        let claim = self.enqueue_removal(&tenant).await?;
        let operation = claim.operation();
        self.leave(claim, removal(self));
        Ok(operation)
    }

    /// Records the removal, or takes the one that was put off.
    pub(crate) async fn enqueue_removal(&self, tenant: &Tenant) -> Result<Claim, LifecycleError> {
        self.probe.pass("removal")?;
        let subject = tenant.id.as_uuid();
        let new = removing(tenant.id, &tenant.slug, &tenant.app, &tenant.placement);
        let mut tx = self.catalog.begin().await?;
        // While another change is under way, whoever asks is told so, and nothing is recorded.
        self.catalog.lock_tenant_within(&mut tx, tenant.id).await?;
        match self.jobs.enqueue(&mut tx, new).await {
            Ok(claim) => {
                // Somebody else may have removed it since it was found: with that, there is nothing to remove.
                if self.catalog.hold_tenant(&mut tx, tenant.id).await?.is_none() {
                    return Err(LifecycleError::UnknownTenant(tenant.slug.to_string()));
                }
                tx.commit().await.map_err(catalog::CatalogError::from)?;
                Ok(claim)
            }
            Err(JobsError::UnderWay) => {
                // Each change has one connection to the control database at a time.
                tx.rollback().await.map_err(catalog::CatalogError::from)?;
                Ok(self.jobs.claim_for(subject, REMOVE).await?.ok_or(JobsError::UnderWay)?)
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// The operation that removes a tenant, as it is recorded.
pub(crate) fn removing<'a>(id: TenantId, slug: &'a Slug, app: &AppName, placement: &Placement) -> NewOperation<'a> {
    let input = Subject::new(id, app, placement).to_json();
    NewOperation { kind: REMOVE, subject: id.as_uuid(), title: slug.as_str(), input, priority: 0 }
}

/// The steps, for whoever does them.
pub(crate) fn removal(desk: &Lifecycle) -> Procedure {
    Procedure::unstoppable(vec![
        Box::new(close::Close(desk.clone())),
        Box::new(evict::Evict(desk.clone())),
        Box::new(storage::Storage(desk.clone())),
        Box::new(roles::Roles(desk.clone())),
        Box::new(forget::Forget(desk.clone())),
    ])
}

/// From which a tenant is removed. A spare that nobody should become is `deleting` already.
const ANY: [Status; 4] = [Status::Provisioning, Status::Active, Status::Suspended, Status::Deleting];
