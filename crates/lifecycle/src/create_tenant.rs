//! Making a tenant.

use catalog::{Key, KeySecret, Reservation, Tenant, TenantRef};
use domain::{AppName, ClusterName, DisplayName, Isolation, Placement, Slug, Status, TenantId};
use tenantize::Plan;
use tracing::{info, warn};
use uuid::Uuid;

use crate::{Lifecycle, LifecycleError};

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

/// What every step of building a tenant works on.
#[derive(Clone, Copy)]
pub(crate) struct Site<'a> {
    pub(crate) tenant: TenantId,
    pub(crate) app: &'a AppName,
    pub(crate) plan: &'a Plan,
    pub(crate) placement: &'a Placement,
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
}

impl Lifecycle {
    /// Makes a tenant: reserve → roles → schema or database → seed → read back → open. A failure anywhere undoes all of
    /// it.
    pub async fn create_tenant(&self, new: NewTenant) -> Result<Created, LifecycleError> {
        let desk = self.clone();
        self.through(Box::pin(async move { desk.create_tenant_now(&new).await })).await
    }

    async fn create_tenant_now(&self, new: &NewTenant) -> Result<Created, LifecycleError> {
        self.probe.pass("reserve")?;
        let id = TenantId::from_uuid(Uuid::now_v7());
        // Held before the record exists: whoever finds an unlocked unfinished record may undo it.
        let lock = self.catalog.lock_tenant(id).await?;
        Self::under(lock, self.create_locked(id, new)).await
    }

    async fn create_locked(&self, id: TenantId, new: &NewTenant) -> Result<Created, LifecycleError> {
        let reservation = Reservation {
            id,
            slug: &new.slug,
            name: &new.name,
            app: &new.app,
            isolation: new.isolation,
            cluster: new.cluster.as_ref(),
        };
        let (placement, key, secret) = self.catalog.reserve(&reservation).await?;
        match self.provision(id, &new.app, &placement).await {
            Ok(tenant) => {
                info!(tenant = %id, slug = %new.slug, isolation = %new.isolation, "tenant created");
                Ok(Created { tenant, key, secret })
            }
            Err(cause) => {
                warn!(tenant = %id, slug = %new.slug, error = %cause, "creation failed; undoing it");
                Err(cause.undone(self.undo(id, &placement).await))
            }
        }
    }

    async fn provision(&self, id: TenantId, app: &AppName, placement: &Placement) -> Result<Tenant, LifecycleError> {
        let plan = self.plan_of(app).await?;
        if !self.catalog.is_prepared(app, placement.cluster).await? {
            let clusters = self.catalog.clusters().await?;
            for cluster in clusters.iter().filter(|cluster| cluster.id == placement.cluster) {
                self.prepare(app, &plan, cluster).await?;
            }
        }
        self.build_tenant(&Site { tenant: id, app, plan: &plan, placement }).await?;
        self.probe.pass("open")?;
        if !self.catalog.set_status(id, &[Status::Provisioning], Status::Active).await? {
            return Err(LifecycleError::Unverified(format!("status of tenant {id}")));
        }
        self.find(&TenantRef::Id(id)).await
    }

    /// The record goes first: an answer that was lost may have made the tenant active, and a tenant that looks active must
    /// not lose its data. If this cannot be recorded either, the tenant stays whole.
    async fn undo(&self, id: TenantId, placement: &Placement) -> Result<(), LifecycleError> {
        self.catalog.set_status(id, &[Status::Provisioning, Status::Active], Status::Deleting).await?;
        self.remove(id, placement).await
    }

    /// Everything of a tenant that is in PostgreSQL, whether or not a record knows of it.
    pub(crate) async fn build_tenant(&self, site: &Site<'_>) -> Result<(), LifecycleError> {
        self.probe.pass("roles")?;
        self.create_roles(site).await?;
        self.probe.pass("storage")?;
        self.create_storage(site).await?;
        self.probe.pass("seed")?;
        let session = self.seed(site).await?;
        self.probe.pass("verify")?;
        self.verify(&session, site).await
    }
}
