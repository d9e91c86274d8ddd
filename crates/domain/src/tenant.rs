//! Who a tenant is.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Invalid, validated_text};

/// A tenant's identity for life: a UUID version 7 (RFC 9562), so that ids sort by creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TenantId(Uuid);

impl TenantId {
    /// Takes an id that came from the control database or from a client who names an existing tenant.
    #[must_use]
    pub const fn from_uuid(id: Uuid) -> Self {
        Self(id)
    }

    /// The id as PostgreSQL's `uuid`.
    #[must_use]
    pub const fn as_uuid(self) -> Uuid {
        self.0
    }

    /// The 32 hexadecimal digits that names in PostgreSQL carry: opaque, so that a catalog every tenant may read tells
    /// nothing of the others.
    #[must_use]
    pub fn hex(self) -> String {
        self.0.simple().to_string()
    }

    /// The schema of the tenant's own sequences, in the database whose tables it shares.
    #[must_use]
    pub fn sequence_schema(self) -> String {
        format!("s_{}", self.0.simple())
    }

    /// The schema of the views that show this tenant's rows alone, in the database whose tables it shares.
    #[must_use]
    pub fn views_schema(self) -> String {
        format!("v_{}", self.0.simple())
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for TenantId {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::try_parse(text).map(Self).map_err(|_| Invalid::new(format!("{text:?} is not a UUID")))
    }
}

/// What people call a tenant: any text of 1 to 200 characters without control characters, not only blanks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisplayName(String);

impl DisplayName {
    /// Characters in the longest name.
    pub const MAX_CHARS: usize = 200;

    fn check(text: &str) -> Result<(), Invalid> {
        if text.trim().is_empty() {
            Err(Invalid::new("name is empty; give the tenant's name as people write it"))
        } else if text.chars().count() > Self::MAX_CHARS {
            Err(Invalid::new("name is longer than 200 characters"))
        } else if text.chars().any(char::is_control) {
            Err(Invalid::new("name holds a control character; give plain text on one line"))
        } else {
            Ok(())
        }
    }
}

validated_text!(DisplayName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_text() {
        assert!("Câmara de São José".parse::<DisplayName>().is_ok());
        for bad in ["", "  ", "a\nb", "a\0b", &"x".repeat(201)] {
            assert!(bad.parse::<DisplayName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_id_is_shown_in_two_ways() {
        let id: TenantId = "0192f0c1-2345-7abc-8def-0123456789ab".parse().expect("an id");
        assert_eq!(id.hex(), "0192f0c123457abc8def0123456789ab");
        assert_eq!(id.to_string(), "0192f0c1-2345-7abc-8def-0123456789ab");
    }
}
