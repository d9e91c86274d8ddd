//! What tenants have in common on a cluster, taken to a newer version: tables that they share, and those that are the same for all.

use std::collections::HashSet;

use catalog::{Entry, Shape};
use domain::{Isolation, Placement, TenantId, quote_ident};
use tenantize::{Run, Runner, Upgrade, grants_on_sequences};

use super::transact::{Patience, Script, Stop, has_as_owner};
use super::unit::turn_of;
use super::{Course, MigrateOptions};
use crate::prepare::secrets;
use crate::server::Session;
use crate::{Lifecycle, LifecycleError};
use crate::{shape, stamp};
use uuid::Uuid;

const SEARCH_PATH: &str = "public, global, extensions";

/// The key of the lock that one migration of what is global at a time has.
const GLOBAL_TURN: &str = "pg_catalog.hashtextextended('sindico migration of what is global', 0)";

/// The same for shared tables.
const SHARED_TURN: &str = "pg_catalog.hashtextextended('sindico migration of shared tables', 0)";

/// The database of an app on a cluster, with the tenants that share its tables.
pub(crate) struct Commons<'a> {
    pub(crate) session: &'a Session,
    pub(crate) course: &'a Course,
    pub(crate) options: &'a MigrateOptions,
    /// How many migrations the shared tables have where that is written nowhere.
    pub(crate) known: i32,
    /// The same for the global ones.
    pub(crate) known_global: i32,
    /// Tenants that share tables.
    pub(crate) tenants: &'a [Entry],
    /// Who is told how far the shared tables of which cluster have come.
    pub(crate) told: Option<(&'a Lifecycle, Uuid)>,
}

