//! What holds a tenant's rows: its sequences in `shared`, a schema in `schema`, a copy of the template otherwise.

use domain::{Isolation, Role, quote_ident};

use crate::shape::mark;
use crate::site::Site;
use crate::turn::Turn;
use crate::{Lifecycle, LifecycleError, stamp};

impl Lifecycle {
    /// Makes what the tenant's isolation needs. Nothing of it can be reached before its privileges are in place.
    pub(crate) async fn create_storage(&self, site: &Site<'_>, turn: &Turn) -> Result<(), LifecycleError> {
        match site.placement.isolation {
            Isolation::Shared => self.create_sequences(site, turn).await,
            Isolation::Schema => self.create_schema_of(site, turn).await,
            Isolation::Database | Isolation::Cluster => self.copy_template(site, turn).await,
        }
    }

    /// One transaction, so that the schema is there whole or not at all. Whatever an interrupted drop left of an
    /// earlier one goes first.
    pub(crate) async fn create_schema_of(&self, site: &Site<'_>, turn: &Turn) -> Result<(), LifecycleError> {
        let Site { tenant, app, plan, placement, .. } = *site;
        let inside = turn.session();
        let schema = quote_ident(&placement.schema);
        let owner = quote_ident(&app.names().owner);
        let [t, r] = Role::both(tenant);
        inside
            .run(&format!(
                "BEGIN;
                 DROP SCHEMA IF EXISTS {schema} CASCADE;
                 CREATE SCHEMA {schema};
                 GRANT USAGE, CREATE ON SCHEMA {schema} TO {owner};
                 GRANT USAGE ON SCHEMA {schema} TO \"{t}\", \"{r}\";
                 SET LOCAL ROLE {owner};
                 SET LOCAL search_path = {schema}, global, extensions;"
            ))
            .await?;
        inside.run_app(&plan.own_schema_ddl(tenant)).await?;
        inside.run("RESET ROLE; SET LOCAL search_path = pg_catalog, pg_temp").await?;
        let mark = mark::take(inside, &placement.schema).await.map_err(|error| inside.fault(&error))?;
        let mark = mark.written(&mark::built_from(plan));
        inside.run(&format!("{}; COMMIT", stamp::write_marked(&placement.schema, plan.version(), Some(&mark)))).await
    }

    /// The schema of the tenant's own sequences. The role that owns it also owns the functions that draw from them and
    /// restart them for whoever the tenant is served by.
    async fn create_sequences(&self, site: &Site<'_>, turn: &Turn) -> Result<(), LifecycleError> {
        let Site { tenant, app, plan, .. } = *site;
        let inside = turn.session();
        let schema = quote_ident(&tenant.sequence_schema());
        let definer = quote_ident(&app.names().definer);
        let [t, r] = Role::both(tenant);
        inside
            .run(&format!(
                "BEGIN;
                 CREATE SCHEMA {schema} AUTHORIZATION {definer};
                 GRANT USAGE ON SCHEMA {schema} TO \"{t}\", \"{r}\";
                 SET LOCAL ROLE {definer};
                 SET LOCAL search_path = {schema};"
            ))
            .await?;
        inside.run_app(&plan.shared_tenant_ddl(tenant)).await?;
        inside.run(&format!("RESET ROLE; {}; COMMIT", stamp::write(&tenant.sequence_schema(), plan.version()))).await
    }

    /// Connections are allowed only after CONNECT has been taken from everybody else: whoever slipped in before would
    /// stay in.
    async fn copy_template(&self, site: &Site<'_>, turn: &Turn) -> Result<(), LifecycleError> {
        let Site { tenant, app, placement, .. } = *site;
        let server = turn.session();
        let (database, template) = (quote_ident(&placement.database), quote_ident(&app.names().template));
        let [t, r] = Role::both(tenant);
        server
            .run(&format!("CREATE DATABASE {database} TEMPLATE {template} ALLOW_CONNECTIONS false IS_TEMPLATE false"))
            .await?;
        server
            .run(&format!(
                "BEGIN;
                 REVOKE ALL ON DATABASE {database} FROM PUBLIC;
                 GRANT CONNECT, TEMPORARY ON DATABASE {database} TO \"{t}\", \"{r}\";
                 ALTER DATABASE {database} ALLOW_CONNECTIONS true;
                 COMMIT"
            ))
            .await
    }
}
