//! Who makes the changes.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use catalog::{Catalog, ChangeLock, Release, Tenant, TenantRef, WarmPool};
use domain::AppName;
use jobs::Jobs;
use tenancy::Threshold;
use tenantize::Plan;
use tokio::sync::{Notify, Semaphore};
use tokio_util::task::TaskTracker;
use tracing::warn;
use uuid::Uuid;

use crate::add_app::plan_files;
use crate::kept::Kept;
use crate::letters::LetterSettings;
use crate::migrate::Course;
use crate::usage::{KEPT_DAYS, Meter};
use crate::{BackupSettings, LifecycleError, Probe};

/// A change on its way.
pub(crate) type Change<T> = Pin<Box<dyn Future<Output = Result<T, LifecycleError>> + Send>>;

/// By app and release.
type Plans = HashMap<(AppName, i32), Arc<Plan>>;

/// Of each app the newest, by release.
type Courses = HashMap<AppName, (i32, Arc<Course>)>;

/// Letters on their way at a time.
const LETTERS_AT_ONCE: usize = 4;

/// Makes changes, a bounded number at a time. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Lifecycle {
    pub(crate) catalog: Catalog,
    pub(crate) threshold: Threshold,
    pub(crate) probe: Probe,
    pub(crate) jobs: Jobs,
    pub(crate) backups: BackupSettings,
    /// Each running change holds a connection to the control database and up to two to a cluster, where some more are kept for the next.
    pub(crate) slots: Arc<Semaphore>,
    pub(crate) running: TaskTracker,
    /// Releases of apps never change, and reading their SQL takes milliseconds.
    plans: Arc<Mutex<Plans>>,
    /// Each step of a migration asks for the same.
    courses: Arc<Mutex<Courses>>,
    pub(crate) meter: Arc<Meter>,
    pub(crate) usage_days: u32,
    pub(crate) warm_pool: WarmPool,
    pub(crate) letters: Option<LetterSettings>,
    /// Letters hold nothing that changes need, and a mail server may take its time.
    pub(crate) letter_slots: Arc<Semaphore>,
    pub(crate) kept: Arc<Kept>,
    /// Told when somebody has asked for a tenant.
    pub(crate) spares_asked: Arc<Notify>,
}

impl Lifecycle {
    /// Makes at most `at_once` changes at a time; more wait their turn.
    #[must_use]
    pub fn new(catalog: Catalog, threshold: Threshold, at_once: usize, backups: BackupSettings, probe: Probe) -> Self {
        Self {
            jobs: Jobs::new(catalog.database()),
            catalog,
            threshold,
            backups,
            probe,
            slots: Arc::new(Semaphore::new(at_once)),
            running: TaskTracker::new(),
            plans: Arc::default(),
            courses: Arc::default(),
            meter: Arc::default(),
            usage_days: KEPT_DAYS,
            warm_pool: WarmPool::NONE,
            letters: None,
            letter_slots: Arc::new(Semaphore::new(LETTERS_AT_ONCE)),
            kept: Arc::default(),
            spares_asked: Arc::default(),
        }
    }

    /// Keeps samples of what tenants use for so many days.
    #[must_use]
    pub fn keeping_usage(self, days: u32) -> Self {
        Self { usage_days: days, ..self }
    }

    /// Keeps so many spares; none, unless it is said.
    #[must_use]
    pub fn keeping_spares(self, warm_pool: WarmPool) -> Self {
        Self { warm_pool, ..self }
    }

    /// Sends letters; none, unless it is said how.
    #[must_use]
    pub fn writing(self, letters: Option<LetterSettings>) -> Self {
        Self { letters, ..self }
    }

    /// Takes no new change, waits for those under way, and writes down what clients have done.
    pub async fn stop(&self) {
        self.slots.close();
        self.letter_slots.close();
        self.running.close();
        self.running.wait().await;
        self.kept.clear();
        if let Err(error) = self.report_usage().await {
            warn!(%error, "what clients have done last is not written down");
        }
    }

    /// Runs a change to its end once it has begun, even if whoever asked for it goes away in the middle. Changes are boxed: their futures are
    /// large, and every request would carry one.
    pub(crate) async fn through<T: Send + 'static>(&self, change: Change<T>) -> Result<T, LifecycleError> {
        // Whoever goes away while waiting for a turn has changed nothing.
        let slot = Arc::clone(&self.slots).acquire_owned().await.map_err(|_closed| LifecycleError::Stopping)?;
        let task = self.running.spawn(async move {
            let _slot = slot;
            change.await
        });
        task.await
            .map_err(|failed| if failed.is_panic() { LifecycleError::CutOff } else { LifecycleError::Stopping })?
    }

    /// Makes a change under its lock, and gives the lock back before anybody is told.
    pub(crate) async fn under<T>(
        lock: ChangeLock,
        change: impl Future<Output = Result<T, LifecycleError>>,
    ) -> Result<T, LifecycleError> {
        let outcome = change.await;
        lock.release().await;
        outcome
    }

    /// What new tenants of an app are made from on a cluster.
    pub(crate) async fn plan_on(&self, app: &AppName, cluster: Uuid) -> Result<(Release, Arc<Plan>), LifecycleError> {
        let release = self.catalog.release_on(app, cluster).await?;
        Ok((release, self.plan_of(app, release.release).await?))
    }

    pub(crate) async fn plan_of(&self, app: &AppName, release: i32) -> Result<Arc<Plan>, LifecycleError> {
        let place = (app.clone(), release);
        let known = self.plans.lock().unwrap_or_else(PoisonError::into_inner).get(&place).cloned();
        if let Some(plan) = known {
            return Ok(plan);
        }
        let plan = Arc::new(plan_files(&self.catalog.release_files(app, release).await?)?);
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that came before the last are asked for no more.
        plans.retain(|(other, number), _| other != app || number + 1 >= release);
        plans.insert(place, Arc::clone(&plan));
        Ok(plan)
    }

    /// The way to a release. What its migrations become takes as long to tell as the release takes to read.
    pub(crate) async fn course_of(&self, app: &AppName, release: i32) -> Result<Arc<Course>, LifecycleError> {
        let courses = || self.courses.lock().unwrap_or_else(PoisonError::into_inner);
        let known = courses().get(app).filter(|(known, _)| *known == release).map(|(_, course)| Arc::clone(course));
        if let Some(course) = known {
            return Ok(course);
        }
        let files = self.catalog.release_files(app, release).await?;
        let course = Arc::new(Course::new(app.clone(), release, files, self.plan_of(app, release).await?));
        courses().insert(app.clone(), (release, Arc::clone(&course)));
        Ok(course)
    }

    /// A registration that has failed may come again with other files.
    pub(crate) fn forget_plans(&self, app: &AppName) {
        self.courses.lock().unwrap_or_else(PoisonError::into_inner).remove(app);
        self.plans.lock().unwrap_or_else(PoisonError::into_inner).retain(|(known, _), _| known != app);
    }

    pub(crate) async fn find(&self, which: &TenantRef) -> Result<Tenant, LifecycleError> {
        self.catalog.tenant(which).await?.ok_or_else(|| {
            LifecycleError::UnknownTenant(match which {
                TenantRef::Id(id) => id.to_string(),
                TenantRef::Slug(slug) => slug.to_string(),
            })
        })
    }
}
