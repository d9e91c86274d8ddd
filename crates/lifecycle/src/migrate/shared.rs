//! What tenants have in common on a cluster, taken to a newer version: tables that they share, and those that are the same for all.

use std::collections::HashSet;

use catalog::{Entry, Shape};
use domain::{Isolation, Placement, TenantId, quote_ident};
use tenantize::{Run, Runner, Upgrade, grants_on_sequences};

use super::transact::{Patience, Script, Stop};
use super::unit::turn_of;
use super::{Course, MigrateOptions};
use crate::prepare::secrets;
use crate::server::Session;
use crate::{Lifecycle, LifecycleError};
use crate::{shape, stamp};
use uuid::Uuid;

const SEARCH_PATH: &str = "public, global, extensions";

/// The key of the lock that one migration of what is global at a time has.
const GLOBAL_TURN: &str = "hashtextextended('sindico migration of what is global', 0)";

/// The database of an app on a cluster, with the tenants that share its tables.
pub(crate) struct Commons<'a> {
    pub(crate) session: &'a Session,
    pub(crate) course: &'a Course,
    pub(crate) options: &'a MigrateOptions,
    /// How many migrations the shared tables have where that is written nowhere.
    pub(crate) known: i32,
    /// Tenants that share tables.
    pub(crate) tenants: &'a [Entry],
    /// Who is told how far the shared tables of which cluster have come.
    pub(crate) told: Option<(&'a Lifecycle, Uuid)>,
}

impl Commons<'_> {
    /// The global part of every migration that the tables do not have yet, each in a transaction of its own.
    pub(crate) async fn advance_global(&self) -> Result<(), Stop> {
        let course = self.course;
        let start = self.stamped(stamp::GLOBAL).await?;
        for at in start..course.version() {
            let upgrade = course.upgrade(at)?;
            let Some(file) = upgrade.files().first().filter(|file| upgrade.is_global(file)) else { continue };
            let mut script = self.beginning(GLOBAL_TURN);
            script.owner(&course.app, SEARCH_PATH, upgrade.global(file, &course.app.names()));
            script.ours(stamp::write(stamp::GLOBAL, at + 1));
            self.commit(script, stamp::GLOBAL, at).await?;
        }
        Ok(())
    }

    /// The shared tables, migration by migration.
    pub(crate) async fn advance(&self, expected: Option<&Shape>) -> Result<(), Stop> {
        let start = self.stamped(stamp::WHOLE).await?;
        if start > self.known {
            // Whoever brought them there did not live to tell.
            self.tell(start).await?;
        }
        for at in start..self.course.version() {
            let upgrade = self.course.upgrade(at)?;
            let Some(file) = upgrade.files().first() else { break };
            let last = at + 1 == self.course.version();
            if upgrade.is_rows_alone(file) {
                self.rows(&upgrade, file, at).await?;
            } else {
                let script = self.script(&upgrade, file, at).await?;
                self.commit_as(script, stamp::WHOLE, at, expected.filter(|_| last)).await?;
            }
            self.tell(at + 1).await?;
        }
        Ok(())
    }

    async fn tell(&self, version: i32) -> Result<(), Stop> {
        let Some((desk, cluster)) = self.told else { return Ok(()) };
        desk.probe.pass("shared version")?;
        let recorded = desk.catalog.set_shared_version(&self.course.app, cluster, version).await;
        Ok(recorded.map_err(LifecycleError::from)?)
    }

    async fn script(&self, upgrade: &Upgrade, file: &str, at: i32) -> Result<Script, Stop> {
        let Self { course, .. } = *self;
        let names = course.app.names();
        let there = self.there().await?;
        let mut script = self.beginning(&turn_of(TenantId::from_uuid(Uuid::nil())));
        for Run { by, statements } in upgrade.shared(file, &names) {
            match by {
                Runner::Owner => script.owner(&course.app, SEARCH_PATH, statements),
                Runner::Definer => {
                    for tenant in &there {
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
                    for tenant in &there {
                        script.tenant(*tenant, by, &self.path_of(*tenant), statements.iter().cloned());
                    }
                }
            }
        }
        script.ours(format!("SET LOCAL search_path = {SEARCH_PATH}; {}", stamp::write(stamp::WHOLE, at + 1)));
        Ok(script)
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
            let mut script = self.beginning(&turn_of(tenant));
            for Run { by, statements } in &runs {
                script.tenant(tenant, *by, &self.path_of(tenant), statements.iter().cloned());
            }
            script.ours(stamp::write(&schema, at + 1));
            self.commit(script, &schema, at).await?;
        }
        let mut script = self.beginning(&turn_of(TenantId::from_uuid(Uuid::nil())));
        script.ours(stamp::write(stamp::WHOLE, at + 1));
        self.commit(script, stamp::WHOLE, at).await
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

    fn beginning(&self, turn: &str) -> Script {
        let mut script = Script::default();
        script.ours(self.options.begin());
        script.ours(format!("SELECT pg_advisory_xact_lock({turn})"));
        script
    }

    async fn stamped(&self, schema: &str) -> Result<i32, Stop> {
        Ok(match stamp::read(self.session, schema).await? {
            stamp::Stamp::Version(version) => version,
            stamp::Stamp::None | stamp::Stamp::Gone => self.known,
        })
    }

    async fn commit(&self, script: Script, schema: &str, at: i32) -> Result<(), Stop> {
        self.commit_as(script, schema, at, None).await
    }

    /// Runs a transaction unless somebody else has meanwhile, and commits it if the tables then look as expected.
    async fn commit_as(&self, script: Script, schema: &str, at: i32, expected: Option<&Shape>) -> Result<(), Stop> {
        let mut patience = Patience::new(self.options);
        loop {
            match self.attempt(&script, schema, at, expected).await {
                Err(stop) if patience.again(&stop).await => {}
                done => return done,
            }
        }
    }

    async fn attempt(&self, script: &Script, schema: &str, at: i32, expected: Option<&Shape>) -> Result<(), Stop> {
        if self.past(schema, at).await? {
            return Ok(());
        }
        let done = self.run(script, expected).await;
        if done.is_err() {
            // A session that is gone has rolled back by itself.
            let _gone = self.session.batch_execute("ROLLBACK").await;
        }
        done
    }

    async fn run(&self, script: &Script, expected: Option<&Shape>) -> Result<(), Stop> {
        let session = self.session;
        script.one_by_one(session).await?;
        if let Some(expected) = expected {
            secrets::record_sequences(session, &self.course.plan).await?;
            let found = shape::of_schema(session, "public").await?;
            if let Some(difference) = shape::difference(expected, &found) {
                let place = " where tenants share them";
                return Err(Stop::Failed(LifecycleError::Diverged { place, difference }));
            }
        }
        session.batch_execute("COMMIT").await.map_err(|error| Stop::of(session, &error, None))
    }

    async fn past(&self, schema: &str, at: i32) -> Result<bool, Stop> {
        Ok(matches!(stamp::read(self.session, schema).await?, stamp::Stamp::Version(version) if version > at))
    }
}
