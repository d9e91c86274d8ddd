//! Backing up every tenant of an app.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use catalog::{BackupFilter, BackupState, Tenant, TenantFilter, TenantRef};
use domain::{AppName, Status, TenantId};
use futures_util::future::join_all;
use jobs::{Act, Fault, NewOperation, Procedure, Step, Work};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::sleep;
use tracing::warn;
use uuid::Uuid;

use crate::migrate::subject_named;
use crate::operations::left;
use crate::{Lifecycle, LifecycleError};

/// What the operation is called.
pub(crate) const BACKUPS: &str = "backups";

/// So many tenants at a time: servers have clients to serve.
const PARALLEL: usize = 2;

const PAGE: i64 = 1000;

/// After these a tenant is tried again whose session was ended.
const AGAIN: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(2)];

#[derive(Debug, Serialize, Deserialize)]
struct Order {
    app: AppName,
}

/// The one step.
pub(crate) fn backups(desk: &Lifecycle) -> Procedure {
    Procedure::reversible(vec![Box::new(CopyAll(desk.clone()))])
}

struct CopyAll(Lifecycle);

/// How far it is.
struct Count {
    left: Mutex<VecDeque<Tenant>>,
    failures: Mutex<Vec<String>>,
    total: usize,
}

impl Lifecycle {
    /// Backs up every tenant of an app that is active or suspended. Who fails is told of; the others have theirs all the same.
    pub async fn begin_backups(&self, app: &AppName) -> Result<Uuid, LifecycleError> {
        self.can_back_up(app).await?;
        let input = json!(Order { app: app.clone() });
        let operation =
            NewOperation { kind: BACKUPS, subject: subject_of(app), title: app.as_str(), input, priority: -1 };
        self.start(operation, backups(self)).await
    }

    /// There is such an app, and somewhere to put backups.
    pub(crate) async fn can_back_up(&self, app: &AppName) -> Result<(), LifecycleError> {
        self.store()?;
        self.app(app).await.map(drop)
    }

    async fn copy_all(&self, app: &AppName, work: &Work) -> Result<Value, Fault> {
        let done = self.done_by(app, work.operation()).await?;
        let tenants = self.every_tenant(app).await?;
        let total = tenants.len();
        let rest: VecDeque<Tenant> = tenants.into_iter().filter(|tenant| !done.contains(&tenant.id)).collect();
        let count = Count { left: Mutex::new(rest), failures: Mutex::default(), total };
        for ended in join_all((0..PARALLEL).map(|_| self.copy_from(&count, work))).await {
            ended?;
        }
        let failures = std::mem::take(&mut *count.failures.lock().unwrap_or_else(PoisonError::into_inner));
        match failures.first() {
            None => {
                // Of tenants that were removed meanwhile.
                self.remove_unfinished(work).await?;
                Ok(json!({"tenants": total}))
            }
            Some(first) => {
                Err(LifecycleError::NotBackedUp { failed: failures.len(), total, first: first.clone() }.into())
            }
        }
    }

    async fn copy_from(&self, count: &Count, work: &Work) -> Result<(), Fault> {
        loop {
            let next = count.left.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(tenant) = next else { return Ok(()) };
            match self.copy_patiently(&tenant, work).await {
                Ok(()) => {}
                Err(Fault::Lost) => return Err(Fault::Lost),
                Err(fault) => self.note_failure(&tenant, &fault, count).await?,
            }
            let total = u64::try_from(count.total).unwrap_or(u64::MAX);
            work.progress(total.saturating_sub(left(&count.left)), total).await?;
        }
    }

    /// Whose session was ended may just have been taken back to a backup.
    async fn copy_patiently(&self, tenant: &Tenant, work: &Work) -> Result<(), Fault> {
        let mut pauses = AGAIN.iter();
        loop {
            let Err(fault) = self.copy_one(tenant, work).await else { return Ok(()) };
            let Some(pause) = pauses.next().filter(|_| was_cut_off(&fault)) else { return Err(fault) };
            warn!(tenant = %tenant.id, slug = %tenant.slug, error = %fault, "tenant not backed up yet; it is tried again");
            sleep(*pause).await;
        }
    }

    async fn copy_one(&self, tenant: &Tenant, work: &Work) -> Result<(), Fault> {
        let (_, _, tx) = self.copy_tenant(work, tenant).await?;
        Ok(tx.commit().await?)
    }

    /// Whoever is being removed may fail.
    async fn note_failure(&self, tenant: &Tenant, fault: &Fault, count: &Count) -> Result<(), Fault> {
        let still = self.catalog.tenant(&TenantRef::Id(tenant.id)).await.map_err(LifecycleError::from)?;
        if still.is_none_or(|tenant| tenant.status == Status::Deleting || !tenant.present) {
            return Ok(());
        }
        warn!(tenant = %tenant.id, slug = %tenant.slug, error = %fault, "tenant not backed up");
        let failure = format!("tenant \"{}\": {fault}", tenant.slug);
        count.failures.lock().unwrap_or_else(PoisonError::into_inner).push(failure);
        Ok(())
    }

    async fn every_tenant(&self, app: &AppName) -> Result<Vec<Tenant>, LifecycleError> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let filter = TenantFilter { app: Some(app.clone()), after, limit: PAGE, ..TenantFilter::default() };
            let page = self.catalog.tenants(&filter).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            let there = |it: &Tenant| it.present && it.status.is_settled();
            all.extend(page.into_iter().filter(there));
        }
        Ok(all)
    }

    /// Those that the operation has backed up before it was cut off.
    async fn done_by(&self, app: &AppName, operation: Uuid) -> Result<HashSet<TenantId>, LifecycleError> {
        let (mut done, mut before) = (HashSet::new(), None);
        loop {
            let (state, limit) = (Some(BackupState::Complete), PAGE);
            let filter = BackupFilter { tenant: None, app: Some(app.clone()), state, before, limit };
            let page = self.catalog.backups(&filter).await?;
            let Some(last) = page.last() else { break };
            before = Some(last.id);
            let own: Vec<TenantId> = page.iter().filter(|it| it.operation == operation).map(|it| it.tenant).collect();
            done.extend(own);
            // Whatever is older than the operation is not its own.
            if last.id < operation {
                break;
            }
        }
        Ok(done)
    }
}

/// Not if the store does not answer: that is so for all tenants.
fn was_cut_off(fault: &Fault) -> bool {
    let Fault::Passing(cause) = fault else { return false };
    cause.downcast_ref::<LifecycleError>().is_some_and(|error| matches!(error, LifecycleError::Server { .. }))
}

/// Nothing of the app itself is changed, so it can be migrated meanwhile.
pub(crate) fn subject_of(app: &AppName) -> Uuid {
    subject_named(&format!("sindico backups of {app}"))
}

impl Step for CopyAll {
    fn name(&self) -> &'static str {
        "copy"
    }

    fn act<'a>(&'a self, work: &'a Work) -> Act<'a, Value> {
        Box::pin(async move {
            let Order { app } = work.input()?;
            self.0.copy_all(&app, work).await
        })
    }

    /// Those that are whole stay.
    fn undo<'a>(&'a self, work: &'a Work) -> Act<'a, ()> {
        Box::pin(async move { Ok(self.0.remove_unfinished(work).await?) })
    }
}
