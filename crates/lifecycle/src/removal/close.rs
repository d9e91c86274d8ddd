//! No door lets the tenant in any more.

use domain::Status;
use jobs::{Act, Step, Work};
use serde_json::Value;

use super::ANY;
use crate::subject::Subject;
use crate::{Lifecycle, LifecycleError};

pub(super) struct Close(pub(super) Lifecycle);

impl Step for Close {
    fn name(&self) -> &'static str {
        "close"
    }

    /// Under the tenant's lock: a change that is under way is waited for, and none begins afterwards.
    fn act<'a>(&'a self, work: &'a Work) -> Act<'a, Value> {
        Box::pin(async move {
            let target = Subject::of(work)?;
            let mut tx = work.begin().await?;
            self.0.catalog.lock_tenant_within(&mut tx, target.tenant).await.map_err(LifecycleError::from)?;
            self.0.catalog.set_status(tx, target.tenant, &ANY, Status::Deleting).await.map_err(LifecycleError::from)?;
            self.0.threshold.forget(target.tenant);
            Ok(Value::Null)
        })
    }

    /// What is closed stays closed.
    fn undo<'a>(&'a self, _: &'a Work) -> Act<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}
