//! What can go wrong with an operation.

use std::error::Error;
use std::fmt;

/// The journal could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum JobsError {
    /// The control database refused or does not answer.
    #[error("control database: {0}")]
    Database(#[from] sqlx::Error),
    /// Somebody else has taken the operation over, or it has ended.
    #[error("the operation is no longer this process' to work on")]
    Lost,
    /// Somebody wants it cancelled.
    #[error("the operation was cancelled")]
    Cancelled,
    /// Another operation changes the same thing.
    #[error("another operation on it is under way; see `sindico operation list`")]
    UnderWay,
    /// What is in the journal cannot be read.
    #[error("the control database holds an unreadable {0}")]
    Unreadable(&'static str),
}

/// Why a step was not done.
#[derive(Debug)]
pub enum Fault {
    /// The operation is somebody else's by now, who will see to the rest.
    Lost,
    /// Somebody wants it cancelled.
    Cancelled,
    /// It may go better another time.
    Passing(Box<dyn Error + Send + Sync>),
    /// It will not.
    Lasting(Box<dyn Error + Send + Sync>),
}

impl Fault {
    /// What went wrong.
    #[must_use]
    pub fn into_cause(self) -> Box<dyn Error + Send + Sync> {
        match self {
            Self::Lost => Box::new(JobsError::Lost),
            Self::Cancelled => Box::new(JobsError::Cancelled),
            Self::Passing(cause) | Self::Lasting(cause) => cause,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost => JobsError::Lost.fmt(f),
            Self::Cancelled => JobsError::Cancelled.fmt(f),
            Self::Passing(cause) | Self::Lasting(cause) => cause.fmt(f),
        }
    }
}

impl From<JobsError> for Fault {
    fn from(error: JobsError) -> Self {
        match error {
            JobsError::Lost => Self::Lost,
            JobsError::Cancelled => Self::Cancelled,
            JobsError::Database(_) => Self::Passing(Box::new(error)),
            JobsError::UnderWay | JobsError::Unreadable(_) => Self::Lasting(Box::new(error)),
        }
    }
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        JobsError::from(error).into()
    }
}
