//! Operations: doing them, going on with those that others have left, and what people see of them.

use std::collections::VecDeque;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use catalog::{CatalogError, Unsettled};
use jobs::{Claim, Ended, Fault, NewOperation, Operation, OperationFilter, Procedure, StepRecord, Work};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, interval, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;

use crate::backup::{
    BACKUP, BACKUPS, REPLACE, RESTORE, VERIFY_BACKUP, backup, backups, replacement, restoration, trial,
};
use crate::letters::{CONFIRMATION, confirmation};
use crate::migrate::{MIGRATE, REHEARSE, VERIFY, migration, rehearsal, verification};
use crate::provision::{PROVISION, provision, provision_spare};
use crate::removal::{REMOVE, removal};
use crate::retention::{RETENTION, retaining};
use crate::sweep::{SWEEP, sweeping};
use crate::usage::{USAGE, collection};
use crate::warm_pool::SPARE;
use crate::{Lifecycle, LifecycleError};

/// Every kind of operation that there is.
pub const OPERATION_KINDS: [&str; 15] = [
    PROVISION,
    SPARE,
    REMOVE,
    MIGRATE,
    REHEARSE,
    VERIFY,
    BACKUP,
    BACKUPS,
    RESTORE,
    REPLACE,
    VERIFY_BACKUP,
    USAGE,
    SWEEP,
    RETENTION,
    CONFIRMATION,
];

/// How often it is looked for operations that are due.
const LOOK: Duration = Duration::from_secs(1);

/// For how long a start waits for what the last run left.
const PATIENCE: Duration = Duration::from_secs(10);

/// For how long an operation that has ended is kept.
const KEPT_DAYS: i32 = 30;
const PURGE: Duration = Duration::from_hours(1);

/// How often it is told how far workers are.
const TELL: Duration = Duration::from_millis(500);

/// How often it is written down what this process has counted.
const REPORT: Duration = Duration::from_mins(1);

impl Lifecycle {
    fn procedure(&self, kind: &str) -> Option<Procedure> {
        match kind {
            PROVISION => Some(provision(self)),
            SPARE => Some(provision_spare(self)),
            REMOVE => Some(removal(self)),
            MIGRATE => Some(migration(self)),
            REHEARSE => Some(rehearsal(self)),
            VERIFY => Some(verification(self)),
            BACKUP => Some(backup(self)),
            BACKUPS => Some(backups(self)),
            RESTORE => Some(restoration(self)),
            REPLACE => Some(replacement(self)),
            VERIFY_BACKUP => Some(trial(self)),
            USAGE => Some(collection(self)),
            SWEEP => Some(sweeping(self)),
            RETENTION => Some(retaining(self)),
            CONFIRMATION => Some(confirmation(self)),
            _ => None,
        }
    }

    /// Records an operation and begins with it, for nobody in particular.
    pub(crate) async fn start(&self, new: NewOperation<'_>, procedure: Procedure) -> Result<Uuid, LifecycleError> {
        let mut tx = self.catalog.begin().await?;
        let claim = self.jobs.enqueue(&mut tx, new).await?;
        tx.commit().await.map_err(CatalogError::from)?;
        let id = claim.operation();
        self.leave(claim, procedure);
        Ok(id)
    }

    /// Does an operation to its end for somebody who waits for it.
    pub(crate) async fn finish(&self, claim: Claim, procedure: &Procedure) -> Result<(), LifecycleError> {
        let operation = claim.operation();
        match self.jobs.run(claim, procedure).await {
            Ended::Succeeded => Ok(()),
            Ended::Undone(Some(cause)) => Err(read(cause)),
            Ended::Undone(None) => Err(LifecycleError::Cancelled),
            Ended::PutOff(cause) => Err(LifecycleError::PutOff { operation, cause: Box::new(read(cause)) }),
            Ended::UndoPutOff(cause, undoing) => {
                let cause = cause.map_or(LifecycleError::Cancelled, read);
                Err(cause.undone(Err(read(undoing))))
            }
            Ended::Lost => Err(LifecycleError::TakenOver(operation)),
        }
    }

