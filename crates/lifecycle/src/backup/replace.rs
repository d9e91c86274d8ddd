//! A tenant's rows taken back to what they were: all of them at once, while the tenant is closed.

use catalog::{CatalogError, TenantRef};
use domain::Status;
use jobs::{Act, Fault, JobsError, NewOperation, Procedure, Step, Work};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tracing::info;
use uuid::Uuid;

use super::create::readable;
use super::dump::version_of;
use super::restore::{Order, extend, told};
use crate::subject::{Subject, Target};
use crate::{Lifecycle, LifecycleError};

/// What the operation is called.
pub(crate) const REPLACE: &str = "restore_in_place";

/// What the journal has besides.
#[derive(Debug, Serialize, Deserialize)]
struct Before {
    /// What the tenant is to be again.
    status: String,
}

/// The steps, for whoever does them.
pub(crate) fn replacement(desk: &Lifecycle) -> Procedure {
    Procedure::reversible(vec![
        Box::new(Prepare(desk.clone())),
        Box::new(Close(desk.clone())),
        Box::new(Replace(desk.clone())),
    ])
}

/// What takes long while the tenant may still be open: bringing rows of an older version to the tenant's.
struct Prepare(Lifecycle);
struct Close(Lifecycle);
struct Replace(Lifecycle);

impl Lifecycle {
    /// Replaces a tenant's rows by those of one of its backups.
    pub async fn begin_replacement(&self, id: Uuid, which: &TenantRef) -> Result<Uuid, LifecycleError> {
        let backup = self.open_backup(id).await?.backup;
        let tenant = self.find(which).await?;
        if backup.tenant != tenant.id {
            let why =
                format!("it is of tenant {}, called \"{}\"; restore it as a new tenant", backup.tenant, backup.slug);
            return Err(LifecycleError::BadBackup { backup: id, why });
        }
        readable(&tenant, "only tenants that are active or suspended can be restored")?;
        self.probe.pass("replacement")?;
        let stage = self.stage_cluster(&tenant.app, Some(tenant.placement.cluster)).await?;
        let mut input = Subject::new(tenant.id, &tenant.app, &tenant.placement).to_json();
        extend(&mut input, json!(Order { backup: id, stage }));
        extend(&mut input, json!(Before { status: tenant.status.to_string() }));
        let operation = NewOperation {
            kind: REPLACE,
            subject: tenant.id.as_uuid(),
            title: tenant.slug.as_str(),
            input,
            priority: 0,
        };
        let mut tx = self.catalog.begin().await?;
        let claim = self.jobs.enqueue(&mut tx, operation).await?;
        // What it is to be again is what it is now: whoever has closed it since it was found does not find it open afterwards.
        let now = self.catalog.hold_tenant(&mut tx, tenant.id).await?;
        if now != Some(tenant.status) {
            return Err(CatalogError::Busy("tenant").into());
        }
        tx.commit().await.map_err(CatalogError::from)?;
        let id = claim.operation();
        self.leave(claim, replacement(self));
        Ok(id)
    }

    async fn prepare_rows(&self, work: &Work, target: &Target, order: &Order) -> Result<Value, LifecycleError> {
        let backup = self.open_backup(order.backup).await?;
        let Target { tenant, placement, .. } = target;
        let recorded = self.find(&TenantRef::Id(*tenant)).await?.version;
        let session = self.builder(target.by(work), placement.cluster, Some(&placement.database)).await?;
        let version = version_of(&session, *tenant, placement, recorded).await?;
        let stage = Self::stage(&target.app, order.stage, work);
        let on_stage = self.stage_rows(stage.as_ref(), &backup, version, work).await?;
        Ok(json!({"from_version": backup.manifest.version, "version": version, "migrated": on_stage}))
    }

