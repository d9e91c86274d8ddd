//! ALTER TABLE, but for renames.

use domain::quote_ident;
use pg_query::{NodeEnum, protobuf as pb};

use super::place::TablePlace;
use super::{Rewrite, Sql, column, constraint, copy_view, create_table, target};
use crate::expr::{check_type, must_be_unqualified, walk_opt};
use crate::plan::{Grant, Scope};
use crate::refusal::{Fault, Verdict};
use crate::schema::Schema;
use crate::tree;

pub(super) fn apply(statement: &pb::AlterTableStmt, schema: &mut Schema) -> Verdict<Rewrite> {
    if statement.objtype() != pb::ObjectType::ObjectTable {
        return Err(Fault::unsupported("ALTER of this", "alter tables only"));
    }
    if statement.missing_ok {
        return Err(Fault::unsupported("IF EXISTS", "leave it out: it is known what exists"));
    }
    let mut own = statement.clone();
    let name = target(own.relation.as_mut())?.relname.clone();
    let scope = schema.table(&name)?.scope;
    let mut shared = own.clone();
    shared.cmds.clear();
    let before = schema.table(&name)?.clone();
    let (mut grants, mut tenant) = (Vec::new(), Vec::new());
    for node in &mut own.cmds {
        let Some(NodeEnum::AlterTableCmd(command)) = &mut node.node else { return Err(super::refused::nothing()) };
        let (commands, sequence, made) = apply_command(command, &name, schema)?;
        let commands = commands.into_iter().map(|command| tree::node(NodeEnum::AlterTableCmd(Box::new(command))));
        shared.cmds.extend(commands);
        grants.extend(sequence.map(Grant::Sequence));
        tenant.extend(made);
    }
    let (shared, own) = (NodeEnum::AlterTableStmt(shared), NodeEnum::AlterTableStmt(own));
    if scope == Scope::Global {
        return Ok(Rewrite::alike(scope, own));
    }
    let mut rewrite = Rewrite { grants, tenant, ..Rewrite::differing(scope, shared, own) };
    if let Some(tables) = checked_against_rows(&rewrite, &name, schema) {
        rewrite.shared = seen_by_owner(&tables, rewrite.shared);
    }
    let (shared, grants) = copy_view::around(&[before], rewrite.shared, &[name], schema)?;
    rewrite.shared = shared;
    rewrite.grants.extend(grants);
    Ok(rewrite)
}

/// The tenants' tables whose rows PostgreSQL compares because the statement adds a foreign key.
fn checked_against_rows(rewrite: &Rewrite, table: &str, schema: &Schema) -> Option<Vec<String>> {
    let [Sql::Tree(statement)] = rewrite.shared.as_slice() else { return None };
    let Some(NodeEnum::AlterTableStmt(alter)) = &statement.node else { return None };
    let mut tables = Vec::new();
    for command in &alter.cmds {
        if let Some(NodeEnum::AlterTableCmd(command)) = &command.node
            && let Some(NodeEnum::Constraint(constraint)) = command.def.as_deref().and_then(|def| def.node.as_ref())
            && let Some(parent) = &constraint.pktable
        {
            for name in [table, &parent.relname] {
                let of_tenants = schema.find(name).is_some_and(|table| table.scope == Scope::Tenant);
                if of_tenants && !tables.iter().any(|known| known == name) {
                    tables.push(name.to_owned());
                }
            }
        }
    }
    (!tables.is_empty()).then_some(tables)
}

/// Under FORCE the owner sees no row, and PostgreSQL 15 then takes a new foreign key for valid without having compared
/// anything (tried on 15.20). So FORCE pauses; the tenants' roles are under row-level security all the same.
fn seen_by_owner(tables: &[String], statements: Vec<Sql>) -> Vec<Sql> {
    let turn = |word: &'static str| {
        let sql = move |table: &String| format!("ALTER TABLE {} {word} ROW LEVEL SECURITY", quote_ident(table));
        tables.iter().map(sql).map(Sql::Text)
    };
    turn("NO FORCE").chain(statements).chain(turn("FORCE")).collect()
}

