//! The tenant's rows go, with what holds them.

use jobs::{Act, Step, Work};
use serde_json::Value;

use crate::Lifecycle;
use crate::subject::Subject;

pub(super) struct Storage(pub(super) Lifecycle);

impl Step for Storage {
    fn name(&self) -> &'static str {
        "storage"
    }

    fn act<'a>(&'a self, work: &'a Work) -> Act<'a, Value> {
        Box::pin(async move {
            let target = Subject::of(work)?;
            self.0.drop_storage(target.remains(work)).await?;
            Ok(Value::Null)
        })
    }

    /// Removing goes on from wherever it stopped; but whoever was at it, and does not know that somebody else is by now, is ended.
    fn undo<'a>(&'a self, work: &'a Work) -> Act<'a, ()> {
        Box::pin(async move {
            let target = Subject::of(work)?;
            Ok(self.0.evict(target.remains(work)).await?)
        })
    }
}
