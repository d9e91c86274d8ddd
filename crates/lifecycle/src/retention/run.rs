//! The operation: one tenant after the other, one table after the other.

use catalog::Unsettled;
use domain::{Access, AppName, Role};
use jobs::{Act, Fault, JobsError, Procedure, Step, Work};
use serde_json::{Value, json};

use super::expire::{Expiry, Outcome};
use super::{Order, RETENTION};
use crate::server::Session;
use crate::{Lifecycle, LifecycleError};

/// The journal tells of so many tables at most; the rest is in the control database.
const TOLD: usize = 1000;

/// The one step.
pub(crate) fn retaining(desk: &Lifecycle) -> Procedure {
    Procedure::reversible(vec![Box::new(Retain(desk.clone()))])
}

struct Retain(Lifecycle);

impl Step for Retain {
    fn name(&self) -> &'static str {
        RETENTION
    }

    fn act<'a>(&'a self, work: &'a Work) -> Act<'a, Value> {
        Box::pin(async move {
            let order: Order = work.input()?;
            let unreadable = |_| Fault::Lasting(Box::new(JobsError::Unreadable("operation's input")));
            let app: AppName = order.app.parse().map_err(unreadable)?;
            self.0.retain(work, &app, &order).await
        })
    }

    /// Rows that are gone stay gone, and those that are archived can be read.
    fn undo<'a>(&'a self, work: &'a Work) -> Act<'a, ()> {
        Box::pin(async { Ok(self.0.try_to_settle_archives(Unsettled::Operation(work.operation())).await?) })
    }
}

impl Lifecycle {
    async fn retain(&self, work: &Work, app: &AppName, order: &Order) -> Result<Value, Fault> {
        let ledger = self.catalog.ledger(app, None).await.map_err(LifecycleError::from)?;
        let entries: Vec<_> = ledger
            .into_iter()
            .filter(|entry| entry.present && entry.status.is_settled())
            .filter(|entry| order.tenants.as_ref().is_none_or(|named| named.contains(&entry.tenant.as_uuid())))
            .collect();
        let total = u64::try_from(entries.len()).unwrap_or(u64::MAX);
        let (mut told, mut rows, mut failed) = (Vec::new(), 0_i64, Vec::new());
        // A store that fails for one would keep everybody waiting, and migrations with them.
        let mut store_failed = None;
        for (done, entry) in (0_u64..).zip(&entries) {
            work.holds().await?;
            work.progress(done, total).await?;
            match self.retain_tenant(work, entry, app, order.dry, store_failed.as_deref()).await {
                Ok(outcomes) => {
                    for (table, outcome) in outcomes {
                        rows = rows.saturating_add(outcome.rows);
                        if told.len() < TOLD && (outcome.rows > 0 || outcome.note.is_some()) {
                            let Outcome { rows, held, note, archived } = outcome;
                            told.push(json!({
                                "tenant": entry.slug, "table": table, "rows": rows, "archived": archived, "held": held, "note": note
                            }));
                        }
                    }
                }
                Err(error @ (LifecycleError::Jobs(_) | LifecycleError::Catalog(_) | LifecycleError::Injected(_))) => {
                    return Err(error.into());
                }
                // One tenant that cannot be reached keeps nobody else's old rows.
                Err(error) => {
                    if matches!(error, LifecycleError::Objects(_)) {
                        store_failed = Some(error.to_string());
                    }
                    failed.push(json!({"tenant": entry.slug, "error": error.to_string()}));
                }
            }
        }
        work.progress(total, total).await?;
        Ok(json!({"dry_run": order.dry, "tenants": total, "rows": rows, "tables": told, "failed": failed}))
    }

    async fn retain_tenant(
        &self,
        work: &Work,
        entry: &catalog::Entry,
        app: &AppName,
        dry: bool,
        store_failed: Option<&str>,
    ) -> Result<Vec<(String, Outcome)>, LifecycleError> {
        let limits = self.catalog.retention_limits(entry.tenant).await?;
        if limits.is_empty() {
            return Ok(Vec::new());
        }
        if !dry {
            self.settle_archives(Unsettled::Tenant(entry.tenant)).await?;
        }
        let session = self.as_tenant(entry).await?;
        let mut outcomes = Vec::new();
        for limit in limits {
            let expiry = Expiry { desk: self, work, session: &session, entry, app, rule: &limit.rule, store_failed };
            let outcome = if dry { expiry.count().await? } else { expiry.remove().await? };
            outcomes.push((limit.rule.table, outcome));
        }
        Ok(outcomes)
    }

    /// A tenant has its role to itself, and may have changed its password.
    async fn as_tenant(&self, entry: &catalog::Entry) -> Result<Session, LifecycleError> {
        let role = Role::new(entry.tenant, Access::ReadWrite);
        if let Ok(session) = self.as_role(&entry.placement, role).await {
            return Ok(session);
        }
        self.threshold.restore_roles(entry.tenant, &entry.placement).await?;
        self.as_role(&entry.placement, role).await
    }
}
