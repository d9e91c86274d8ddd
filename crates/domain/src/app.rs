//! The application that tenants use, and the names it has in PostgreSQL.

use crate::{Invalid, TenantId, validated_text};

/// An app's name, which is also the database that its tenants' clients ask for.
///
/// `app_<app>_<32 hex>` has to fit into PostgreSQL's 63 bytes of identifier, hence the limit of 24.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AppName(String);

impl AppName {
    /// Bytes in the longest app name.
    pub const MAX_LEN: usize = 24;

    /// The database under which operators find the gateway's console, and so no app's name.
    pub const CONSOLE: &str = "sindico";

    fn check(text: &str) -> Result<(), Invalid> {
        let starts_well = text.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
        let holds_well = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if text == Self::CONSOLE {
            return Err(Invalid::new(format!(
                "app name {text:?} is not usable: it is the database of the gateway's console; choose another"
            )));
        }
        if starts_well && holds_well && text.len() <= Self::MAX_LEN {
            return Ok(());
        }
        let shown: String = text.chars().take(80).collect();
        Err(Invalid::new(format!(
            "app name {shown:?} is not usable; use 1 to 24 of a-z, 0-9 and '_', starting with a letter, such as \
             \"petshop\""
        )))
    }

    /// What PostgreSQL calls the app's things on every cluster.
    #[must_use]
    pub fn names(&self) -> SharedNames {
        let app = &self.0;
        SharedNames {
            database: format!("app_{app}"),
            template: format!("tpl_{app}"),
            owner: format!("app_{app}_owner"),
            shared_rw: format!("app_{app}_shared_rw"),
            shared_ro: format!("app_{app}_shared_ro"),
            schema_group: format!("app_{app}_schema"),
            own_rw: format!("app_{app}_own_rw"),
            own_ro: format!("app_{app}_own_ro"),
            shared_login: format!("app_{app}_shared_login"),
            definer: format!("app_{app}_definer"),
            dense: format!("app_{app}_dense"),
            views: format!("app_{app}_views"),
            reports: format!("app_{app}_reports"),
        }
    }

    /// The database of a tenant that has one to itself.
    #[must_use]
    pub fn own_database(&self, tenant: TenantId) -> String {
        format!("app_{}_{}", self.0, tenant.hex())
    }
}

validated_text!(AppName);

/// Databases and roles that an app has once per cluster. No role here but `dense` can log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedNames {
    /// Database of the tenants in `shared` and `schema`.
    pub database: String,
    /// Database that those of `database` and `cluster` are copied from; nobody may connect to it.
    pub template: String,
    /// Owner of every table of the app, in whichever database.
    pub owner: String,
    /// Grant group of `t_` roles in `shared`, and of the dense login: read and write the shared tables.
    pub shared_rw: String,
    /// Grant group of `r_` roles in `shared`: read them.
    pub shared_ro: String,
    /// Grant group of both roles in `schema`: reach the app's database and its `global` tables, nothing more.
    pub schema_group: String,
    /// Grant group of `t_` roles in `database` and `cluster`: table privileges, which the template carries.
    pub own_rw: String,
    /// Grant group of `r_` roles in `database` and `cluster`.
    pub own_ro: String,
    /// Grant group of both roles in `shared`, and not of the dense login: reach the app's database, and what is
    /// harmless only for a login that serves one tenant.
    pub shared_login: String,
    /// Owner of the functions that may do more than their caller, of what they alone may read, and of tenants'
    /// sequences in `shared`. Has no other right and no member.
    pub definer: String,
    /// The login that serves many tenants of `shared`, one after the other, each proven by a token.
    pub dense: String,
    /// Owner of the views of single tenants in `shared`, and the one role that a policy lets read all rows. Has no
    /// other right and no member.
    pub views: String,
    /// Grant group of whoever may read such views: logins of an operator's, never a tenant's.
    pub reports: String,
}

impl SharedNames {
    /// Every group role, in the order of creation; the owner is not one of them.
    #[must_use]
    pub fn groups(&self) -> [&str; 6] {
        [&self.shared_rw, &self.shared_ro, &self.schema_group, &self.own_rw, &self.own_ro, &self.shared_login]
    }

    /// Every role that the app has on a cluster.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        self.single().into_iter().chain(self.groups()).chain([self.dense.as_str(), &self.reports])
    }

    /// Those that own something and have no member.
    #[must_use]
    pub fn single(&self) -> [&str; 3] {
        [&self.owner, &self.definer, &self.views]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_fits_into_an_identifier() {
        let app: AppName = "a".repeat(AppName::MAX_LEN).parse().expect("a name of the greatest length");
        let tenant: TenantId = "0192f0c1-2345-7abc-8def-0123456789ab".parse().expect("an id");
        assert!(app.own_database(tenant).len() <= 63);
        let names = app.names();
        for name in names.roles().chain([names.database.as_str(), &names.template]) {
            assert!(name.len() <= 63, "{name}");
        }
    }

    #[test]
    fn names_that_postgresql_would_have_to_quote_are_refused() {
        for bad in ["", "1shop", "Pet", "pet-shop", "pet shop", "pet\"", "sindico", &"a".repeat(25)] {
            assert!(bad.parse::<AppName>().is_err(), "{bad:?}");
        }
    }
}
