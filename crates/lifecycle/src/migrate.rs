//! Bringing an app and all of its tenants to newer migrations: rehearse → global → canaries → switch → tenants.
//!
//! Each migration is a transaction of its own on whatever has tables of its own, which writes beside them how far they have come
//! ([`crate::stamp`]). So nothing is done twice, whoever goes on with it, and whoever fails keeps the last version that it has whole.

mod begin;
mod fan_out;
mod options;
mod overview;
mod reconcile;
mod rehearse;
mod rehearsed;
mod shared;
mod steps;
pub(crate) mod transact;
pub(crate) mod unit;
mod verify;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use catalog::AppFile;
use domain::AppName;
use jobs::Procedure;
use serde::{Deserialize, Serialize};
use tenantize::{Plan, Upgrade};
use uuid::Uuid;

use crate::add_app::{plan_files, sources};
use crate::shape::mark;
use crate::{Lifecycle, LifecycleError};

pub use options::MigrateOptions;
pub use overview::{Overview, PlannedMigration, PlannedPart, PlannedStatement, TenantVersion, UpgradePlan};
pub(crate) use transact::last_value;
pub(crate) use verify::{VERIFY, verification};

/// What the operation is called.
pub(crate) const MIGRATE: &str = "migrate";

/// What it is called where nothing but its first step is done.
pub(crate) const REHEARSE: &str = "rehearse";

/// What the operation's journal has of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) app: String,
    pub(crate) release: i32,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) fingerprint: String,
    pub(crate) options: MigrateOptions,
}

/// The steps, for whoever does them.
pub(crate) fn migration(desk: &Lifecycle) -> Procedure {
    Procedure::reversible(vec![
        Box::new(steps::Rehearse(desk.clone())),
        Box::new(steps::Global(desk.clone())),
        Box::new(steps::Canaries(desk.clone())),
        Box::new(steps::Switch(desk.clone())),
        Box::new(steps::Tenants(desk.clone())),
    ])
}

/// The first step by itself.
pub(crate) fn rehearsal(desk: &Lifecycle) -> Procedure {
    Procedure::reversible(vec![Box::new(steps::Rehearse(desk.clone()))])
}

/// What stands for an app where operations name what they change.
pub(crate) fn subject(app: &AppName) -> Uuid {
    subject_named(&format!("sindico app {app}"))
}

/// The same for what is no app, either.
pub(crate) fn subject_named(name: &str) -> Uuid {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, name.as_bytes());
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// A release, and the ways to it.
#[derive(Debug)]
pub(crate) struct Course {
    pub(crate) app: AppName,
    pub(crate) release: i32,
    pub(crate) files: Vec<AppFile>,
    pub(crate) plan: Arc<Plan>,
    /// By the version that each begins with.
    upgrades: Mutex<HashMap<i32, Arc<Upgrade>>>,
    /// What tables of a version are built from.
    built_from: Mutex<HashMap<i32, Arc<str>>>,
}

impl Course {
    pub(crate) fn new(app: AppName, release: i32, files: Vec<AppFile>, plan: Arc<Plan>) -> Self {
        Self { app, release, files, plan, upgrades: Mutex::default(), built_from: Mutex::default() }
    }

    /// The version that it leads to.
    pub(crate) fn version(&self) -> i32 {
        self.plan.version()
    }

    /// Its migrations, in order.
    pub(crate) fn migrations(&self) -> impl Iterator<Item = &AppFile> {
        self.files.iter().filter(|file| file.is_migration())
    }

    /// What the first migrations alone make.
    pub(crate) fn files_of(&self, version: i32) -> Vec<AppFile> {
        self.migrations().take(usize::try_from(version).unwrap_or(0)).cloned().collect()
    }

    /// What tables in a schema are built from that have a version.
    pub(crate) fn built_from(&self, version: i32) -> Result<Arc<str>, LifecycleError> {
        let known = || self.built_from.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known().get(&version) {
            return Ok(Arc::clone(known));
        }
        let built: Arc<str> = if version == self.version() {
            mark::built_from(&self.plan).into()
        } else {
            mark::built_from(&plan_files(&self.files_of(version))?).into()
        };
        known().insert(version, Arc::clone(&built));
        Ok(built)
    }

    /// The one migration that follows on a version. It is read without those after it, so that it is the same whenever it runs.
    pub(crate) fn upgrade(&self, from: i32) -> Result<Arc<Upgrade>, LifecycleError> {
        let known = self.upgrades.lock().unwrap_or_else(PoisonError::into_inner).get(&from).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let files = self.files_of(from.saturating_add(1));
        let applied = usize::try_from(from).unwrap_or(0);
        let upgrade = tenantize::upgrade(&sources(&files)?, applied).map_err(LifecycleError::Refused)?;
        let upgrade = Arc::new(upgrade);
        self.upgrades.lock().unwrap_or_else(PoisonError::into_inner).insert(from, Arc::clone(&upgrade));
        Ok(upgrade)
    }
}

/// The name of a version: its last migration's.
pub(crate) fn version_name(files: &[AppFile], version: i32) -> String {
    let nth = usize::try_from(version).unwrap_or(0).checked_sub(1);
    let file = nth.and_then(|nth| files.iter().filter(|file| file.is_migration()).nth(nth));
    let path = file.map_or("", |file| file.path.as_str());
    path.trim_start_matches("migrations/").trim_end_matches(".sql").to_owned()
}
