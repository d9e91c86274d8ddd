//! From here on the tenant is served.

use domain::Status;
use jobs::{Act, Fault, Step, Work};
use serde_json::Value;

use crate::subject::{Subject, Target};
use crate::{Lifecycle, LifecycleError};

pub(super) struct Open(pub(super) Lifecycle);

impl Step for Open {
    fn name(&self) -> &'static str {
        "open"
    }

    fn act<'a>(&'a self, work: &'a Work) -> Act<'a, Value> {
        Box::pin(async move {
            self.0.probe.pass("open")?;
            let Target { tenant, .. } = Subject::of(work)?;
            let tx = work.begin().await?;
            if !self
                .0
                .catalog
                .set_status(tx, tenant, &[Status::Provisioning], Status::Active)
                .await
                .map_err(LifecycleError::from)?
            {
                return Err(Fault::from(LifecycleError::Unverified(format!("status of tenant {tenant}"))));
            }
            Ok(Value::Null)
        })
    }

    /// An answer that was lost may have opened it: somebody may be at it, and sees it close.
    fn undo<'a>(&'a self, work: &'a Work) -> Act<'a, ()> {
        Box::pin(async move {
            let target = Subject::of(work)?;
            let tx = work.begin().await?;
            self.0
                .catalog
                .set_status(tx, target.tenant, &[Status::Active], Status::Provisioning)
                .await
                .map_err(LifecycleError::from)?;
            self.0.threshold.forget(target.tenant);
            Ok(())
        })
    }
}
