//! Keeping tenants ready that nobody has asked for yet, so that whoever does gets one at once.
//!
//! A spare is a tenant in all but name: made by the same steps, seeded and read back. Somebody becomes it in the one transaction that records the slug and the first key ([`catalog::Catalog::reserve`]).

mod discard;
mod make;

use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{Lifecycle, LifecycleError};

pub(crate) use make::SPARE;

/// What people ask for goes first.
const PRIORITY: i16 = -1;

/// How often it is looked without anybody having asked for a tenant.
const LOOK: Duration = Duration::from_secs(10);

impl Lifecycle {
    /// Makes spares that are lacking and removes those that nobody should become, until `shutdown`.
    pub async fn keep_warm_forever(&self, shutdown: CancellationToken) {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                kept = self.keep_warm() => if let Err(error) = kept {
                    warn!(%error, "tenants could not be kept ready");
                }
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                // Nobody asking is what the time is for.
                _asked_or_not = timeout(LOOK, self.spares_asked.notified()) => {}
            }
        }
    }

    /// Until nothing is lacking. Spares are made and removed one at a time, so that this takes one turn of those that there are for people
    /// who wait; and one that is to be replaced goes when the others are there.
    async fn keep_warm(&self) -> Result<(), LifecycleError> {
        self.make_lacking().await?;
        for spare in self.catalog.unwanted_spares(&self.warm_pool).await? {
            let Some(removal) = self.discard_spare(&spare).await? else { continue };
            info!(tenant = %spare.id, app = %spare.app, "a spare is removed");
            // Whether it is gone, the operation says.
            let _ended = removal.await;
            self.make_lacking().await?;
        }
        Ok(())
    }

    async fn make_lacking(&self) -> Result<(), LifecycleError> {
        while self.warm_pool.size > 0 && self.make_spare().await? {}
        Ok(())
    }
}
