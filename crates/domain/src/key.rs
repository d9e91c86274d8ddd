//! Credentials of tenants for machines.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Which key it is; the secret itself is shown once and never kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(Uuid);

impl KeyId {
    /// Takes an id from the control database or a route.
    #[must_use]
    pub const fn from_uuid(id: Uuid) -> Self {
        Self(id)
    }

    /// The id as PostgreSQL's `uuid`.
    #[must_use]
    pub const fn as_uuid(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a key allows, and so which of the tenant's roles it logs in as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Role `t_…`: reads and writes the app's tables.
    ReadWrite,
    /// Role `r_…`: reads them.
    ReadOnly,
}

impl Access {
    /// The word that JSON and the control database use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReadWrite => "read_write",
            Self::ReadOnly => "read_only",
        }
    }
}
