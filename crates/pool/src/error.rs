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
    /// The server answered with an error.
    #[error("{}", rejection(sqlstate, message))]
    Rejected {
        /// The server's code.
        sqlstate: String,
        /// The server's words, all of them: for the log only.
        message: String,
    },
    /// The server did something that the protocol does not allow, or asks for what is not done here.
    #[error("the database server cannot be used: {0}")]
    Protocol(&'static str),
    /// The server does not prove that it is who the cluster's DSN says, or does not offer to.
    #[error("the database server cannot be used: it does not prove by TLS that it is the one that is meant")]
    Untrusted,
    /// SQL that ran on a login that serves many has stored something on it, which it must not begin with.
    #[error("the database server's login has to be restored first")]
    Spoilt,
    /// The server's bytes are not this protocol.
    #[error("the database server cannot be used: {0}")]
    Framing(#[from] FrameError),
}

/// How far what stands in the way of a connection reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// All that the server serves, for a while.
    Server,
    /// This login, for a while.
    Login,
    /// Time alone does not mend it.
    Lasting,
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
    /// SQLSTATE for the client (PostgreSQL manual, appendix A). A server that refuses the role's password (class 28)
    /// is the platform's fault; the client, whose own password was right, must not be told that it was wrong.
    #[must_use]
    pub fn sqlstate(&self) -> &str {
        match self {
            Self::Exhausted => "53300",
            // Not 08P01 where the server broke the protocol: drivers take that for a fault of their own.
            Self::Unreachable { .. } | Self::Protocol(_) | Self::Framing(_) | Self::Untrusted | Self::Spoilt => "08006",
            Self::Rejected { sqlstate, .. } if sqlstate.starts_with("28") || !is_sqlstate(sqlstate) => "08004",
            Self::Rejected { sqlstate, .. } => sqlstate,
        }
    }

    /// Whether the same is worth trying again, without anybody's doing anything about it, and of what kind the trouble is.
    pub(crate) fn trouble(&self) -> Trouble {
        match self {
            Self::Unreachable { .. } => Trouble::Server,
            Self::Rejected { sqlstate, .. } => match sqlstate.as_str() {
                // It starts, stops or recovers; crash shutdown; another session's crash.
                "57P03" | "57P01" | "57P02" => Trouble::Server,
                // Of the server, of the database or of the role, which it does not say.
                "53300" => Trouble::Login,
                _ => Trouble::Lasting,
            },
            Self::Exhausted | Self::Protocol(_) | Self::Framing(_) | Self::Untrusted | Self::Spoilt => Trouble::Lasting,
        }
    }

    /// What the server said when it refused the connection, for the log: escaped, and as long as the server liked.
    pub(crate) fn answer(&self) -> Option<String> {
        match self {
            Self::Rejected { sqlstate, message } => Some(format!("{sqlstate:?} {message:?}")),
            _ => None,
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
            Self::Rejected { sqlstate, .. } if sqlstate == BAD_VALUE => {
                "Give the startup parameter another value, or leave it out."
            }
            Self::Rejected { .. } | Self::Spoilt => {
                "Try again shortly; if it lasts, the operator finds the server's answer in the log."
            }
            Self::Protocol(_) | Self::Framing(_) | Self::Untrusted => {
                "The operator has to look at the server; its address is in the log."
            }
        }
    }
}

/// `invalid_parameter_value`: at startup, a setting of the client's that the server does not take.
const BAD_VALUE: &str = "22023";

/// Most characters of a server's words that a client sees.
const MAX_SHOWN: usize = 200;

/// What a client may know of a server's refusal. The server's own words only where they are about something that the
/// client can see or wait for: it is starting or stopping (57P03), short of something (class 53), has no such database
/// (3D000), or does not take the value of a setting, which it names. Others name síndico's address, as a missing line in `pg_hba.conf` does, or are whatever a
/// hostile server likes.
fn rejection(sqlstate: &str, message: &str) -> String {
    if !is_sqlstate(sqlstate) || !(matches!(sqlstate, "57P03" | "3D000" | BAD_VALUE) || sqlstate.starts_with("53")) {
        return "the database server did not accept the connection".to_owned();
    }
    let shown = message.chars().take(MAX_SHOWN).map(|c| if c.is_control() { '\u{fffd}' } else { c });
    format!("the database server refused the connection: {}", shown.collect::<String>())
}

/// Five digits and capital letters (PostgreSQL manual, appendix A).
fn is_sqlstate(code: &str) -> bool {
    code.len() == 5 && code.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_that_the_platform_got_wrong_is_not_blamed_on_the_client() {
        let rejected = |sqlstate: &str| PoolError::Rejected { sqlstate: sqlstate.to_owned(), message: "no".to_owned() };
        assert_eq!(rejected("28P01").sqlstate(), "08004");
        assert_eq!(rejected("garbage from a hostile server").sqlstate(), "08004");
        assert_eq!(rejected("57p\n3").sqlstate(), "08004");
        assert_eq!(rejected("57P03").sqlstate(), "57P03");
        assert_eq!(PoolError::Protocol("it is odd").sqlstate(), "08006");
    }

    #[test]
    fn only_harmless_words_of_the_server_reach_the_client() {
        let shown = |sqlstate: &str, message: &str| {
            PoolError::Rejected { sqlstate: sqlstate.to_owned(), message: message.to_owned() }.to_string()
        };
        for hidden in ["28000", "28P01", "58P01", "XX000", "53", "53\u{85}00"] {
            let text = shown(hidden, "no pg_hba.conf entry for host \"10.0.0.7\"");
            assert_eq!(text, "the database server did not accept the connection", "{hidden}");
        }
        for told in ["57P03", "53300", "53200", "3D000", "22023"] {
            let text = shown(told, "a\nb\u{1b}[2J");
            assert_eq!(text, "the database server refused the connection: a\u{fffd}b\u{fffd}[2J", "{told}");
        }
        assert_eq!(shown("53300", &"é".repeat(64_000)).matches('é').count(), MAX_SHOWN);
    }
}
