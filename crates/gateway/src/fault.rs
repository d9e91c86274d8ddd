//! What a client is told when its session cannot begin or go on.

use std::borrow::Cow;

use bytes::BytesMut;
use pool::PoolError;
use tenancy::{Refusal, ScopeError, Visit};
use wire::frame::FrameError;
use wire::report::{Report, ServerError, Severity};
use wire::scram::ScramError;
use wire::startup::StartupError;

/// An error that ends the session. All of it is for the client's eyes: nothing of other tenants, no addresses, no secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Fault {
    /// PostgreSQL manual, appendix A.
    pub(crate) sqlstate: Cow<'static, str>,
    pub(crate) message: String,
    pub(crate) hint: Cow<'static, str>,
}

impl Fault {
    pub(crate) fn new(sqlstate: &'static str, message: impl Into<String>, hint: impl Into<Cow<'static, str>>) -> Self {
        Self { sqlstate: Cow::Borrowed(sqlstate), message: message.into(), hint: hint.into() }
    }

    /// The client did something that the protocol does not allow at this point.
    pub(crate) fn protocol(message: impl Into<String>) -> Self {
        Self::new("08P01", message, "The client has to reconnect; if it happens again, its driver is at fault.")
    }

    /// This process is going away.
    pub(crate) fn shutdown() -> Self {
        Self::new("57P01", "the gateway is shutting down", "Reconnect; another process or the next one serves you.")
    }

    /// The server connection broke.
    pub(crate) fn server_lost() -> Self {
        Self::new(
            "08006",
            "the connection to the database server was lost",
            "Reconnect; what was not committed has been rolled back.",
        )
    }

    /// The server's bytes cannot be trusted any more.
    pub(crate) fn server_astray() -> Self {
        Self::new(
            "08006",
            "the database server broke the protocol",
            "Reconnect; if it happens again, the operator finds the details in the log.",
        )
    }

    /// The token has expired in the middle of the session.
    pub(crate) fn token_expired(visit: &Visit) -> Self {
        Self::revoked(&Refusal::TokenExpired(visit.slug().clone()))
    }

    /// The tenant or its key was closed in the middle of the session.
    pub(crate) fn revoked(refusal: &Refusal) -> Self {
        Self { sqlstate: Cow::Borrowed("57P01"), ..Self::from(refusal.clone()) }
    }

    /// The server has ended its side, in these words.
    pub(crate) fn server_ended(said: ServerError) -> Self {
        Self {
            sqlstate: Cow::Owned(said.sqlstate),
            message: format!("the database server ended the transaction: {}", said.message),
            hint: Cow::Borrowed(
                "Repeat the transaction, unless it was being committed: then look first whether it was.",
            ),
        }
    }

    /// The same without a word.
    pub(crate) fn transaction_lost() -> Self {
        Self {
            hint: Cow::Borrowed(
                "Repeat the transaction, unless it was being committed: then look first whether it was.",
            ),
            ..Self::server_lost()
        }
    }

    /// Appends the `ErrorResponse` that ends the session.
    pub(crate) fn write(&self, out: &mut BytesMut) {
        self.write_as(Severity::Fatal, out);
    }

    /// Appends the `ErrorResponse` of a statement, after which the session goes on.
    pub(crate) fn write_error(&self, out: &mut BytesMut) {
        self.write_as(Severity::Error, out);
    }

    fn write_as(&self, severity: Severity, out: &mut BytesMut) {
        let Self { sqlstate, message, hint } = self;
        Report { severity, sqlstate, message, hint }.write(out);
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.sqlstate(), refusal.to_string(), refusal.hint())
    }
}

impl From<PoolError> for Fault {
    fn from(error: PoolError) -> Self {
        Self {
            sqlstate: Cow::Owned(error.sqlstate().to_owned()),
            message: error.to_string(),
            hint: Cow::Borrowed(error.hint()),
        }
    }
}

impl From<ScopeError> for Fault {
    fn from(error: ScopeError) -> Self {
        match error {
            ScopeError::Pool(error) => error.into(),
            // What is left are faults of this process, which the client can do nothing about.
            error => Self::new("58000", error.to_string(), "Try again; if it happens again, tell the operator."),
        }
    }
}

impl From<StartupError> for Fault {
    fn from(error: StartupError) -> Self {
        match error {
            StartupError::Version(..) => Self::new("0A000", error.to_string(), ""),
            StartupError::BadLength(_) | StartupError::Malformed(_) => Self::protocol(error.to_string()),
        }
    }
}

impl From<FrameError> for Fault {
    fn from(error: FrameError) -> Self {
        Self::protocol(error.to_string())
    }
}

/// All but a wrong proof, which is the threshold's to put into words.
impl From<ScramError> for Fault {
    fn from(error: ScramError) -> Self {
        match error {
            ScramError::Downgraded | ScramError::OtherChannel => {
                Self::new("28000", error.to_string(), "Nothing was learnt of the password; do not turn the check off.")
            }
            _ => Self::protocol(error.to_string()),
        }
    }
}
