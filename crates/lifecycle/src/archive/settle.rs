//! What has come of archives: whether the transactions that remove their rows were committed.

use std::time::Duration;

use catalog::{Archive, Unsettled};
use domain::{Access, Role};
use tokio::time::sleep;
use tracing::warn;

use crate::{Lifecycle, LifecycleError};

/// How often a server is asked for a transaction that is still under way, and after which pauses.
const ATTEMPTS: u32 = 50;
const PAUSE: Duration = Duration::from_millis(100);

/// What came of a transaction. Another server knows nothing of it, nor does one that was taken back to an earlier time, and each forgets it
/// when all tables have been frozen since.
const STATUS: &str = "
    SELECT CASE WHEN (SELECT system_identifier FROM pg_control_system()) <> $2 THEN 'unknown' WHEN $1::text::xid8 > pg_current_xact_id() THEN 'unknown'
        ELSE coalesce(pg_xact_status($1::text::xid8), 'unknown') END";

/// Whoever of the tenant's has it is somebody who has lost the operation.
const END: &str = "
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE backend_xid = $1::text::xid8::xid AND usename = $2";

impl Lifecycle {
    /// Keeps archives whose rows are gone from their tables, and removes those whose rows are still there.
    pub async fn settle_archives(&self, which: Unsettled) -> Result<(), LifecycleError> {
        for archive in self.catalog.unsettled_archives(which).await? {
            self.settle(&archive, false).await?;
        }
        Ok(())
    }

    /// The same, as far as servers answer: what is left is asked for again later.
    pub async fn try_to_settle_archives(&self, which: Unsettled) -> Result<(), LifecycleError> {
        for archive in self.catalog.unsettled_archives(which).await? {
            if let Err(error) = self.settle(&archive, false).await {
                warn!(archive = %archive.id, %error, "it is not known yet whether archived rows are gone; asking again later");
            }
        }
        Ok(())
    }

    /// Whether its rows are in it, and nowhere else. Of what is `written` to its end, or not at all, nothing can come later.
    pub(super) async fn settle(&self, archive: &Archive, written: bool) -> Result<bool, LifecycleError> {
        let Archive { id, tenant, .. } = archive;
        // Where nobody knows, rows may be there twice, but they are not lost.
        if self.came_of(archive).await? != "aborted" && archive.rows.is_some() {
            if self.catalog.keep_archive(*id).await? {
                return Ok(true);
            }
            return Err(LifecycleError::Unverified(format!("record of archive {id} of tenant {tenant}")));
        }
        if self.catalog.give_up_archive(*id).await?
            && let Err(error) = self.discard(archive, written).await
        {
            warn!(archive = %id, %error, "what was written of an archive could not be removed; trying again later");
        }
        Ok(false)
    }

    async fn came_of(&self, archive: &Archive) -> Result<String, LifecycleError> {
        let Archive { xid, cluster, system_identifier, tenant, .. } = archive;
        let session = self.admin(*cluster, None).await?;
        let fault = |error| session.fault(&error);
        for _ in 0..ATTEMPTS {
            let status: String = session
                .query_one(STATUS, &[xid, system_identifier])
                .await
                .and_then(|row| row.try_get(0))
                .map_err(fault)?;
            if status != "in progress" {
                return Ok(status);
            }
            let role = Role::new(*tenant, Access::ReadWrite).to_string();
            session.query_one(END, &[xid, &role]).await.map_err(fault)?;
            sleep(PAUSE).await;
        }
        Err(LifecycleError::Step(format!("transaction {xid}, which removes rows that are archived, does not end")))
    }
}
