//! Archives: old rows that are kept elsewhere when retention removes them.
//!
//! A row is in its table or in an archive, and never in neither. The control database is told which transaction deletes rows; they stream
//! out of its statement into an object; when that is whole, the transaction is committed. Whatever dies when, PostgreSQL knows what came
//! of the transaction, and the object is kept or removed accordingly.

mod read;
mod remove;
mod settle;
mod write;

use domain::{AppName, TenantId};
use objects::Store;
use uuid::Uuid;

use crate::{Lifecycle, LifecycleError};

pub use read::archived_columns;
pub(crate) use write::{Archiving, Chosen, Refused};

/// What the names of an archive's objects begin with. Backups begin with an app's name and a tenant's id, which this is not.
fn folder(app: &AppName, tenant: TenantId, id: Uuid) -> String {
    format!("archives/{app}/{tenant}/{id}")
}

fn object(folder: &str) -> String {
    format!("{folder}/rows")
}

impl Lifecycle {
    fn store_of_archive(&self, archive: &catalog::Archive) -> Result<&Store, LifecycleError> {
        self.store_at(&archive.store, |why| LifecycleError::BadArchive { archive: archive.id, why })
    }
}
