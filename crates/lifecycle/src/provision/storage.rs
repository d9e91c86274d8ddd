//! Where the tenant's rows are: the app's tables, and its first rows, written by the tenant itself, which then says what it sees.

use jobs::{Act, Step, Work};
use serde_json::{Value, json};

use crate::subject::Subject;
use crate::{Lifecycle, LifecycleError};

pub(super) struct Storage(pub(super) Lifecycle);

impl Step for Storage {
    fn name(&self) -> &'static str {
        "storage"
    }

    fn act<'a>(&'a self, work: &'a Work) -> Act<'a, Value> {
        Box::pin(async move {
            self.0.probe.pass("storage")?;
            let target = Subject::of(work)?;
            let turn = self.0.take_turn(target.by(work), &target.app, &target.placement).await?;
            let plan = turn.plan();
            let site = target.site(&plan, work);
            self.0.furnish(&site, &turn).await?;
            self.0.catalog.set_made_with(target.tenant, plan.version()).await.map_err(LifecycleError::from)?;
            turn.done();
            Ok(json!({"database": target.placement.database, "schema": target.placement.schema}))
        })
    }

    /// The logins stay: the step may be done again with the same.
    fn undo<'a>(&'a self, work: &'a Work) -> Act<'a, ()> {
        Box::pin(async move {
            let target = Subject::of(work)?;
            self.0.evict(target.remains(work)).await?;
            self.0.drop_storage(target.remains(work)).await?;
            Ok(self.0.readmit(target.remains(work)).await?)
        })
    }
}
