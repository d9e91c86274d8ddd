//! Host names that say whose they are.

use std::str::FromStr;

/// Names of the form `slug.<zone>`, under which tenants reach the gateway. Clients tell by SNI which one they used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    /// With the dot before it, in lower case.
    suffix: String,
    /// A name in it that is the gateway's own and nobody's in particular.
    own: Option<String>,
}

/// A name that a zone cannot have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no domain; write one such as \"db.example.com\", without a dot before or behind it")]
pub struct InvalidZone(String);

impl FromStr for Zone {
    type Err = InvalidZone;

    fn from_str(name: &str) -> Result<Self, InvalidZone> {
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        // With a slug of 63 and its dot it has to stay within what DNS can say.
        if name.len() > 253 - 64 || !name.split('.').all(is_label) {
            return Err(InvalidZone(name.chars().take(80).collect()));
        }
        Ok(Self { suffix: format!(".{}", name.to_ascii_lowercase()), own: None })
    }
}

impl Zone {
    /// Has a name stand for no tenant: the host that connection strings point to.
    #[must_use]
    pub fn except(self, host: &str) -> Self {
        Self { own: Some(host.to_ascii_lowercase()), ..self }
    }

    /// What a host name says in the place of a slug; `None` if it is not of this zone.
    pub(crate) fn tenant<'n>(&self, server_name: &'n str) -> Option<&'n str> {
        server_name.strip_suffix(self.suffix.as_str()).filter(|_| self.own.as_deref() != Some(server_name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_the_zone_say_something() {
        let zone: Zone = "DB.example.com".parse().expect("a zone");
        let zone = zone.except("gate.db.example.com");
        for (name, tenant) in [
            ("paws.db.example.com", Some("paws")),
            // No slug, and so refused later rather than ignored.
            ("a.paws.db.example.com", Some("a.paws")),
            ("db.example.com", None),
            ("gate.db.example.com", None),
            ("pawsdb.example.com", None),
            ("localhost", None),
        ] {
            assert_eq!(zone.tenant(name), tenant, "{name}");
        }
        for bad in ["", ".", ".example.com", "example.com.", "exa mple.com", "-a.com", "ação.com", &"a.".repeat(120)]
        {
            assert!(bad.parse::<Zone>().is_err(), "{bad}");
        }
    }
}
