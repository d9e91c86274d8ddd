//! Why there is no connection.

use std::io;

use wire::frame::FrameError;
use wire::report::ServerError;

/// Why there is no connection. Texts are fit for the tenant's client: they name neither hosts nor other tenants. The
/// address and the cause are in the log.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// The cluster's budget was in use for longer than the client may wait.
    #[error("no connection to the database server became free in time")]
    Exhausted,
    /// Nobody answers, or not in time.
    #[error("the database server cannot be reached: {reason}")]
    Unreachable {
        /// What stood in the way.
        reason: String,
    },
    /// The server answered with an error. Its text is about the tenant's own role or database, or about the server.
    #[error("the database server refused the connection: {message}")]
    Rejected {
        /// The server's code.
        sqlstate: String,
        /// The server's words.
        message: String,
    },
    /// The server did something that the protocol does not allow, or asks for what is not done here.
    #[error("the database server cannot be used: {0}")]
    Protocol(&'static str),
    /// The server's bytes are not this protocol.
    #[error("the database server cannot be used: {0}")]
    Framing(#[from] FrameError),
}

/// The socket failed, whichever way.
impl From<io::Error> for PoolError {
    fn from(error: io::Error) -> Self {
        Self::Unreachable { reason: error.to_string() }
    }
}

impl From<ServerError> for PoolError {
    fn from(ServerError { sqlstate, message }: ServerError) -> Self {
        Self::Rejected { sqlstate, message }
    }
}

impl PoolError {
    /// SQLSTATE for the client (PostgreSQL manual, appendix A). A server that refuses the role's password (class 28) is the
    /// platform's fault; the client, whose own password was right, must not be told that it was wrong.
    #[must_use]
    pub fn sqlstate(&self) -> &str {
        match self {
            Self::Exhausted => "53300",
            Self::Unreachable { .. } => "08006",
            Self::Rejected { sqlstate, .. } if sqlstate.starts_with("28") || sqlstate.len() != 5 => "08004",
            Self::Rejected { sqlstate, .. } => sqlstate,
            Self::Protocol(_) | Self::Framing(_) => "08P01",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Exhausted => {
                "Try again shortly, keep fewer connections open, or ask the operator for a larger budget."
            }
            Self::Unreachable { .. } => "Try again shortly; if it lasts, the operator finds the address in the log.",
            Self::Rejected { .. } => {
                "Try again shortly; if it lasts, the operator finds the server's answer in the log."
            }
            Self::Protocol(_) | Self::Framing(_) => {
                "The operator has to look at the server; its address is in the log."
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_that_the_platform_got_wrong_is_not_blamed_on_the_client() {
        let rejected = |sqlstate: &str| PoolError::Rejected { sqlstate: sqlstate.to_owned(), message: "no".to_owned() };
        assert_eq!(rejected("28P01").sqlstate(), "08004");
        assert_eq!(rejected("garbage from a hostile server").sqlstate(), "08004");
        assert_eq!(rejected("57P03").sqlstate(), "57P03");
    }
}
