//! `/tenants/{tenant}/keys`: credentials of a tenant for machines.

pub(crate) mod create;
pub(crate) mod list;
pub(crate) mod revoke;

use catalog::Key;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::words::AccessWord;

/// A key; its secret was shown when it was made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyView {
    id: Uuid,
    /// What its owner calls it.
    label: String,
    /// `read_write` or `read_only`.
    #[schema(value_type = AccessWord)]
    access: &'static str,
    /// RFC 3339.
    #[serde(with = "time::serde::rfc3339")]
    created_at: time::OffsetDateTime,
    /// RFC 3339; from then on it opens no new connection. Null: never.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<time::OffsetDateTime>,
}

impl From<Key> for KeyView {
    fn from(key: Key) -> Self {
        Self {
            id: key.id.as_uuid(),
            label: key.label,
            access: key.access.as_str(),
            created_at: key.created_at,
            expires_at: key.expires_at,
        }
    }
}
