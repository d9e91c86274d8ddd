//! The rules and what fills them in.

use domain::{SharedNames, quote_literal};

/// Where a rule is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Where {
    /// Once per server.
    Server,
    /// In the database that `shared` and `schema` tenants live in.
    Shared,
    /// In the database of one tenant.
    Own,
    /// In either kind of database; only rules are this, databases are one or the other.
    Both,
}

/// A query that finds what breaks it: object, what is wrong, and the SQL that mends it.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) name: &'static str,
    place: Where,
    pub(super) sql: &'static str,
}

impl Rule {
    pub(super) fn applies_to(&self, place: Where) -> bool {
        self.place == place || (self.place == Where::Both && place != Where::Server)
    }
}

macro_rules! rules {
    ($($place:ident $name:literal),* $(,)?) => {
        [$(Rule { name: $name, place: Where::$place, sql: include_str!(concat!("rules/", $name, ".sql")) }),*]
    };
}

/// All of them.
pub(super) const RULES: [Rule; 24] = rules![
    Server "role_attributes",
    Server "memberships",
    Server "role_settings",
    Server "orphaned_roles",
    Server "database_privileges",
    Server "parameters",
    Shared "row_security",
    Shared "policies",
    Shared "relation_privileges",
    Shared "view_invokers",
    Shared "tenant_views",
    Shared "schema_privileges",
    Shared "hardening",
    Own "own_privileges",
    Own "own_hardening",
    Both "owners",
    Both "definer_functions",
    Both "function_privileges",
    Both "languages",
    Both "extensions",
    Both "default_privileges",
    Both "event_triggers",
    Both "replication",
    Both "foreign",
];

/// What the rules are told.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) names: SharedNames,
    pub(super) database: Option<String>,
    /// Every tenant of the app, as in the names of roles.
    pub(super) tenants: Vec<String>,
}

/// What an app may use (`tenantize` allows the same).
const EXTENSIONS: [&str; 17] = [
    "plpgsql",
    "pgcrypto",
    "citext",
    "uuid-ossp",
    "btree_gist",
    "btree_gin",
    "pg_trgm",
    "hstore",
    "unaccent",
    "ltree",
    "fuzzystrmatch",
    "intarray",
    "cube",
    "earthdistance",
    "isn",
    "tablefunc",
    "dict_xsyn",
];

impl Facts {
    /// Puts names, as string literals, in the place of `:name` words.
    pub(super) fn fill(&self, sql: &str) -> String {
        let list = |words: &mut dyn Iterator<Item = &str>| words.map(quote_literal).collect::<Vec<_>>().join(", ");
        let SharedNames { database, template, owner, shared_rw, shared_ro, schema_group, own_rw, own_ro, .. } =
            &self.names;
        let one = |name: &str| list(&mut [name].into_iter());
        let own_hex = self.database.as_deref().and_then(|it| it.rsplit_once('_')).map_or("", |(_, hex)| hex);
        let mut groups = self.names.groups().into_iter();
        [
            (":app_database", one(database)),
            (":template", one(template)),
            (":owner", one(owner)),
            (":shared_rw", one(shared_rw)),
            (":shared_ro", one(shared_ro)),
            (":shared_login", one(&self.names.shared_login)),
            (":schema_group", one(schema_group)),
            (":own_rw", one(own_rw)),
            (":own_ro", one(own_ro)),
            (":definer", one(&self.names.definer)),
            (":dense", one(&self.names.dense)),
            (":views", one(&self.names.views)),
            (":reports", one(&self.names.reports)),
            (":own_hex", one(own_hex)),
            (":groups", format!("ARRAY[{}]", list(&mut groups))),
            (":tenants", format!("ARRAY[{}]::text[]", list(&mut self.tenants.iter().map(String::as_str)))),
            (":extensions", format!("ARRAY[{}]", list(&mut EXTENSIONS.into_iter()))),
        ]
        .into_iter()
        .fold(sql.to_owned(), |sql, (name, value)| sql.replace(name, &value))
    }
}
