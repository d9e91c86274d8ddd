//! The tenant's slug and place are its own. They were recorded together with the operation.

use domain::Status;
use jobs::{Act, Fault, Step, Work};
use serde_json::{Value, json};

use crate::subject::{Subject, Target, remove_record};
use crate::{Lifecycle, LifecycleError};

pub(super) struct Reserve(pub(super) Lifecycle);

impl Step for Reserve {
    fn name(&self) -> &'static str {
        "reserve"
    }

    fn act<'a>(&'a self, work: &'a Work) -> Act<'a, Value> {
        Box::pin(async move {
            let target = Subject::of(work)?;
            let status = self.0.catalog.status(target.tenant).await.map_err(LifecycleError::from)?;
            if status != Some(Status::Provisioning) {
                let what = format!("status of tenant {}", target.tenant);
                return Err(Fault::from(LifecycleError::Unverified(what)));
            }
            self.0.make_ready(&target).await?;
            Ok(json!({"database": target.placement.database}))
        })
    }

    /// What it looks at was recorded before the operation began.
    fn clear<'a>(&'a self, _: &'a Work) -> Act<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    /// A slug that was reserved for nothing is free again.
    fn undo<'a>(&'a self, work: &'a Work) -> Act<'a, ()> {
        Box::pin(async move { remove_record(&self.0, work).await })
    }
}

impl Lifecycle {
    /// The app has to stand on the cluster, which may have been registered after it.
    async fn make_ready(&self, target: &Target) -> Result<(), LifecycleError> {
        let (app, cluster) = (&target.app, target.placement.cluster);
        if self.catalog.is_prepared(app, cluster).await? {
            return Ok(());
        }
        let clusters = self.catalog.clusters().await?;
        for cluster in clusters.iter().filter(|it| it.id == cluster) {
            self.prepare(app, cluster).await?;
        }
        Ok(())
    }
}
