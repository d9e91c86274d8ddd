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

/// ALTER TABLE of which [`without_owner`] leaves nothing.
pub(super) fn left_out(statement: &pb::AlterTableStmt) -> Rewrite {
    let owner = |node: &pb::Node| match &node.node {
        Some(NodeEnum::AlterTableCmd(command)) => command.subtype() == pb::AlterTableType::AtChangeOwner,
        _ => false,
    };
    if statement.cmds.iter().all(owner) {
        return self::owner();
    }
    Rewrite::dropped(
        "without policies row-level security changes nothing for a table's owner; síndico has policies of its own",
    )
}

/// Takes OWNER TO out of an ALTER TABLE, ALTER VIEW or ALTER SEQUENCE, and row-level security, which without the app's
/// policies concerns nobody who owns the table; `None` when nothing else is in it.
pub(super) fn without_owner(statement: &pb::AlterTableStmt) -> Verdict<Option<pb::AlterTableStmt>> {
    use pb::AlterTableType as Command;
    let mut rest = statement.clone();
    let mut fault = None;
    rest.cmds.retain(|node| match &node.node {
        Some(NodeEnum::AlterTableCmd(command)) => match command.subtype() {
            // A table's owner passes by its policies, and the app's own policies are refused.
            Command::AtChangeOwner
            | Command::AtEnableRowSecurity
            | Command::AtDisableRowSecurity
            | Command::AtNoForceRowSecurity => false,
            Command::AtForceRowSecurity => {
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

/// CREATE POLICY and ALTER TABLE … FORCE ROW LEVEL SECURITY.
pub(super) fn row_security() -> Fault {
    Fault::unsupported(
        "row-level security of the app's own (FORCE ROW LEVEL SECURITY, CREATE POLICY)",
        "leave it out: síndico's policy keeps tenants apart, and another one would widen it or hide a tenant's own rows; \
         conditions within a tenant belong into a view or the application",
    )
}

/// CREATE, ALTER and DROP ROLE, GRANT role TO role.
pub(super) fn role() -> Rewrite {
    Rewrite::dropped("each tenant has síndico's two roles, one that writes and one that reads")
}

/// ALTER ROLE … SET, whose effect on later sessions an application may count on.
pub(super) fn role_setting() -> Fault {
    Fault::unsupported(
        "a setting of a role",
        "leave it out, and let the application set it when it connects: tenants have síndico's roles",
    )
}
