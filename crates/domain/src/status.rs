//! What a tenant may do at the moment.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Invalid;

/// A tenant's state. Only [`Status::Active`] passes the threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Being made; becomes active, or is undone.
    Provisioning,
    /// Made before anybody has asked for it, and nobody's until somebody does.
    Spare,
    /// In use.
    Active,
    /// Closed at every door, data untouched.
    Suspended,
    /// Being removed; nothing leads back.
    Deleting,
}

impl Status {
    /// The word that people, JSON and the control database use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Provisioning => "provisioning",
            Self::Spare => "spare",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Deleting => "deleting",
        }
    }

    /// Whether the tenant is there, open or not: nobody is making or removing it.
    #[must_use]
    pub const fn is_settled(self) -> bool {
        matches!(self, Self::Active | Self::Suspended)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Status {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Provisioning, Self::Spare, Self::Active, Self::Suspended, Self::Deleting]
            .into_iter()
            .find(|known| known.as_str() == text)
            .ok_or_else(|| {
                Invalid::new(format!("status {text:?} does not exist; use provisioning, active, suspended or deleting"))
            })
    }
}
