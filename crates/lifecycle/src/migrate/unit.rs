//! A tenant with tables of its own, taken to a newer version.

use catalog::{Entry, Shape, ShapeKind};
use domain::{AppName, Isolation, TenantId, quote_literal};
use tenantize::Upgrade;
use tokio_postgres::error::SqlState;

use super::transact::{Patience, Script, Stop, has_as_owner, last_value};
use super::{Course, MigrateOptions};
use crate::server::Session;
use crate::shape::mark;
use crate::{LifecycleError, shape, stamp};

/// How a tenant stands after it was looked at.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reached {
    /// It has all migrations, and its tables this fingerprint, if it was asked for.
    Version(i32, Option<String>),
    /// It has no tables any more.
    Gone,
}

impl Reached {
    /// Whether its tables have just that version.
    pub(crate) fn is_at(&self, version: i32) -> bool {
        matches!(self, Self::Version(at, _) if *at == version)
    }
}

/// What comes of one migration.
enum Went {
    On,
    There(i32, Option<String>),
    Gone,
}

/// Takes one tenant's own tables from whatever version they have to the course's, a transaction for each migration. With a
/// witness, tables that nobody has changed need not be looked at closely.
pub(crate) async fn advance(
    seat: Seat<'_>,
    course: &Course,
    options: &MigrateOptions,
    entry: &Entry,
    expected: Option<&Shape>,
) -> Result<Reached, Stop> {
    let Seat { session, witness, as_owner } = seat;
    let unit = Unit { session, witness, as_owner, course, options, entry, expected };
    let mut patience = Patience::new(options);
    loop {
        let went = match unit.step(false).await {
            // The statement that failed has no name yet.
            Err(Stop::Failed(LifecycleError::Server { .. })) => unit.step(true).await,
            went => went,
        };
        match went {
            Ok(Went::On) => patience = Patience::new(options),
            Ok(Went::There(version, fingerprint)) => return Ok(Reached::Version(version, fingerprint)),
            Ok(Went::Gone) => return Ok(Reached::Gone),
            Err(stop) if patience.again(&stop).await => {}
            Err(stop) => return Err(stop),
        }
    }
}

/// Where a tenant is migrated from.
#[derive(Clone, Copy)]
pub(crate) struct Seat<'a> {
    /// In the database that has its tables.
    pub(crate) session: &'a Session,
    /// Another one there.
    pub(crate) witness: Option<&'a Session>,
    /// Whether [`has_as_owner`] there.
    pub(crate) as_owner: bool,
}

impl<'a> Seat<'a> {
    /// Without a witness.
    pub(crate) async fn alone(session: &'a Session, app: &AppName) -> Result<Self, Stop> {
        Ok(Self { session, witness: None, as_owner: has_as_owner(session, app).await? })
    }
}

struct Unit<'a> {
    session: &'a Session,
    witness: Option<&'a Session>,
    as_owner: bool,
    course: &'a Course,
    options: &'a MigrateOptions,
    entry: &'a Entry,
    expected: Option<&'a Shape>,
}

