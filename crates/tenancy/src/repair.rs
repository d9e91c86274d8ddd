//! Undoing what a tenant did to its own login roles: with raw SQL, a role may change its password and store settings.

use std::time::Duration;

use catalog::{Catalog, CatalogError};
use domain::{Placement, Role, TenantId, quote_ident, quote_literal};
use tokio_postgres::{Config, NoTls};

use crate::Threshold;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The tenant may hold the lock on its own role.
const LIMITS: &str = "-c lock_timeout=3s -c statement_timeout=5s";

/// Why a role could not be restored.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// The cluster's DSN could not be read, or no verifier be made.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The cluster refused, or does not answer.
    #[error("cluster: {0}")]
    Cluster(#[from] tokio_postgres::Error),
}

impl Threshold {
    /// Gives both roles of a tenant their own passwords and settings again.
    pub async fn restore_roles(&self, tenant: TenantId, placement: &Placement) -> Result<(), RepairError> {
        for role in Role::both(tenant) {
            restore_role(&self.catalog, placement, role).await?;
        }
        Ok(())
    }
}

/// Gives a role the password that follows from the master key, and forgets settings stored on it, those for the tenant's
/// database included. Settings for other databases stay; the role never goes there.
pub(crate) async fn restore_role(catalog: &Catalog, placement: &Placement, role: Role) -> Result<(), RepairError> {
    let mut config: Config = catalog.cluster_dsn(placement.cluster).await?.parse()?;
    config.connect_timeout(CONNECT_TIMEOUT).application_name("sindico").options(LIMITS);
    let (client, connection) = config.connect(NoTls).await?;
    let driver = tokio::spawn(connection);
    let verifier = catalog.master().role_verifier(placement.cluster, role).map_err(CatalogError::from)?;
    let verifier = quote_literal(&verifier.to_string());
    let database = quote_ident(&placement.database);
    let restored = client
        .batch_execute(&format!(
            "ALTER ROLE \"{role}\" PASSWORD {verifier};
             ALTER ROLE \"{role}\" RESET ALL;
             ALTER ROLE \"{role}\" IN DATABASE {database} RESET ALL"
        ))
        .await;
    driver.abort();
    Ok(restored?)
}
