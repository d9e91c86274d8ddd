//! Restoring a backup where nobody is, to see whether it can be.

use domain::AppName;
use jobs::{Act, Fault, NewOperation, Procedure, Step, Work};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::restore::load_into;
use super::stage::{Stage, no_stage};
use super::transfer;
use crate::{Lifecycle, LifecycleError};

/// What the operation is called.
pub(crate) const VERIFY_BACKUP: &str = "verify_backup";

#[derive(Debug, Serialize, Deserialize)]
struct Order {
    backup: Uuid,
    app: AppName,
    stage: Option<Uuid>,
}

/// The one step.
pub(crate) fn trial(desk: &Lifecycle) -> Procedure {
    Procedure::reversible(vec![Box::new(Try(desk.clone()))])
}

struct Try(Lifecycle);

impl Lifecycle {
    /// Restores a backup for a trial, and compares every row with what was backed up.
    pub async fn begin_backup_verification(&self, id: Uuid) -> Result<Uuid, LifecycleError> {
        let backup = self.whole_backup(id).await?;
        self.store_of(&backup)?;
        let stage = self.stage_cluster(&backup.app, None).await?;
        let input = json!(Order { backup: id, app: backup.app.clone(), stage });
        let operation =
            NewOperation { kind: VERIFY_BACKUP, subject: id, title: backup.slug.as_str(), input, priority: -1 };
        self.start(operation, trial(self)).await
    }

    async fn try_backup(&self, order: &Order, stage: &Stage, work: &Work) -> Result<Value, LifecycleError> {
        let backup = self.open_backup(order.backup).await?;
        let manifest = &backup.manifest;
        self.raise_stage(stage, manifest.version, work).await?;
        self.probe.pass("trial")?;
        let loader = self.loader(stage.by(work), stage.tenant, &stage.placement).await?;
        load_into(&loader, &backup).await?;
        loader.commit().await?;
        drop(loader);
        let snapshot = self.snapshot(stage.by(work), stage.tenant, &stage.placement, manifest.version).await?;
        for table in &manifest.tables {
            let bad = |why: String| LifecycleError::BadBackup { backup: order.backup, why };
            let found = snapshot.tables.iter().find(|it| it.name == table.name);
            let mut found = found.ok_or_else(|| bad(format!("table {} was not restored", table.name)))?.clone();
            // In the order in which they were written.
            found.columns.clone_from(&table.columns);
            let tally = transfer::count(&snapshot, &found).await?;
            if tally.rows != table.rows || tally.digest() != table.digest {
                return Err(bad(format!(
                    "rows of table {} are not those that were backed up once they are restored",
                    table.name
                )));
            }
        }
        if snapshot.sequences().await? != manifest.sequences {
            let why = "its sequences do not come to the same values when they are restored".to_owned();
            return Err(LifecycleError::BadBackup { backup: order.backup, why });
        }
        Ok(json!({"backup": order.backup, "tables": manifest.tables.len(), "rows": manifest.rows()}))
    }
}

impl Step for Try {
    fn name(&self) -> &'static str {
        "trial"
    }

    fn act<'a>(&'a self, work: &'a Work) -> Act<'a, Value> {
        Box::pin(async move {
            let order: Order = work.input()?;
            let stage = Lifecycle::stage(&order.app, order.stage, work).ok_or_else(|| no_stage(&order.app))?;
            let tried = self.0.try_backup(&order, &stage, work).await;
            // A server that does not answer says nothing of the backup.
            let fault = match tried {
                Ok(output) => {
                    self.0.catalog.set_backup_verified(order.backup, None).await.map_err(LifecycleError::from)?;
                    self.0.strike_stage(&stage, work).await?;
                    return Ok(output);
                }
                Err(error) => Fault::from(error),
            };
            if let Fault::Lasting(cause) = &fault {
                let error = cause.to_string();
                self.0.catalog.set_backup_verified(order.backup, Some(&error)).await.map_err(LifecycleError::from)?;
            }
            Err(fault)
        })
    }

    fn undo<'a>(&'a self, work: &'a Work) -> Act<'a, ()> {
        Box::pin(async move {
            let order: Order = work.input()?;
            self.0.clear_stage(Lifecycle::stage(&order.app, order.stage, work).as_ref(), work).await;
            Ok(())
        })
    }
}
