//! The nouns of síndico, without IO.
//!
//! Every other room speaks these types. A value of one of them is valid by construction: a [`Slug`] is a DNS label, an
//! [`AppName`] fits into PostgreSQL's identifiers with everything síndico appends to it, a [`TenantId`] is not just any
//! UUID.

mod app;
mod cluster;
mod email;
mod isolation;
mod keep;
mod key;
mod placement;
mod pooling;
mod role;
mod schedule;
mod servers;
mod slug;
mod status;
mod tenant;

pub use app::{AppName, SharedNames};
pub use cluster::ClusterName;
pub use email::Email;
pub use isolation::Isolation;
pub use keep::{ArchiveFor, Keep};
pub use key::{Access, KeyId};
pub use placement::Placement;
pub use pooling::{PoolMode, PoolOverrides, Pooling};
pub use role::{Role, quote_ident, quote_literal};
pub use schedule::ScheduleName;
pub use servers::{Server, Servers, ServersError, TargetSession};
pub use slug::Slug;
pub use status::Status;
pub use tenant::{DisplayName, TenantId};

/// Why a word was not accepted. The text is complete: it names the word, the rule and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(String);

impl Invalid {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

/// Serde, `FromStr`, `Display` and `as_str` for a validated string; the type itself supplies `fn check(&str)`.
macro_rules! validated_text {
    ($name:ident) => {
        impl $name {
            /// The text as it was accepted.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::Invalid;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::check(text)?;
                Ok(Self(text.to_owned()))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use validated_text;
