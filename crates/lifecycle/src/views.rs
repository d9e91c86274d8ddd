//! Views that show one tenant's rows of shared tables, for tools that cannot log in as the tenant.
//!
//! They stand in schema `v_<hex>` under the names of the app's tables and views, and belong to a role that may read every row
//! and that nobody can be (`tenantize`, policies); each names its tenant. `security_barrier` keeps a reader's functions
//! and operators from seeing a row before that was asked (PostgreSQL manual, 41.5).

use catalog::{Tenant, TenantRef};
use domain::{Isolation, TenantId, quote_ident};
use tenantize::Plan;
use tokio_postgres::error::SqlState;
use tracing::info;

use crate::error::postgres_text;
use crate::server::{Builder, Session};
use crate::{Lifecycle, LifecycleError};

/// A tenant's views.
#[derive(Debug, Clone)]
pub struct TenantViews {
    /// Whose.
    pub tenant: Tenant,
    /// The schema that they are in, in the database of the tenant's placement.
    pub schema: String,
    /// The role whose members may read them.
    pub readers: String,
    /// Their names, which are those of the app's tables and views.
    pub views: Vec<String>,
    /// Views of the app's that could not be made anew, each with what PostgreSQL said. Empty unless just made.
    pub left_out: Vec<(String, String)>,
}

/// Shared tables and their partitions, which are tables as well.
const TABLES: &str = "
    SELECT relname::text FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND relrowsecurity
    ORDER BY relname";

/// The app's views. Those that others read were made before them, or were replaced since.
const VIEWS: &str = "
    SELECT relname::text, pg_get_viewdef(oid) FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'v'
    ORDER BY oid";

/// Those that are there, and to whom the operator has shown each besides the readers. What somebody else has put into the schema
/// is none of them.
const MADE: &str = "
    SELECT c.relname::text,
           ARRAY(SELECT g.rolname::text FROM aclexplode(c.relacl) a JOIN pg_roles g ON g.oid = a.grantee
                 WHERE a.privilege_type = 'SELECT' AND a.grantee <> c.relowner)
    FROM pg_class c JOIN pg_roles o ON o.oid = c.relowner
    WHERE c.relnamespace = to_regnamespace($1) AND c.relkind = 'v' AND o.rolname = $2
    ORDER BY 1";

/// What of `public` a view reads: all of it is every tenant's, since the view's owner may read all rows.
const READS: &str = "
    SELECT c.relname::text FROM pg_rewrite r
    JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
    JOIN pg_class c ON c.oid = d.refobjid
    WHERE r.ev_class = to_regclass($1) AND c.relnamespace = 'public'::regnamespace
    LIMIT 1";

/// How long a reader may keep the views from being made anew or removed: what it holds up is every other change of the tenant.
const PATIENCE: &str = "SET LOCAL lock_timeout = '5s'";

/// A view that is there.
struct Made {
    name: String,
    readers: Vec<String>,
}

impl Lifecycle {
    /// Makes a tenant's views, or makes them anew after the app's tables have changed.
    pub async fn create_views(&self, which: TenantRef) -> Result<TenantViews, LifecycleError> {
        let desk = self.clone();
        self.through(Box::pin(async move {
            let id = desk.find(&which).await?.id;
            let lock = desk.catalog.lock_tenant(id).await?;
            Self::under(lock, desk.create_views_locked(id)).await
        }))
        .await
    }

    /// Removes a tenant's views; those who read them get errors from now on.
    pub async fn drop_views(&self, which: TenantRef) -> Result<(), LifecycleError> {
        let desk = self.clone();
        self.through(Box::pin(async move {
            let id = desk.find(&which).await?.id;
            let lock = desk.catalog.lock_tenant(id).await?;
            Self::under(lock, desk.drop_views_locked(id)).await
        }))
        .await
    }

