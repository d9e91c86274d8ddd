//! Doing an operation's steps, or undoing them.

use std::error::Error;
use std::future::pending;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::{info, warn};

use crate::claim::LEASE;
use crate::journal::{Begun, Renewed};
use crate::procedure::{Procedure, Step};
use crate::{Claim, Fault, Jobs, JobsError, Work};

/// How a run of an operation ended.
#[derive(Debug)]
pub enum Ended {
    /// Everything is done.
    Succeeded,
    /// All is as it was, because of this, or, without it, at somebody's wish.
    Undone(Option<Box<dyn Error + Send + Sync>>),
    /// It will be gone on with later; this is why not now.
    PutOff(Box<dyn Error + Send + Sync>),
    /// It is being undone because of the first, if that is known here, and undoing is put off because of the second.
    UndoPutOff(Option<Box<dyn Error + Send + Sync>>, Box<dyn Error + Send + Sync>),
    /// Somebody else goes on with it.
    Lost,
}

/// After a passing fault, a step is tried again after these.
const AGAIN: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(400)];

/// What is put off, is so for this long at first, and twice as long each time.
const PUT_OFF: Duration = Duration::from_secs(1);
pub(crate) const LONGEST: Duration = Duration::from_mins(1);

impl Jobs {
    /// Works on an operation until it has ended or has to wait. Dropped in the middle, it is as if the process had died: somebody goes on
    /// when the lease is over.
    pub async fn run(&self, claim: Claim, procedure: &Procedure) -> Ended {
        let (tell, cancelled) = watch::channel(false);
        let heartbeat = beat(&claim.work, &tell);
        let mut run = Run { claim: &claim, procedure, cancelled, progressed: false };
        tokio::select! {
            biased;
            ended = run.through() => ended,
            () = heartbeat => Ended::Lost,
        }
    }
}

/// Renews the lease, and tells whether somebody wants the operation cancelled. Ends when it is lost.
async fn beat(work: &Work, cancelled: &watch::Sender<bool>) {
    let mut renewed = Instant::now();
    loop {
        sleep(LEASE / 5).await;
        match timeout_at(renewed + LEASE, work.renew()).await {
            Ok(Ok(heard)) => {
                renewed = Instant::now();
                match heard {
                    Renewed::Yes => {}
                    Renewed::Cancelled => {
                        cancelled.send_replace(true);
                    }
                    // Whoever has ended it is about to hear so.
                    Renewed::Ended => pending::<()>().await,
                }
            }
            Ok(Err(JobsError::Lost)) | Err(_) => return,
            // The database may be back before the lease is over; afterwards it must be taken for somebody else's.
            Ok(Err(error)) if renewed.elapsed() < LEASE => {
                warn!(operation = %work.operation, %error, "a lease is not renewed");
            }
            Ok(Err(_)) => return,
        }
    }
}

struct Run<'a> {
    claim: &'a Claim,
    procedure: &'a Procedure,
    cancelled: watch::Receiver<bool>,
    /// Whether a step has been done or undone in this run.
    progressed: bool,
}