impl Commons<'_> {
    /// The global part of every migration that the tables do not have yet, each in a transaction of its own. Whoever calls it again
    /// finds it done.
    pub(crate) async fn advance_global(&self) -> Result<(), Stop> {
        let course = self.course;
        for at in self.stamped(stamp::GLOBAL, self.known_global).await?..course.version() {
            let upgrade = course.upgrade(at)?;
            let Some(file) = upgrade.files().first().filter(|file| upgrade.is_global(file)) else { continue };
            let mut script = Script::new(self.has_as_owner().await?);
            script.owner(&course.app, SEARCH_PATH, upgrade.global(file, &course.app.names()));
            script.end();
            script.ours(stamp::write(stamp::GLOBAL, at + 1));
            self.commit(&script, GLOBAL_TURN, stamp::GLOBAL, at, None).await?;
            if let Some((desk, cluster)) = self.told {
                desk.probe.pass("global version")?;
                let recorded = desk.catalog.set_global_version(&course.app, cluster, at + 1).await;
                recorded.map_err(LifecycleError::from)?;
            }
        }
        Ok(())
    }

    /// The shared tables, migration by migration.
    pub(crate) async fn advance(&self, expected: Option<&Shape>) -> Result<(), Stop> {
        let start = self.stamped(stamp::WHOLE, self.known).await?;
        if start > self.known {
            // Whoever brought them there did not live to tell.
            self.tell(start).await?;
        }
        let version = self.course.version();
        // Rows do not change what tables look like.
        let mut last = None;
        for at in start..version {
            let upgrade = self.course.upgrade(at)?;
            last = upgrade.files().first().filter(|file| !upgrade.is_rows_alone(file)).map(|_| at).or(last);
        }
        for at in start..version {
            let upgrade = self.course.upgrade(at)?;
            let Some(file) = upgrade.files().first() else { break };
            if upgrade.is_rows_alone(file) {
                self.rows(&upgrade, file, at).await?;
            } else {
                self.tables(&upgrade, file, at, expected.filter(|_| last == Some(at))).await?;
            }
            self.tell(at + 1).await?;
        }
        let session = self.session;
        session.batch_execute("BEGIN").await.map_err(|error| Stop::of(session, &error, None))?;
        secrets::record_sequences(session, &self.course.plan).await?;
        session.batch_execute("COMMIT").await.map_err(|error| Stop::of(session, &error, None))
    }

    /// A migration that changes tables. A tenant may be removed while it waits for locks; then it is written anew for the others.
    async fn tables(&self, upgrade: &Upgrade, file: &str, at: i32, expected: Option<&Shape>) -> Result<(), Stop> {
        let as_owner = self.has_as_owner().await?;
        loop {
            let there = self.there().await?;
            let script = self.script(Script::new(as_owner), upgrade, file, at, &there);
            match self.commit(&script, SHARED_TURN, stamp::WHOLE, at, expected).await {
                Err(Stop::Failed(error)) if self.there().await? == there => return Err(Stop::Failed(error)),
                Err(Stop::Failed(_)) => {}
                done => return done,
            }
        }
    }

    async fn tell(&self, version: i32) -> Result<(), Stop> {
        let Some((desk, cluster)) = self.told else { return Ok(()) };
        desk.probe.pass("shared version")?;
        let recorded = desk.catalog.set_shared_version(&self.course.app, cluster, version).await;
        Ok(recorded.map_err(LifecycleError::from)?)
    }

    async fn has_as_owner(&self) -> Result<bool, Stop> {
        has_as_owner(self.session, &self.course.app).await
    }

    fn script(&self, mut script: Script, upgrade: &Upgrade, file: &str, at: i32, there: &[TenantId]) -> Script {
        let Self { course, .. } = *self;
        let names = course.app.names();
        for Run { by, statements } in upgrade.shared(file, &names) {
            match by {
                Runner::Owner => script.owner(&course.app, SEARCH_PATH, statements),
                Runner::Definer => {
                    for tenant in there {
                        let path = quote_ident(&tenant.sequence_schema());
                        script.as_role(&names.definer, &path, statements.iter().cloned());
                        script.ours(format!("SET LOCAL ROLE {}", quote_ident(&names.definer)));
                        for grant in grants_on_sequences(*tenant) {
                            script.ours(grant);
                        }
                        script.ours("RESET ROLE");
                    }
                }
                Runner::Tenant | Runner::Filler => {
                    for tenant in there {
                        script.tenant(*tenant, by, &self.path_of(*tenant), statements.iter().cloned());
                    }
                }
            }
        }
        script.end();
        script.ours(stamp::write(stamp::WHOLE, at + 1));
        script
    }

    /// A migration that only writes rows: for each tenant by itself, since nobody sees whether the others have it.
    async fn rows(&self, upgrade: &Upgrade, file: &str, at: i32) -> Result<(), Stop> {
        let session = self.session;
        let runs = upgrade.shared(file, &self.course.app.names());
        for tenant in self.there().await? {
            let schema = tenant.sequence_schema();
            match stamp::read(session, &schema).await? {
                stamp::Stamp::Gone => continue,
                stamp::Stamp::Version(version) if version > at => continue,
                _ => {}
            }
            let mut script = Script::new(false);
            for Run { by, statements } in &runs {
                script.tenant(tenant, *by, &self.path_of(tenant), statements.iter().cloned());
            }
            script.end();
            script.ours(stamp::write(&schema, at + 1));
            match self.commit(&script, &turn_of(tenant), &schema, at, None).await {
                // It has been removed meanwhile.
                Err(Stop::Failed(_)) if !self.there().await?.contains(&tenant) => {}
                done => done?,
            }
        }
        let mut script = Script::new(false);
        script.end();
        script.ours(stamp::write(stamp::WHOLE, at + 1));
        self.commit(&script, SHARED_TURN, stamp::WHOLE, at, None).await
    }

    /// Tenants whose roles and sequences are there: those that are being made or removed may not have them.
    async fn there(&self) -> Result<Vec<TenantId>, Stop> {
        let session = self.session;
        let rows = session
            .query(
                "SELECT n.nspname::text FROM pg_namespace n JOIN pg_roles r ON r.rolname = 't_' || substr(n.nspname, 3)
                 WHERE n.nspname ~ '^s_[0-9a-f]{32}$'",
                &[],
            )
            .await
            .map_err(|error| Stop::of(session, &error, None))?;
        let there: HashSet<String> = rows.iter().map(|row| row.get(0)).collect();
        let ours = self.tenants.iter().map(|entry| entry.tenant);
        Ok(ours.filter(|tenant| there.contains(&tenant.sequence_schema())).collect())
    }

    fn path_of(&self, tenant: TenantId) -> String {
        Placement::of(tenant, &self.course.app, Isolation::Shared, Uuid::nil()).search_path(tenant)
    }

    async fn stamped(&self, schema: &str, known: i32) -> Result<i32, Stop> {
        Ok(match stamp::read(self.session, schema).await? {
            stamp::Stamp::Version(version) => version,
            stamp::Stamp::None | stamp::Stamp::Gone => known,
        })
    }

    /// Runs a transaction unless somebody else has meanwhile, and commits it if the tables then look as expected.
    async fn commit(
        &self,
        script: &Script,
        turn: &str,
        schema: &str,
        at: i32,
        expected: Option<&Shape>,
    ) -> Result<(), Stop> {
        let mut patience = Patience::new(self.options);
        loop {
            let done = self.attempt(script, turn, schema, at, expected).await;
            if !matches!(done, Ok(true)) {
                // A session that is gone has rolled back by itself.
                let _gone = self.session.batch_execute("ROLLBACK").await;
            }
            match done {
                Ok(_) => return Ok(()),
                Err(stop) if patience.again(&stop).await => {}
                Err(stop) => return Err(stop),
            }
        }
    }

    /// Whether it was left to this attempt, and has been committed.
    async fn attempt(
        &self,
        script: &Script,
        turn: &str,
        schema: &str,
        at: i32,
        expected: Option<&Shape>,
    ) -> Result<bool, Stop> {
        let session = self.session;
        let fault = |error| Stop::of(session, &error, None);
        let begin = format!("{}; SELECT pg_catalog.pg_advisory_xact_lock({turn})", self.options.begin());
        session.batch_execute(&begin).await.map_err(fault)?;
        // Whoever had the turn before may have done it.
        if matches!(stamp::read(session, schema).await?, stamp::Stamp::Version(version) if version > at) {
            return Ok(false);
        }
        script.one_by_one(session).await?;
        if let Some(expected) = expected {
            let found = shape::of_schema(session, "public").await?;
            if let Some(difference) = shape::difference(expected, &found) {
                let place = " where tenants share them";
                return Err(Stop::Failed(LifecycleError::Diverged { place, difference }));
            }
        }
        session.batch_execute("COMMIT").await.map_err(fault)?;
        Ok(true)
    }
}
