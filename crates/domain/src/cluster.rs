//! The PostgreSQL servers that tenants are placed on.

use crate::{Invalid, validated_text};

/// The name under which an operator registered a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClusterName(String);

impl ClusterName {
    fn check(text: &str) -> Result<(), Invalid> {
        let holds_well = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
        if !text.is_empty() && text.len() <= 63 && holds_well {
            return Ok(());
        }
        let shown: String = text.chars().take(80).collect();
        Err(Invalid::new(format!(
            "cluster name {shown:?} is not usable; use 1 to 63 of a-z, 0-9, '-' and '_', such as \"sa-east-1\""
        )))
    }
}

validated_text!(ClusterName);
