//! Where a tenant lives.

use uuid::Uuid;

use crate::{AppName, Isolation, TenantId};

/// Cluster, database and schema that hold a tenant's rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// The cluster's id in the control database.
    pub cluster: Uuid,
    /// How the tenant is kept apart there.
    pub isolation: Isolation,
    /// The database on that cluster.
    pub database: String,
    /// The schema in that database that unqualified names mean.
    pub schema: String,
}

impl Placement {
    /// Where a tenant of this isolation lives on a cluster. Names follow from the id alone, so that whatever a crash
    /// left behind can be found again.
    #[must_use]
    pub fn of(tenant: TenantId, app: &AppName, isolation: Isolation, cluster: Uuid) -> Self {
        let database = if isolation.has_own_database() { app.own_database(tenant) } else { app.names().database };
        let schema = match isolation {
            Isolation::Schema => format!("t_{}", tenant.hex()),
            Isolation::Shared | Isolation::Database | Isolation::Cluster => "public".to_owned(),
        };
        Self { cluster, isolation, database, schema }
    }

    /// The `search_path` under which the app's own names work: the tenant's tables, then the `global` ones.
    #[must_use]
    pub fn search_path(&self) -> String {
        format!("{}, global", crate::quote_ident(&self.schema))
    }
}
