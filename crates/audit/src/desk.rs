//! Audits that run in the background, one at a time.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use catalog::{CatalogError, ChangeLock, TenantRef};
use tokio::sync::watch;
use uuid::Uuid;

use crate::inspect::{self, Finding};
use crate::run::{Auditor, Progress, Target};
use crate::{AuditError, NotRun, Report};

/// The audit that this process began last.
#[derive(Debug, Clone, Default)]
pub(crate) struct Desk {
    current: Arc<Mutex<Option<Current>>>,
}

#[derive(Debug, Clone)]
struct Current {
    id: Uuid,
    progress: watch::Receiver<Progress>,
    outcome: Arc<OnceLock<Outcome>>,
}

/// What came of an audit: its report, or why there is none.
type Outcome = Result<Arc<Report>, String>;

/// How an audit stands.
#[derive(Debug, Clone)]
pub enum Standing {
    /// At work.
    Running(Progress),
    /// Ended with a report.
    Done(Arc<Report>),
    /// Ended without one, and why.
    Failed(String),
}

impl Auditor {
    /// Begins an audit and gives back its id. It goes on whoever asked for it.
    pub async fn start(&self, target: Target) -> Result<Uuid, AuditError> {
        self.check(&target).await?;
        let lock = self.lock().await?;
        let id = Uuid::now_v7();
        let (sender, progress) = watch::channel(Progress::default());
        let outcome = Arc::new(OnceLock::new());
        let current = Current { id, progress, outcome: Arc::clone(&outcome) };
        *self.desk.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(current);
        let auditor = self.clone();
        self.tasks.spawn(async move {
            let report = auditor.run_under(lock, &target, sender).await;
            let ended = report.map(Arc::new).map_err(|error| error.to_string());
            if let Err(reason) = &ended {
                tracing::error!(reason, "an audit failed");
            }
            let _set_once = outcome.set(ended);
        });
        Ok(id)
    }

    /// How an audit stands that this process began; none if it is not the latest.
    #[must_use]
    pub fn standing(&self, id: Uuid) -> Option<Standing> {
        let current = self.desk.current.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let current = current.filter(|current| current.id == id)?;
        Some(match current.outcome.get() {
            None => Standing::Running(*current.progress.borrow()),
            Some(Ok(report)) => Standing::Done(Arc::clone(report)),
            Some(Err(reason)) => Standing::Failed(reason.clone()),
        })
    }

    /// Carries out an audit and waits for its report.
    pub async fn run(&self, target: &Target, progress: watch::Sender<Progress>) -> Result<Report, AuditError> {
        let lock = self.lock().await?;
        self.run_under(lock, target, progress).await
    }

    /// The name of the installation, which is part of the canaries' own.
    #[must_use]
    pub fn installation(&self) -> String {
        self.ground.catalog.master().installation()
    }

    /// Reads the catalogs of all clusters for what is not as it should be, without any attack.
    pub async fn inspect(&self) -> Result<Vec<Finding>, AuditError> {
        let apps = self.ground.catalog.apps().await?.into_iter().map(|app| app.name).collect::<Vec<_>>();
        let inspected = inspect::installation(&self.ground.catalog, &apps).await?;
        match inspected.not_run.into_iter().next() {
            None => Ok(inspected.findings),
            Some(NotRun { part, reason }) => Err(AuditError::Inspection { part, reason }),
        }
    }

    async fn lock(&self) -> Result<ChangeLock, AuditError> {
        self.ground.catalog.lock_audit().await.map_err(|error| match error {
            CatalogError::Busy(_) => AuditError::Busy,
            error => error.into(),
        })
    }

    /// Whether the tenant that a target names is there.
    async fn check(&self, target: &Target) -> Result<(), AuditError> {
        let Some(which) = &target.tenant else { return Ok(()) };
        if self.ground.catalog.tenant(which).await?.is_some() {
            return Ok(());
        }
        Err(AuditError::UnknownTenant(match which {
            TenantRef::Id(id) => id.to_string(),
            TenantRef::Slug(slug) => slug.to_string(),
        }))
    }
}
