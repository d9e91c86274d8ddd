//! Creating and dropping the schema of a tenant that stays.

use catalog::{Tenant, TenantRef};
use domain::{Isolation, Role, TenantId, quote_ident};
use tracing::info;

use crate::erase::{Sessions, end_sessions};
use crate::server::Builder;
use crate::site::Site;
use crate::{Lifecycle, LifecycleError};

impl Lifecycle {
    /// Gives a tenant whose schema was dropped a new one, with the app's tables and seed.
    pub async fn create_schema(&self, which: TenantRef) -> Result<Tenant, LifecycleError> {
        let desk = self.clone();
        self.through(Box::pin(async move {
            let id = desk.find(&which).await?.id;
            let lock = desk.catalog.lock_tenant(id).await?;
            Self::under(lock, desk.create_schema_locked(id)).await
        }))
        .await
    }

    /// Drops a tenant's schema with everything in it. The tenant keeps its record, roles and keys.
    pub async fn drop_schema(&self, which: TenantRef) -> Result<(), LifecycleError> {
        let desk = self.clone();
        self.through(Box::pin(async move {
            let id = desk.find(&which).await?.id;
            let lock = desk.catalog.lock_tenant(id).await?;
            Self::under(lock, desk.drop_schema_locked(id)).await
        }))
        .await
    }

    async fn create_schema_locked(&self, id: TenantId) -> Result<Tenant, LifecycleError> {
        let tenant = self.find_in_schema(id).await?;
        if tenant.present {
            return Err(LifecycleError::SchemaExists(tenant.slug));
        }
        let turn = self.take_turn(Builder { tenant: id, work: None }, &tenant.app, &tenant.placement).await?;
        let plan = turn.plan();
        let site = Site { tenant: id, app: &tenant.app, plan: &plan, placement: &tenant.placement, work: None };
        self.create_schema_of(&site, &turn).await?;
        self.probe.pass("schema seed")?;
        // The tenant had its role to itself since it was made, and the seed logs in as it.
        self.threshold.restore_roles(id, &tenant.placement).await?;
        let session = self.login(&site).await?;
        self.seed(&session, &site).await?;
        self.verify(&session, &site).await?;
        self.catalog.set_made_with(id, plan.version()).await?;
        turn.done();
        self.catalog.set_present(id, true).await?;
        info!(tenant = %id, slug = %tenant.slug, "schema created");
        self.find(&TenantRef::Id(id)).await
    }

    async fn drop_schema_locked(&self, id: TenantId) -> Result<(), LifecycleError> {
        let tenant = self.find_in_schema(id).await?;
        if !tenant.present {
            return Err(LifecycleError::SchemaMissing(tenant.slug));
        }
        // First the doors: a schema half gone must not be served, and what a crash leaves of it goes with the next
        // creation.
        self.catalog.set_present(id, false).await?;
        self.threshold.forget(id);
        let inside = self.admin(tenant.placement.cluster, Some(&tenant.placement.database)).await?;
        let roles = Role::both(id).map(|role| role.to_string());
        end_sessions(&inside, Sessions::Of(&roles)).await?;
        inside.run(&format!("DROP SCHEMA IF EXISTS {} CASCADE", quote_ident(&tenant.placement.schema))).await?;
        info!(tenant = %id, slug = %tenant.slug, "schema dropped");
        Ok(())
    }

    async fn find_in_schema(&self, id: TenantId) -> Result<Tenant, LifecycleError> {
        let tenant = self.find_changeable(id).await?;
        if tenant.placement.isolation != Isolation::Schema {
            return Err(LifecycleError::NotInSchema { slug: tenant.slug, isolation: tenant.placement.isolation });
        }
        Ok(tenant)
    }
}
