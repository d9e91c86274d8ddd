//! Opening the control database.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{PgPool, Postgres, Transaction};

use crate::{CatalogError, MasterKey, Routes};

/// A transaction on the control database.
pub type ControlTx = Transaction<'static, Postgres>;

/// The control database and the routing snapshot that follows it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Catalog {
    pub(crate) db: PgPool,
    pub(crate) master: MasterKey,
    pub(crate) routes: Arc<Routes>,
}

impl Catalog {
    /// Connects, brings the control schema up to date and reads the first snapshot.
    ///
    /// `max_connections` bounds the connections to the control database; each operation on a tenant holds one.
    pub async fn open(dsn: &str, max_connections: u32, master: MasterKey) -> Result<Self, CatalogError> {
        // Without it, a role called "sindico" would find the ledger of migrations in another schema after the first of
        // them than before: `"$user"` comes first in PostgreSQL's own search path.
        // Nor may a server's own settings end the idle transactions that hold changes' locks.
        let settings = [("search_path", "public"), ("idle_in_transaction_session_timeout", "0")];
        let options = PgConnectOptions::from_str(dsn)?.options(settings);
        let db = PgPoolOptions::new()
            .max_connections(max_connections)
            .acquire_timeout(Duration::from_secs(15))
            .connect_with(options.application_name("sindico"))
            .await?;
        sqlx::migrate!().run(&db).await?;
        let catalog = Self { db, master, routes: Arc::new(Routes::empty()) };
        catalog.reload_routes().await?;
        Ok(catalog)
    }

    /// The routing snapshot: reads of it never wait and never query.
    #[must_use]
    pub fn routes(&self) -> &Arc<Routes> {
        &self.routes
    }

    /// The key from which the passwords of tenants' roles follow.
    #[must_use]
    pub fn master(&self) -> &MasterKey {
        &self.master
    }

    /// The control database itself, for what keeps its own tables there.
    #[must_use]
    pub fn database(&self) -> PgPool {
        self.db.clone()
    }

    /// A transaction on it.
    pub async fn begin(&self) -> Result<ControlTx, CatalogError> {
        Ok(self.db.begin().await?)
    }

    /// Closes every connection, waiting for those in use.
    pub async fn close(&self) {
        self.db.close().await;
    }
}
