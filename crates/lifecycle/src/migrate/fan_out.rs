//! Many tenants at a time, until they are through or too many have failed.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use catalog::{Entry, Shape, ShapeKind};
use domain::{Isolation, TenantId};
use jobs::{Fault, Work};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tracing::{debug, warn};
use uuid::Uuid;

use super::transact::{Stop, has_as_owner};
use super::unit::{Reached, Seat, advance};
use super::{Course, MigrateOptions};
use crate::operations::joined;
use crate::server::Session;
use crate::{Lifecycle, LifecycleError};

/// After these a tenant is tried again whose session was lost.
const PAUSES: [Duration; 4] = [
    Duration::from_millis(100),
    Duration::from_millis(400),
    Duration::from_millis(1_600),
    Duration::from_millis(6_400),
];

/// How many are told of at once. What has not been told is found on the servers.
const AT_ONCE: usize = 32;

/// Migrates tenants, and counts.
pub(super) struct Fan<'a> {
    desk: &'a Lifecycle,
    course: &'a Arc<Course>,
    options: &'a MigrateOptions,
    work: &'a Work,
    pub(super) may_fail: usize,
    count: Arc<Count>,
}

#[derive(Default)]
struct Count {
    done: AtomicU64,
    total: AtomicU64,
    halted: AtomicBool,
    failures: Mutex<Vec<(TenantId, String)>>,
}

impl Count {
    fn failures(&self) -> MutexGuard<'_, Vec<(TenantId, String)>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a> Fan<'a> {
    pub(super) fn new(
        desk: &'a Lifecycle,
        course: &'a Arc<Course>,
        options: &'a MigrateOptions,
        work: &'a Work,
    ) -> Self {
        let may_fail = usize::try_from(options.max_failures).unwrap_or(usize::MAX);
        Self { desk, course, options, work, may_fail, count: Arc::default() }
    }

    /// Those that were tried in vain.
    pub(super) fn failed(&self) -> impl Iterator<Item = TenantId> {
        self.count.failures().iter().map(|(tenant, _)| *tenant).collect::<Vec<_>>().into_iter()
    }

    pub(super) fn done(&self) -> u64 {
        self.count.done.load(Ordering::Relaxed)
    }

    /// Tells of those that failed.
    pub(super) fn finish(&self) -> Result<(), LifecycleError> {
        let failures = self.count.failures();
        let Some((_, first)) = failures.first() else { return Ok(()) };
        let total = usize::try_from(self.count.total.load(Ordering::Relaxed)).unwrap_or(usize::MAX);
        Err(LifecycleError::Halted { failed: failures.len(), total, first: first.clone() })
    }

    /// Migrates these, on each cluster some at a time. Fails when too many have.
    pub(super) async fn out(&mut self, entries: Vec<Entry>) -> Result<(), Fault> {
        self.count.total.fetch_add(u64::try_from(entries.len()).unwrap_or(u64::MAX), Ordering::Relaxed);
        let mut by_cluster: HashMap<Uuid, VecDeque<Entry>> = HashMap::new();
        for entry in entries {
            by_cluster.entry(entry.placement.cluster).or_default().push_back(entry);
        }
        let mut workers = JoinSet::new();
        for (cluster, queue) in by_cluster {
            let shape = self.desk.catalog.shape(&self.course.app, cluster, self.course.version(), ShapeKind::Own).await;
            let shape = Arc::new(shape.map_err(LifecycleError::from)?);
            // Read once, before all of them ask for it.
            if let Some(entry) = queue.front().filter(|entry| entry.version < self.course.version()) {
                self.course.built_from(entry.version)?;
            }
            let queue = Arc::new(Mutex::new(queue));
            for _ in 0..self.options.parallel {
                let worker = Worker {
                    desk: self.desk.clone(),
                    course: Arc::clone(self.course),
                    options: self.options.clone(),
                    shape: Arc::clone(&shape),
                    queue: Arc::clone(&queue),
                    count: Arc::clone(&self.count),
                    may_fail: self.may_fail,
                    sessions: None,
                    through: Vec::new(),
                };
                workers.spawn(worker.work());
            }
        }
        joined(workers, self.work, || (self.done(), self.count.total.load(Ordering::Relaxed))).await?;
        if self.count.halted.load(Ordering::Relaxed) { Ok(self.finish()?) } else { Ok(()) }
    }
}

/// One of those who take tenants from a queue.
struct Worker {
    desk: Lifecycle,
    course: Arc<Course>,
    options: MigrateOptions,
    shape: Arc<Option<Shape>>,
    queue: Arc<Mutex<VecDeque<Entry>>>,
    count: Arc<Count>,
    may_fail: usize,
    /// Those that the last tenant with a schema was migrated from, if there was one.
    sessions: Option<Sessions>,
    /// Those that are through and have not been told of.
    through: Vec<(TenantId, Option<String>)>,
}

/// In the database that tenants with schemas have in common: one that migrates, and one that sees what was there before.
struct Sessions {
    session: Session,
    witness: Option<Session>,
    /// Whether [`has_as_owner`].
    as_owner: bool,
}

impl Worker {
    async fn work(mut self) -> Result<(), LifecycleError> {
        while !self.count.halted.load(Ordering::Relaxed) {
            let next = self.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(entry) = next else { break };
            let began = Instant::now();
            match self.migrate(&entry).await {
                Ok(()) => {
                    self.count.done.fetch_add(1, Ordering::Relaxed);
                    debug!(tenant = %entry.slug, version = self.course.version(), took = ?began.elapsed(), "migrated");
                }
                // A server that does not answer is no tenant's failure: the step is tried again.
                Err(Stop::Lost(error)) => {
                    self.record().await?;
                    return Err(error);
                }
                Err(stop) => self.fail(&entry, &stop.into_error().to_string()).await?,
            }
            if self.through.len() >= AT_ONCE {
                self.record().await?;
            }
        }
        self.record().await
    }

