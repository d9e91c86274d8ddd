//! The login roles of a tenant, and how names and values are written into SQL.

use std::fmt;

use crate::{Access, TenantId};

/// A tenant's login role in PostgreSQL. `session_user` is the tenant's identity there: only a superuser can change it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Role {
    tenant: TenantId,
    access: Access,
}

impl Role {
    /// The role that a key with this access logs in as.
    #[must_use]
    pub const fn new(tenant: TenantId, access: Access) -> Self {
        Self { tenant, access }
    }

    /// Both roles of a tenant.
    #[must_use]
    pub const fn both(tenant: TenantId) -> [Self; 2] {
        [Self::new(tenant, Access::ReadWrite), Self::new(tenant, Access::ReadOnly)]
    }

    /// Whose role it is.
    #[must_use]
    pub const fn tenant(self) -> TenantId {
        self.tenant
    }

    /// What it may do.
    #[must_use]
    pub const fn access(self) -> Access {
        self.access
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.access {
            Access::ReadWrite => 't',
            Access::ReadOnly => 'r',
        };
        write!(f, "{kind}_{}", self.tenant.hex())
    }
}

/// Writes a name so that SQL reads it as just that name (PostgreSQL manual, 4.1.1).
#[must_use]
pub fn quote_ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Writes a string so that SQL reads it as just that string, whatever `standard_conforming_strings` says (PostgreSQL
/// manual, 4.1.2.2). For statements that take no parameters, such as `CREATE ROLE`.
#[must_use]
pub fn quote_literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_carry_the_id_and_nothing_human() {
        let id: TenantId = "0192f0c1-2345-7abc-8def-0123456789ab".parse().expect("an id");
        let [read_write, read_only] = Role::both(id);
        assert_eq!(read_write.to_string(), "t_0192f0c123457abc8def0123456789ab");
        assert_eq!(read_only.to_string(), "r_0192f0c123457abc8def0123456789ab");
    }

    #[test]
    fn quotes_cannot_be_left() {
        assert_eq!(quote_ident(r#"a"; DROP"#), r#""a""; DROP""#);
        assert_eq!(quote_literal(r"a'\'; DROP"), r"E'a\'\\\'; DROP'");
    }
}
