//! Backing up one tenant.

use catalog::{Contents, Tenant, TenantRef};
use jobs::{Act, Fault, NewOperation, Procedure, Step, Work};
use objects::Store;
use serde_json::{Value, json};
use tracing::info;
use uuid::Uuid;

use super::manifest::Manifest;
use super::{folder, transfer};
use crate::server::Builder;
use crate::subject::Subject;
use crate::{Lifecycle, LifecycleError};

/// What the operation is called.
pub(crate) const BACKUP: &str = "backup";

/// The one step.
pub(crate) fn backup(desk: &Lifecycle) -> Procedure {
    Procedure::reversible(vec![Box::new(Copy(desk.clone()))])
}

struct Copy(Lifecycle);

impl Lifecycle {
    /// Backs a tenant up. The operation's output names the backup.
    pub async fn begin_backup(&self, which: &TenantRef) -> Result<Uuid, LifecycleError> {
        self.store()?;
        let tenant = self.find(which).await?;
        readable(&tenant, UNREADABLE)?;
        let operation = NewOperation {
            kind: BACKUP,
            subject: tenant.id.as_uuid(),
            title: tenant.slug.as_str(),
            input: Subject::new(tenant.id, &tenant.app, &tenant.placement).to_json(),
            priority: 0,
        };
        self.start(operation, backup(self)).await
    }

    /// Records a backup and writes it. Recorded as whole in the transaction that is returned, so that whoever has lost the operation
    /// finishes nothing.
    pub(super) async fn copy_tenant(
        &self,
        work: &Work,
        tenant: &Tenant,
    ) -> Result<(Uuid, Contents, catalog::ControlTx), Fault> {
        readable(tenant, UNREADABLE)?;
        let (store, id) = (self.store()?.clone(), Uuid::now_v7());
        let mut tx = work.begin().await?;
        let begun = self.catalog.begin_backup(&mut tx, id, tenant, store.place(), work.operation()).await;
        begun.map_err(LifecycleError::from)?;
        tx.commit().await?;
        let folder = folder(&tenant.app, tenant.id, id);
        let written = self.write_backup(work, tenant, id, &store, &folder).await;
        if let Err(Fault::Lost) = written {
            // Whoever has the operation now has removed what there was, and knows nothing of what came later.
            let _the_store_is_away = store.remove_all(&folder).await;
        }
        written
    }

    async fn write_backup(
        &self,
        work: &Work,
        tenant: &Tenant,
        id: Uuid,
        store: &Store,
        folder: &str,
    ) -> Result<(Uuid, Contents, catalog::ControlTx), Fault> {
        self.probe.pass("backup")?;
        let by = Builder { tenant: tenant.id, work: Some(work) };
        let snapshot = self.snapshot_of(by, tenant).await?;
        let key = self.backup_key(tenant.id);
        let mut tables = Vec::with_capacity(snapshot.tables.len());
        let total = u64::try_from(snapshot.tables.len()).unwrap_or(0);
        for (number, table) in (1_u64..).zip(&snapshot.tables) {
            let object = format!("{number:04}.rows");
            tables.push(transfer::store_table(&snapshot, table, store, &key, folder, object).await?);
            work.progress(number, total).await?;
        }
        let sequences = snapshot.sequences().await?;
        let migrations =
            self.catalog.version_files(&tenant.app, snapshot.version).await.map_err(LifecycleError::from)?;
        let manifest = Manifest {
            format: Manifest::FORMAT,
            backup: id,
            tenant: tenant.id.as_uuid(),
            slug: tenant.slug.to_string(),
            name: tenant.name.to_string(),
            app: tenant.app.to_string(),
            isolation: tenant.placement.isolation.to_string(),
            version: snapshot.version,
            fingerprint: snapshot.fingerprint().await?,
            server_version: snapshot.server_version,
            taken_at: snapshot.taken_at,
            large_objects: snapshot.large_objects,
            tables,
            sequences,
            migrations: migrations.into_iter().map(Into::into).collect(),
        };
        self.probe.pass("manifest")?;
        manifest.write(store, &key, folder).await?;
        let contents = contents(&manifest);
        let mut tx = work.begin().await?;
        let completed = self.catalog.complete_backup(&mut tx, id, &contents, self.backups.keep_days).await;
        if !completed.map_err(LifecycleError::from)? {
            return Err(LifecycleError::Unverified(format!("record of backup {id}")).into());
        }
        info!(tenant = %tenant.id, slug = %tenant.slug, backup = %id, rows = contents.rows, bytes = contents.bytes, "tenant backed up");
        Ok((id, contents, tx))
    }
}

impl Step for Copy {
    fn name(&self) -> &'static str {
        "copy"
    }

    fn act<'a>(&'a self, work: &'a Work) -> Act<'a, Value> {
        Box::pin(async move {
            let target = Subject::of(work)?;
            let tenant = self.0.find(&TenantRef::Id(target.tenant)).await?;
            let (id, contents, mut tx) = self.0.copy_tenant(work, &tenant).await?;
            let output = told(id, &contents);
            work.conclude(&mut tx, Some(&output)).await?;
            tx.commit().await?;
            Ok(output)
        })
    }

    fn undo<'a>(&'a self, work: &'a Work) -> Act<'a, ()> {
        Box::pin(async move { Ok(self.0.remove_unfinished(work).await?) })
    }
}

fn told(id: Uuid, contents: &Contents) -> Value {
    json!({"backup": id, "rows": contents.rows, "bytes": contents.bytes, "stored_bytes": contents.stored_bytes})
}

const UNREADABLE: &str = "only tenants that are active or suspended can be backed up";

/// Only rows that are all there, and that nobody is making or removing, are copied or replaced.
pub(super) fn readable(tenant: &Tenant, remedy: &'static str) -> Result<(), LifecycleError> {
    if !tenant.status.is_settled() {
        return Err(LifecycleError::WrongStatus { slug: tenant.slug.clone(), status: tenant.status, remedy });
    }
    if tenant.present { Ok(()) } else { Err(LifecycleError::SchemaMissing(tenant.slug.clone())) }
}

fn contents(manifest: &Manifest) -> Contents {
    let whole = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    Contents {
        version: manifest.version,
        taken_at: manifest.taken_at,
        tables: i32::try_from(manifest.tables.len()).unwrap_or(i32::MAX),
        rows: whole(manifest.rows()),
        bytes: whole(manifest.tables.iter().map(|table| table.bytes).sum()),
        stored_bytes: whole(manifest.tables.iter().map(|table| table.stored_bytes).sum()),
    }
}
