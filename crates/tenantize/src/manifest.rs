//! `app.toml`: who an app is, and for how long it keeps what.

use std::collections::BTreeMap;

use domain::AppName;
use serde::{Deserialize, Serialize};

use crate::Retention;

/// What an app says of itself. Its SQL is beside it, in `migrations/` and `seed/`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The name that databases and roles are made from.
    pub name: AppName,
    /// What people call the app.
    #[serde(default)]
    pub title: Option<String>,
    /// A sentence about it.
    #[serde(default)]
    pub description: Option<String>,
    /// For how long rows are kept, by table; of all others, for ever.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub retention: BTreeMap<String, Retention>,
    /// Whether tenants may be made before anybody asks for them. Not, if the seed depends on when it runs.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub warm_pool: bool,
}

const fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
const fn is_yes(said: &bool) -> bool {
    *said
}

/// Why an `app.toml` was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// TOML's grammar, an unknown key, a missing one or a value that is not what the key takes.
    #[error(
        "app.toml, line {line}: {reason}; write name = \"petshop\" and, if you like, title = \"…\" and description = \
         \"…\""
    )]
    Unreadable {
        /// Line in the file, from 1.
        line: usize,
        /// What TOML's reader found wrong; it names the key.
        reason: String,
    },
}

impl Manifest {
    /// Reads an `app.toml`.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            let before = text.as_bytes().iter().take(start);
            ManifestError::Unreadable {
                line: 1 + before.filter(|byte| **byte == b'\n').count(),
                reason: error.message().replace('\n', ", "),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_enough() {
        let manifest = Manifest::parse("name = \"petshop\"\n").expect("a manifest");
        assert_eq!(manifest.name.as_str(), "petshop");
        assert_eq!(manifest.title, None);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, expected) in [
            ("name = \"petshop\"\ntitel = \"x\"", "line 2: unknown field `titel`"),
            ("title = \"x\"", "missing field `name`"),
            ("\nname = \"Pet Shop\"", "line 2: app name \"Pet Shop\" is not usable"),
            ("name = 3", "line 1: invalid type: integer"),
            ("name = \"a\"\nname", "line 2:"),
        ] {
            let error = Manifest::parse(text).expect_err(text).to_string();
            assert!(error.contains(expected), "{text:?}: {error}");
            assert!(error.contains("name = \"petshop\""), "{error}");
        }
    }
}
