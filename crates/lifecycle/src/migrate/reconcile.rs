//! Records that are behind what is written beside the tables: whoever brought those there did not live to tell, or was cancelled.

use std::collections::HashMap;

use catalog::Standing;
use domain::{AppName, Isolation};

use crate::server::Session;
use crate::{Lifecycle, LifecycleError, stamp};

/// All that is stamped in a database.
const STAMPS: &str = "
    SELECT n.nspname::text, substring(d.description FROM '^sindico version ([0-9]{1,9})$')::int4
    FROM pg_description d JOIN pg_namespace n ON n.oid = d.objoid
    WHERE d.classoid = 'pg_namespace'::regclass AND d.description ~ '^sindico version [0-9]{1,9}$'";

impl Lifecycle {
    /// Reads the tables of whoever is behind, unless nobody is. So nothing that tenants have is taken for something that can still be
    /// changed.
    pub(super) async fn reconcile(&self, app: &AppName) -> Result<(), LifecycleError> {
        let newest = self.catalog.newest_release(app).await?;
        let standings = self.catalog.standings(app).await?;
        let behind = self.catalog.ledger(app, Some(newest.version)).await?;
        let level = |it: &Standing| it.version.min(it.global_version) >= newest.version;
        if behind.is_empty() && standings.iter().all(level) {
            return Ok(());
        }
        for standing in standings {
            let own = |isolation: Isolation| isolation.has_own_database();
            let of = behind.iter().filter(|entry| entry.placement.cluster == standing.cluster);
            let (databases, schemas): (Vec<_>, Vec<_>) = of.partition(|entry| own(entry.placement.isolation));
            if let Some(stamps) = self.stamps_of_app(app, &standing).await? {
                let of = |schema: &str| stamps.get(schema).copied().unwrap_or(0);
                if of(stamp::GLOBAL) > standing.global_version {
                    self.catalog.set_global_version(app, standing.cluster, of(stamp::GLOBAL)).await?;
                }
                if of(stamp::WHOLE) > standing.version {
                    self.catalog.set_shared_version(app, standing.cluster, of(stamp::WHOLE)).await?;
                }
                for entry in schemas.iter().filter(|entry| entry.placement.isolation == Isolation::Schema) {
                    self.catalog.set_migrated(&[entry.tenant], of(&entry.placement.schema), None).await?;
                }
            }
            for entry in databases {
                // Whatever cannot be read now, the operation will meet again.
                let Ok(session) = self.admin(standing.cluster, Some(&entry.placement.database)).await else { continue };
                if let stamp::Stamp::Version(version) = stamp::read(&session, stamp::WHOLE).await? {
                    self.catalog.set_migrated(&[entry.tenant], version, None).await?;
                }
            }
        }
        Ok(())
    }

    /// Nothing where the app has no database of its own: only tenants have, there.
    async fn stamps_of_app(
        &self,
        app: &AppName,
        standing: &Standing,
    ) -> Result<Option<HashMap<String, i32>>, LifecycleError> {
        let dedicated = self.catalog.clusters().await?.iter().any(|it| it.id == standing.cluster && it.dedicated);
        if dedicated {
            return Ok(None);
        }
        let session: Session = self.admin(standing.cluster, Some(&app.names().database)).await?;
        let rows = session.query(STAMPS, &[]).await.map_err(|error| session.fault(&error))?;
        Ok(Some(rows.iter().map(|row| (row.get(0), row.get(1))).collect()))
    }
}
