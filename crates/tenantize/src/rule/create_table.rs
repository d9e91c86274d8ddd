//! CREATE TABLE.

use domain::quote_ident;
use pg_query::{NodeEnum, protobuf as pb};

use super::place::TablePlace;
use super::{Rewrite, Sql, column, constraint, copy_view, partition, refused, storage, target};
use crate::plan::{Grant, Scope};
use crate::policy;
use crate::refusal::{Fault, Verdict};
use crate::schema::{Column, Schema, Table};
use crate::tree;

pub(super) fn apply(statement: &pb::CreateStmt, global: bool, schema: &mut Schema) -> Verdict<Rewrite> {
    let mut own = statement.clone();
    check_clauses(&own)?;
    clear_places(&mut own);
    let name = target(own.relation.as_mut())?.relname.clone();
    if own.if_not_exists && schema.find(&name).is_some() {
        return Ok(Rewrite::dropped(format!("there is a table {name} already")));
    }
    own.if_not_exists = false;
    if schema.find(&name).is_some() {
        return Err(Fault::new(format!("there is a table {name} already"), "choose another name, or use ALTER TABLE"));
    }
    schema.must_be_free(&name)?;
    let mut parent = None;
    for node in &mut own.inh_relations {
        let Some(NodeEnum::RangeVar(relation)) = &mut node.node else { return Err(refused::nothing()) };
        parent = Some(partition::parent(relation, schema)?);
    }
    let scope = if global { Scope::Global } else { Scope::Tenant };
    let scope = match &parent {
        Some(parent) => schema.table(parent)?.scope,
        None => scope,
    };
    let mut table = Table::new(&name, scope);
    table.partitioned = own.partspec.is_some();
    table.parent.clone_from(&parent);
    let mut rewrite = Rewrite::nothing(scope);
    let mut shared = own.clone();
    let mut sequences = Vec::new();

    let inherited: Vec<Column> = match &parent {
        Some(parent) => schema.table(parent)?.columns.clone(),
        None => Vec::new(),
    };
    let columns = column_names(&own.table_elts, &inherited)?;
    table.divided_by = check_elements(&mut own, &name, &columns, schema)?;
    shared.table_elts.clone_from(&own.table_elts);
    shared.partspec.clone_from(&own.partspec);
    shared.partbound.clone_from(&own.partbound);
    // A partition's numbers come from its table, whose identity columns it does not share (PostgreSQL 15).
    table.columns.extend(inherited.into_iter().map(|column| Column { identity: false, ..column }));
    for node in &mut shared.table_elts {
        if let Some(NodeEnum::ColumnDef(definition)) = &mut node.node {
            let column = column::share(definition, &name, scope, &columns, schema)?;
            **definition = column.definition;
            match table.columns.iter_mut().find(|known| known.name == column.model.name) {
                Some(known) if column.model.default.is_some() => {
                    known.filled = column.model.filled;
                    known.default = column.model.default;
                    known.draws = column.model.draws;
                }
                Some(_) => {}
                None => table.columns.push(column.model),
            }
            rewrite.tenant.extend(column.tenant);
            // Each takes a name before the next one is chosen.
            schema.sequences_mut().extend(column.sequence.clone());
            sequences.extend(column.sequence);
        }
    }
    schema.add(table);
    partition::no_identity_divides(&name, schema)?;
    shared.table_elts = settle(&shared.table_elts, &name, scope, parent.is_some(), schema)?;
    if scope == Scope::Global {
        if let Some(parent) = &parent {
            partition::constraints_follow(parent, schema)?;
            partition::indexes_follow(&name, schema)?;
        }
        return Ok(global_table(own, &name));
    }
    rewrite.shared.push(Sql::of(NodeEnum::CreateStmt(shared)));
    rewrite.own.push(Sql::of(NodeEnum::CreateStmt(own)));
    if let Some(parent) = &parent {
        partition::constraints_follow(parent, schema)?;
        rewrite.shared.extend(partition::indexes_follow(&name, schema)?);
    }
    rewrite.shared.push(Sql::Text(policy::switch_on(&name)));
    rewrite.grants.extend([Grant::Rows(name.clone()), Grant::Table(name.clone())]);
    rewrite.grants.extend(sequences.into_iter().map(|sequence| Grant::Sequence(sequence.name)));
    let (beside, grant) = copy_view::set_up(schema.table(&name)?, schema)?;
    rewrite.shared.extend(beside);
    rewrite.grants.extend(grant);
    Ok(rewrite)
}

