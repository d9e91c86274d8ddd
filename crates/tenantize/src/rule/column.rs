//! Columns, in CREATE TABLE and in ALTER TABLE … ADD COLUMN.

use pg_query::{NodeEnum, protobuf as pb};

use super::place::TablePlace;
use super::{Sql, constraint, draw, identity, sequence};
use crate::expr::{self, Integer, check_type, must_be_unqualified, tenant_id_mentioned};
use crate::plan::{Filled, Scope};
use crate::refusal::{Fault, Verdict};
use crate::schema::{Column, Schema, Sequence};
use crate::tree::{self, TENANT_ID};

/// Fails for what a column of an app may not have, and takes `public.` off its expressions and references.
pub(super) fn check(column: &mut pb::ColumnDef, schema: &Schema, place: &mut TablePlace<'_>) -> Verdict<()> {
    let name = &column.colname;
    if name == TENANT_ID {
        return Err(tenant_id_mentioned());
    }
    if !column.storage_name.is_empty() {
        return Err(Fault::unsupported(
            format!("STORAGE in the definition of column {name}"),
            "write ALTER TABLE … ALTER COLUMN … SET STORAGE, which PostgreSQL 15 has too",
        ));
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

/// A column in the form that shared tables have.
pub(super) struct Shared {
    pub(super) model: Column,
    pub(super) definition: pb::ColumnDef,
    /// The sequence that PostgreSQL makes with the column.
    pub(super) sequence: Option<Sequence>,
    /// What makes that sequence for each tenant.
    pub(super) tenant: Option<Sql>,
}

/// Reads a checked column of a table: what the schema keeps of it, and what it becomes.
pub(super) fn share(
    column: &pb::ColumnDef,
    table: &str,
    scope: Scope,
    columns: &[String],
    schema: &Schema,
) -> Verdict<Shared> {
    let mut definition = column.clone();
    let mut model = Column {
        name: column.colname.clone(),
        type_name: column.type_name.clone().unwrap_or_default(),
        filled: Filled::Written,
        identity: false,
        default: None,
        draws: Vec::new(),
        computed_from: Vec::new(),
        not_null: false,
        late: false,
    };
    let mut shared = scope == Scope::Tenant;
    let serial = Integer::of_serial(&model.type_name);
    let mut place = TablePlace::shared(schema, table, columns);
    let (mut options, mut carrier) = (Vec::new(), None);
    for node in &mut definition.constraints {
        let Some(NodeEnum::Constraint(constraint)) = &mut node.node else { continue };
        match constraint.contype() {
            pb::ConstrType::ConstrIdentity => {
                model.identity = true;
                model.filled = if constraint.generated_when == "a" { Filled::AlwaysSequence } else { Filled::Sequence };
                options = std::mem::take(&mut constraint.options);
                if shared {
                    let name = schema.choose_carrier(table, &column.colname);
                    constraint.options = identity::carrier_options(&name, identity::integer(&model)?)?;
                    carrier = Some(name);
                }
            }
            pb::ConstrType::ConstrNotnull => model.not_null = true,
            pb::ConstrType::ConstrGenerated => {
                model.filled = Filled::Computed;
                model.computed_from = super::place::mentions(&mut constraint.raw_expr, &mut place)?;
            }
            pb::ConstrType::ConstrDefault => {
                expr::walk_opt(&mut constraint.raw_expr, &mut place)?;
                set_default(&mut model, constraint.raw_expr.as_deref(), place.take_draws());
            }
            _ => {}
        }
    }
    if scope == Scope::Global && !model.draws.is_empty() {
        return Err(of_tenants(table, &model.draws.concat()));
    }
    shared &= model.identity || serial.is_some();
    if let Some(integer) = serial {
        model.filled = Filled::Sequence;
        model.type_name = sequence::type_name(integer)?;
    }
    let (mut made, mut tenant) = (None, None);
    if model.identity || serial.is_some() {
        let name = sequence::name_among(&mut options)?;
        let name = match name {
            Some(name) => {
                schema.must_be_free(&name)?;
                name
            }
            None => schema.choose_relation(scope, table, Some(&column.colname), "seq", false)?,
        };
        if shared {
            let integer = serial.map_or_else(|| identity::integer(&model), Ok)?;
            tenant = Some(sequence::create(&name, integer, options)?);
            if serial.is_some() {
                let default = draw::next_value(&name)?;
                definition.type_name = Some(model.type_name.clone());
                definition.constraints.extend(drawing(&default)?);
                model.default = Some(default);
                model.draws.push(name.clone());
            }
        }
        made = Some(Sequence { name, scope, owner: Some((table.to_owned(), column.colname.clone())), carrier });
    }
    Ok(Shared { model, definition, sequence: made, tenant })
}

/// Notes a default, which counts as a number given by a sequence if it is nothing but that.
pub(super) fn set_default(model: &mut Column, default: Option<&pb::Node>, draws: Vec<String>) {
    let is_call = matches!(default.and_then(|default| default.node.as_ref()), Some(NodeEnum::FuncCall(_)));
    model.filled = if is_call && !draws.is_empty() { Filled::Sequence } else { Filled::Written };
    model.default = default.cloned();
    model.draws = draws;
}

/// For a global table's default that draws from tenants' sequences.
pub(super) fn of_tenants(table: &str, sequence: &str) -> Fault {
    Fault::new(
        format!("the global table {table} draws from {sequence}, which each tenant has its own of"),
        "put '-- sindico: global' before the CREATE SEQUENCE too",
    )
}

/// NOT NULL and a default, as `serial` means them.
fn drawing(default: &pb::Node) -> Verdict<Vec<pb::Node>> {
    let words = format!("CREATE TABLE t (c int NOT NULL DEFAULT {})", tree::write_expression(default)?);
    let NodeEnum::CreateStmt(mut table) = tree::own_words(&words)? else { return Err(super::refused::nothing()) };
    match table.table_elts.pop().and_then(|column| column.node) {
        Some(NodeEnum::ColumnDef(column)) => Ok(column.constraints),
        _ => Err(super::refused::nothing()),
    }
}

/// Takes a default out that calls a function. ADD COLUMN would compute it for the rows that are there, as the tables'
/// owner, who may not call what draws from a tenant's sequence; there are no rows while an app is built.
pub(super) fn take_called(column: &mut pb::ColumnDef) -> Option<Box<pb::Node>> {
    let calls = |node: &pb::Node| match &node.node {
        Some(NodeEnum::Constraint(constraint)) if constraint.contype() == pb::ConstrType::ConstrDefault => {
            constraint.raw_expr.as_deref().is_some_and(|default| !tree::functions_called(default).is_empty())
        }
        _ => false,
    };
    let at = column.constraints.iter().position(calls)?;
    match column.constraints.remove(at).node {
        Some(NodeEnum::Constraint(constraint)) => constraint.raw_expr,
        _ => None,
    }
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