    /// A tenant's views as they are.
    pub async fn views(&self, which: TenantRef) -> Result<TenantViews, LifecycleError> {
        let tenant = self.find_sharing(self.find(&which).await?.id).await?;
        let inside = self.admin(tenant.placement.cluster, Some(&tenant.placement.database)).await?;
        let views = made(&inside, &tenant).await?;
        if views.is_empty() {
            return Err(LifecycleError::NoViews(tenant.slug));
        }
        Ok(TenantViews::of(tenant, views, Vec::new()))
    }

    async fn create_views_locked(&self, id: TenantId) -> Result<TenantViews, LifecycleError> {
        let tenant = self.find_sharing(id).await?;
        let (_, plan) = self.plan_on(&tenant.app, tenant.placement.cluster).await?;
        let names = tenant.app.names();
        let [owner, readers] = [&names.views, &names.reports].map(|role| quote_ident(role));
        let schema = quote_ident(&id.views_schema());
        // As whoever builds the tenant: a crash leaves nothing of a transaction, and an erasure ends the session.
        let inside = self
            .builder(Builder { tenant: id, work: None }, tenant.placement.cluster, Some(&tenant.placement.database))
            .await?;
        inside.run(&format!("BEGIN; {PATIENCE}; SET LOCAL search_path = public, global, extensions")).await?;
        let before = drop_made(&inside, &tenant).await?;
        let tables = inside.query(TABLES, &[]).await.map_err(|error| inside.fault(&error))?;
        let views = inside.query(VIEWS, &[]).await.map_err(|error| inside.fault(&error))?;
        inside
            .run(&format!(
                "CREATE SCHEMA IF NOT EXISTS {schema} AUTHORIZATION {owner};
                 GRANT USAGE ON SCHEMA {schema} TO {readers};
                 SET LOCAL ROLE {owner};
                 SET LOCAL search_path = {schema}, public, global, extensions"
            ))
            .await?;
        for table in tables.iter().map(|row| quote_ident(row.get(0))) {
            inside
                .run(&format!(
                    "CREATE VIEW {schema}.{table} WITH (security_barrier) AS
                         SELECT * FROM public.{table} WHERE tenant_id = '{id}'"
                ))
                .await?;
        }
        let views = views.iter().map(|row| (row.get(0), row.get(1))).collect();
        let left_out = over_views(&inside, &plan, &id.views_schema(), views).await?;
        let views = made(&inside, &tenant).await?;
        for view in &views {
            let shown = before.iter().filter(|known| known.name == view.name).flat_map(|known| &known.readers);
            let readers: Vec<String> =
                std::iter::once(&names.reports).chain(shown).map(|role| quote_ident(role)).collect();
            let (view, readers) = (quote_ident(&view.name), readers.join(", "));
            inside.run(&format!("GRANT SELECT ON {schema}.{view} TO {readers}")).await?;
        }
        inside.run("COMMIT").await?;
        info!(tenant = %id, slug = %tenant.slug, views = views.len(), left_out = left_out.len(), "views made");
        Ok(TenantViews::of(tenant, views, left_out))
    }

    async fn drop_views_locked(&self, id: TenantId) -> Result<(), LifecycleError> {
        let tenant = self.find_sharing(id).await?;
        let inside = self
            .builder(Builder { tenant: id, work: None }, tenant.placement.cluster, Some(&tenant.placement.database))
            .await?;
        inside.run(&format!("BEGIN; {PATIENCE}")).await?;
        if drop_made(&inside, &tenant).await?.is_empty() {
            return Err(LifecycleError::NoViews(tenant.slug));
        }
        let drop = format!("DROP SCHEMA {}", quote_ident(&id.views_schema()));
        inside.batch_execute(&drop).await.map_err(|error| in_use(&inside, &tenant, &error))?;
        inside.run("COMMIT").await?;
        info!(tenant = %id, slug = %tenant.slug, "views removed");
        Ok(())
    }

    async fn find_sharing(&self, id: TenantId) -> Result<Tenant, LifecycleError> {
        let tenant = self.find_changeable(id).await?;
        if tenant.placement.isolation != Isolation::Shared {
            return Err(LifecycleError::NotShared { slug: tenant.slug, isolation: tenant.placement.isolation });
        }
        Ok(tenant)
    }
}

