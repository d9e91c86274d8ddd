//! The tenant that an operation is about, as its journal has it.

use domain::{AppName, Isolation, Placement, TenantId};
use jobs::{Fault, Work};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tenantize::Plan;
use uuid::Uuid;

use crate::erase::Remains;
use crate::server::Builder;
use crate::site::Site;
use crate::{Lifecycle, LifecycleError};

/// Enough to find whatever there may be of a tenant, with or without its record.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Subject {
    tenant: Uuid,
    app: String,
    isolation: String,
    cluster: Uuid,
}

impl Subject {
    pub(crate) fn new(tenant: TenantId, app: &AppName, placement: &Placement) -> Self {
        Self {
            tenant: tenant.as_uuid(),
            app: app.to_string(),
            isolation: placement.isolation.to_string(),
            cluster: placement.cluster,
        }
    }

    /// For the journal.
    pub(crate) fn to_json(&self) -> Value {
        serde_json::json!(self)
    }

    /// The subject of an operation under way.
    pub(crate) fn of(work: &Work) -> Result<Target, Fault> {
        let Self { tenant, app, isolation, cluster } = work.input()?;
        let tenant = TenantId::from_uuid(tenant);
        let unreadable = |_| Fault::Lasting(Box::new(jobs::JobsError::Unreadable("operation's input")));
        let app: AppName = app.parse().map_err(unreadable)?;
        let isolation: Isolation = isolation.parse().map_err(unreadable)?;
        let placement = Placement::of(tenant, &app, isolation, cluster);
        Ok(Target { tenant, app, placement })
    }
}

/// The same in the words that everything else uses.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) tenant: TenantId,
    pub(crate) app: AppName,
    pub(crate) placement: Placement,
}

impl Target {
    pub(crate) fn site<'a>(&'a self, plan: &'a Plan, work: &'a Work) -> Site<'a> {
        Site { tenant: self.tenant, app: &self.app, plan, placement: &self.placement, work: Some(work) }
    }

    pub(crate) fn by<'a>(&self, work: &'a Work) -> Builder<'a> {
        Builder { tenant: self.tenant, work: Some(work) }
    }

    pub(crate) fn remains<'a>(&'a self, work: &'a Work) -> Remains<'a> {
        Remains { by: self.by(work), placement: &self.placement }
    }
}

/// What a failure means for an operation.
impl From<LifecycleError> for Fault {
    fn from(error: LifecycleError) -> Self {
        use catalog::CatalogError::{Busy, Database};
        match error {
            LifecycleError::Jobs(error) => error.into(),
            LifecycleError::Server { .. }
            | LifecycleError::Objects(objects::ObjectError::Store { .. })
            | LifecycleError::Catalog(Busy(_) | Database(_)) => Self::Passing(Box::new(error)),
            LifecycleError::Mail(ref letter) if letter.may_pass() => Self::Passing(Box::new(error)),
            _ => Self::Lasting(Box::new(error)),
        }
    }
}

/// The record goes last, and with it the slug is free.
pub(crate) async fn remove_record(desk: &Lifecycle, work: &Work) -> Result<(), Fault> {
    let target = Subject::of(work)?;
    let tx = work.begin().await?;
    if desk.catalog.remove_tenant(tx, target.tenant).await.map_err(LifecycleError::from)? {
        return Ok(());
    }
    Err(Fault::from(LifecycleError::Unverified(format!("removal of the record of tenant {}", target.tenant))))
}
