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

    /// The `search_path` under which the app's own names work: the tenant's tables, its sequences where tables are shared,
    /// the `global` tables, and what extensions bring. The tables come first, since `current_schema()` is where
    /// object-relational mappers look for them.
    #[must_use]
    pub fn search_path(&self, tenant: TenantId) -> String {
        let schema = crate::quote_ident(&self.schema);
        match self.isolation {
            Isolation::Shared => {
                format!("{schema}, {}, global, extensions", crate::quote_ident(&tenant.sequence_schema()))
            }
            Isolation::Schema | Isolation::Database | Isolation::Cluster => format!("{schema}, global, extensions"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_current_schema_is_that_of_the_tables() {
        let tenant: TenantId = "0192f0c1-2345-7abc-8def-0123456789ab".parse().expect("an id");
        let app: AppName = "petshop".parse().expect("a name");
        let path = |isolation| Placement::of(tenant, &app, isolation, Uuid::nil()).search_path(tenant);
        let hex = tenant.hex();
        assert_eq!(path(Isolation::Shared), format!("\"public\", \"s_{hex}\", global, extensions"));
        assert_eq!(path(Isolation::Schema), format!("\"t_{hex}\", global, extensions"));
        assert_eq!(path(Isolation::Cluster), "\"public\", global, extensions");
    }
}
