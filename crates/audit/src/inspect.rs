//! Reading the catalogs of live clusters for what is not as síndico made it.
//!
//! Each rule is a query in `inspect/rules/` that returns objects, what is wrong with them, and the SQL that mends it. The
//! rules are written down here once more and not taken from the code that prepares databases: an audit that asks its
//! subject finds nothing.

mod rule;

use catalog::{Catalog, Cluster, TenantFilter};
use domain::AppName;
use serde::Serialize;

use crate::AuditError;
use crate::operator::Operator;
use crate::report::NotRun;
use rule::{Facts, RULES, Where};

/// Something in a cluster's catalog that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// On which cluster.
    pub cluster: String,
    /// In which database; none for what belongs to the whole server.
    pub database: Option<String>,
    /// The rule that it breaks, by name.
    pub rule: &'static str,
    /// Which object.
    pub object: String,
    /// What is wrong with it.
    pub wrong: String,
    /// SQL that mends it, to be run as a superuser in that database.
    pub mend: String,
}

/// What came of an inspection.
#[derive(Debug, Default)]
pub(crate) struct Inspected {
    pub(crate) findings: Vec<Finding>,
    pub(crate) not_run: Vec<NotRun>,
}

/// Databases of an app on a server, but for those that nobody may connect to.
const DATABASES: &str = "
    SELECT datname::text FROM pg_database
    WHERE datallowconn AND datconnlimit <> -2 AND (datname = $1 OR datname ~ ('^' || $1 || '_[0-9a-f]{32}$'))
    ORDER BY datname";

/// Inspects every app on every cluster.
pub(crate) async fn installation(catalog: &Catalog, apps: &[AppName]) -> Result<Inspected, AuditError> {
    let mut all = Inspected::default();
    let mut apps = apps.to_vec();
    apps.sort();
    apps.dedup();
    for cluster in catalog.clusters().await?.into_iter().filter(|cluster| cluster.ready) {
        for app in &apps {
            if let Err(error) = app_on_cluster(catalog, app, &cluster, &mut all.findings).await {
                let part = format!("inspection of app {app} on cluster {}", cluster.name);
                all.not_run.push(NotRun { part, reason: error.to_string() });
            }
        }
    }
    Ok(all)
}

async fn app_on_cluster(
    catalog: &Catalog,
    app: &AppName,
    cluster: &Cluster,
    findings: &mut Vec<Finding>,
) -> Result<(), AuditError> {
    if !catalog.is_prepared(app, cluster.id).await? {
        return Ok(());
    }
    let names = app.names();
    let server = Operator::at(catalog, cluster.id, None).await?;
    let tenants = tenants_of(catalog, app).await?;
    let mut facts = Facts { names: names.clone(), database: None, tenants };
    inspect(&server, Where::Server, &facts, cluster, findings).await?;
    for row in server.query(DATABASES, &[&names.database]).await? {
        let database: String = row.get(0);
        let kind = if database == names.database { Where::Shared } else { Where::Own };
        let inside = Operator::at(catalog, cluster.id, Some(&database)).await?;
        facts.database = Some(database);
        inspect(&inside, kind, &facts, cluster, findings).await?;
    }
    Ok(())
}

/// Every tenant of an app, as in the names of its roles.
async fn tenants_of(catalog: &Catalog, app: &AppName) -> Result<Vec<String>, AuditError> {
    let mut all = Vec::new();
    let mut filter = TenantFilter { app: Some(app.clone()), limit: 1000, ..TenantFilter::default() };
    loop {
        let page = catalog.tenants(&filter).await?;
        let Some(last) = page.last() else { return Ok(all) };
        filter.after = Some(last.id);
        all.extend(page.iter().map(|tenant| tenant.id.hex()));
    }
}

async fn inspect(
    session: &Operator,
    place: Where,
    facts: &Facts,
    cluster: &Cluster,
    findings: &mut Vec<Finding>,
) -> Result<(), AuditError> {
    for rule in RULES.iter().filter(|rule| rule.applies_to(place)) {
        for row in session.query(&facts.fill(rule.sql), &[]).await? {
            findings.push(Finding {
                cluster: cluster.name.to_string(),
                database: facts.database.clone(),
                rule: rule.name,
                object: row.try_get(0)?,
                wrong: row.try_get(1)?,
                mend: row.try_get(2)?,
            });
        }
    }
    Ok(())
}