    async fn replace(&self, work: &Work, target: &Target, order: &Order, status: Status) -> Result<Value, Fault> {
        let backup = self.open_backup(order.backup).await?;
        let tenant = self.find(&TenantRef::Id(target.tenant)).await?;
        // No migration comes between the version that is read and the rows that are written.
        let _turn = self.take_turn(target.by(work), &target.app, &target.placement).await?;
        let loader = self.loader(target.by(work), target.tenant, &target.placement).await?;
        self.probe.pass("replace")?;
        loader.alone().await?;
        let version = loader.version(tenant.version).await?;
        loader.empty().await?;
        let stage = Self::stage(&target.app, order.stage, work);
        let rows = self.fill(&loader, &backup, version, stage.as_ref(), work).await?;
        if backup.manifest.version != version {
            self.clear_stage(stage.as_ref(), work).await;
        }
        loader.stamp(version).await?;
        self.readmit(target.remains(work)).await?;
        let output = told(&backup, rows, version);
        // The operation is done with the rows: nobody can cancel it between the two.
        let mut tx = work.begin().await?;
        work.conclude(&mut tx, Some(&output)).await?;
        loader.commit().await?;
        let from = [Status::Active, Status::Suspended];
        let opened = self.catalog.set_status(tx, target.tenant, &from, status).await;
        if opened.map_err(LifecycleError::from)? {
            info!(tenant = %target.tenant, slug = %tenant.slug, backup = %order.backup, rows, "tenant restored");
            return Ok(output);
        }
        Err(LifecycleError::Unverified(format!("status of tenant {}", target.tenant)).into())
    }
}

impl Step for Prepare {
    fn name(&self) -> &'static str {
        "prepare"
    }

    fn act<'a>(&'a self, work: &'a Work) -> Act<'a, Value> {
        Box::pin(async move {
            let (target, order): (Target, Order) = (Subject::of(work)?, work.input()?);
            self.0.prepare_rows(work, &target, &order).await.map_err(Fault::from)
        })
    }

    fn undo<'a>(&'a self, work: &'a Work) -> Act<'a, ()> {
        Box::pin(async move {
            let (target, order): (Target, Order) = (Subject::of(work)?, work.input()?);
            self.0.clear_stage(Lifecycle::stage(&target.app, order.stage, work).as_ref(), work).await;
            Ok(())
        })
    }
}

impl Step for Close {
    fn name(&self) -> &'static str {
        "close"
    }

    fn act<'a>(&'a self, work: &'a Work) -> Act<'a, Value> {
        Box::pin(async move {
            let target = Subject::of(work)?;
            let tx = work.begin().await?;
            let from = [Status::Active, Status::Suspended];
            let closed = self.0.catalog.set_status(tx, target.tenant, &from, Status::Suspended).await;
            if !closed.map_err(LifecycleError::from)? {
                return Err(LifecycleError::Unverified(format!("status of tenant {}", target.tenant)).into());
            }
            self.0.evict(target.remains(work)).await?;
            Ok(Value::Null)
        })
    }

    /// Whatever has been written is there whole or not at all.
    fn undo<'a>(&'a self, work: &'a Work) -> Act<'a, ()> {
        Box::pin(async move {
            let target = Subject::of(work)?;
            self.0.readmit(target.remains(work)).await?;
            let tx = work.begin().await?;
            let opened = self.0.catalog.set_status(tx, target.tenant, &[Status::Suspended], before(work)?).await;
            opened.map(drop).map_err(|error| LifecycleError::from(error).into())
        })
    }

    fn clear<'a>(&'a self, _: &'a Work) -> Act<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}

impl Step for Replace {
    fn name(&self) -> &'static str {
        "replace"
    }

    fn act<'a>(&'a self, work: &'a Work) -> Act<'a, Value> {
        Box::pin(async move {
            let (target, order): (Target, Order) = (Subject::of(work)?, work.input()?);
            self.0.replace(work, &target, &order, before(work)?).await
        })
    }

    /// What was staged goes before the rows are committed, so it may be gone, and is staged again.
    fn clear<'a>(&'a self, work: &'a Work) -> Act<'a, ()> {
        Box::pin(async move {
            let (target, order): (Target, Order) = (Subject::of(work)?, work.input()?);
            self.0.evict(target.remains(work)).await?;
            self.0.clear_stage(Lifecycle::stage(&target.app, order.stage, work).as_ref(), work).await;
            self.0.prepare_rows(work, &target, &order).await.map_err(Fault::from)?;
            Ok(())
        })
    }

    /// A transaction that was cut off has changed nothing; its session may still be there.
    fn undo<'a>(&'a self, work: &'a Work) -> Act<'a, ()> {
        Box::pin(async move {
            let target = Subject::of(work)?;
            Ok(self.0.evict(target.remains(work)).await?)
        })
    }
}

fn before(work: &Work) -> Result<Status, Fault> {
    let Before { status } = work.input()?;
    let status = status.parse();
    status.map_err(|_| Fault::Lasting(Box::new(JobsError::Unreadable("operation's input"))))
}
