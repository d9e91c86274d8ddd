//! Records that are behind what is written beside the tables: whoever brought those there did not live to tell, or was cancelled.

use std::collections::HashMap;

use catalog::{Entry, Standing};
use domain::{AppName, Isolation};
use uuid::Uuid;

use crate::{Lifecycle, LifecycleError, stamp};

/// All that is stamped in a database.
const STAMPS: &str = "
    SELECT n.nspname::text, d.description FROM pg_description d JOIN pg_namespace n ON n.oid = d.objoid
    WHERE d.classoid = 'pg_namespace'::regclass";

impl Lifecycle {
    /// Reads the tables of whoever is behind, unless nobody is. So nothing that tenants have is taken for something that can still be
    /// changed.
    pub(super) async fn reconcile(&self, app: &AppName) -> Result<(), LifecycleError> {
        let newest = self.catalog.newest_release(app).await?;
        let stands = self.stands(app).await?;
        let behind = self.catalog.ledger(app, Some(newest.version)).await?;
        let level = |it: &Standing| it.version.min(it.global_version) >= newest.version;
        if behind.is_empty() && stands.iter().all(|(_, standing)| level(standing)) {
            return Ok(());
        }
        for (cluster, standing) in stands {
            let of = behind.iter().filter(|entry| entry.placement.cluster == cluster.id);
            let (databases, others): (Vec<_>, Vec<_>) = of.partition(|it| it.placement.isolation.has_own_database());
            // There is no database of the app's where only tenants have their own.
            if !cluster.dedicated {
                let stamps = self.stamps(app, cluster.id).await?;
                let of = |schema: &str| stamps.get(schema).copied().unwrap_or(0);
                if of(stamp::GLOBAL) > standing.global_version {
                    self.catalog.set_global_version(app, cluster.id, of(stamp::GLOBAL)).await?;
                }
                if of(stamp::WHOLE) > standing.version {
                    self.catalog.set_shared_version(app, cluster.id, of(stamp::WHOLE)).await?;
                }
                let ahead =
                    |it: &&&Entry| it.placement.isolation == Isolation::Schema && of(&it.placement.schema) > it.version;
                for entry in others.iter().filter(ahead) {
                    self.catalog.set_migrated(&[entry.tenant], of(&entry.placement.schema), None).await?;
                }
            }
            for entry in databases {
                // Whatever cannot be read now, the operation will meet again.
                let Ok(session) = self.admin(cluster.id, Some(&entry.placement.database)).await else { continue };
                if let stamp::Stamp::Version(version) = stamp::read(&session, stamp::WHOLE).await? {
                    self.catalog.set_migrated(&[entry.tenant], version, None).await?;
                }
            }
        }
        Ok(())
    }

    /// By schema, in the database that an app's tenants have in common.
    async fn stamps(&self, app: &AppName, cluster: Uuid) -> Result<HashMap<String, i32>, LifecycleError> {
        let session = self.admin(cluster, Some(&app.names().database)).await?;
        let rows = session.query(STAMPS, &[]).await.map_err(|error| session.fault(&error))?;
        let stamped = rows.iter().filter_map(|row| match stamp::answer(Some(row.get(1))) {
            stamp::Stamp::Version(version) => Some((row.get(0), version)),
            stamp::Stamp::None | stamp::Stamp::Gone => None,
        });
        Ok(stamped.collect())
    }
}
