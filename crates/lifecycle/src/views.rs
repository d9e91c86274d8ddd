//! Views that show one tenant's rows of shared tables, for tools that cannot log in as the tenant.
//!
//! They stand in schema `v_<hex>` under the names of the app's tables and views, and belong to a role that may read every row
//! and that nobody can be (`tenantize`, policies); each names its tenant. `security_barrier` keeps a reader's functions
//! and operators from seeing a row before that was asked (PostgreSQL manual, 41.5).

use catalog::{Tenant, TenantRef};
use domain::{Isolation, Status, TenantId, quote_ident};
use tenantize::Plan;
use tokio_postgres::error::SqlState;
use tracing::info;

use crate::error::postgres_text;
use crate::server::Session;
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

/// Shared tables; a partition's rows are seen through its table.
const TABLES: &str = "
    SELECT relname::text FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND relrowsecurity AND NOT relispartition
    ORDER BY relname";

/// The app's views. Those that others read were made before them, or were replaced since.
const VIEWS: &str = "
    SELECT relname::text, pg_get_viewdef(oid) FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'v'
    ORDER BY oid";

const MADE: &str =
    "SELECT relname::text FROM pg_class WHERE relnamespace = to_regnamespace($1) AND relkind = 'v' ORDER BY 1";

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
        let views = made(&inside, tenant.id).await?;
        if views.is_empty() {
            return Err(LifecycleError::NoViews(tenant.slug));
        }
        Ok(TenantViews::of(tenant, views, Vec::new()))
    }

    async fn create_views_locked(&self, id: TenantId) -> Result<TenantViews, LifecycleError> {
        let tenant = self.find_sharing(id).await?;
        let plan = self.plan_of(&tenant.app).await?;
        let names = tenant.app.names();
        let [owner, readers] = [&names.views, &names.reports].map(|role| quote_ident(role));
        let schema = quote_ident(&id.views_schema());
        // As whoever builds the tenant: a crash leaves nothing of a transaction, and an erasure ends the session.
        let inside = self.builder(id, tenant.placement.cluster, Some(&tenant.placement.database)).await?;
        inside.run("BEGIN; SET LOCAL search_path = public, global, extensions").await?;
        drop_made(&inside, &tenant).await?;
        let tables = names_of(&inside, TABLES).await?;
        let views = inside.query(VIEWS, &[]).await.map_err(|error| inside.fault(&error))?;
        inside
            .run(&format!(
                "CREATE SCHEMA IF NOT EXISTS {schema} AUTHORIZATION {owner};
                 GRANT USAGE ON SCHEMA {schema} TO {readers};
                 SET LOCAL ROLE {owner};
                 SET LOCAL search_path = {schema}, public, global, extensions"
            ))
            .await?;
        for table in tables.iter().map(|table| quote_ident(table)) {
            inside
                .run(&format!(
                    "CREATE VIEW {schema}.{table} WITH (security_barrier) AS
                         SELECT * FROM public.{table} WHERE tenant_id = '{id}'"
                ))
                .await?;
        }
        let views = views.iter().map(|row| (row.get(0), row.get(1))).collect();
        let left_out = over_views(&inside, &plan, views).await?;
        inside.run(&format!("GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {readers}; COMMIT")).await?;
        let views = made(&inside, id).await?;
        info!(tenant = %id, slug = %tenant.slug, views = views.len(), left_out = left_out.len(), "views made");
        Ok(TenantViews::of(tenant, views, left_out))
    }

    async fn drop_views_locked(&self, id: TenantId) -> Result<(), LifecycleError> {
        let tenant = self.find_sharing(id).await?;
        let inside = self.builder(id, tenant.placement.cluster, Some(&tenant.placement.database)).await?;
        inside.run("BEGIN").await?;
        if !drop_made(&inside, &tenant).await? {
            return Err(LifecycleError::NoViews(tenant.slug));
        }
        inside.run(&format!("DROP SCHEMA {}; COMMIT", quote_ident(&id.views_schema()))).await?;
        info!(tenant = %id, slug = %tenant.slug, "views removed");
        Ok(())
    }

    async fn find_sharing(&self, id: TenantId) -> Result<Tenant, LifecycleError> {
        let tenant = self.find(&TenantRef::Id(id)).await?;
        if tenant.placement.isolation != Isolation::Shared {
            return Err(LifecycleError::NotShared { slug: tenant.slug, isolation: tenant.placement.isolation });
        }
        if !matches!(tenant.status, Status::Active | Status::Suspended) {
            let remedy = "only active and suspended tenants can be changed";
            return Err(LifecycleError::WrongStatus { slug: tenant.slug, status: tenant.status, remedy });
        }
        Ok(tenant)
    }
}

impl TenantViews {
    fn of(tenant: Tenant, views: Vec<String>, left_out: Vec<(String, String)>) -> Self {
        let (schema, readers) = (tenant.id.views_schema(), tenant.app.names().reports);
        Self { tenant, schema, readers, views, left_out }
    }
}

/// Makes the app's views over the tenant's. One may read another that comes later, so whatever fails is tried again as long as
/// others succeed; what then is left goes back with what PostgreSQL said.
async fn over_views(
    inside: &Session,
    plan: &Plan,
    mut left: Vec<(String, String)>,
) -> Result<Vec<(String, String)>, LifecycleError> {
    loop {
        let mut failed = Vec::new();
        for (name, query) in &left {
            // An unnamed view of the name would read itself.
            let sql = format!("CREATE VIEW {} AS {}", quote_ident(name), plan.report(query));
            inside.run("SAVEPOINT view").await?;
            match inside.batch_execute(&sql).await {
                Ok(()) => inside.run("RELEASE view").await?,
                Err(error) if error.as_db_error().is_some() => {
                    inside.run("ROLLBACK TO view; RELEASE view").await?;
                    failed.push((name.clone(), query.clone(), postgres_text(&error)));
                }
                Err(error) => return Err(inside.fault(&error)),
            }
        }
        if failed.len() == left.len() {
            return Ok(failed.into_iter().map(|(name, _, reason)| (name, reason)).collect());
        }
        left = failed.into_iter().map(|(name, query, _)| (name, query)).collect();
    }
}

/// Removes the views that are there, and says whether there were any. What somebody else has built on them is not taken along.
async fn drop_made(inside: &Session, tenant: &Tenant) -> Result<bool, LifecycleError> {
    let schema = tenant.id.views_schema();
    let views = made(inside, tenant.id).await?;
    if views.is_empty() {
        return Ok(false);
    }
    let list = views
        .iter()
        .map(|view| format!("{}.{}", quote_ident(&schema), quote_ident(view)))
        .collect::<Vec<_>>()
        .join(", ");
    inside.batch_execute(&format!("DROP VIEW {list}")).await.map_err(|error| {
        if error.code() == Some(&SqlState::DEPENDENT_OBJECTS_STILL_EXIST) {
            LifecycleError::ViewsInUse { slug: tenant.slug.clone(), reason: postgres_text(&error) }
        } else {
            inside.fault(&error)
        }
    })?;
    Ok(true)
}

async fn made(inside: &Session, tenant: TenantId) -> Result<Vec<String>, LifecycleError> {
    let rows = inside.query(MADE, &[&tenant.views_schema()]).await.map_err(|error| inside.fault(&error))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

async fn names_of(inside: &Session, sql: &str) -> Result<Vec<String>, LifecycleError> {
    let rows = inside.query(sql, &[]).await.map_err(|error| inside.fault(&error))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
