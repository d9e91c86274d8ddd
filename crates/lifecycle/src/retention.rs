//! Removing rows that are older than they are to be kept.
//!
//! Each tenant's rows are removed by the tenant's own login, with nothing but its rights: where tables are shared, policies keep it to its
//! own rows, and whatever the app's triggers do, they do as the tenant. A few rows are a transaction of their own, so nobody waits long
//! for any, and whoever goes on after a crash begins where there are old rows left.
//!
//! Partitions stay, even empty ones: what tables look like is the migrations' (`crate::shape`), and a table that lacks a partition would
//! be taken for one that somebody has changed.

mod expire;
mod run;

use std::collections::BTreeMap;

use catalog::{RetentionLimit, RetentionRule, RetentionRun, TenantRef};
use domain::{AppName, Keep};
use jobs::NewOperation;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tenantize::{Manifest, Plan};
use uuid::Uuid;

use crate::migrate::subject;
use crate::{Lifecycle, LifecycleError};

pub(crate) use run::retaining;

/// What the operation is called.
pub(crate) const RETENTION: &str = "retention";

/// What the operation's journal has of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) app: String,
    /// All of them, if none is named.
    pub(crate) tenants: Option<Vec<Uuid>>,
    /// Rows are only counted.
    pub(crate) dry: bool,
}

/// An app's rules, and what has come of them.
#[derive(Debug)]
pub struct Retained {
    /// By table.
    pub rules: Vec<RetentionRule>,
    /// By tenant and table.
    pub runs: Vec<RetentionRun>,
}

impl Lifecycle {
    /// Has rows removed that are older than they are to be kept: those of these tenants, or of all. `dry` only counts them. Returns the
    /// operation.
    pub async fn begin_retention(
        &self,
        app: &AppName,
        tenants: Option<Vec<TenantRef>>,
        dry: bool,
    ) -> Result<Uuid, LifecycleError> {
        self.app(app).await?;
        let mut ids = Vec::new();
        for which in tenants.iter().flatten() {
            let tenant = self.find(which).await?;
            if tenant.app != *app {
                let why =
                    format!("tenant \"{}\" uses the app {}, not {app}; name tenants of {app}", tenant.slug, tenant.app);
                return Err(LifecycleError::BadRetention(why));
            }
            ids.push(tenant.id.as_uuid());
        }
        self.has_rules(app).await?;
        let input = json!(Order { app: app.to_string(), tenants: tenants.map(|_| ids), dry });
        let operation =
            NewOperation { kind: RETENTION, subject: subject(app), title: app.as_str(), input, priority: 0 };
        self.start(operation, retaining(self)).await
    }

    /// There is something to be done only where an app says so.
    pub(crate) async fn has_rules(&self, app: &AppName) -> Result<(), LifecycleError> {
        if self.catalog.retention_rules(app).await?.is_empty() {
            let why = format!(
                "app {app} says of no table for how long its rows are kept; write a [retention.…] into its app.toml, and give that with \
                 `sindico app add` or `sindico migrate apply`"
            );
            return Err(LifecycleError::BadRetention(why));
        }
        Ok(())
    }

    /// An app's rules, and what has come of them.
    pub async fn retained(&self, app: &AppName) -> Result<Retained, LifecycleError> {
        self.app(app).await?;
        let rules = self.catalog.retention_rules(app).await?;
        Ok(Retained { rules, runs: self.catalog.retention_runs(app).await? })
    }

    /// What holds for one tenant.
    pub async fn retention_of(&self, which: &TenantRef) -> Result<Vec<RetentionLimit>, LifecycleError> {
        Ok(self.catalog.retention_limits(self.find(which).await?.id).await?)
    }

    /// Gives a tenant times of its own, by table; where it has none, the app's hold.
    pub async fn set_retention(
        &self,
        which: &TenantRef,
        own: BTreeMap<String, Keep>,
    ) -> Result<Vec<RetentionLimit>, LifecycleError> {
        let tenant = self.find(which).await?;
        let rules = self.catalog.retention_rules(&tenant.app).await?;
        if let Some(unknown) = own.keys().find(|table| rules.iter().all(|rule| rule.table != **table)) {
            let known: Vec<&str> = rules.iter().map(|rule| rule.table.as_str()).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Err(LifecycleError::BadRetention(format!(
                "app {} has no rule for a table {unknown:?}; its app.toml has rules for: {known}",
                tenant.app
            )));
        }
        self.catalog.put_tenant_retention(tenant.id, &own).await?;
        Ok(self.catalog.retention_limits(tenant.id).await?)
    }

    /// Makes what a manifest says of it the app's rules.
    pub(crate) async fn put_rules(&self, manifest: &Manifest) -> Result<(), LifecycleError> {
        let rules: Vec<RetentionRule> = manifest
            .retention
            .iter()
            .map(|(table, rule)| RetentionRule {
                table: table.clone(),
                column: rule.column.clone(),
                keep: rule.keep.clone(),
                archive: rule.archive.clone(),
            })
            .collect();
        self.catalog.put_retention(&manifest.name, &rules).await?;
        Ok(self.catalog.set_warm_pool(&manifest.name, manifest.warm_pool).await?)
    }
}

/// Makes sure that a manifest's rules fit the app's tables.
pub(crate) fn check_rules(manifest: &Manifest, plan: &Plan) -> Result<(), LifecycleError> {
    let checked = plan.check_retention(&manifest.retention);
    checked.map(drop).map_err(|fault| LifecycleError::BadApp(fault.to_string()))
}
