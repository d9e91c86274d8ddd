//! What begins by itself: keeping schedules, and beginning what is due.

mod kind;

use domain::ScheduleName;
use jobs::{Cadence, Due, JobsError, NewOperation, NewSchedule, Schedule, ScheduleEdit, ScheduleError, ScheduleRef};
use serde_json::Value;
use time::OffsetDateTime;
use tracing::{info, warn};
use uuid::Uuid;

use crate::{Lifecycle, LifecycleError};

pub use kind::ScheduleKind;

/// A schedule to be made.
#[derive(Debug)]
pub struct AddSchedule {
    /// What people call it.
    pub name: ScheduleName,
    /// What it begins: the word for a [`ScheduleKind`].
    pub kind: String,
    /// What that needs to know.
    pub input: Value,
    /// When, as a cron expression.
    pub cron: String,
    /// By the clocks of this time zone.
    pub time_zone: String,
    /// Whether it begins anything yet.
    pub enabled: bool,
}

/// What to change; what is absent stays.
#[derive(Debug, Default)]
pub struct EditSchedule {
    /// What people call it.
    pub name: Option<ScheduleName>,
    /// What its kind needs to know.
    pub input: Option<Value>,
    /// When.
    pub cron: Option<String>,
    /// By which clocks.
    pub time_zone: Option<String>,
    /// Whether it begins anything. `true` has it wait for the next time from now on.
    pub enabled: Option<bool>,
}

impl Lifecycle {
    /// Keeps a schedule, after a look whether what it begins could be begun now.
    pub async fn add_schedule(&self, new: AddSchedule) -> Result<Schedule, LifecycleError> {
        let kind: ScheduleKind = new.kind.parse()?;
        self.begins(kind, &new.input).await?;
        let AddSchedule { name, input, cron, time_zone, enabled, .. } = new;
        let (cron, time_zone) = (cron.as_str(), time_zone.as_str());
        let new = NewSchedule { name: name.as_str(), kind: kind.as_str(), input, cron, time_zone, enabled };
        let added = self.jobs.add_schedule(new).await?;
        info!(schedule = added.name, kind = added.kind, cron, time_zone, "schedule made");
        Ok(added)
    }

    /// A schedule.
    pub async fn schedule(&self, which: &ScheduleRef) -> Result<Schedule, LifecycleError> {
        self.jobs.schedule(which).await?.ok_or_else(|| unknown(which))
    }

    /// A page of schedules, oldest first.
    pub async fn schedules(&self, after: Option<Uuid>, limit: i64) -> Result<Vec<Schedule>, LifecycleError> {
        Ok(self.jobs.schedules(after, limit).await?)
    }

    /// Changes a schedule.
    pub async fn edit_schedule(&self, which: &ScheduleRef, edit: EditSchedule) -> Result<Schedule, LifecycleError> {
        let before = self.schedule(which).await?;
        if let Some(input) = &edit.input {
            self.begins(before.kind.parse()?, input).await?;
        }
        let EditSchedule { name, input, cron, time_zone, enabled } = edit;
        let edit = ScheduleEdit { name: name.map(|name| name.to_string()), input, cron, time_zone, enabled };
        self.jobs.edit_schedule(which, edit).await?.ok_or_else(|| unknown(which))
    }

    /// Forgets a schedule; what it has begun goes on.
    pub async fn remove_schedule(&self, which: &ScheduleRef) -> Result<(), LifecycleError> {
        if self.jobs.remove_schedule(which).await? { Ok(()) } else { Err(unknown(which)) }
    }

    /// Begins what is due by the control database's clock, or at the moment given. Says how many schedules were seen to.
    pub async fn begin_due(&self, now: Option<OffsetDateTime>) -> Result<usize, LifecycleError> {
        let mut seen = 0;
        while !self.slots.is_closed() {
            let Some(due) = self.jobs.due(now).await? else { break };
            self.begin_one(due).await?;
            seen += 1;
        }
        Ok(seen)
    }

    async fn begin_one(&self, mut due: Due) -> Result<(), LifecycleError> {
        let schedule = due.schedule.clone();
        let beginning = async {
            let kind: ScheduleKind = schedule.kind.parse()?;
            self.begins(kind, &schedule.input).await
        };
        let why = match beginning.await {
            Ok(begins) => {
                let new = NewOperation {
                    kind: begins.kind,
                    subject: begins.subject,
                    title: &begins.title,
                    input: begins.input,
                    priority: 0,
                };
                match self.jobs.enqueue(due.transaction(), new).await {
                    Ok(claim) => {
                        let operation = claim.operation();
                        due.begun(operation).await?;
                        info!(schedule = schedule.name, kind = schedule.kind, %operation, "schedule was due");
                        self.leave(claim, begins.procedure);
                        return Ok(());
                    }
                    Err(JobsError::UnderWay) => {
                        "skipped: another operation on the same is still under way; see `sindico operation list`"
                            .to_owned()
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            // Nobody has seen to it then; it is due until somebody can.
            Err(LifecycleError::Catalog(error @ catalog::CatalogError::Database(_))) => return Err(error.into()),
            Err(error) => error.to_string(),
        };
        warn!(schedule = schedule.name, kind = schedule.kind, why, "schedule was due, and nothing was begun");
        Ok(due.skipped(&why).await?)
    }
}

fn unknown(which: &ScheduleRef) -> LifecycleError {
    LifecycleError::UnknownSchedule(match which {
        ScheduleRef::Id(id) => id.to_string(),
        ScheduleRef::Name(name) => name.clone(),
    })
}

impl From<ScheduleError> for LifecycleError {
    fn from(error: ScheduleError) -> Self {
        let reason = error.to_string();
        match error {
            ScheduleError::Database(error) => JobsError::Database(error).into(),
            ScheduleError::Taken(name) => Self::ScheduleTaken(name),
            ScheduleError::Cadence(jobs::CadenceError::Zone(_)) => Self::BadSchedule { field: "time_zone", reason },
            ScheduleError::Cadence(_) => Self::BadSchedule { field: "cron", reason },
        }
    }
}

/// The next times of a cadence, for whoever wants to see them before they come.
#[must_use]
pub fn upcoming(schedule: &Schedule, count: usize) -> Vec<OffsetDateTime> {
    let Ok(cadence) = Cadence::read(&schedule.cron, &schedule.time_zone) else { return Vec::new() };
    if !schedule.enabled {
        return Vec::new();
    }
    std::iter::successors(Some(schedule.next_at), |at| cadence.after(*at)).take(count).collect()
}
