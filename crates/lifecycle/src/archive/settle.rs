//! What has come of archives that somebody did not live to tell of.

use std::time::Duration;

use catalog::Archive;
use domain::TenantId;
use tokio::time::sleep;
use tracing::{info, warn};

use crate::{Lifecycle, LifecycleError};

/// How often a server is asked for a transaction that is still under way, and after which pauses.
const ATTEMPTS: u32 = 50;
const PAUSE: Duration = Duration::from_millis(100);

/// What came of a transaction. A server that was taken back to an earlier time does not know it yet, and forgets it after two thousand
/// million others.
const STATUS: &str = "
    SELECT CASE WHEN $1::text::xid8 >= pg_snapshot_xmax(pg_current_snapshot()) THEN 'unknown'
        ELSE coalesce(pg_xact_status($1::text::xid8), 'unknown') END";

/// Whoever has it is somebody who has lost the operation.
const END: &str = "
    SELECT count(pg_terminate_backend(pid))::text FROM pg_stat_activity WHERE backend_xid = $1::text::xid8::xid";

impl Lifecycle {
    /// Keeps a tenant's archives whose rows are gone from their tables, and removes those whose rows are still there.
    pub(crate) async fn settle_archives(&self, tenant: TenantId) -> Result<(), LifecycleError> {
        for archive in self.catalog.unsettled_archives(Some(tenant)).await? {
            self.settle(&archive).await?;
        }
        Ok(())
    }

    /// The same for everybody whose operation has ended.
    pub async fn settle_ended_archives(&self) -> Result<(), LifecycleError> {
        for archive in self.catalog.unsettled_archives(None).await? {
            if let Err(error) = self.settle(&archive).await {
                warn!(archive = %archive.id, %error, "it is not known yet whether archived rows are gone; asking again later");
            }
        }
        Ok(())
    }

    async fn settle(&self, archive: &Archive) -> Result<(), LifecycleError> {
        let kept = match &archive.xid {
            // Its object was never whole.
            None => false,
            // Where nobody knows, rows may be there twice, but they are not lost.
            Some(xid) => self.came_of(archive, xid).await? != "aborted",
        };
        info!(archive = %archive.id, tenant = %archive.tenant, kept, "an archive that was cut off is settled");
        if kept {
            return Ok(self.catalog.keep_archive(archive.id).await?);
        }
        self.store_of_archive(archive)?;
        self.discard(&archive.app, archive.tenant, archive.id).await
    }

    async fn came_of(&self, archive: &Archive, xid: &str) -> Result<String, LifecycleError> {
        let session = self.admin(archive.cluster, None).await?;
        let ask = async |sql| {
            let row = session.query_one(sql, &[&xid]).await.map_err(|error| session.fault(&error))?;
            row.try_get::<_, String>(0).map_err(|error| session.fault(&error))
        };
        for _ in 0..ATTEMPTS {
            let status = ask(STATUS).await?;
            if status != "in progress" {
                return Ok(status);
            }
            ask(END).await?;
            sleep(PAUSE).await;
        }
        Err(LifecycleError::Step(format!("transaction {xid}, which removes rows that are archived, does not end")))
    }
}
