//! Undoing what a tenant did to its own login roles: with raw SQL, a role may change its password and store settings.

use std::time::Duration;

use catalog::{Catalog, CatalogError};
use domain::{AppName, Placement, Role, TenantId, quote_ident, quote_literal};
use tls::{Dsn, DsnError};
use tokio_postgres::Client;
use uuid::Uuid;

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
    /// What the catalog has is no DSN.
    #[error("the DSN of the cluster {0}; register the cluster again")]
    Dsn(#[from] DsnError),
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

/// Gives a role the password that follows from the master key, and forgets settings stored on it, those for the
/// tenant's database included. Settings for other databases stay; the role never goes there.
pub(crate) async fn restore_role(catalog: &Catalog, placement: &Placement, role: Role) -> Result<(), RepairError> {
    let verifier = catalog.master().role_verifier(placement.cluster, role).map_err(CatalogError::from)?;
    let verifier = quote_literal(&verifier.to_string());
    let database = quote_ident(&placement.database);
    administrate(catalog, placement.cluster, async |client| {
        client
            .batch_execute(&format!(
                "ALTER ROLE \"{role}\" PASSWORD {verifier};
                 ALTER ROLE \"{role}\" RESET ALL;
                 ALTER ROLE \"{role}\" IN DATABASE {database} RESET ALL"
            ))
            .await
    })
    .await
}

/// What somebody has stored on the login of many: settings, for whichever database, and members.
const STORED: &str = "
    SELECT format('ALTER ROLE %I IN DATABASE %I RESET ALL', r.rolname, d.datname)
    FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole JOIN pg_database d ON d.oid = s.setdatabase
    WHERE r.rolname = $1::text
    UNION ALL
    SELECT format('REVOKE %I FROM %I CASCADE', r.rolname, m.rolname)
    FROM pg_auth_members am JOIN pg_roles r ON r.oid = am.roleid JOIN pg_roles m ON m.oid = am.member
    WHERE r.rolname = $1::text";

/// Gives the login of many the password that follows from the master key, and takes from it whatever SQL has stored
/// on it.
pub(crate) async fn restore_dense(catalog: &Catalog, cluster: Uuid, app: &AppName) -> Result<(), RepairError> {
    let dense = app.names().dense;
    let verifier = catalog.master().dense_verifier(cluster, &dense).map_err(CatalogError::from)?;
    let verifier = quote_literal(&verifier.to_string());
    administrate(catalog, cluster, async |client| {
        let quoted = quote_ident(&dense);
        let mut sql = format!("ALTER ROLE {quoted} PASSWORD {verifier}; ALTER ROLE {quoted} RESET ALL");
        for row in client.query(STORED, &[&dense]).await? {
            sql.push_str("; ");
            sql.push_str(&row.try_get::<_, String>(0)?);
        }
        client.batch_execute(&sql).await
    })
    .await
}

/// Does something as the cluster's superuser, on a session that ends with it.
async fn administrate(
    catalog: &Catalog,
    cluster: Uuid,
    work: impl AsyncFnOnce(&Client) -> Result<(), tokio_postgres::Error>,
) -> Result<(), RepairError> {
    let mut dsn = Dsn::read(&catalog.cluster_dsn(cluster).await?)?;
    dsn.config.connect_timeout(CONNECT_TIMEOUT).application_name("sindico").options(LIMITS);
    let (client, connection) = dsn.config.connect(dsn.connector()).await?;
    let driver = tokio::spawn(connection);
    let done = work(&client).await;
    driver.abort();
    Ok(done?)
}
