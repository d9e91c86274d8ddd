//! From here on the tenant is served, or, if it is nobody's yet, somebody may become it.

use domain::Status;
use jobs::{Act, Fault, Step, Work};
use serde_json::Value;

use crate::subject::{Subject, Target};
use crate::{Lifecycle, LifecycleError};

pub(super) struct Open {
    pub(super) desk: Lifecycle,
    /// Active, or a spare, which is not served.
    pub(super) then: Status,
}

impl Step for Open {
    fn name(&self) -> &'static str {
        "open"
    }

    /// The operation ends in the same moment: a tenant that may be in use is never undone.
    fn act<'a>(&'a self, work: &'a Work) -> Act<'a, Value> {
        Box::pin(async move {
            self.desk.probe.pass("open")?;
            let Target { tenant, .. } = Subject::of(work)?;
            let mut tx = work.begin().await?;
            work.conclude(&mut tx, None).await?;
            let letters = self.desk.write_to_members(&mut tx, tenant).await?;
            let opened = self.desk.catalog.set_status(tx, tenant, &[Status::Provisioning], self.then).await;
            if opened.map_err(LifecycleError::from)? {
                self.desk.send_out(letters);
                return Ok(Value::Null);
            }
            Err(Fault::from(LifecycleError::Unverified(format!("status of tenant {tenant}"))))
        })
    }

    /// It is open only when there is nothing to undo any more.
    fn undo<'a>(&'a self, _: &'a Work) -> Act<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}
