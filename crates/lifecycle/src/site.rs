//! Where a tenant is built.

use domain::{AppName, Placement, TenantId};
use jobs::Work;
use tenantize::Plan;

use crate::server::Builder;
use crate::turn::Turn;
use crate::{Lifecycle, LifecycleError};

/// What every step of building a tenant works on.
#[derive(Clone, Copy)]
pub(crate) struct Site<'a> {
    pub(crate) tenant: TenantId,
    pub(crate) app: &'a AppName,
    pub(crate) plan: &'a Plan,
    pub(crate) placement: &'a Placement,
    /// The operation that this is part of, if it is part of one.
    pub(crate) work: Option<&'a Work>,
}

impl<'a> Site<'a> {
    pub(crate) fn by(&self) -> Builder<'a> {
        Builder { tenant: self.tenant, work: self.work }
    }
}

impl Lifecycle {
    /// Everything of a tenant that is in PostgreSQL, whether or not a record knows of it.
    pub(crate) async fn build_tenant(&self, site: &Site<'_>) -> Result<(), LifecycleError> {
        self.probe.pass("roles")?;
        self.create_roles(site.by(), site.app, site.placement).await?;
        self.probe.pass("storage")?;
        let turn = self.take_turn(site.by(), site.app, site.placement).await?;
        // The turn's session goes, too: the database may be one that is removed when all has been tried.
        self.furnish(site, &turn).await
    }

    /// What holds the rows, the first of them, as the tenant, and then what the tenant says of itself.
    pub(crate) async fn furnish(&self, site: &Site<'_>, turn: &Turn) -> Result<(), LifecycleError> {
        let session = if site.placement.isolation.has_own_database() {
            self.create_storage(site, turn).await?;
            self.login(site).await?
        } else {
            // Logging in takes about as long as a third of the tables.
            tokio::try_join!(self.create_storage(site, turn), self.login(site))?.1
        };
        self.probe.pass("seed")?;
        self.seed(&session, site).await?;
        self.probe.pass("verify")?;
        self.verify(&session, site).await
    }
}
