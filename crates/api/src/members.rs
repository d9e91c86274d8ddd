//! `/tenants/{tenant}/members`: people who belong to a tenant.

pub(crate) mod ask;
pub(crate) mod confirm;
pub(crate) mod list;
pub(crate) mod page;

use catalog::{Member, NewMember};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::problem::Problem;

/// Somebody who belongs to a tenant.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MemberView {
    id: Uuid,
    /// As it was given.
    #[schema(format = Email)]
    email: String,
    /// What people call them.
    name: String,
    /// `org_admin`: whoever looks after the tenant.
    role: String,
    /// RFC 3339.
    #[serde(with = "time::serde::rfc3339")]
    created_at: time::OffsetDateTime,
    /// RFC 3339: when a letter last went that asks whether the address is theirs. Null: not yet.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    asked_at: Option<time::OffsetDateTime>,
    /// RFC 3339: when they said so. Null: not yet.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    confirmed_at: Option<time::OffsetDateTime>,
}

impl From<Member> for MemberView {
    fn from(member: Member) -> Self {
        Self {
            id: member.id,
            email: member.email.to_string(),
            name: member.name.to_string(),
            role: member.role,
            created_at: member.created_at,
            asked_at: member.asked_at,
            confirmed_at: member.confirmed_at,
        }
    }
}

/// Whoever is to look after a new tenant.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AdminBody {
    /// Where they get mail: a letter asks them to confirm it when the tenant is open.
    #[schema(value_type = String, format = Email, example = "ana@example.org", max_length = 254)]
    pub(crate) email: domain::Email,
    /// What people call them; the address when absent.
    #[schema(value_type = Option<String>, example = "Ana Souza", min_length = 1, max_length = 200, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*[^\\s\\x00-\\x1f\\x7f-\\x9f][^\\x00-\\x1f\\x7f-\\x9f]*$")]
    pub(crate) name: Option<domain::DisplayName>,
}

impl AdminBody {
    pub(crate) fn read(self) -> Result<NewMember, Problem> {
        let too_long = |_| Problem::field("/admin/name", "the address is too long for a name; give one");
        let name = self.name.map_or_else(|| self.email.as_str().parse().map_err(too_long), Ok)?;
        Ok(NewMember { email: self.email, name })
    }
}
