//! Removing a spare.

use catalog::{CatalogError, Spare};
use jobs::NewOperation;
use tokio::task::JoinHandle;

use super::PRIORITY;

use crate::removal::{removal, removing};
use crate::{Lifecycle, LifecycleError};

impl Lifecycle {
    /// Nobody becomes it any more, and it is removed as tenants are. None if somebody has become it.
    pub(crate) async fn discard_spare(&self, spare: &Spare) -> Result<Option<JoinHandle<()>>, LifecycleError> {
        let mut tx = self.catalog.begin().await?;
        if !self.catalog.close_spare(&mut tx, spare.id).await? {
            return Ok(None);
        }
        let operation = removing(spare.id, &spare.slug, &spare.app, &spare.placement);
        let claim = self.jobs.enqueue(&mut tx, NewOperation { priority: PRIORITY, ..operation }).await?;
        tx.commit().await.map_err(CatalogError::from)?;
        Ok(Some(self.leave(claim, removal(self))))
    }
}
