//! Reading archived rows.

use catalog::{Archive, ArchiveState};
use uuid::Uuid;

use super::{folder, object};
use crate::backup::{ColumnEntry, RowFormat, RowReader, RowsOf};
use crate::{Lifecycle, LifecycleError};

/// Names and types of an archive's columns, in the order of the values; none until its object is whole.
pub fn archived_columns(archive: &Archive) -> Result<Vec<ColumnEntry>, LifecycleError> {
    let Some(columns) = archive.columns.clone() else { return Ok(Vec::new()) };
    serde_json::from_value(columns).map_err(|error| {
        let why = format!("the record of its columns cannot be read: {error}");
        LifecycleError::BadArchive { archive: archive.id, why }
    })
}

impl Lifecycle {
    /// An archive's rows, in whichever format.
    pub async fn archive_rows(&self, id: Uuid, format: RowFormat) -> Result<(Archive, RowReader), LifecycleError> {
        let archive = self.settled_archive(id).await?;
        let bad = |why: &str| LifecycleError::BadArchive { archive: id, why: why.to_owned() };
        if archive.state != ArchiveState::Kept {
            return Err(bad("it is being removed"));
        }
        let columns = archived_columns(&archive)?;
        let store = self.store_of_archive(&archive)?;
        let key = self.backup_key(archive.tenant);
        let reader = store.read(&object(&folder(&archive.app, archive.tenant, id)), &key).await?;
        Ok((archive, RowReader::new(reader, format, columns, RowsOf::Archive(id))))
    }
}
