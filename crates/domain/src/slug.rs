//! The name by which people and connection strings call a tenant.

use crate::{Invalid, validated_text};

/// A tenant's short name: a DNS label (RFC 1035, section 2.3.1, with the digits-first relaxation of RFC 1123), because
/// it becomes a subdomain and a user name. Unique in an installation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slug(String);

/// Labels that belong to the platform's own host names and could mislead if a tenant had them.
const RESERVED: [&str; 9] = ["admin", "api", "app", "localhost", "mail", "panel", "postgres", "sindico", "www"];

impl Slug {
    /// Bytes in the longest slug (RFC 1035).
    pub const MAX_LEN: usize = 63;

    fn check(text: &str) -> Result<(), Invalid> {
        let fault = if text.is_empty() {
            "it is empty"
        } else if text.len() > Self::MAX_LEN {
            "it is longer than 63 characters"
        } else if !text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
            "it holds something other than a-z, 0-9 and '-'"
        } else if text.starts_with('-') || text.ends_with('-') {
            "it starts or ends with '-'"
        } else if text.starts_with("xn--") {
            "it starts with 'xn--', which is how encoded international names start"
        } else if RESERVED.contains(&text) {
            "the platform keeps this name for itself"
        } else if is_uuid_shaped(text) {
            "it looks like an id, and routes take either"
        } else {
            return Ok(());
        };
        let shown: String = text.chars().take(80).collect();
        Err(Invalid::new(format!(
            "slug {shown:?} is not usable: {fault}; use 1 to 63 of a-z, 0-9 and '-', such as \"happy-paws\""
        )))
    }
}

fn is_uuid_shaped(text: &str) -> bool {
    uuid::Uuid::try_parse(text).is_ok()
}

validated_text!(Slug);

#[cfg(test)]
mod tests {
    use super::Slug;

    #[test]
    fn dns_labels_are_slugs() {
        for good in ["a", "happy-paws", "3m", "a--b", &"x".repeat(63)] {
            assert!(good.parse::<Slug>().is_ok(), "{good}");
        }
    }

    #[test]
    fn anything_else_names_its_fault() {
        let long = "x".repeat(64);
        for (bad, fault) in [
            ("", "empty"),
            ("Happy", "other than"),
            ("a_b", "other than"),
            ("a.b", "other than"),
            ("ação", "other than"),
            ("-a", "starts or ends"),
            ("a-", "starts or ends"),
            (long.as_str(), "longer than 63"),
            ("xn--80ak6aa92e", "international"),
            ("www", "platform"),
            ("0192f0c1-2345-7abc-8def-0123456789ab", "looks like an id"),
            ("0192f0c123457abc8def0123456789ab", "looks like an id"),
        ] {
            let refusal = bad.parse::<Slug>().expect_err(bad).to_string();
            assert!(refusal.contains(fault), "{bad:?}: {refusal}");
        }
    }
}
