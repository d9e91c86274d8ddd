//! Undoing what a tenant did to its own login role.

use catalog::{Catalog, CatalogError};
use domain::{Role, quote_literal};
use tokio_postgres::NoTls;
use uuid::Uuid;

/// Why a role could not be restored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RepairError {
    /// The cluster's DSN could not be read.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The cluster refused.
    #[error("cluster: {0}")]
    Cluster(#[from] tokio_postgres::Error),
}

/// Gives a role the password that follows from the master key, and forgets settings stored on it (`ALTER ROLE … SET`),
/// which any role may do to itself.
pub(crate) async fn restore_role(catalog: &Catalog, cluster: Uuid, role: Role) -> Result<(), RepairError> {
    let dsn = catalog.cluster_dsn(cluster).await?;
    let (client, connection) = tokio_postgres::connect(&dsn, NoTls).await?;
    let driver = tokio::spawn(connection);
    let verifier =
        quote_literal(&catalog.master().role_verifier(cluster, role).map_err(CatalogError::from)?.to_string());
    let restored = client
        .batch_execute(&format!("ALTER ROLE \"{role}\" PASSWORD {verifier}; ALTER ROLE \"{role}\" RESET ALL"))
        .await;
    driver.abort();
    Ok(restored?)
}
