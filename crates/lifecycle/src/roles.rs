//! A tenant's login roles on its cluster.

use domain::{Access, AppName, Isolation, Placement, Role, quote_ident, quote_literal};

use crate::prepare::membership;
use crate::server::Builder;
use crate::{Lifecycle, LifecycleError};

impl Lifecycle {
    /// Makes `t_…` and `r_…`, members of nothing but the app's grant groups for the tenant's isolation; both or neither.
    pub(crate) async fn create_roles(
        &self,
        by: Builder<'_>,
        app: &AppName,
        placement: &Placement,
    ) -> Result<(), LifecycleError> {
        let tenant = by.tenant;
        let server = self.borrow_builder(by, placement.cluster, None).await?;
        let options = membership(&server).await?;
        let mut sql = String::from("BEGIN;");
        for role in Role::both(tenant) {
            let verifier = self.catalog.master().role_verifier(placement.cluster, role);
            let verifier = quote_literal(&verifier.map_err(catalog::CatalogError::from)?.to_string());
            let groups = groups(app, placement.isolation, role.access());
            let groups = groups.iter().map(|group| quote_ident(group)).collect::<Vec<_>>().join(", ");
            sql.push_str(&format!(
                "CREATE ROLE \"{role}\" LOGIN INHERIT NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION
                     PASSWORD {verifier};
                 GRANT {groups} TO \"{role}\"{options};"
            ));
        }
        sql.push_str("COMMIT");
        server.run(&sql).await?;
        server.give_back();
        Ok(())
    }
}

fn groups(app: &AppName, isolation: Isolation, access: Access) -> Vec<String> {
    let names = app.names();
    match (isolation, access) {
        (Isolation::Shared, Access::ReadWrite) => vec![names.shared_rw, names.shared_login],
        (Isolation::Shared, Access::ReadOnly) => vec![names.shared_ro, names.shared_login],
        (Isolation::Schema, _) => vec![names.schema_group],
        (Isolation::Database | Isolation::Cluster, Access::ReadWrite) => vec![names.own_rw],
        (Isolation::Database | Isolation::Cluster, Access::ReadOnly) => vec![names.own_ro],
    }
}
