//! Owners, privileges, roles and row security: síndico's own business.

use pg_query::{NodeEnum, protobuf as pb};

use super::Rewrite;
use crate::refusal::{Fault, Verdict};

/// GRANT, REVOKE and ALTER DEFAULT PRIVILEGES, which dumps are full of.
pub(super) fn grant() -> Rewrite {
    Rewrite::dropped("síndico decides which roles read and write what")
}

/// ALTER … OWNER TO.
pub(super) fn owner() -> Rewrite {
    Rewrite::dropped("everything belongs to síndico's role for the app")
}

/// SECURITY LABEL.
pub(super) fn label() -> Rewrite {
    Rewrite::dropped("no provider of security labels is loaded")
}

/// Takes OWNER TO out of an ALTER TABLE, ALTER VIEW or ALTER SEQUENCE; `None` when nothing else is in it.
pub(super) fn without_owner(statement: &pb::AlterTableStmt) -> Verdict<Option<pb::AlterTableStmt>> {
    use pb::AlterTableType as Command;
    let mut rest = statement.clone();
    let mut fault = None;
    rest.cmds.retain(|node| match &node.node {
        Some(NodeEnum::AlterTableCmd(command)) => match command.subtype() {
            Command::AtChangeOwner => false,
            Command::AtEnableRowSecurity
            | Command::AtDisableRowSecurity
            | Command::AtForceRowSecurity
            | Command::AtNoForceRowSecurity => {
                fault = Some(row_security());
                true
            }
            _ => true,
        },
        _ => true,
    });
    match fault {
        Some(fault) => Err(fault),
        None => Ok((!rest.cmds.is_empty()).then_some(rest)),
    }
}

/// CREATE POLICY and ALTER TABLE … ROW LEVEL SECURITY.
pub(super) fn row_security() -> Fault {
    Fault::unsupported(
        "row-level security of the app's own (ENABLE ROW LEVEL SECURITY, CREATE POLICY)",
        "leave it out: síndico's policy keeps tenants apart, and another one would widen it or hide a tenant's own rows; \
         conditions within a tenant belong into a view or the application",
    )
}

/// CREATE, ALTER and DROP ROLE, GRANT role TO role.
pub(super) fn role() -> Fault {
    Fault::unsupported(
        "a role",
        "leave it out: each tenant has síndico's two roles, one that writes and one that reads",
    )
}
