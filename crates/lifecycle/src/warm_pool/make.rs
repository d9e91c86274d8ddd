//! Making a tenant that is nobody's.

use catalog::CatalogError;
use domain::TenantId;
use jobs::NewOperation;
use uuid::Uuid;

use super::PRIORITY;
use crate::provision::provision_spare;
use crate::subject::Subject;
use crate::{Lifecycle, LifecycleError};

/// What the operation is called.
pub(crate) const SPARE: &str = "spare";

impl Lifecycle {
    /// Makes what is lacking most. `false` if nothing is.
    pub(super) async fn make_spare(&self) -> Result<bool, LifecycleError> {
        let mut tx = self.catalog.begin().await?;
        let Some(wanted) = self.catalog.wanted_spare(&mut tx, &self.warm_pool).await? else { return Ok(false) };
        let id = TenantId::from_uuid(Uuid::now_v7());
        let spare = self.catalog.reserve_spare(&mut tx, id, &wanted).await?;
        let operation = NewOperation {
            kind: SPARE,
            subject: id.as_uuid(),
            title: spare.slug.as_str(),
            input: Subject::new(id, &spare.app, &spare.placement).to_json(),
            priority: PRIORITY,
        };
        let claim = self.jobs.enqueue(&mut tx, operation).await?;
        tx.commit().await.map_err(CatalogError::from)?;
        // Whether it has failed, its record says: then it is not tried again for a while.
        let _ended = self.leave(claim, provision_spare(self)).await;
        Ok(true)
    }
}
