//! A new tenant made from a backup, in any isolation, with the migrations that its app has by now.

use catalog::CatalogError;
use domain::{Access, Role};
use jobs::{Act, Fault, NewOperation, Procedure, Step, Work};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::load::{Loader, counts};
use super::stage::{Stage, no_stage};
use super::{Opened, transfer};
use crate::provision::{Created, NewTenant, provision_with};
use crate::subject::{Subject, Target};
use crate::{Lifecycle, LifecycleError};

/// What the operation is called.
pub(crate) const RESTORE: &str = "restore";

/// What the journal has besides the tenant.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) backup: Uuid,
    /// Where it can be migrated.
    pub(super) stage: Option<Uuid>,
}

/// The steps of making a tenant, with a backup's rows instead of an app's first.
pub(crate) fn restoration(desk: &Lifecycle) -> Procedure {
    provision_with(desk, Box::new(Fill(desk.clone())))
}

struct Fill(Lifecycle);

impl Lifecycle {
    /// Makes a tenant from a backup. It is recorded when this returns, with its first key, and open when the operation has succeeded.
    pub async fn begin_restore(&self, id: Uuid, new: NewTenant) -> Result<Created, LifecycleError> {
        let backup = self.open_backup(id).await?.backup;
        if backup.app != new.app {
            return Err(LifecycleError::BadBackup { backup: id, why: format!("it is of a tenant of {}", backup.app) });
        }
        let (mut tx, reserved) = self.reserve_record(&new, None).await?;
        let stage = self.stage_cluster(&new.app, Some(reserved.placement.cluster)).await?;
        let mut input = Subject::new(reserved.id, &new.app, &reserved.placement).to_json();
        extend(&mut input, json!(Order { backup: id, stage }));
        let operation = NewOperation {
            kind: RESTORE,
            subject: reserved.id.as_uuid(),
            title: new.slug.as_str(),
            input,
            priority: 0,
        };
        let claim = self.jobs.enqueue(&mut tx, operation).await?;
        let made = self.record(tx, reserved, claim.operation()).await?;
        self.leave(claim, restoration(self));
        Ok(made)
    }

    /// Writes a backup's rows into tables of a version: at once, or from the stage on which they were brought to it.
    pub(super) async fn fill(
        &self,
        loader: &Loader,
        backup: &Opened<'_>,
        version: i32,
        stage: Option<&Stage>,
        work: &Work,
    ) -> Result<u64, LifecycleError> {
        if backup.manifest.version == version {
            return load_into(loader, backup).await;
        }
        let stage = stage.ok_or_else(|| no_stage(&backup.backup.app))?;
        let poured = transfer::pour(&self.staged(stage, version, work).await?, loader).await?;
        loader.check(&poured).await?;
        Ok(poured.iter().map(|(_, rows)| rows).sum())
    }

    async fn restore(&self, work: &Work, target: &Target, order: &Order) -> Result<Value, LifecycleError> {
        let backup = self.open_backup(order.backup).await?;
        let stage = Self::stage(&target.app, order.stage, work);
        let version = self.plan_on(&target.app, target.placement.cluster).await?.0.version;
        let on_stage = self.stage_rows(stage.as_ref(), &backup, version, work).await?;

        let turn = self.take_turn(target.by(work), &target.app, &target.placement).await?;
        let plan = turn.plan();
        if plan.version() != version {
            return Err(CatalogError::Busy("app").into());
        }
        let site = target.site(&plan, work);
        self.create_storage(&site, &turn).await?;
        self.probe.pass("fill")?;
        let loader = self.loader(target.by(work), target.tenant, &target.placement).await?;
        let rows = self.fill(&loader, &backup, version, stage.as_ref(), work).await?;
        loader.commit().await?;
        if on_stage {
            self.clear_stage(stage.as_ref(), work).await;
        }
        let session = self.as_role(&target.placement, Role::new(target.tenant, Access::ReadWrite)).await?;
        self.verify(&session, &site).await?;
        self.catalog.set_made_with(target.tenant, version).await?;
        Ok(told(&backup, rows, version))
    }
}

/// Writes a backup's rows into tables that have the same migrations.
pub(super) async fn load_into(loader: &Loader, backup: &Opened<'_>) -> Result<u64, LifecycleError> {
    transfer::load_backup(loader, backup).await?;
    loader.check(&counts(&backup.manifest.tables)).await?;
    Ok(backup.manifest.rows())
}

/// For the journal.
pub(super) fn told(backup: &Opened<'_>, rows: u64, version: i32) -> Value {
    json!({"backup": backup.backup.id, "rows": rows, "from_version": backup.manifest.version, "version": version})
}

impl Step for Fill {
    fn name(&self) -> &'static str {
        "fill"
    }

    fn act<'a>(&'a self, work: &'a Work) -> Act<'a, Value> {
        Box::pin(async move {
            let (target, order): (Target, Order) = (Subject::of(work)?, work.input()?);
            self.0.restore(work, &target, &order).await.map_err(Fault::from)
        })
    }

    /// The logins stay: the step may be done again with the same.
    fn undo<'a>(&'a self, work: &'a Work) -> Act<'a, ()> {
        Box::pin(async move {
            let (target, order): (Target, Order) = (Subject::of(work)?, work.input()?);
            self.0.evict(target.remains(work)).await?;
            self.0.clear_stage(Lifecycle::stage(&target.app, order.stage, work).as_ref(), work).await;
            self.0.drop_storage(target.remains(work)).await?;
            Ok(self.0.readmit(target.remains(work)).await?)
        })
    }
}

/// Two objects in one.
pub(super) fn extend(input: &mut Value, more: Value) {
    if let (Value::Object(input), Value::Object(more)) = (input, more) {
        input.extend(more);
    }
}
