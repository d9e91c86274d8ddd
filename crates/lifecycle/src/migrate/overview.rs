//! What a migration would do, and which versions tenants have.

use catalog::{Entry, Release};
use domain::{AppName, Isolation, Slug, TenantId};
use serde::Serialize;
use tenantize::{Impact, Run, Runner, Upgrade};
use time::OffsetDateTime;

use super::version_name;
use crate::add_app::AddApp;
use crate::{Lifecycle, LifecycleError};

/// What would run where.
#[derive(Debug, Serialize)]
pub struct UpgradePlan {
    /// Which app.
    pub app: AppName,
    /// The version that it would come to.
    pub version: i32,
    /// The name of that: its last migration's.
    pub version_name: String,
    /// How many tenants would go further, of how many.
    pub behind: usize,
    /// All of the app's tenants.
    pub tenants: usize,
    /// What some of them do not have yet, in order.
    pub migrations: Vec<PlannedMigration>,
}

/// One migration.
#[derive(Debug, Serialize)]
pub struct PlannedMigration {
    /// Its file.
    pub file: String,
    /// What it does in each place.
    pub parts: Vec<PlannedPart>,
}

/// What a migration does in one kind of place.
#[derive(Debug, Serialize)]
pub struct PlannedPart {
    /// `global`, or an isolation; `database` stands for `cluster` too.
    pub place: &'static str,
    /// How often: for `global` and `shared` once a cluster, otherwise once a tenant.
    pub times: usize,
    /// For how many tenants the statements run that write tenants' rows, one after the other in the same transaction.
    pub tenants_within: usize,
    /// The statements, with a word for who runs them.
    pub statements: Vec<PlannedStatement>,
    /// The locks that they take on tables that are there already.
    pub locks: Vec<Impact>,
    /// What to think of before it is applied.
    pub warnings: Vec<String>,
}

/// A statement of a migration.
#[derive(Debug, Serialize)]
pub struct PlannedStatement {
    /// `owner`, or `tenant` for those that run as each tenant.
    pub by: &'static str,
    /// What runs.
    pub sql: String,
}

/// Which versions an app's tenants have.
#[derive(Debug)]
pub struct Overview {
    /// Which app.
    pub app: AppName,
    /// The newest release that has been asked for.
    pub newest: Release,
    /// The names of its versions, from the first migration's.
    pub names: Vec<String>,
    /// Its tenants, oldest first.
    pub tenants: Vec<TenantVersion>,
}

/// A tenant's version.
#[derive(Debug)]
pub struct TenantVersion {
    /// Who.
    pub tenant: TenantId,
    /// Its short name.
    pub slug: Slug,
    /// How it is kept apart.
    pub isolation: Isolation,
    /// How many migrations its tables have.
    pub version: i32,
    /// When it last got one; none since it was made.
    pub migrated_at: Option<OffsetDateTime>,
    /// Why the last attempt to give it more has failed.
    pub error: Option<String>,
    /// How its tables differ from what its version has, as far as somebody has looked.
    pub drift: Option<String>,
}

impl From<Entry> for TenantVersion {
    fn from(entry: Entry) -> Self {
        Self {
            tenant: entry.tenant,
            slug: entry.slug,
            isolation: entry.placement.isolation,
            version: entry.version,
            migrated_at: entry.migrated_at,
            error: entry.error,
            drift: entry.drift,
        }
    }
}

