//! Somebody has read a letter.

use catalog::{Confirmation, Member, Proof};
use time::OffsetDateTime;
use tracing::info;

use crate::{Lifecycle, LifecycleError};

/// Whose address is confirmed, and where they go on.
#[derive(Debug)]
pub struct Confirmed {
    /// Who.
    pub member: Member,
    /// Where they work, if that is known.
    pub dashboard: Option<String>,
}

impl Lifecycle {
    /// Who a token in a letter is about, while it is good.
    pub async fn read_confirmation(&self, token: &str) -> Result<Confirmed, LifecycleError> {
        let given = Confirmation::read(token).ok_or(LifecycleError::BadConfirmation)?;
        let member = self.catalog.member(given.member).await?.ok_or(LifecycleError::BadConfirmation)?;
        let key = self.catalog.master().confirmation_key();
        match key.check(&given, &member.email, OffsetDateTime::now_utc()) {
            Proof::Good => {}
            // Who comes back later has done what was asked.
            Proof::Expired if member.confirmed_at.is_some() => {}
            Proof::Expired => return Err(LifecycleError::ConfirmationExpired),
            Proof::False => return Err(LifecycleError::BadConfirmation),
        }
        Ok(Confirmed { dashboard: self.dashboard(&member.slug), member })
    }

    /// Records that an address is whose it is said to be. Doing it again changes nothing.
    pub async fn confirm(&self, token: &str) -> Result<Confirmed, LifecycleError> {
        let before = self.read_confirmation(token).await?;
        if before.member.confirmed_at.is_some() {
            return Ok(before);
        }
        self.catalog.confirm(before.member.id).await?;
        let member = self.catalog.member(before.member.id).await?.ok_or(LifecycleError::BadConfirmation)?;
        info!(tenant = %member.tenant, slug = %member.slug, member = %member.id, "member's address confirmed");
        Ok(Confirmed { member, ..before })
    }
}
