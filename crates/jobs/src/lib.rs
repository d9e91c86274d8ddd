//! Durable work. An operation is a row in the control database and a list of steps in code: what is about to be done is
//! written down before it is done, so whatever crashes, somebody else goes on where it stopped, or takes back what was begun.
//!
//! [`Jobs::enqueue`] records an operation in the caller's own transaction, [`Jobs::claim`] takes one that is due under a lease, and
//! [`Jobs::run`] does its steps in order. A step that fails is tried again; when that does not help, or somebody has cancelled
//! it, the steps that were begun are undone in reverse order. Undoing never gives up: it is put off, longer each time.
//!
//! A lease has a number, its fence, which is higher than that of any lease of the operation before it. Whoever was thought
//! dead and wakes up holds a lower one, and every write to the journal asks for the highest ([`Work::begin`], [`Work::holds`]).
//!
//! Times are the control database's, so that it does not matter what a machine's clock says.
//!
//! What begins by itself is a [`Schedule`]: [`Jobs::due`] takes one whose time has come, and the transaction that records what it has
//! begun moves it on to its next time ([`Cadence`]).

mod cadence;
mod claim;
mod due;
mod error;
mod journal;
mod operation;
mod procedure;
mod run;
mod schedule;
mod work;

pub use cadence::{Cadence, CadenceError};
pub use claim::{Claim, NewOperation};
pub use due::Due;
pub use error::{Fault, JobsError};
pub use operation::{Operation, OperationFilter, State, StepRecord};
pub use procedure::{Act, Procedure, Step};
pub use run::Ended;
pub use schedule::{NewSchedule, Schedule, ScheduleEdit, ScheduleError, ScheduleRef};
pub use work::Work;

use sqlx::PgPool;

/// The operations in a control database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Jobs {
    db: PgPool,
}

impl Jobs {
    /// The operations that this database holds.
    #[must_use]
    pub fn new(db: PgPool) -> Self {
        Self { db }
    }
}
