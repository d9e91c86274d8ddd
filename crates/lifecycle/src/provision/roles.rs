//! The tenant's logins.

use jobs::{Act, Step, Work};
use serde_json::{Value, json};

use crate::Lifecycle;
use crate::subject::Subject;

pub(super) struct Roles(pub(super) Lifecycle);

impl Step for Roles {
    fn name(&self) -> &'static str {
        "roles"
    }

    fn act<'a>(&'a self, work: &'a Work) -> Act<'a, Value> {
        Box::pin(async move {
            self.0.probe.pass("roles")?;
            let target = Subject::of(work)?;
            self.0.create_roles(target.by(work), &target.app, &target.placement).await?;
            Ok(json!({"roles": domain::Role::both(target.tenant).map(|role| role.to_string())}))
        })
    }

    fn undo<'a>(&'a self, work: &'a Work) -> Act<'a, ()> {
        Box::pin(async move {
            let target = Subject::of(work)?;
            self.0.evict(target.remains(work)).await?;
            Ok(self.0.drop_roles(target.remains(work)).await?)
        })
    }
}
