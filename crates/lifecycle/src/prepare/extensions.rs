//! The PostgreSQL extensions that an app uses.

use domain::quote_ident;
use tenantize::Plan;

use crate::LifecycleError;
use crate::server::Session;

/// Makes the app's extensions in schema `extensions`, as a superuser and in the transaction that is open. Their names
/// come from the list of those that give a tenant nothing to leave with.
pub(crate) async fn create(inside: &Session, plan: &Plan, cluster: &str) -> Result<(), LifecycleError> {
    for extension in plan.extensions() {
        let offered = "SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = $1)";
        if !inside.ask(offered, &[extension]).await? {
            return Err(LifecycleError::BadCluster(format!(
                "the server of cluster \"{cluster}\" does not have the extension \"{extension}\", which the app uses; \
                 install it there (it is part of PostgreSQL's contrib package) and try again"
            )));
        }
        let name = quote_ident(extension);
        inside.run(&format!("CREATE EXTENSION IF NOT EXISTS {name} WITH SCHEMA extensions CASCADE")).await?;
    }
    Ok(())
}