impl Lifecycle {
    /// What applying these files would do. Of tenants' tables only the versions are read, where records may be behind them.
    pub async fn plan_migration(&self, new: AddApp) -> Result<UpgradePlan, LifecycleError> {
        let (app, course) = self.course_to(&new).await?;
        let mut ledger = self.catalog.ledger(&app, None).await?;
        ledger.retain(|entry| !entry.spare);
        let clusters = self.stands(&app).await?.iter().filter(|(cluster, _)| !cluster.dedicated).count();
        let mut migrations = Vec::new();
        for from in self.least_advanced(&app).await?..course.version() {
            let upgrade = course.upgrade(from)?;
            let Some(file) = upgrade.files().first() else { continue };
            let parts = Planned { app: &app, upgrade: &upgrade, file, from, clusters, ledger: &ledger }.parts();
            migrations.push(PlannedMigration { file: file.clone(), parts });
        }
        Ok(UpgradePlan {
            version: course.version(),
            version_name: version_name(&course.files, course.version()),
            behind: ledger.iter().filter(|entry| entry.version < course.version()).count(),
            tenants: ledger.len(),
            migrations,
            app,
        })
    }

    /// Which versions an app's tenants have, by the records.
    pub async fn migration_overview(&self, app: &AppName) -> Result<Overview, LifecycleError> {
        let newest = self.catalog.newest_release(app).await?;
        let files = self.catalog.release_files(app, newest.release).await?;
        let names = (1..=newest.version).map(|version| version_name(&files, version)).collect();
        let ledger = self.catalog.ledger(app, None).await?.into_iter();
        let tenants = ledger.filter(|entry| !entry.spare).map(TenantVersion::from).collect();
        Ok(Overview { app: app.clone(), newest, names, tenants })
    }
}

/// One migration being looked at.
struct Planned<'a> {
    app: &'a AppName,
    upgrade: &'a Upgrade,
    file: &'a str,
    from: i32,
    clusters: usize,
    ledger: &'a [Entry],
}

impl Planned<'_> {
    fn parts(&self) -> Vec<PlannedPart> {
        let names = self.app.names();
        let example = self.ledger.first().map_or_else(|| TenantId::from_uuid(uuid::Uuid::nil()), |entry| entry.tenant);
        let behind = |isolation: Isolation| {
            self.ledger.iter().filter(|it| it.placement.isolation == isolation && it.version <= self.from).count()
        };
        let global = vec![Run { by: Runner::Owner, statements: self.upgrade.global(self.file, &names) }];
        let databases = behind(Isolation::Database) + behind(Isolation::Cluster);
        let parts = [
            ("global", self.clusters, 0, global),
            ("shared", self.clusters, behind(Isolation::Shared), self.upgrade.shared(self.file, &names)),
            ("schema", behind(Isolation::Schema), 1, self.upgrade.own_schema(self.file, example)),
            ("database", databases, 1, self.upgrade.own_database(self.file, &names)),
        ];
        let there = parts.into_iter().filter(|(.., runs)| runs.iter().any(|run| !run.statements.is_empty()));
        there.map(|(place, times, within, runs)| self.part(place, times, within, &runs)).collect()
    }

    fn part(&self, place: &'static str, times: usize, tenants_within: usize, runs: &[Run]) -> PlannedPart {
        let locks = Impact::of(runs);
        let by = |run: &Run| if matches!(run.by, Runner::Owner | Runner::Definer) { "owner" } else { "tenant" };
        let statements = runs
            .iter()
            .flat_map(|run| run.statements.iter().map(move |it| PlannedStatement { by: by(run), sql: it.sql.clone() }));
        let mut warnings: Vec<String> = locks
            .iter()
            .filter_map(|impact| Some((impact, impact.lasts?)))
            .filter(|(impact, _)| impact.lock != "ROW EXCLUSIVE")
            .map(|(impact, lasts)| {
                format!("{}:{}: {} of \"{}\" wait while {lasts}", impact.file, impact.line, impact.blocks, impact.table)
            })
            .collect();
        let writes = runs.iter().any(|run| matches!(run.by, Runner::Tenant | Runner::Filler));
        if place == "shared" && writes && tenants_within > 1 && !self.upgrade.is_rows_alone(self.file) {
            warnings.push(format!(
                "{}: rows of {tenants_within} tenants are written while the locks above are held; in a migration of their own, \
                 each tenant's would be written by itself",
                self.file
            ));
        }
        PlannedPart { place, times, tenants_within, statements: statements.collect(), locks, warnings }
    }
}