/// Takes out where and how to store, after it was found to be the default: the table is the same without.
fn clear_places(table: &mut pb::CreateStmt) {
    table.tablespacename.clear();
    table.access_method.clear();
    if let Some(relation) = &mut table.relation {
        "p".clone_into(&mut relation.relpersistence);
    }
}

/// The name a statement would create, for noting that it was refused.
pub(super) fn named(statement: &pb::Node) -> Option<String> {
    match &statement.node {
        Some(NodeEnum::CreateStmt(table)) => table.relation.as_ref().map(|relation| relation.relname.clone()),
        _ => None,
    }
}

/// UNLOGGED is accepted and has no effect: what síndico moves, copies and restores are logged rows.
fn check_clauses(table: &pb::CreateStmt) -> Verdict<()> {
    let persistence = table.relation.as_ref().map_or("p", |relation| relation.relpersistence.as_str());
    storage::check_table(&table.options)?;
    storage::check_tablespace(&table.tablespacename)?;
    storage::check_access_method(&table.access_method)?;
    let (what, remedy) = if !table.inh_relations.is_empty() && table.partbound.is_none() {
        ("INHERITS", "repeat the columns, or use declarative partitioning (PARTITION BY)")
    } else if table.of_typename.is_some() {
        ("CREATE TABLE OF a type", "list the columns")
    } else if persistence == "t" {
        ("a temporary table", "create an ordinary table, or use WITH")
    } else if table.oncommit() != pb::OnCommitAction::OncommitNoop {
        ("ON COMMIT", "leave it out: it is for temporary tables")
    } else {
        return Ok(());
    };
    Err(Fault::unsupported(what, remedy))
}

/// The columns that expressions may mention: those of a partition's table, and those that the statement defines.
fn column_names(elements: &[pb::Node], inherited: &[Column]) -> Verdict<Vec<String>> {
    let mut names: Vec<String> = Vec::new();
    for element in elements {
        match &element.node {
            Some(NodeEnum::ColumnDef(column)) if names.contains(&column.colname) => {
                let reason = format!("column {} is defined twice", column.colname);
                return Err(Fault::new(reason, "remove or rename one of the two"));
            }
            Some(NodeEnum::ColumnDef(column)) => names.push(column.colname.clone()),
            Some(NodeEnum::Constraint(_)) => {}
            Some(NodeEnum::TableLikeClause(_)) => {
                return Err(Fault::unsupported(
                    "LIKE in CREATE TABLE",
                    "write the other table's columns, defaults, constraints and indexes out (psql's \\d shows them): where \
                 tenants share tables they have other forms than the ones to copy",
                ));
            }
            _ => return Err(Fault::unsupported("this element of a table", "use columns and constraints")),
        }
    }
    let others = inherited.iter().map(|column| &column.name).filter(|name| !names.contains(name));
    Ok(others.cloned().collect::<Vec<_>>().into_iter().chain(names).collect())
}

/// Gives the columns that the partition key mentions.
fn check_elements(table: &mut pb::CreateStmt, name: &str, columns: &[String], schema: &Schema) -> Verdict<Vec<String>> {
    let mut place = TablePlace::new(schema, name, columns);
    for element in &mut table.table_elts {
        match &mut element.node {
            Some(NodeEnum::ColumnDef(column)) => column::check(column, schema, &mut place)?,
            Some(NodeEnum::Constraint(constraint)) => constraint::check(constraint, &mut place)?,
            _ => {}
        }
    }
    let divided_by = match &mut table.partspec {
        Some(spec) => partition::check_spec(spec, &mut place)?,
        None => Vec::new(),
    };
    if let Some(bound) = &mut table.partbound {
        partition::check_bound(bound, &mut place)?;
    }
    Ok(divided_by)
}

