//! A tenant's login roles on its cluster.

use domain::{Access, AppName, Isolation, Role, quote_ident, quote_literal};

use crate::create_tenant::Site;
use crate::{Lifecycle, LifecycleError};

/// The first version in which a membership can be inherited without being a role to `SET ROLE` to.
const SET_OPTION: &str = "SELECT current_setting('server_version_num')::int >= 160000";

impl Lifecycle {
    /// Makes `t_…` and `r_…`, members of nothing but the app's grant group for the tenant's isolation; both or neither.
    pub(crate) async fn create_roles(&self, site: &Site<'_>) -> Result<(), LifecycleError> {
        let Site { tenant, app, placement, .. } = *site;
        let server = self.builder(tenant, placement.cluster, None).await?;
        let options = if server.ask(SET_OPTION, &[]).await? { " WITH INHERIT TRUE, SET FALSE" } else { "" };
        let mut sql = String::from("BEGIN;");
        for role in Role::both(tenant) {
            let verifier = self.catalog.master().role_verifier(placement.cluster, role);
            let verifier = quote_literal(&verifier.map_err(catalog::CatalogError::from)?.to_string());
            let group = quote_ident(&group(app, placement.isolation, role.access()));
            sql.push_str(&format!(
                "CREATE ROLE \"{role}\" LOGIN INHERIT NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION
                     PASSWORD {verifier};
                 GRANT {group} TO \"{role}\"{options};"
            ));
        }
        sql.push_str("COMMIT");
        server.run(&sql).await
    }
}

fn group(app: &AppName, isolation: Isolation, access: Access) -> String {
    let names = app.names();
    match (isolation, access) {
        (Isolation::Shared, Access::ReadWrite) => names.shared_rw,
        (Isolation::Shared, Access::ReadOnly) => names.shared_ro,
        (Isolation::Schema, _) => names.schema_group,
        (Isolation::Database | Isolation::Cluster, Access::ReadWrite) => names.own_rw,
        (Isolation::Database | Isolation::Cluster, Access::ReadOnly) => names.own_ro,
    }
}
