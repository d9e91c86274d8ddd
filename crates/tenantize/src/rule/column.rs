//! Columns, in CREATE TABLE and in ALTER TABLE … ADD COLUMN.

use pg_query::{NodeEnum, protobuf as pb};

use super::constraint;
use super::place::TablePlace;
use crate::expr::{check_type, is_serial, is_smallint, must_be_unqualified, tenant_id_mentioned};
use crate::plan::{Filled, Scope};
use crate::refusal::{Fault, Verdict};
use crate::schema::{Column, Schema};
use crate::tree::TENANT_ID;

/// Fails for what a column of an app may not have, and takes `public.` off its expressions and references.
pub(super) fn check(column: &mut pb::ColumnDef, schema: &Schema, place: &mut TablePlace<'_>) -> Verdict<()> {
    let name = &column.colname;
    if name == TENANT_ID {
        return Err(tenant_id_mentioned());
    }
    if !column.storage_name.is_empty() || !column.compression.is_empty() {
        return Err(Fault::unsupported(format!("STORAGE or COMPRESSION of column {name}"), "leave it out"));
    }
    if !column.fdwoptions.is_empty() {
        return Err(Fault::unsupported(format!("OPTIONS of column {name}"), "leave them out"));
    }
    if let Some(type_name) = &mut column.type_name {
        check_type(type_name, |table| schema.find(table).is_some())?;
    }
    if let Some(collate) = &column.coll_clause {
        must_be_unqualified(&collate.collname, "the collation")?;
    }
    for node in &mut column.constraints {
        if let Some(NodeEnum::Constraint(constraint)) = &mut node.node {
            constraint::check(constraint, place)?;
        }
    }
    Ok(())
}

/// What the model of the schema keeps of a column.
pub(super) fn model(
    column: &mut pb::ColumnDef,
    table: &str,
    scope: Scope,
    schema: &Schema,
    place: &mut TablePlace<'_>,
) -> Verdict<Column> {
    let mut filled = Filled::Written;
    let mut computed_from = Vec::new();
    if column.type_name.as_ref().is_some_and(is_serial) {
        filled = Filled::Sequence;
    }
    for node in &mut column.constraints {
        let Some(NodeEnum::Constraint(constraint)) = &mut node.node else { continue };
        match constraint.contype() {
            pb::ConstrType::ConstrIdentity if constraint.generated_when == "a" => filled = Filled::AlwaysSequence,
            pb::ConstrType::ConstrIdentity => filled = Filled::Sequence,
            pb::ConstrType::ConstrGenerated => {
                filled = Filled::Computed;
                computed_from = super::place::mentions(&mut constraint.raw_expr, place)?;
            }
            _ => {}
        }
    }
    let sequence = match filled {
        Filled::Sequence | Filled::AlwaysSequence => {
            if scope == Scope::Tenant && (column.type_name.as_ref().is_some_and(is_smallint) || is_bounded(column)) {
                return Err(counted_together());
            }
            Some(schema.choose_relation(scope, table, Some(&column.colname), "seq", false)?)
        }
        Filled::Written | Filled::Computed => None,
    };
    Ok(Column { name: column.colname.clone(), filled, sequence, computed_from })
}

/// Whether an identity column's sequence counts otherwise than from 1 upwards until its type is full.
fn is_bounded(column: &pb::ColumnDef) -> bool {
    column.constraints.iter().any(|node| match &node.node {
        Some(NodeEnum::Constraint(constraint)) => constraint::identity_options(constraint).any(|name| name != "cache"),
        _ => false,
    })
}

/// For sequences that one tenant could draw empty for all: they are shared where tables are.
pub(super) fn counted_together() -> Fault {
    Fault::new(
        "the column's numbers are counted for all tenants together where they share tables",
        "use bigint GENERATED ALWAYS AS IDENTITY without options",
    )
}

/// Takes primary key, unique and foreign key out of a column, as constraints of the table: with `tenant_id` they have
/// two columns.
pub(super) fn lift_keys(column: &mut pb::ColumnDef) -> Vec<pb::Constraint> {
    use pb::ConstrType as Kind;
    let mut lifted: Vec<pb::Constraint> = Vec::new();
    let mut after_lifted = false;
    let mut kept = Vec::with_capacity(column.constraints.len());
    for node in std::mem::take(&mut column.constraints) {
        let Some(NodeEnum::Constraint(constraint)) = &node.node else { continue };
        let kind = constraint.contype();
        match (kind, lifted.last_mut()) {
            (Kind::ConstrPrimary | Kind::ConstrUnique | Kind::ConstrForeign, _) => {
                lifted.push(of_table(constraint, &column.colname));
                after_lifted = true;
            }
            // DEFERRABLE and its kin are nodes of their own after a column's constraint, and fields of a table's.
            (Kind::ConstrAttrDeferrable, Some(last)) if after_lifted => last.deferrable = true,
            (Kind::ConstrAttrDeferred, Some(last)) if after_lifted => {
                last.deferrable = true;
                last.initdeferred = true;
            }
            (Kind::ConstrAttrNotDeferrable | Kind::ConstrAttrImmediate, Some(_)) if after_lifted => {}
            _ => {
                after_lifted = false;
                kept.push(node);
            }
        }
    }
    column.constraints = kept;
    lifted
}

fn of_table(constraint: &pb::Constraint, column: &str) -> pb::Constraint {
    let mut lifted = constraint.clone();
    let columns = vec![crate::tree::name(column)];
    if lifted.contype() == pb::ConstrType::ConstrForeign {
        lifted.fk_attrs = columns;
    } else {
        lifted.keys = columns;
    }
    lifted
}
