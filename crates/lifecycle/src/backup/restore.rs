//! A new tenant made from a backup, in any isolation, with the migrations that its app has by now.

use catalog::Backup;
use domain::{Access, Role};
use jobs::{Act, Fault, NewOperation, Procedure, Step, Work};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::load::{Loader, counts};
use super::manifest::Manifest;
use super::stage::Stage;
use super::{folder, transfer};
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
        let backup = self.restorable(id).await?;
        if backup.app != new.app {
            return Err(LifecycleError::BadBackup { backup: id, why: format!("it is of a tenant of {}", backup.app) });
        }
        let (mut tx, reserved) = self.reserve_record(&new).await?;
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
        let made = self.record(tx, reserved, &claim).await?;
        self.leave(claim, restoration(self));
        Ok(made)
    }

    /// A backup that is whole, in the store that is configured, and signed.
    pub(super) async fn restorable(&self, id: Uuid) -> Result<Backup, LifecycleError> {
        let backup = self.whole_backup(id).await?;
        Manifest::read(self.store_of(&backup)?, &self.backup_key(backup.tenant), &backup).await?;
        Ok(backup)
    }

    /// Writes a backup's rows into tables of a version: at once, or by way of a stage on which they are migrated, and which stays.
    pub(super) async fn fill(
        &self,
        loader: &Loader,
        manifest: &Manifest,
        backup: &Backup,
        version: i32,
        stage: Option<&Stage>,
        work: &Work,
    ) -> Result<u64, LifecycleError> {
        let (store, key) = (self.store_of(backup)?, self.backup_key(backup.tenant));
        let folder = folder(&backup.app, backup.tenant, backup.id);
        if manifest.version == version {
            transfer::load_backup(loader, store, &key, &folder, manifest).await?;
            loader.check(&counts(&manifest.tables)).await?;
            return Ok(manifest.rows());
        }
        let fits = manifest.version < version;
        let Some(stage) = stage.filter(|_| fits) else {
            let why = format!(
                "it has version {} of {}, and the tables have {version}; migrate them first",
                manifest.version, backup.app
            );
            return Err(LifecycleError::BadBackup { backup: backup.id, why });
        };
        self.raise_stage(stage, manifest.version, work).await?;
        let staged = self.loader(stage.by(work), stage.tenant, &stage.placement).await?;
        transfer::load_backup(&staged, store, &key, &folder, manifest).await?;
        staged.check(&counts(&manifest.tables)).await?;
        staged.commit().await?;
        self.probe.pass("staged")?;
        self.advance_stage(stage, manifest.version, version, work).await?;
        let snapshot = self.snapshot(stage.by(work), stage.tenant, &stage.placement, version).await?;
        let poured = transfer::pour(&snapshot, loader).await?;
        loader.check(&poured).await?;
        Ok(poured.iter().map(|(_, rows)| rows).sum())
    }

    async fn restore(&self, work: &Work, target: &Target, order: &Order) -> Result<Value, LifecycleError> {
        let backup = self.whole_backup(order.backup).await?;
        let manifest = self.backup_manifest(order.backup).await?;
        let stage = Self::stage(&target.app, order.stage, work).ok();
        let turn = self.take_turn(target.by(work), &target.app, &target.placement).await?;
        let plan = turn.plan();
        let site = target.site(&plan, work);
        self.create_storage(&site, &turn).await?;
        self.probe.pass("fill")?;
        let loader = self.loader(target.by(work), target.tenant, &target.placement).await?;
        let rows = self.fill(&loader, &manifest, &backup, plan.version(), stage.as_ref(), work).await?;
        loader.commit().await?;
        if let Some(stage) = &stage {
            self.strike_stage(stage, work).await?;
        }
        let session = self.as_role(&target.placement, Role::new(target.tenant, Access::ReadWrite)).await?;
        self.verify(&session, &site).await?;
        self.catalog.set_made_with(target.tenant, plan.version()).await?;
        Ok(json!({"backup": order.backup, "rows": rows, "from_version": manifest.version, "version": plan.version()}))
    }
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
            if let Ok(stage) = Lifecycle::stage(&target.app, order.stage, work) {
                self.0.strike_stage(&stage, work).await?;
            }
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