impl Run<'_> {
    async fn through(&mut self) -> Ended {
        let claim = self.claim;
        let mut at = claim.at;
        let cause = if claim.undoing {
            None
        } else {
            match self.forward(&mut at).await {
                Ok(()) => return Ended::Succeeded,
                Err(Fault::Lost) => return Ended::Lost,
                Err(fault) if self.procedure.waits(&fault, claim.age) => {
                    return self.put_off().await.map_or_else(lost, |()| Ended::PutOff(fault.into_cause()));
                }
                Err(Fault::Cancelled) => None,
                Err(fault) => Some(fault.into_cause()),
            }
        };
        if !claim.undoing {
            let said = cause.as_ref().map(ToString::to_string);
            info!(operation = %claim.operation(), kind = claim.kind, subject = claim.title, error = said, "undoing an operation");
            if let Err(error) = claim.work.turn_back(said.as_deref()).await {
                // Nobody knows that it was to be undone: somebody goes on with it when the lease is over.
                return lost(error);
            }
        }
        match self.backward(at).await {
            Ok(()) => Ended::Undone(cause.or_else(|| claim.error.clone().map(Into::into))),
            Err(Fault::Lost) => Ended::Lost,
            Err(fault) => {
                warn!(operation = %claim.operation(), kind = claim.kind, subject = claim.title, error = %fault, "undoing has to wait");
                self.put_off().await.map_or_else(lost, |()| Ended::UndoPutOff(cause, fault.into_cause()))
            }
        }
    }

    async fn forward(&mut self, at: &mut i32) -> Result<(), Fault> {
        let mut done: Option<(i32, Value)> = None;
        let (claim, procedure) = (self.claim, self.procedure);
        let from = usize::try_from(*at).unwrap_or(usize::MAX);
        for (number, step) in (*at..).zip(procedure.steps.iter().skip(from)) {
            let place = (number, step.name());
            let begun = persist(|| claim.work.begin_step(done.as_ref(), place)).await?;
            let again = match begun {
                Begun::Cancelled if procedure.is_reversible() => return Err(Fault::Cancelled),
                Begun::Again | Begun::Cancelled => true,
                Begun::Fresh => false,
            };
            *at = number;
            self.progressed |= done.is_some();
            done = Some((number, self.act(step.as_ref(), number, again).await?));
        }
        if let Some(last) = done {
            persist(|| claim.work.succeed(&last)).await?;
        }
        Ok(())
    }

    /// Does a step, again if that may help; cleared first where it may have been begun before.
    async fn act(&mut self, step: &dyn Step, number: i32, mut again: bool) -> Result<Value, Fault> {
        let mut pauses = AGAIN.iter();
        let work = &self.claim.work;
        loop {
            let attempt = async {
                if again {
                    step.clear(work).await?;
                }
                step.act(work).await
            };
            let fault = match self.unless_cancelled(attempt).await? {
                Ok(output) => return Ok(output),
                Err(fault) => fault,
            };
            if let Fault::Lost | Fault::Cancelled = fault {
                return Err(fault);
            }
            if persist(|| work.has_concluded()).await? {
                return Ok(Value::Null);
            }
            work.note(number, &fault.to_string()).await?;
            let (Fault::Passing(_), Some(pause)) = (&fault, pauses.next()) else {
                return Err(fault);
            };
            sleep(*pause).await;
            again = true;
        }
    }

    /// What comes of something, unless it is cancelled meanwhile.
    async fn unless_cancelled<T>(&mut self, doing: impl Future<Output = T>) -> Result<T, Fault> {
        let reversible = self.procedure.is_reversible();
        tokio::select! {
            biased;
            outcome = doing => Ok(outcome),
            Ok(_) = self.cancelled.wait_for(|cancelled| *cancelled), if reversible => Err(Fault::Cancelled),
        }
    }

    async fn backward(&mut self, at: i32) -> Result<(), Fault> {
        let count = usize::try_from(at).unwrap_or(0).saturating_add(1).min(self.procedure.steps.len());
        for (number, step) in (0..).zip(&self.procedure.steps).take(count).collect::<Vec<_>>().into_iter().rev() {
            self.undo(step.as_ref(), number).await?;
            let work = &self.claim.work;
            persist(|| work.undone(number)).await?;
            self.progressed = true;
        }
        Ok(())
    }

    async fn undo(&self, step: &dyn Step, number: i32) -> Result<(), Fault> {
        let mut pauses = AGAIN.iter();
        loop {
            let fault = match step.undo(&self.claim.work).await {
                Ok(()) => return Ok(()),
                Err(Fault::Lost) => return Err(Fault::Lost),
                Err(fault) => fault,
            };
            self.claim.work.note(number, &fault.to_string()).await?;
            let Some(pause) = pauses.next() else { return Err(fault) };
            sleep(*pause).await;
        }
    }

    async fn put_off(&self) -> Result<(), JobsError> {
        let times = if self.progressed { 0 } else { u32::try_from(self.claim.put_off).unwrap_or(u32::MAX).min(10) };
        self.claim.work.put_off((PUT_OFF * 2_u32.pow(times)).min(LONGEST)).await
    }
}

/// What could not be written down is somebody else's when the lease is over.
fn lost(error: JobsError) -> Ended {
    match error {
        JobsError::Lost => Ended::Lost,
        error => Ended::PutOff(Box::new(error)),
    }
}

/// Writes into the journal, again if the database fails: what has been done should not be undone because nobody could say so.
async fn persist<T, W>(write: impl Fn() -> W) -> Result<T, JobsError>
where
    W: Future<Output = Result<T, JobsError>>,
{
    for pause in AGAIN {
        match write().await {
            Err(JobsError::Database(error)) => warn!(%error, "the journal could not be written; trying again"),
            written => return written,
        }
        sleep(pause).await;
    }
    write().await
}
