//! How a tenant's data is kept apart from the others'.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Invalid;

/// The four ways, from the densest to the most separate. What makes each hold is in `docs/isolation.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Isolation {
    /// Tables shared with other tenants, rows kept apart by row-level security on the login role.
    Shared,
    /// A schema of its own in the app's database, kept apart by privileges.
    Schema,
    /// A database of its own, kept apart by the CONNECT privilege.
    Database,
    /// A database on a server of its own.
    Cluster,
}

impl Isolation {
    /// All of them, for help texts and tests.
    pub const ALL: [Self; 4] = [Self::Shared, Self::Schema, Self::Database, Self::Cluster];

    /// The word that people, JSON and the control database use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Schema => "schema",
            Self::Database => "database",
            Self::Cluster => "cluster",
        }
    }

    /// Whether the tenant's tables live in a database that no other tenant may connect to.
    #[must_use]
    pub const fn has_own_database(self) -> bool {
        matches!(self, Self::Database | Self::Cluster)
    }
}

impl fmt::Display for Isolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Isolation {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|known| known.as_str() == text).ok_or_else(|| {
            Invalid::new(format!("isolation {text:?} does not exist; use shared, schema, database or cluster"))
        })
    }
}
