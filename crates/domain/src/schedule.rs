//! What people call a schedule.

use crate::{Invalid, validated_text};

/// A schedule's name: 1 to 63 of a-z, 0-9, '-' and '_', and nothing that looks like an id, since routes take either.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ScheduleName(String);

impl ScheduleName {
    /// Bytes in the longest name.
    pub const MAX_LEN: usize = 63;

    fn check(text: &str) -> Result<(), Invalid> {
        let fault = if text.is_empty() {
            "it is empty"
        } else if text.len() > Self::MAX_LEN {
            "it is longer than 63 characters"
        } else if !text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b)) {
            "it holds something other than a-z, 0-9, '-' and '_'"
        } else if uuid::Uuid::try_parse(text).is_ok() {
            "it looks like an id, and routes take either"
        } else {
            return Ok(());
        };
        let shown: String = text.chars().take(80).collect();
        Err(Invalid::new(format!(
            "name {shown:?} is not usable: {fault}; use 1 to 63 of a-z, 0-9, '-' and '_', such as \"nightly-verify\""
        )))
    }
}

validated_text!(ScheduleName);

#[cfg(test)]
mod tests {
    use super::ScheduleName;

    #[test]
    fn a_name_is_short_plain_and_no_id() {
        for good in ["usage", "nightly-verify", "1_2"] {
            assert!(good.parse::<ScheduleName>().is_ok(), "{good}");
        }
        let long = "x".repeat(64);
        for (bad, fault) in [
            ("", "empty"),
            ("Usage", "other than"),
            ("a/b", "other than"),
            (long.as_str(), "longer"),
            ("0192f0c1-2345-7abc-8def-0123456789ab", "looks like an id"),
        ] {
            let refusal = bad.parse::<ScheduleName>().expect_err(bad).to_string();
            assert!(refusal.contains(fault), "{bad:?}: {refusal}");
        }
    }
}