/// What a command becomes where tables are shared, and the sequence it makes.
type Commands = (Vec<pb::AlterTableCmd>, Option<String>, Option<Sql>);

fn apply_command(command: &mut pb::AlterTableCmd, table: &str, schema: &mut Schema) -> Verdict<Commands> {
    use pb::AlterTableType as Kind;
    if command.behavior() == pb::DropBehavior::DropCascade {
        return Err(Fault::unsupported("CASCADE", "drop what depends on it first, in statements of their own"));
    }
    match command.subtype() {
        Kind::AtAddColumn => return add_column(command, table, schema),
        Kind::AtAddConstraint => return add_constraint(command, table, schema),
        Kind::AtDropColumn => drop_column(&command.name, table, schema)?,
        Kind::AtDropConstraint => drop_constraint(&command.name, table, schema)?,
        Kind::AtSetNotNull | Kind::AtDropNotNull => schema.table(table)?.column(&command.name).map(drop)?,
        Kind::AtColumnDefault => {
            schema.table(table)?.column(&command.name)?;
            let columns = column_names(table, schema)?;
            walk_opt(&mut command.def, &mut TablePlace::new(schema, table, &columns))?;
        }
        Kind::AtAlterColumnType => alter_type(command, table, schema)?,
        _ => {
            return Err(Fault::unsupported(
                "this form of ALTER TABLE",
                "use ADD and DROP of columns and constraints, ALTER COLUMN with DEFAULT, NOT NULL or TYPE, and RENAME",
            ));
        }
    }
    Ok((vec![command.clone()], None, None))
}

fn column_names(table: &str, schema: &Schema) -> Verdict<Vec<String>> {
    Ok(schema.table(table)?.column_names().map(str::to_owned).collect())
}

fn add_column(command: &mut pb::AlterTableCmd, table: &str, schema: &mut Schema) -> Verdict<Commands> {
    // As for tables: a column that is there already must be found out.
    command.missing_ok = false;
    let Some(NodeEnum::ColumnDef(own)) = command.def.as_deref_mut().and_then(|def| def.node.as_mut()) else {
        return Err(super::refused::nothing());
    };
    let model = schema.table(table)?;
    if model.has_column(&own.colname) {
        let reason = format!("table {table} has a column {} already", own.colname);
        return Err(Fault::new(reason, "choose another name, or use ALTER COLUMN"));
    }
    let scope = model.scope;
    let mut columns = column_names(table, schema)?;
    columns.push(own.colname.clone());
    column::check(own, schema, &mut TablePlace::new(schema, table, &columns))?;
    let column::Shared { mut model, definition: mut added, sequence, tenant } =
        column::share(own, table, scope, &columns, schema)?;
    model.late = true;
    schema.table_mut(table)?.columns.push(model);
    let name = sequence.as_ref().map(|sequence| sequence.name.clone());
    schema.sequences_mut().extend(sequence);

    let mut keys = column::lift_keys(&mut added);
    create_table::settle_column_checks(&mut added, table, schema)?;
    keys.sort_by_key(|key| key.contype() == pb::ConstrType::ConstrForeign);
    let mut commands = vec![with_def(command, NodeEnum::ColumnDef(Box::new(added)))];
    for mut key in keys {
        constraint::settle(&mut key, table, schema)?;
        let add = pb::AlterTableCmd {
            subtype: pb::AlterTableType::AtAddConstraint.into(),
            behavior: pb::DropBehavior::DropRestrict.into(),
            ..pb::AlterTableCmd::default()
        };
        commands.push(with_def(&add, NodeEnum::Constraint(Box::new(key))));
    }
    Ok((commands, name, tenant))
}

