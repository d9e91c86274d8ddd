//! A tenant's first rows.

use domain::{Access, Isolation, Role, quote_literal};
use tenantize::Statement;

use crate::server::Session;
use crate::site::Site;
use crate::{Lifecycle, LifecycleError};

impl Lifecycle {
    /// Logs in as the tenant.
    pub(crate) async fn login(&self, site: &Site<'_>) -> Result<Session, LifecycleError> {
        let session = self.as_role(site.placement, Role::new(site.tenant, Access::ReadWrite)).await?;
        site.by().still_may().await?;
        Ok(session)
    }

    /// Runs the app's seed in one transaction, in the tenant's own session: whatever it does, it cannot leave the tenant.
    pub(crate) async fn seed(&self, session: &Session, site: &Site<'_>) -> Result<(), LifecycleError> {
        let Site { plan, placement, .. } = *site;
        let statements = match placement.isolation {
            Isolation::Shared => plan.shared_tenant_seed(),
            Isolation::Schema | Isolation::Database | Isolation::Cluster => plan.own_tenant_seed(),
        };
        if plan.loads() {
            self.load(site, session, &statements).await?;
        } else if !statements.is_empty() {
            write(session, &statements).await?;
        }
        Ok(())
    }

    /// The same with rows that some triggers must not see: they believe the session that it is writing such rows only if
    /// `sindico.loading` has it. An entry that could not be removed is for this session, which ends then, and no other.
    async fn load(&self, site: &Site<'_>, session: &Session, statements: &[Statement]) -> Result<(), LifecycleError> {
        let Site { tenant, placement, .. } = *site;
        let row = session.query_one("SELECT pg_backend_pid()", &[]).await.map_err(|error| session.fault(&error))?;
        let pid: i32 = row.try_get(0).map_err(|error| session.fault(&error))?;
        let role = quote_literal(&Role::new(tenant, Access::ReadWrite).to_string());
        let inside = self.builder(site.by(), placement.cluster, Some(&placement.database)).await?;
        inside.run(&format!("INSERT INTO sindico.loading (role, pid) VALUES ({role}, {pid})")).await?;
        let written = write(session, statements).await;
        let removed = inside.run(&format!("DELETE FROM sindico.loading WHERE role = {role}")).await;
        written.and(removed)
    }
}

async fn write(session: &Session, statements: &[Statement]) -> Result<(), LifecycleError> {
    session.run("BEGIN").await?;
    session.run_app(statements).await?;
    session.run("COMMIT").await
}
