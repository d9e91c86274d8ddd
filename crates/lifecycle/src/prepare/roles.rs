//! The roles that an app has on a cluster, once for all of its tenants.

use catalog::{CatalogError, Cluster};
use domain::{SharedNames, quote_ident, quote_literal};

use crate::server::Session;
use crate::{Lifecycle, LifecycleError};

/// Ours can neither log in nor do anything by themselves.
const POWERFUL: &str = "
    SELECT rolcanlogin OR rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication
    FROM pg_roles WHERE rolname = $1";

const EXISTS: &str = "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)";

/// A parameter's grants are one row of the server's, and PostgreSQL fails whoever changes it while another does.
const ONE_AT_A_TIME: &str = "SELECT pg_advisory_xact_lock(hashtextextended('backtrace_functions', 0))";

/// The first version in which a membership can be inherited without being a role to `SET ROLE` to.
const SET_OPTION: &str = "SELECT current_setting('server_version_num')::int >= 160000";

/// What follows `GRANT group TO role`: inherited, and where the server knows it, no role to change to.
pub(crate) async fn membership(server: &Session) -> Result<&'static str, LifecycleError> {
    Ok(if server.ask(SET_OPTION, &[]).await? { " WITH INHERIT TRUE, SET FALSE" } else { "" })
}

/// Makes owners and groups, or makes sure that those that are there are harmless.
pub(super) async fn create_groups(server: &Session, names: &SharedNames) -> Result<(), LifecycleError> {
    for role in names.single().into_iter().chain(names.groups()).chain([names.reports.as_str()]) {
        if !server.ask(EXISTS, &[&role]).await? {
            server.run(&format!("CREATE ROLE {} NOLOGIN", quote_ident(role))).await?;
        } else if server.ask(POWERFUL, &[&role]).await? {
            return Err(LifecycleError::BadCluster(format!(
                "the server has a role \"{role}\" that may do more than a group of síndico's; rename it"
            )));
        }
    }
    Ok(())
}

impl Lifecycle {
    /// Makes the login that serves many tenants, and lets the definer say whom it serves (`sql/enter.sql`); or brings
    /// what an interrupted registration left to the same state.
    pub(super) async fn create_dense_login(
        &self,
        server: &Session,
        names: &SharedNames,
        cluster: &Cluster,
    ) -> Result<(), LifecycleError> {
        let verifier = self.catalog.master().dense_verifier(cluster.id, &names.dense).map_err(CatalogError::from)?;
        let verifier = quote_literal(&verifier.to_string());
        let verb = if server.ask(EXISTS, &[&names.dense]).await? { "ALTER" } else { "CREATE" };
        let [dense, group, definer] = [&names.dense, &names.shared_rw, &names.definer].map(|role| quote_ident(role));
        let options = membership(server).await?;
        server
            .run(&format!(
                "BEGIN;
                 {ONE_AT_A_TIME};
                 {verb} ROLE {dense} LOGIN INHERIT NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION
                     PASSWORD {verifier};
                 ALTER ROLE {dense} RESET ALL;
                 GRANT {group} TO {dense}{options};
                 GRANT SET ON PARAMETER backtrace_functions TO {definer};
                 COMMIT"
            ))
            .await
    }
}

/// Takes every role of the app from a server that has nothing else of it left.
pub(super) async fn drop_all(server: &Session, names: &SharedNames) -> Result<(), LifecycleError> {
    if server.ask(EXISTS, &[&names.definer]).await? {
        server.run(&revoke_parameter(&names.definer)).await?;
    }
    let list = names.roles().map(quote_ident).collect::<Vec<_>>().join(", ");
    server.run(&format!("DROP ROLE IF EXISTS {list}")).await
}

/// Takes from an app's definer what would keep it from being dropped.
pub(crate) fn revoke_parameter(definer: &str) -> String {
    let definer = quote_ident(definer);
    format!("BEGIN; {ONE_AT_A_TIME}; REVOKE SET ON PARAMETER backtrace_functions FROM {definer}; COMMIT")
}
