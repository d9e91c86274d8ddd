//! Something on a cluster that síndico has made, and whether somebody owns it.

use catalog::Ownership;
use domain::{AppName, Isolation, Placement, TenantId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::migrate::{VERIFY, subject};
use crate::retention::RETENTION;

/// What something is, in the order in which such things are removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrphanKind {
    /// A tenant's rows in a table that tenants share.
    Rows,
    /// A tenant's schema: its tables, its sequences, or views of its rows.
    Schema,
    /// A tenant's database.
    Database,
    /// A tenant's login.
    Role,
    /// A database of an app's that was not finished, or that another has taken the place of.
    Build,
    /// A database of an app's.
    AppDatabase,
    /// A role of an app's.
    AppRole,
}

impl OrphanKind {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::Schema => "schema",
            Self::Database => "database",
            Self::Role => "role",
            Self::Build => "build",
            Self::AppDatabase => "app_database",
            Self::AppRole => "app_role",
        }
    }
}

/// Something of this installation's on a cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) struct Thing {
    pub(super) kind: OrphanKind,
    pub(super) cluster: Uuid,
    /// The database that it is in, unless it is the server's.
    pub(super) database: Option<String>,
    /// Of rows, the table's.
    pub(super) name: String,
    /// Whose it is by its name.
    pub(super) tenant: Option<TenantId>,
    /// Of which app, as far as that can be told.
    pub(super) app: Option<AppName>,
}

/// Who owns something.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Owned,
    /// Somebody may be about to.
    Busy(String),
    /// Nobody, and why.
    Orphan(String),
}

impl Thing {
    pub(super) fn judge(&self, by: &Ownership) -> Verdict {
        if let Some(app) = &self.app {
            // Such tenants as no record knows are made to try an app, and its databases under other names.
            if by.app(app) == Some(false) {
                return Verdict::Busy(format!("app {app} is being registered"));
            }
            // Only what makes nothing may be under way.
            if let Some(kind) = by.under_way(subject(app)).filter(|kind| ![VERIFY, RETENTION].contains(kind)) {
                return Verdict::Busy(format!("an operation on app {app} is under way ({kind})"));
            }
        }
        match (self.kind, &self.app, self.tenant) {
            (OrphanKind::Build, Some(app), _) => {
                Verdict::Orphan(format!("building a database of app {app} was cut off"))
            }
            (OrphanKind::AppDatabase | OrphanKind::AppRole, Some(app), _) => match by.app(app) {
                Some(_) => Verdict::Owned,
                None => Verdict::Orphan(format!("no app {app} is registered")),
            },
            (_, _, Some(tenant)) => self.judge_tenants(tenant, by),
            _ => Verdict::Owned,
        }
    }

    fn judge_tenants(&self, tenant: TenantId, by: &Ownership) -> Verdict {
        if by.under_way(tenant.as_uuid()).is_some() {
            return Verdict::Owned;
        }
        match by.tenant(tenant) {
            None => Verdict::Orphan(format!("no tenant has the id {tenant}")),
            Some((_, placement)) if self.is_of(placement) => Verdict::Owned,
            Some((slug, placement)) => Verdict::Orphan(format!(
                "tenant {slug} lives elsewhere: isolation {}, database {}{}",
                placement.isolation,
                placement.database,
                if placement.cluster == self.cluster { "" } else { " of another cluster" }
            )),
        }
    }

    /// Whether a tenant that lives there has just this.
    fn is_of(&self, placement: &Placement) -> bool {
        let Placement { cluster, isolation, database, schema } = placement;
        let inside = self.database.as_ref() == Some(database);
        *cluster == self.cluster
            && match self.kind {
                OrphanKind::Role => true,
                OrphanKind::Database => isolation.has_own_database() && self.name == *database,
                OrphanKind::Schema if self.name.starts_with("t_") => {
                    inside && *isolation == Isolation::Schema && self.name == *schema
                }
                OrphanKind::Rows | OrphanKind::Schema => inside && *isolation == Isolation::Shared,
                OrphanKind::Build | OrphanKind::AppDatabase | OrphanKind::AppRole => false,
            }
    }

    /// Whether an operator names it, its database or its tenant.
    pub(super) fn is_among(&self, named: &[String]) -> bool {
        let tenant = self.tenant.map(|tenant| tenant.to_string());
        [Some(&self.name), self.database.as_ref(), tenant.as_ref()]
            .into_iter()
            .flatten()
            .any(|name| named.contains(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_owns_what_its_place_has() {
        let tenant: TenantId = "0192f0c1-2345-7abc-8def-0123456789ab".parse().expect("an id");
        let app: AppName = "petshop".parse().expect("a name");
        let (here, elsewhere) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let thing = |kind, database: Option<&str>, name: &str| Thing {
            kind,
            cluster: here,
            database: database.map(str::to_owned),
            name: name.to_owned(),
            tenant: Some(tenant),
            app: Some(app.clone()),
        };
        let hex = tenant.hex();
        let things = [
            thing(OrphanKind::Role, None, &format!("t_{hex}")),
            thing(OrphanKind::Rows, Some("app_petshop"), "clients"),
            thing(OrphanKind::Schema, Some("app_petshop"), &format!("s_{hex}")),
            thing(OrphanKind::Schema, Some("app_petshop"), &format!("t_{hex}")),
            thing(OrphanKind::Database, None, &app.own_database(tenant)),
        ];
        for (isolation, cluster, owned) in [
            (Isolation::Shared, here, [true, true, true, false, false]),
            (Isolation::Schema, here, [true, false, false, true, false]),
            (Isolation::Database, here, [true, false, false, false, true]),
            (Isolation::Shared, elsewhere, [false; 5]),
        ] {
            let placement = Placement::of(tenant, &app, isolation, cluster);
            assert_eq!(things.each_ref().map(|thing| thing.is_of(&placement)), owned, "{isolation} {cluster}");
        }
        for thing in &things {
            assert!(matches!(thing.judge(&Ownership::default()), Verdict::Orphan(why) if why.contains("no tenant")));
        }
        assert!(things[0].is_among(&[tenant.to_string()]) && !things[0].is_among(&["app_petshop".to_owned()]));
    }
}
