//! How a tenant's clients share server connections.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Invalid;

/// For how long a client has its server connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PoolMode {
    /// For a transaction, or for as long as its session holds what no other connection has.
    Transaction,
    /// From login to logout.
    Session,
}

/// Which server connections a tenant's transactions run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// Those of the tenant's own login.
    Own,
    /// Where tenants share tables, those of one login that serves them all, one after the other.
    Dense,
}

/// What one tenant has instead of what the configuration gives to all. `None` is what the configuration gives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct PoolOverrides {
    /// What its clients get that do not say.
    pub mode: Option<PoolMode>,
    /// Where its transactions run, as long as it is in `shared`.
    pub pooling: Option<Pooling>,
    /// Connections to one cluster that it may have at once.
    pub max_server_connections: Option<NonZeroU32>,
    /// Clients that it may have at once.
    pub max_clients: Option<NonZeroU32>,
}

macro_rules! words {
    ($name:ident, $what:literal, $choice:literal, $($variant:ident = $word:literal),+) => {
        impl $name {
            /// All of them, for help texts and descriptions.
            pub const ALL: [Self; 2] = [$(Self::$variant),+];

            /// The word that people, JSON and the control database use.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = Invalid;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                let known = Self::ALL.into_iter().find(|known| known.as_str() == word);
                known.ok_or_else(|| Invalid::new(format!("{} {word:?} does not exist; use {}", $what, $choice)))
            }
        }
    };
}

words!(PoolMode, "pool mode", "transaction or session", Transaction = "transaction", Session = "session");
words!(Pooling, "pooling", "own or dense", Own = "own", Dense = "dense");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_they_are_written() {
        for mode in PoolMode::ALL {
            assert_eq!(mode.to_string().parse(), Ok(mode));
        }
        for pooling in Pooling::ALL {
            assert_eq!(pooling.to_string().parse(), Ok(pooling));
        }
        let error = "statement".parse::<PoolMode>().expect_err("there is no such mode");
        assert_eq!(error.to_string(), "pool mode \"statement\" does not exist; use transaction or session");
    }
}
