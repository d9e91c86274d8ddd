//! A tenant's first rows.

use domain::{Access, Isolation, Role};

use crate::create_tenant::Site;
use crate::server::Session;
use crate::{Lifecycle, LifecycleError};

impl Lifecycle {
    /// Runs the app's seed in one transaction, as the tenant's own role: whatever it does, it cannot leave the tenant.
    /// Returns the session, which [`Lifecycle::verify`] goes on with.
    pub(crate) async fn seed(&self, site: &Site<'_>) -> Result<Session, LifecycleError> {
        let Site { tenant, plan, placement, .. } = *site;
        let session = self.as_role(placement, Role::new(tenant, Access::ReadWrite)).await?;
        let statements = match placement.isolation {
            Isolation::Shared => plan.shared_tenant_seed(),
            Isolation::Schema | Isolation::Database | Isolation::Cluster => plan.own_tenant_seed(),
        };
        if !statements.is_empty() {
            session.run("BEGIN").await?;
            session.run_app(&statements).await?;
            session.run("COMMIT").await?;
        }
        Ok(session)
    }
}
