//! Removing a spare.

use catalog::{CatalogError, Spare};
use jobs::NewOperation;
use tokio::task::JoinHandle;

use super::PRIORITY;

use crate::removal::{REMOVE, removal};
use crate::subject::Subject;
use crate::{Lifecycle, LifecycleError};

impl Lifecycle {
    /// Nobody becomes it any more, and it is removed as tenants are. None if somebody has become it.
    pub(crate) async fn discard_spare(&self, spare: &Spare) -> Result<Option<JoinHandle<()>>, LifecycleError> {
        let mut tx = self.catalog.begin().await?;
        if !self.catalog.close_spare(&mut tx, spare.id).await? {
            return Ok(None);
        }
        let operation = NewOperation {
            kind: REMOVE,
            subject: spare.id.as_uuid(),
            title: spare.slug.as_str(),
            input: Subject::new(spare.id, &spare.app, &spare.placement).to_json(),
            priority: PRIORITY,
        };
        let claim = self.jobs.enqueue(&mut tx, operation).await?;
        tx.commit().await.map_err(CatalogError::from)?;
        Ok(Some(self.leave(claim, removal(self))))
    }
}
