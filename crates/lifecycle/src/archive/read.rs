//! Reading archived rows.

use catalog::{Archive, ArchiveState};
use uuid::Uuid;

use super::{folder, object};
use crate::backup::{ColumnEntry, RowFormat, RowReader, RowsOf};
use crate::{Lifecycle, LifecycleError};

impl Lifecycle {
    /// An archive's rows, in whichever format.
    pub async fn archive_rows(&self, id: Uuid, format: RowFormat) -> Result<(Archive, RowReader), LifecycleError> {
        let archive = self.settled_archive(id).await?;
        let bad = |why: &str| LifecycleError::BadArchive { archive: id, why: why.to_owned() };
        if archive.state != ArchiveState::Kept {
            return Err(bad("it is being removed"));
        }
        let columns = archive.columns.clone().unwrap_or_default();
        let columns: Vec<ColumnEntry> =
            serde_json::from_value(columns).map_err(|error| bad(&format!("its record cannot be read: {error}")))?;
        let store = self.store_of_archive(&archive)?;
        let key = self.backup_key(archive.tenant);
        let reader = store.read(&object(&folder(&archive.app, archive.tenant, id)), &key).await?;
        Ok((archive, RowReader::new(reader, format, columns, RowsOf::Archive(id))))
    }
}
