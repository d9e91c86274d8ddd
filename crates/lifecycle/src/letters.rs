//! Letters to tenants' members.

mod confirm;
mod send;
mod words;

use catalog::{ControlTx, TenantRef};
use domain::{Slug, TenantId};
use jobs::{Claim, JobsError, NewOperation};
use mail::Mailer;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

pub use confirm::Confirmed;
pub(crate) use send::{CONFIRMATION, confirmation};
pub use words::Language;

use crate::{Lifecycle, LifecycleError};

/// How letters go, and what stands in them.
#[derive(Debug, Clone)]
pub struct LetterSettings {
    /// Sends them.
    pub mailer: Mailer,
    /// Where members confirm their address: a URL with `{token}`, and with `{slug}` if it is the tenant's own.
    pub confirm_url: String,
    /// Where members work: a URL, with `{slug}` if it is the tenant's own.
    pub dashboard_url: Option<String>,
    /// What they are written in.
    pub language: Language,
}

impl LetterSettings {
    /// Where a tenant's members work.
    #[must_use]
    pub fn dashboard(&self, slug: &Slug) -> Option<String> {
        self.dashboard_url.as_ref().map(|url| url.replace("{slug}", slug.as_str()))
    }
}

/// What an operation's journal has of it. The address stays in one place, which goes with the tenant.
#[derive(Debug, Serialize, Deserialize)]
struct Order {
    member: Uuid,
}

impl Lifecycle {
    /// How letters go, if they do.
    pub fn letters(&self) -> Result<&LetterSettings, LifecycleError> {
        self.letters.as_ref().ok_or(LifecycleError::NoMail)
    }

    /// Where a tenant's members work, if that is known.
    #[must_use]
    pub fn dashboard(&self, slug: &Slug) -> Option<String> {
        self.letters.as_ref().and_then(|letters| letters.dashboard(slug))
    }

    /// Records letters to those who have had none, in the transaction with which the tenant is open.
    pub(crate) async fn write_to_members(
        &self,
        tx: &mut ControlTx,
        tenant: TenantId,
    ) -> Result<Vec<Claim>, LifecycleError> {
        let mut claims = Vec::new();
        for (member, slug) in self.catalog.unasked(tx, tenant).await? {
            match self.jobs.enqueue(tx, asking(member, &slug)).await {
                Ok(claim) => claims.push(claim),
                // Somebody has asked already.
                Err(JobsError::UnderWay) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(claims)
    }

    /// Sends them, when they are recorded.
    pub(crate) fn send_out(&self, claims: Vec<Claim>) {
        // Whoever knows how letters go takes them when nobody has begun with them.
        if self.letters.is_none() {
            return;
        }
        for claim in claims {
            self.leave(claim, confirmation(self));
        }
    }

    /// Asks a member again whether the address is theirs.
    pub async fn begin_confirmation(&self, which: &TenantRef, member: Uuid) -> Result<Uuid, LifecycleError> {
        self.letters()?;
        let tenant = self.find_changeable(self.find(which).await?.id).await?;
        let found = self.catalog.member(member).await?.filter(|member| member.tenant == tenant.id);
        let found = found.ok_or(LifecycleError::UnknownMember { member, slug: tenant.slug.clone() })?;
        if found.confirmed_at.is_some() {
            return Err(LifecycleError::AlreadyConfirmed(found.email));
        }
        self.start(asking(member, &tenant.slug), confirmation(self)).await
    }
}

/// The operation that sends a letter, as it is recorded.
fn asking(member: Uuid, slug: &Slug) -> NewOperation<'_> {
    NewOperation {
        kind: CONFIRMATION,
        subject: member,
        title: slug.as_str(),
        input: json!(Order { member }),
        priority: 0,
    }
}
