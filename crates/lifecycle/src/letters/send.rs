//! Asking a member whether the address is theirs.

use std::time::Duration;

use jobs::{Act, Fault, Procedure, Step, Work};
use mail::Letter;
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::time::sleep;
use tracing::info;
use uuid::Uuid;

use super::Order;
use super::words::Asking;
use crate::{Lifecycle, LifecycleError};

/// What the operation is called.
pub(crate) const CONFIRMATION: &str = "confirmation";

/// For how long a letter is tried that a mail server does not take now.
const LONGEST: Duration = Duration::from_hours(72);

/// For how long what stands in a letter is good.
const GOOD: time::Duration = time::Duration::days(7);

/// The one step.
pub(crate) fn confirmation(desk: &Lifecycle) -> Procedure {
    Procedure::patient(vec![Box::new(Send(desk.clone()))], LONGEST)
}

/// After these it is written down again that a letter has gone, if that could not be.
const RECORDED: [Duration; 3] = [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(5)];

struct Send(Lifecycle);

impl Lifecycle {
    async fn record_sent(&self, work: &Work, member: Uuid) -> Result<Value, Fault> {
        let mut tx = work.begin().await?;
        self.catalog.set_asked(&mut tx, member).await.map_err(LifecycleError::from)?;
        let output = json!({"sent": true});
        work.conclude(&mut tx, Some(&output)).await?;
        tx.commit().await?;
        Ok(output)
    }
}

impl Step for Send {
    fn name(&self) -> &'static str {
        "send"
    }

    /// A letter that may have gone is sent again with the same id.
    fn act<'a>(&'a self, work: &'a Work) -> Act<'a, Value> {
        Box::pin(async move {
            let Self(desk) = self;
            let Order { member } = work.input()?;
            desk.probe.pass("letter")?;
            let letters = desk.letters()?;
            let found = desk.catalog.member(member).await.map_err(LifecycleError::from)?;
            let Some(member) = found.filter(|member| member.confirmed_at.is_none()) else {
                return Ok(json!({"sent": false}));
            };
            let until = OffsetDateTime::now_utc() + GOOD;
            let token = desk.catalog.master().confirmation_key().issue(member.id, &member.email, until);
            let link = letters.confirm_url.replace("{token}", &token).replace("{slug}", member.slug.as_str());
            let dashboard = letters.dashboard(&member.slug);
            let asking =
                Asking { member: &member, link: &link, dashboard: dashboard.as_deref(), days: GOOD.whole_days() };
            let (subject, text) = letters.language.asks(&asking);
            let letter =
                Letter { id: work.operation(), to: &member.email, name: &member.name, subject: &subject, text: &text };
            letters.mailer.send(&letter).await.map_err(LifecycleError::from)?;
            let mut pauses = RECORDED.iter();
            let mut first = None;
            let output = loop {
                match (desk.record_sent(work, member.id).await, pauses.next()) {
                    (Ok(output), _) => break output,
                    // The step done again would send it again.
                    (Err(fault @ Fault::Passing(_)), Some(pause)) => {
                        first.get_or_insert(fault);
                        sleep(*pause).await;
                    }
                    // It may be that it was written down, and only the answer lost.
                    (Err(fault), _) => return Err(first.unwrap_or(fault)),
                }
            };
            info!(tenant = %member.tenant, slug = %member.slug, member = %member.id, "member asked to confirm the address");
            Ok(output)
        })
    }

    /// What has gone has gone.
    fn undo<'a>(&'a self, _: &'a Work) -> Act<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}