impl TenantViews {
    fn of(tenant: Tenant, views: Vec<Made>, left_out: Vec<(String, String)>) -> Self {
        let (schema, readers) = (tenant.id.views_schema(), tenant.app.names().reports);
        let views = views.into_iter().map(|view| view.name).collect();
        Self { tenant, schema, readers, views, left_out }
    }
}

/// Makes the app's views over the tenant's. One may read another that comes later, so whatever fails is tried again as long as
/// others succeed; what then is left goes back with the reason. One that reads anything in `public` has failed, whatever in
/// its text led there: only the views of tables may, which name their tenant.
async fn over_views(
    inside: &Session,
    plan: &Plan,
    schema: &str,
    mut left: Vec<(String, String)>,
) -> Result<Vec<(String, String)>, LifecycleError> {
    loop {
        let mut failed = Vec::new();
        for (name, query) in &left {
            let view = format!("{}.{}", quote_ident(schema), quote_ident(name));
            inside.run("SAVEPOINT view").await?;
            let create = format!("CREATE VIEW {view} AS {}", plan.report(query, schema));
            let reason = match inside.batch_execute(&create).await {
                Ok(()) => {
                    let reads = inside.query_opt(READS, &[&view]).await.map_err(|error| inside.fault(&error))?;
                    reads.map(|row| {
                        format!("it would read public.{}, which holds all tenants' rows", row.get::<_, String>(0))
                    })
                }
                Err(error) if error.as_db_error().is_some() => Some(postgres_text(&error)),
                Err(error) => return Err(inside.fault(&error)),
            };
            if let Some(reason) = reason {
                inside.run("ROLLBACK TO view").await?;
                failed.push((name.clone(), query.clone(), reason));
            }
            inside.run("RELEASE view").await?;
        }
        if failed.len() == left.len() {
            return Ok(failed.into_iter().map(|(name, _, reason)| (name, reason)).collect());
        }
        left = failed.into_iter().map(|(name, query, _)| (name, query)).collect();
    }
}

/// Removes the views that are there and says which. What somebody else has built on them is not taken along.
async fn drop_made(inside: &Session, tenant: &Tenant) -> Result<Vec<Made>, LifecycleError> {
    let schema = quote_ident(&tenant.id.views_schema());
    let views = made(inside, tenant).await?;
    let list: Vec<String> = views.iter().map(|view| format!("{schema}.{}", quote_ident(&view.name))).collect();
    if !list.is_empty() {
        let drop = format!("DROP VIEW {}", list.join(", "));
        inside.batch_execute(&drop).await.map_err(|error| in_use(inside, tenant, &error))?;
    }
    Ok(views)
}

fn in_use(inside: &Session, tenant: &Tenant, error: &tokio_postgres::Error) -> LifecycleError {
    let slug = tenant.slug.clone();
    match error.code() {
        Some(&SqlState::DEPENDENT_OBJECTS_STILL_EXIST) => {
            let reason = format!("{}; drop what depends on them first", postgres_text(error));
            LifecycleError::ViewsInUse { slug, reason }
        }
        Some(&SqlState::LOCK_NOT_AVAILABLE) => {
            let reason = "a reader's transaction has not ended for 5 seconds; end it, or try again".to_owned();
            LifecycleError::ViewsInUse { slug, reason }
        }
        _ => inside.fault(error),
    }
}

async fn made(inside: &Session, tenant: &Tenant) -> Result<Vec<Made>, LifecycleError> {
    let (schema, owner) = (quote_ident(&tenant.id.views_schema()), tenant.app.names().views);
    let rows = inside.query(MADE, &[&schema, &owner]).await.map_err(|error| inside.fault(&error))?;
    Ok(rows.iter().map(|row| Made { name: row.get(0), readers: row.get(1) }).collect())
}