fn add_constraint(command: &mut pb::AlterTableCmd, table: &str, schema: &mut Schema) -> Verdict<Commands> {
    let Some(NodeEnum::Constraint(own)) = command.def.as_deref_mut().and_then(|def| def.node.as_mut()) else {
        return Err(super::refused::nothing());
    };
    let columns = column_names(table, schema)?;
    constraint::check(own, &mut TablePlace::new(schema, table, &columns))?;
    let mut added = own.clone();
    constraint::settle(&mut added, table, schema)?;
    Ok((vec![with_def(command, NodeEnum::Constraint(added))], None, None))
}

fn with_def(command: &pb::AlterTableCmd, def: NodeEnum) -> pb::AlterTableCmd {
    pb::AlterTableCmd { def: Some(Box::new(tree::node(def))), ..command.clone() }
}

fn drop_column(column: &str, table: &str, schema: &mut Schema) -> Verdict<()> {
    let model = schema.table(table)?;
    model.column(column)?;
    let uses = |columns: &[String]| columns.iter().any(|used| used == column);
    let keys = model.keys.iter().filter(|key| uses(&key.columns) || uses(&key.including)).map(|key| &key.name);
    let foreign = model.foreign_keys.iter().filter(|key| uses(&key.columns)).map(|key| &key.name);
    let indexes = model.indexes.iter().filter(|index| uses(&index.mentions)).map(|index| &index.name);
    let checks = model.checks.iter().filter(|check| uses(&check.mentions)).map(|check| &check.name);
    let computed = model.columns.iter().filter(|other| uses(&other.computed_from)).map(|other| &other.name);
    let dependents: Vec<&str> =
        keys.chain(foreign).chain(indexes).chain(checks).chain(computed).map(String::as_str).collect();
    if !dependents.is_empty() {
        return Err(Fault::new(
            format!("column {column} of table {table} is used by {}", dependents.join(", ")),
            "drop those first, in statements of their own",
        ));
    }
    schema.table_mut(table)?.columns.retain(|known| known.name != column);
    Ok(())
}

fn drop_constraint(name: &str, table: &str, schema: &mut Schema) -> Verdict<()> {
    let model = schema.table(table)?;
    if !model.constraints().any(|known| known == name) {
        return Err(Fault::new(format!("table {table} has no constraint {name}"), "correct the name"));
    }
    if let Some(key) = model.keys.iter().find(|key| key.name == name) {
        let same = |columns: &[String]| {
            columns.len() == key.columns.len() && columns.iter().all(|column| key.columns.contains(column))
        };
        let child = schema.tables().iter().find(|child| {
            child.foreign_keys.iter().any(|foreign| foreign.parent == table && same(&foreign.parent_columns))
        });
        if let Some(child) = child {
            return Err(Fault::new(
                format!("a foreign key of table {} refers to the columns of {name}", child.name),
                "drop the foreign key first, in a statement of its own",
            ));
        }
    }
    let model = schema.table_mut(table)?;
    model.keys.retain(|key| key.name != name);
    model.foreign_keys.retain(|key| key.name != name);
    model.checks.retain(|check| check.name != name);
    Ok(())
}

fn alter_type(command: &mut pb::AlterTableCmd, table: &str, schema: &Schema) -> Verdict<()> {
    let model = schema.table(table)?;
    model.column(&command.name)?;
    let columns = column_names(table, schema)?;
    let Some(NodeEnum::ColumnDef(change)) = command.def.as_deref_mut().and_then(|def| def.node.as_mut()) else {
        return Err(super::refused::nothing());
    };
    if let Some(type_name) = &mut change.type_name {
        check_type(type_name, |table| schema.find(table).is_some())?;
    }
    if let Some(collate) = &change.coll_clause {
        must_be_unqualified(&collate.collname, "the collation")?;
    }
    walk_opt(&mut change.raw_default, &mut TablePlace::new(schema, table, &columns))
}