impl Unit<'_> {
    /// One migration, or nothing if there is none left. Whatever fails is rolled back.
    async fn step(&self, named: bool) -> Result<Went, Stop> {
        let went = self.within(named).await;
        if !matches!(went, Ok(Went::On)) {
            // A session that is gone has rolled back by itself.
            let _gone = self.session.batch_execute("ROLLBACK").await;
        }
        went
    }

    async fn within(&self, named: bool) -> Result<Went, Stop> {
        let Self { session, course, entry, .. } = *self;
        let stamped = stamp::of_tenant(entry.tenant, &entry.placement);
        let begin = format!(
            "{}; SELECT pg_catalog.pg_advisory_xact_lock({}); {}",
            self.options.begin(),
            turn_of(entry.tenant),
            stamp::question(&stamped)
        );
        let said = session.simple_query(&begin).await.map_err(|error| Stop::of(session, &error, None))?;
        let stamp = last_value(&said);
        let at = match stamp::answer(stamp.as_deref()) {
            stamp::Stamp::Gone => return Ok(Went::Gone),
            stamp::Stamp::None => entry.version,
            stamp::Stamp::Version(version) => version,
        };
        if at >= course.version() {
            // Somebody has brought it there and has not told, or its tables were changed since.
            let expected = self.expected.filter(|_| at == course.version());
            let found = self.compare(expected).await?;
            return Ok(Went::There(at, found));
        }
        let upgrade = course.upgrade(at)?;
        let last = at + 1 == course.version();
        let mut script = self.script(&upgrade);
        script.end();
        script.ours("SET LOCAL search_path = pg_catalog, pg_temp");
        if named {
            script.one_by_one(session).await?;
        } else {
            script.at_once(session).await?;
        }
        let known = stamp::mark(stamp.as_deref()).filter(|_| script.only_defines());
        let expected = self.expected.filter(|_| last);
        let (found, mark) = self.look(known, expected, at).await?;
        let end = format!("{}; COMMIT", stamp::write_marked(&stamped, at + 1, mark.as_deref()));
        session.batch_execute(&end).await.map_err(|error| Stop::of(session, &error, None))?;
        if last { Ok(Went::There(at + 1, found)) } else { Ok(Went::On) }
    }

    /// What the tables are after a migration: their fingerprint, if it is asked for, which has to be the expected one, and a mark that says
    /// that they are as they should be.
    ///
    /// Both follow from the mark that they were known by before, if they still had it: another session, which sees nothing of what the
    /// migration has done, is asked when it has been done. So nobody can have changed what the migration changes without having been seen,
    /// since that is locked, and whoever changes something else from here on is seen the next time, since the new mark is older.
    async fn look(
        &self,
        known: Option<&str>,
        expected: Option<&Shape>,
        at: i32,
    ) -> Result<(Option<String>, Option<String>), Stop> {
        let Self { session, entry, course, .. } = *self;
        let Some(witness) = self.witness else { return Ok((self.compare(expected).await?, None)) };
        let schema = &entry.placement.schema;
        let after = mark::take(session, schema).await.map_err(|error| Stop::of(session, &error, None))?;
        let written = after.written(&course.built_from(at + 1)?);
        let before = match mark::take(witness, schema).await {
            Ok(before) => Some(before.written(&course.built_from(at)?)),
            // Somebody is at the catalog itself, and may be waiting for this migration.
            Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => None,
            Err(error) => return Err(Stop::of(witness, &error, None)),
        };
        if known.is_some() && before.as_deref() == known {
            if at + 1 < course.version() {
                return Ok((None, Some(written)));
            }
            if let Some(expected) = expected.filter(|it| it.catalog_rows.is_some() && it.catalog_rows == after.rows()) {
                return Ok((Some(expected.fingerprint.clone()), Some(written)));
            }
        }
        let found = self.compare(expected).await?;
        let mark = found.is_some().then_some(written);
        Ok((found, mark))
    }

    /// The fingerprint of the tables, which has to be this one.
    async fn compare(&self, expected: Option<&Shape>) -> Result<Option<String>, Stop> {
        let Self { session, entry, .. } = *self;
        let Some(expected) = expected else { return Ok(None) };
        let schema = &entry.placement.schema;
        let fingerprint = shape::fingerprint(session, schema).await;
        let fingerprint = fingerprint.map_err(|error| Stop::of(session, &error, None))?;
        if fingerprint == expected.fingerprint {
            return Ok(Some(fingerprint));
        }
        let shape = shape::of_schema(session, schema).await?;
        let difference = shape::difference(expected, &shape).unwrap_or_default();
        Err(Stop::Failed(LifecycleError::Drifted { slug: entry.slug.clone(), difference }))
    }

    fn script(&self, upgrade: &Upgrade) -> Script {
        let Self { course, entry, .. } = self;
        let app = &course.app;
        let mut script = Script::new(self.as_owner);
        let Some(file) = upgrade.files().first() else { return script };
        let runs = if entry.placement.isolation == Isolation::Schema {
            upgrade.own_schema(file, entry.tenant)
        } else {
            // Those of the app's database are made when what is global is migrated.
            for extension in course.plan.extensions() {
                let extension = domain::quote_ident(extension);
                script.ours(format!("CREATE EXTENSION IF NOT EXISTS {extension} WITH SCHEMA extensions CASCADE"));
            }
            upgrade.own_database(file, &app.names())
        };
        script.own(app, entry.tenant, &self.search_path(), runs);
        script
    }

    fn search_path(&self) -> String {
        self.entry.placement.search_path(self.entry.tenant)
    }
}

/// The key of the lock that one migration of a tenant at a time has.
pub(crate) fn turn_of(tenant: TenantId) -> String {
    format!("pg_catalog.hashtextextended({}, 0)", quote_literal(&format!("sindico migration of {}", tenant.hex())))
}

/// Whose shape a tenant's tables should have.
pub(crate) fn kind_of(isolation: Isolation) -> ShapeKind {
    if isolation == Isolation::Shared { ShapeKind::Shared } else { ShapeKind::Own }
}