    /// Does an operation for nobody in particular. One that finds no turn here is gone on with when its lease is over.
    pub(crate) fn leave(&self, claim: Claim, procedure: Procedure) -> JoinHandle<()> {
        let desk = self.clone();
        self.running.spawn(async move {
            let Ok(slot) = desk.slots_for(&claim.kind).acquire_owned().await else { return };
            desk.run(claim, &procedure).await;
            drop(slot);
        })
    }

    /// Where an operation waits for its turn.
    fn slots_for(&self, kind: &str) -> Arc<Semaphore> {
        Arc::clone(if kind == CONFIRMATION { &self.letter_slots } else { &self.slots })
    }

    async fn run(&self, claim: Claim, procedure: &Procedure) {
        let (operation, kind, subject) = (claim.operation(), claim.kind.clone(), claim.title.clone());
        match self.finish(claim, procedure).await {
            Ok(()) => info!(%operation, kind, subject, "operation done"),
            Err(error) => warn!(%operation, kind, subject, %error, "operation not done"),
        }
    }

    /// Goes on with every operation that nobody is at, also with what has been put off, and waits for a while. Returns how many there
    /// were.
    pub(crate) async fn resume_all(&self) -> Result<usize, LifecycleError> {
        let (mut resumed, mut running) = (Vec::new(), Vec::new());
        let kinds: Vec<&str> = self.kinds().collect();
        while let Some(claim) = self.jobs.claim_early(&kinds, &resumed).await? {
            resumed.push(claim.operation());
            if let Some(procedure) = self.procedure(&claim.kind) {
                running.push(self.leave(claim, procedure));
            }
        }
        let patience = Instant::now() + PATIENCE;
        for operation in running {
            let _later = timeout_at(patience, operation).await;
        }
        Ok(resumed.len())
    }

    /// Goes on with operations as they become due, as many at a time as there are turns, and begins what schedules say, until
    /// `shutdown`.
    pub async fn work_forever(&self, shutdown: CancellationToken) {
        let mut purged: Option<Instant> = None;
        let mut tidying: Option<JoinHandle<()>> = None;
        let mut reported: Option<Instant> = None;
        loop {
            if let Err(error) = self.begin_due(None).await {
                warn!(%error, "what is due could not be begun");
            }
            if let Err(error) = self.take_due().await {
                warn!(%error, "operations could not be looked for");
            }
            if reported.is_none_or(|at| at.elapsed() >= REPORT) {
                reported = Some(Instant::now());
                self.kept.tidy();
                if let Err(error) = self.report_usage().await {
                    warn!(%error, "what clients have done could not be written down");
                }
            }
            if purged.is_none_or(|at| at.elapsed() >= PURGE) && tidying.as_ref().is_none_or(JoinHandle::is_finished) {
                purged = Some(Instant::now());
                // Beside: a store that does not answer would keep what is due waiting.
                let desk = self.clone();
                tidying = Some(self.running.spawn(async move { desk.tidy().await }));
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = sleep(LOOK) => {}
            }
        }
    }

    /// Forgets what has been kept long enough.
    async fn tidy(&self) {
        if let Err(error) = self.jobs.purge(KEPT_DAYS).await {
            warn!(%error, "old operations could not be forgotten");
        }
        if let Err(error) = self.tidy_usage().await {
            warn!(%error, "old samples could not be forgotten");
        }
        if let Err(error) = self.expire_backups().await {
            warn!(%error, "old backups could not be looked for");
        }
        if let Err(error) = self.try_to_settle_archives(Unsettled::Ended).await {
            warn!(%error, "archives that were cut off could not be looked for");
        }
        if let Err(error) = self.expire_archives().await {
            warn!(%error, "old archives could not be looked for");
        }
    }

