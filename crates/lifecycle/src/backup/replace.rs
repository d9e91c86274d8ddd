//! A tenant's rows taken back to what they were: all of them at once, while the tenant is closed.

use catalog::{Tenant, TenantRef};
use domain::Status;
use jobs::{Act, Fault, NewOperation, Procedure, Step, Work};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tracing::info;
use uuid::Uuid;

use super::restore::{Order, extend};
use super::transfer;
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
        let backup = self.restorable(id).await?;
        let tenant = self.find(which).await?;
        if backup.tenant != tenant.id {
            let why =
                format!("it is of tenant {}, called \"{}\"; restore it as a new tenant", backup.tenant, backup.slug);
            return Err(LifecycleError::BadBackup { backup: id, why });
        }
        if !matches!(tenant.status, Status::Active | Status::Suspended) {
            let remedy = "only tenants that are active or suspended can be restored";
            return Err(LifecycleError::WrongStatus { slug: tenant.slug, status: tenant.status, remedy });
        }
        if !tenant.present {
            return Err(LifecycleError::SchemaMissing(tenant.slug));
        }
        let stage = self.stage_cluster(&tenant.app, Some(tenant.placement.cluster)).await?;
        let mut input = Subject::new(tenant.id, &tenant.app, &tenant.placement).to_json();
        extend(&mut input, json!(Order { backup: id, stage }));
        extend(&mut input, json!(Before { status: tenant.status.to_string() }));
        let mut tx = self.catalog.begin().await?;
        let operation = NewOperation {
            kind: REPLACE,
            subject: tenant.id.as_uuid(),
            title: tenant.slug.as_str(),
            input,
            priority: 0,
        };
        let claim = self.jobs.enqueue(&mut tx, operation).await?;
        tx.commit().await.map_err(catalog::CatalogError::from)?;
        let operation = claim.operation();
        self.leave(claim, replacement(self));
        Ok(operation)
    }

    async fn prepare_rows(&self, work: &Work, target: &Target, order: &Order) -> Result<Value, LifecycleError> {
        let backup = self.whole_backup(order.backup).await?;
        let manifest = self.backup_manifest(order.backup).await?;
        let tenant = self.find(&TenantRef::Id(target.tenant)).await?;
        let version = self.snapshot_of(target.by(work), &tenant).await?.version;
        let stage = Self::stage(&target.app, order.stage, work);
        let on_stage = self.stage_rows(Self::borrowed(&stage, &target.app), &manifest, &backup, version, work).await?;
        Ok(json!({"from_version": manifest.version, "version": version, "migrated": on_stage}))
    }

    async fn replace(&self, work: &Work, target: &Target, order: &Order, status: Status) -> Result<Value, Fault> {
        let backup = self.whole_backup(order.backup).await?;
        let manifest = self.backup_manifest(order.backup).await?;
        let tenant: Tenant = self.find(&TenantRef::Id(target.tenant)).await?;
        // No migration comes between the version that is read and the rows that are written.
        let _turn = self.take_turn(target.by(work), &target.app, &target.placement).await?;
        let loader = self.loader(target.by(work), target.tenant, &target.placement).await?;
        self.probe.pass("replace")?;
        loader.alone().await?;
        let version = loader.version(tenant.version).await?;
        loader.empty().await?;
        let rows = if manifest.version == version {
            self.load_into(&loader, &manifest, &backup).await?
        } else {
            let stage = Self::stage(&target.app, order.stage, work)?;
            let poured = transfer::pour(&self.staged(&stage, version, work).await?, &loader).await?;
            loader.check(&poured).await?;
            self.clear_stage(Some(&stage), work).await;
            poured.iter().map(|(_, rows)| rows).sum()
        };
        loader.stamp(version).await?;
        self.readmit(target.remains(work)).await?;
        let output =
            json!({"backup": order.backup, "rows": rows, "from_version": manifest.version, "version": version});
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
            self.0.clear_stage(Lifecycle::stage(&target.app, order.stage, work).ok().as_ref(), work).await;
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
    status.map_err(|_| Fault::Lasting(Box::new(jobs::JobsError::Unreadable("operation's input"))))
}