    async fn migrate(&mut self, entry: &Entry) -> Result<(), Stop> {
        if !entry.present {
            let recorded = self.desk.catalog.set_absent_version(entry.tenant, self.course.version()).await;
            return Ok(recorded.map_err(LifecycleError::from)?);
        }
        self.desk.probe.pass("tenant")?;
        let mut pauses = PAUSES.iter();
        loop {
            match self.attempt(entry).await {
                Ok(Reached::Version(_, fingerprint)) => {
                    self.through.push((entry.tenant, fingerprint));
                    return Ok(());
                }
                // Unless it is being removed, that is told.
                Ok(Reached::Gone) => return Err(LifecycleError::Step("its tables are not there".to_owned()).into()),
                Err(Stop::Lost(error)) => {
                    self.sessions = None;
                    let Some(pause) = pauses.next() else { return Err(Stop::Lost(error)) };
                    sleep(*pause).await;
                }
                Err(stop) => return Err(stop),
            }
        }
    }

    async fn attempt(&mut self, entry: &Entry) -> Result<Reached, Stop> {
        let placement = &entry.placement;
        let shape = Arc::clone(&self.shape);
        let expected = shape.as_ref().as_ref();
        if placement.isolation != Isolation::Schema {
            let session = self.open(entry).await?;
            return advance(
                Seat::alone(&session, &self.course.app).await?,
                &self.course,
                &self.options,
                entry,
                expected,
            )
            .await;
        }
        let sessions = match self.sessions.take() {
            Some(sessions) => sessions,
            None => self.sit_down(entry).await?,
        };
        let Sessions { session, witness, as_owner } = &sessions;
        let seat = Seat { session, witness: witness.as_ref(), as_owner: *as_owner };
        let reached = advance(seat, &self.course, &self.options, entry, expected).await;
        self.sessions = Some(sessions);
        reached
    }

    async fn sit_down(&self, entry: &Entry) -> Result<Sessions, Stop> {
        let session = self.open(entry).await?;
        let as_owner = has_as_owner(&session, &self.course.app).await?;
        Ok(Sessions { witness: self.open_witness(entry).await, session, as_owner })
    }

    /// Without it, tables are compared. It waits for no lock any longer than those that have one wait for it.
    async fn open_witness(&self, entry: &Entry) -> Option<Session> {
        let witness = self.open(entry).await.ok()?;
        witness.run(&format!("SET lock_timeout = {}", self.options.lock_timeout_ms)).await.ok()?;
        Some(witness)
    }

    async fn open(&self, entry: &Entry) -> Result<Session, Stop> {
        let opened = self.desk.admin(entry.placement.cluster, Some(&entry.placement.database)).await;
        opened.map_err(|error| match error {
            error @ LifecycleError::Server { .. } => Stop::Lost(error),
            error => Stop::Failed(error),
        })
    }

    async fn fail(&mut self, entry: &Entry, error: &str) -> Result<(), LifecycleError> {
        // Whoever is being removed may fail.
        let still = self.desk.catalog.tenant(&catalog::TenantRef::Id(entry.tenant)).await?;
        if still.is_none_or(|tenant| tenant.status == domain::Status::Deleting) {
            return Ok(());
        }
        warn!(tenant = %entry.slug, error, "tenant keeps its version");
        self.desk.catalog.set_migration_error(entry.tenant, error).await?;
        let mut failures = self.count.failures();
        failures.push((entry.tenant, format!("tenant \"{}\": {error}", entry.slug)));
        if failures.len() > self.may_fail {
            self.count.halted.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Those of one fingerprint are told of at once: all of them, unless one is not known.
    async fn record(&mut self) -> Result<(), LifecycleError> {
        let mut alike: HashMap<Option<String>, Vec<TenantId>> = HashMap::new();
        for (tenant, fingerprint) in self.through.drain(..) {
            alike.entry(fingerprint).or_default().push(tenant);
        }
        for (fingerprint, tenants) in alike {
            self.desk.catalog.set_migrated(&tenants, self.course.version(), fingerprint.as_deref()).await?;
        }
        Ok(())
    }
}