    async fn take_due(&self) -> Result<(), LifecycleError> {
        let changes: Vec<&str> = self.kinds().filter(|kind| *kind != CONFIRMATION).collect();
        self.take(&self.slots, &changes).await?;
        if self.letters.is_some() { self.take(&self.letter_slots, &[CONFIRMATION]).await } else { Ok(()) }
    }

    /// What this process can go on with: letters only if it knows how they go.
    fn kinds(&self) -> impl Iterator<Item = &'static str> {
        let letters = self.letters.is_some();
        OPERATION_KINDS.into_iter().filter(move |kind| letters || *kind != CONFIRMATION)
    }

    /// Goes on with what is due of these kinds, as long as there are turns.
    async fn take(&self, slots: &Arc<Semaphore>, kinds: &[&str]) -> Result<(), LifecycleError> {
        while let Ok(slot) = Arc::clone(slots).try_acquire_owned() {
            let Some(claim) = self.jobs.claim(kinds).await? else { break };
            let Some(procedure) = self.procedure(&claim.kind) else { break };
            let desk = self.clone();
            self.running.spawn(async move {
                desk.run(claim, &procedure).await;
                drop(slot);
            });
        }
        Ok(())
    }

    /// An operation with its steps.
    pub async fn operation(&self, id: Uuid) -> Result<(Operation, Vec<StepRecord>), LifecycleError> {
        let found = self.jobs.operation(id).await?.ok_or(LifecycleError::UnknownOperation(id))?;
        Ok((found, self.jobs.steps(id).await?))
    }

    /// A page of operations, newest first.
    pub async fn operations(&self, filter: &OperationFilter) -> Result<Vec<Operation>, LifecycleError> {
        Ok(self.jobs.operations(filter).await?)
    }

    /// Asks for an operation to be cancelled: it stops, and what it has begun is undone.
    pub async fn cancel_operation(&self, id: Uuid) -> Result<Operation, LifecycleError> {
        let reversible: Vec<&str> = OPERATION_KINDS.into_iter().filter(|kind| *kind != REMOVE).collect();
        let asked = self.jobs.cancel(id, &reversible).await?;
        let (found, _) = self.operation(id).await?;
        if asked || found.cancel_requested && found.ended_at.is_none() {
            return Ok(found);
        }
        let why = if found.ended_at.is_some() {
            "it has ended"
        } else if found.kind != REMOVE {
            "it is being undone already"
        } else {
            "there is no way back from it, and it is tried until it is done"
        };
        Err(LifecycleError::NotCancellable { operation: id, why })
    }
}

/// How many nobody has taken yet.
pub(crate) fn left<T>(queue: &Mutex<VecDeque<T>>) -> u64 {
    let left = queue.lock().unwrap_or_else(PoisonError::into_inner).len();
    u64::try_from(left).unwrap_or(u64::MAX)
}

/// What workers come to, all of them, and meanwhile how far they are: so much done, of so much. The first that fails ends it.
pub(crate) async fn joined<T: 'static>(
    mut workers: JoinSet<Result<T, LifecycleError>>,
    work: &Work,
    far: impl Fn() -> (u64, u64),
) -> Result<Vec<T>, Fault> {
    let mut tell = interval(TELL);
    let mut come = Vec::new();
    loop {
        tokio::select! {
            ended = workers.join_next() => match ended {
                None => break,
                Some(Ok(worked)) => come.push(worked?),
                Some(Err(_panicked)) => return Err(LifecycleError::CutOff.into()),
            },
            _ = tell.tick() => {
                let (done, total) = far();
                work.progress(done, total).await?;
            }
        }
    }
    let (done, total) = far();
    work.progress(done, total).await?;
    Ok(come)
}

/// What went wrong, in the words of whoever waits.
fn read(cause: Box<dyn Error + Send + Sync>) -> LifecycleError {
    match cause.downcast::<LifecycleError>() {
        Ok(error) => *error,
        Err(other) => LifecycleError::Step(other.to_string()),
    }
}
