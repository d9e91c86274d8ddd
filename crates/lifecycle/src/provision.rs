//! Making a tenant: reserve → roles → storage → open.

mod open;
mod reserve;
mod roles;
mod storage;

use catalog::{ControlTx, Key, KeySecret, Reservation, Tenant, TenantRef};
use domain::{AppName, ClusterName, DisplayName, Isolation, Placement, Slug, TenantId};
use jobs::{Claim, NewOperation, Procedure, Step};
use tracing::info;
use uuid::Uuid;

use crate::subject::Subject;
use crate::{Lifecycle, LifecycleError};

/// What the operation is called.
pub(crate) const PROVISION: &str = "provision";

/// What a new tenant asks for.
#[derive(Debug)]
pub struct NewTenant {
    /// Unique in the installation.
    pub slug: Slug,
    /// What people call it.
    pub name: DisplayName,
    /// Which app it uses.
    pub app: AppName,
    /// How it is kept apart.
    pub isolation: Isolation,
    /// A particular cluster, or whichever has room.
    pub cluster: Option<ClusterName>,
}

/// A tenant with its first key, the only time that the key is known.
#[derive(Debug)]
pub struct Created {
    /// As it was recorded.
    pub tenant: Tenant,
    /// Its first key.
    pub key: Key,
    /// The first key's secret.
    pub secret: KeySecret,
    /// The operation that has made it, or is making it.
    pub operation: Uuid,
}

/// A tenant's id, place and first key.
pub(crate) struct Reserved {
    pub(crate) id: TenantId,
    pub(crate) placement: Placement,
    key: Key,
    secret: KeySecret,
}

impl Lifecycle {
    /// Makes a tenant. A failure anywhere undoes all of it; if this process dies, another goes on where it stopped.
    pub async fn create_tenant(&self, new: NewTenant) -> Result<Created, LifecycleError> {
        let desk = self.clone();
        self.through(Box::pin(async move {
            let (claim, made) = desk.reserve(&new).await?;
            desk.finish(claim, &provision(&desk)).await?;
            info!(tenant = %made.tenant.id, slug = %new.slug, isolation = %new.isolation, "tenant created");
            Ok(Created { tenant: desk.find(&TenantRef::Id(made.tenant.id)).await?, ..made })
        }))
        .await
    }

    /// The same for who does not wait: the tenant is recorded when this returns, and made, or undone, by the operation that it names.
    pub async fn begin_tenant(&self, new: NewTenant) -> Result<Created, LifecycleError> {
        let (claim, made) = self.reserve(&new).await?;
        self.leave(claim, provision(self));
        Ok(made)
    }

    async fn reserve(&self, new: &NewTenant) -> Result<(jobs::Claim, Created), LifecycleError> {
        let (mut tx, reserved) = self.reserve_record(new).await?;
        let input = Subject::new(reserved.id, &new.app, &reserved.placement).to_json();
        let subject = reserved.id.as_uuid();
        let operation = NewOperation { kind: PROVISION, subject, title: new.slug.as_str(), input, priority: 0 };
        let claim = self.jobs.enqueue(&mut tx, operation).await?;
        let made = self.record(tx, reserved, &claim).await?;
        Ok((claim, made))
    }

    /// Slug, place and first key, in a transaction in which the operation is to be recorded that makes the tenant.
    pub(crate) async fn reserve_record(&self, new: &NewTenant) -> Result<(ControlTx, Reserved), LifecycleError> {
        self.probe.pass("reserve")?;
        let id = TenantId::from_uuid(Uuid::now_v7());
        let NewTenant { slug, name, app, isolation, cluster } = new;
        let wanted = Reservation { id, slug, name, app, isolation: *isolation, cluster: cluster.as_ref() };
        let mut tx = self.catalog.begin().await?;
        let (placement, key, secret) = self.catalog.reserve(&mut tx, &wanted).await?;
        Ok((tx, Reserved { id, placement, key, secret }))
    }

    /// Both are known from now on, or neither is.
    pub(crate) async fn record(
        &self,
        tx: ControlTx,
        reserved: Reserved,
        claim: &Claim,
    ) -> Result<Created, LifecycleError> {
        tx.commit().await.map_err(catalog::CatalogError::from)?;
        let Reserved { id, key, secret, .. } = reserved;
        let tenant = self.find(&TenantRef::Id(id)).await?;
        Ok(Created { tenant, key, secret, operation: claim.operation() })
    }
}

/// The steps, for whoever does them.
pub(crate) fn provision(desk: &Lifecycle) -> Procedure {
    provision_with(desk, Box::new(storage::Storage(desk.clone())))
}

/// The same with tables and rows that come from somewhere else.
pub(crate) fn provision_with(desk: &Lifecycle, storage: Box<dyn Step>) -> Procedure {
    Procedure::reversible(vec![
        Box::new(reserve::Reserve(desk.clone())),
        Box::new(roles::Roles(desk.clone())),
        storage,
        Box::new(open::Open(desk.clone())),
    ])
}
