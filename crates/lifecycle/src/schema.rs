//! Creating and dropping the schema of a tenant that stays (TM-3).

use catalog::{ChangeLock, Tenant, TenantRef};
use domain::{Isolation, Role, Status, quote_ident};
use tracing::info;

use crate::erase::{Sessions, end_sessions};
use crate::{Lifecycle, LifecycleError};

impl Lifecycle {
    /// Gives a tenant whose schema was dropped a new one, with the app's tables and seed.
    pub async fn create_schema(&self, which: TenantRef) -> Result<Tenant, LifecycleError> {
        let desk = self.clone();
        self.through(Box::pin(async move {
            let (tenant, _lock) = desk.lock_in_schema(&which).await?;
            if tenant.present {
                return Err(LifecycleError::SchemaExists(tenant.slug));
            }
            let plan = desk.plan_of(&tenant.app).await?;
            desk.create_schema_of(tenant.id, &tenant.app, &plan, &tenant.placement).await?;
            desk.probe.pass("schema seed")?;
            let session = desk.seed(tenant.id, &plan, &tenant.placement).await?;
            desk.verify(&session, tenant.id, &plan, &tenant.placement).await?;
            desk.catalog.set_present(tenant.id, true).await?;
            info!(tenant = %tenant.id, slug = %tenant.slug, "schema created");
            desk.find(&TenantRef::Id(tenant.id)).await
        }))
        .await
    }

    /// Drops a tenant's schema with everything in it. The tenant keeps its record, roles and keys.
    pub async fn drop_schema(&self, which: TenantRef) -> Result<(), LifecycleError> {
        let desk = self.clone();
        self.through(Box::pin(async move {
            let (tenant, _lock) = desk.lock_in_schema(&which).await?;
            if !tenant.present {
                return Err(LifecycleError::SchemaMissing(tenant.slug));
            }
            // First the doors: a schema half gone must not be served, and what a crash leaves of it goes with the next
            // creation.
            desk.catalog.set_present(tenant.id, false).await?;
            desk.threshold.forget(tenant.id);
            let inside = desk.admin(tenant.placement.cluster, Some(&tenant.placement.database)).await?;
            let roles = Role::both(tenant.id).map(|role| role.to_string());
            end_sessions(&inside, Sessions::Of(&roles)).await?;
            inside.run(&format!("DROP SCHEMA IF EXISTS {} CASCADE", quote_ident(&tenant.placement.schema))).await?;
            info!(tenant = %tenant.id, slug = %tenant.slug, "schema dropped");
            Ok(())
        }))
        .await
    }

    async fn lock_in_schema(&self, which: &TenantRef) -> Result<(Tenant, ChangeLock), LifecycleError> {
        let id = self.find(which).await?.id;
        let lock = self.catalog.lock_tenant(id).await?;
        // Read again: only what is seen under the lock stays true.
        let tenant = self.find(&TenantRef::Id(id)).await?;
        if tenant.placement.isolation != Isolation::Schema {
            return Err(LifecycleError::NotInSchema { slug: tenant.slug, isolation: tenant.placement.isolation });
        }
        if !matches!(tenant.status, Status::Active | Status::Suspended) {
            let remedy = "only active and suspended tenants can be changed";
            return Err(LifecycleError::WrongStatus { slug: tenant.slug, status: tenant.status, remedy });
        }
        Ok((tenant, lock))
    }
}