/// The table's elements where tables are shared. PostgreSQL names checks first, then keys (the primary one first), then
/// foreign keys, whatever their order in the text (`transformCreateStmt`), and so does this.
fn settle(
    elements: &[pb::Node],
    name: &str,
    scope: Scope,
    is_partition: bool,
    schema: &mut Schema,
) -> Verdict<Vec<pb::Node>> {
    let (mut columns, mut checks, mut keys, mut foreign_keys) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for element in elements {
        match element.node.clone() {
            Some(NodeEnum::ColumnDef(mut column)) => {
                for constraint in column::lift_keys(&mut column) {
                    let is_key = constraint.contype() != pb::ConstrType::ConstrForeign;
                    if is_key { &mut keys } else { &mut foreign_keys }.push(constraint);
                }
                settle_column_checks(&mut column, name, schema)?;
                columns.push(tree::node(NodeEnum::ColumnDef(column)));
            }
            Some(NodeEnum::Constraint(mut constraint)) => match constraint.contype() {
                pb::ConstrType::ConstrCheck => {
                    constraint::settle(&mut constraint, name, schema)?;
                    checks.push(*constraint);
                }
                pb::ConstrType::ConstrForeign => foreign_keys.push(*constraint),
                _ => keys.push(*constraint),
            },
            _ => {}
        }
    }
    keys.sort_by_key(|key| key.contype() != pb::ConstrType::ConstrPrimary);
    let mut keys = merge_doublets(keys);
    for constraint in keys.iter_mut().chain(&mut foreign_keys) {
        checks.extend(constraint::settle(constraint, name, schema)?);
    }
    if scope == Scope::Tenant && !is_partition {
        columns.push(tree::tenant_column()?);
    }
    let constraints = checks.into_iter().chain(keys).chain(foreign_keys);
    columns.extend(constraints.map(|constraint| tree::node(NodeEnum::Constraint(Box::new(constraint)))));
    Ok(columns)
}

/// Puts a column's own checks into the schema.
pub(super) fn settle_column_checks(column: &mut pb::ColumnDef, table: &str, schema: &mut Schema) -> Verdict<()> {
    for node in &mut column.constraints {
        if let Some(NodeEnum::Constraint(constraint)) = &mut node.node
            && constraint.contype() == pb::ConstrType::ConstrCheck
        {
            constraint::settle_check(constraint, table, schema)?;
        }
    }
    Ok(())
}

/// PostgreSQL makes one index of keys that say the same, under the first name given (`transformIndexConstraints`).
fn merge_doublets(keys: Vec<pb::Constraint>) -> Vec<pb::Constraint> {
    let mut merged: Vec<pb::Constraint> = Vec::new();
    for key in keys {
        let twin = merged.iter_mut().find(|twin| {
            tree::strings(&twin.keys) == tree::strings(&key.keys)
                && tree::strings(&twin.including) == tree::strings(&key.including)
                && twin.nulls_not_distinct == key.nulls_not_distinct
                && twin.deferrable == key.deferrable
                && twin.initdeferred == key.initdeferred
                && key.contype() == pb::ConstrType::ConstrUnique
        });
        match twin {
            Some(twin) if twin.conname.is_empty() => twin.conname = key.conname,
            Some(_) => {}
            None => merged.push(key),
        }
    }
    merged
}

fn global_table(mut table: pb::CreateStmt, name: &str) -> Rewrite {
    if let Some(relation) = &mut table.relation {
        "global".clone_into(&mut relation.schemaname);
    }
    let mut rewrite = Rewrite::alike(Scope::Global, NodeEnum::CreateStmt(table));
    // CONNECT and the schema's USAGE decide who comes this far.
    let grant = format!("GRANT SELECT ON TABLE global.{} TO PUBLIC", quote_ident(name));
    rewrite.shared.push(Sql::Text(grant.clone()));
    rewrite.own.push(Sql::Text(grant));
    rewrite
}
