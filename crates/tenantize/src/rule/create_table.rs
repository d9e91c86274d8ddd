//! CREATE TABLE.

use domain::quote_ident;
use pg_query::{NodeEnum, protobuf as pb};

use super::place::TablePlace;
use super::{Rewrite, Sql, column, constraint, copy_view, target};
use crate::plan::{Grant, Scope};
use crate::refusal::{Fault, Verdict};
use crate::schema::{Schema, Table};
use crate::tree;

pub(super) fn apply(statement: &pb::CreateStmt, global: bool, schema: &mut Schema) -> Verdict<Rewrite> {
    let mut own = statement.clone();
    check_clauses(&own)?;
    // A table that is there already must be found out, not taken for the one that this statement means.
    own.if_not_exists = false;
    let name = target(own.relation.as_mut())?.relname.clone();
    let scope = if global { Scope::Global } else { Scope::Tenant };
    if schema.find(&name).is_some() {
        return Err(Fault::new(format!("there is a table {name} already"), "choose another name, or use ALTER TABLE"));
    }
    schema.must_be_free(&name)?;

    let columns = column_names(&own.table_elts)?;
    check_elements(&mut own.table_elts, &name, &columns, schema)?;
    let mut table = Table::new(&name, scope);
    let mut shared = own.clone();
    let mut rewrite = Rewrite::nothing(scope);
    let mut sequences = Vec::new();
    for node in &mut shared.table_elts {
        if let Some(NodeEnum::ColumnDef(definition)) = &mut node.node {
            let column = column::share(definition, &name, scope, &columns, schema)?;
            *definition = Box::new(column.definition);
            table.columns.push(column.model);
            rewrite.tenant.extend(column.tenant);
            // Each takes a name before the next one is chosen.
            schema.sequences_mut().extend(column.sequence.clone());
            sequences.extend(column.sequence);
        }
    }
    schema.add(table);
    shared.table_elts = settle(&shared.table_elts, &name, scope, schema)?;
    if scope == Scope::Global {
        return Ok(global_table(own, &name));
    }
    rewrite.shared.push(Sql::of(NodeEnum::CreateStmt(shared)));
    rewrite.own.push(Sql::of(NodeEnum::CreateStmt(own)));
    rewrite.shared.extend(row_level_security(&name).map(Sql::Text));
    rewrite.grants.push(Grant::Table(name.clone()));
    rewrite.grants.extend(sequences.into_iter().map(|sequence| Grant::Sequence(sequence.name)));
    let (beside, grant) = copy_view::set_up(schema.table(&name)?, schema)?;
    rewrite.shared.extend(beside);
    rewrite.grants.extend(grant);
    Ok(rewrite)
}

/// The name a statement would create, for noting that it was refused.
pub(super) fn named(statement: &pb::Node) -> Option<String> {
    match &statement.node {
        Some(NodeEnum::CreateStmt(table)) => table.relation.as_ref().map(|relation| relation.relname.clone()),
        _ => None,
    }
}

fn check_clauses(table: &pb::CreateStmt) -> Verdict<()> {
    let persistence = table.relation.as_ref().map_or("p", |relation| relation.relpersistence.as_str());
    let (what, remedy) = if table.partspec.is_some() || table.partbound.is_some() {
        ("a partitioned table or a partition", "create an ordinary table")
    } else if !table.inh_relations.is_empty() {
        ("INHERITS", "repeat the columns")
    } else if table.of_typename.is_some() {
        ("CREATE TABLE OF a type", "list the columns")
    } else if persistence == "t" {
        ("a temporary table", "create an ordinary table, or use WITH")
    } else if persistence != "p" {
        ("an unlogged table", "leave UNLOGGED out: its rows would not survive a crash nor reach replicas")
    } else if !table.options.is_empty() || !table.tablespacename.is_empty() || !table.access_method.is_empty() {
        ("a storage parameter, tablespace or access method", "leave it to whoever runs the clusters")
    } else if table.oncommit() != pb::OnCommitAction::OncommitNoop {
        ("ON COMMIT", "leave it out: it is for temporary tables")
    } else {
        return Ok(());
    };
    Err(Fault::unsupported(what, remedy))
}

fn column_names(elements: &[pb::Node]) -> Verdict<Vec<String>> {
    let mut names: Vec<String> = Vec::new();
    for element in elements {
        match &element.node {
            Some(NodeEnum::ColumnDef(column)) if names.contains(&column.colname) => {
                let reason = format!("column {} is defined twice", column.colname);
                return Err(Fault::new(reason, "remove or rename one of the two"));
            }
            Some(NodeEnum::ColumnDef(column)) => names.push(column.colname.clone()),
            Some(NodeEnum::Constraint(_)) => {}
            Some(NodeEnum::TableLikeClause(_)) => return Err(Fault::unsupported("LIKE", "repeat the columns")),
            _ => return Err(Fault::unsupported("this element of a table", "use columns and constraints")),
        }
    }
    Ok(names)
}

fn check_elements(elements: &mut [pb::Node], name: &str, columns: &[String], schema: &Schema) -> Verdict<()> {
    let mut place = TablePlace::new(schema, name, columns);
    for element in elements {
        match &mut element.node {
            Some(NodeEnum::ColumnDef(column)) => column::check(column, schema, &mut place)?,
            Some(NodeEnum::Constraint(constraint)) => constraint::check(constraint, &mut place)?,
            _ => {}
        }
    }
    Ok(())
}

/// The table's elements where tables are shared. PostgreSQL names checks first, then keys (the primary one first), then
/// foreign keys, whatever their order in the text (`transformCreateStmt`), and so does this.
fn settle(elements: &[pb::Node], name: &str, scope: Scope, schema: &mut Schema) -> Verdict<Vec<pb::Node>> {
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
        constraint::settle(constraint, name, schema)?;
    }
    if scope == Scope::Tenant {
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

/// FORCE, because without it the tables' owner would see every tenant's rows through anything that runs as the owner.
fn row_level_security(name: &str) -> [String; 2] {
    let table = quote_ident(name);
    // With (SELECT …) around it the function runs once per statement and the index on tenant_id is used.
    let own_row = "tenant_id = (SELECT sindico.current_tenant())";
    [
        format!("ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"),
        format!("CREATE POLICY tenant ON {table} USING ({own_row}) WITH CHECK ({own_row})"),
    ]
}
