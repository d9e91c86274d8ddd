//! The tenant's record goes, and with it its slug is free.

use jobs::{Act, Step, Work};
use serde_json::Value;

use crate::Lifecycle;
use crate::subject::remove_record;

pub(super) struct Forget(pub(super) Lifecycle);

impl Step for Forget {
    fn name(&self) -> &'static str {
        "forget"
    }

    fn act<'a>(&'a self, work: &'a Work) -> Act<'a, Value> {
        Box::pin(async move {
            self.0.probe.pass("forget")?;
            remove_record(&self.0, work).await?;
            Ok(Value::Null)
        })
    }

    fn undo<'a>(&'a self, _: &'a Work) -> Act<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}
