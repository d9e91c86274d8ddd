//! ALTER … RENAME, of tables, columns, constraints, indexes and sequences.

use domain::quote_ident;
use pg_query::{NodeEnum, protobuf as pb};

use super::{Rewrite, Sql, constraint, copy_view, draw, unqualify};
use crate::expr::tenant_id_mentioned;
use crate::plan::Scope;
use crate::refusal::{Fault, Verdict};
use crate::schema::{Schema, Table};
use crate::tree::{self, TENANT_ID};

/// PostgreSQL follows a rename everywhere by itself, policies and foreign keys included; what the app did not name keeps
/// the name that it got.
pub(super) fn apply(statement: &pb::RenameStmt, schema: &mut Schema) -> Verdict<Rewrite> {
    use pb::ObjectType as Kind;
    let mut own = statement.clone();
    let relation = own.relation.as_mut().ok_or_else(super::refused::nothing)?;
    unqualify(relation)?;
    let name = relation.relname.clone();
    let of_table = own.relation_type() == Kind::ObjectTable;
    let kind = match own.rename_type() {
        // ALTER TABLE may name an index or a sequence as well.
        Kind::ObjectTable if schema.find(&name).is_some() => Kind::ObjectTable,
        Kind::ObjectTable | Kind::ObjectIndex if scope_of_index(schema, &name).is_some() => Kind::ObjectIndex,
        Kind::ObjectTable | Kind::ObjectSequence if schema.sequence(&name).is_some() => Kind::ObjectSequence,
        Kind::ObjectColumn if !of_table => Kind::Undefined,
        kind => kind,
    };
    let scope = match kind {
        Kind::ObjectTable | Kind::ObjectColumn | Kind::ObjectTabconstraint => match schema.table(&name) {
            Err(fault) if !own.missing_ok || fault.echo => return Err(fault),
            table => table.ok().map(|table| table.scope),
        },
        Kind::ObjectIndex => scope_of_index(schema, &name),
        Kind::ObjectSequence => schema.sequence(&name).map(|sequence| sequence.scope),
        _ => {
            return Err(Fault::unsupported(
                "RENAME of this",
                "rename tables, columns, constraints, indexes and sequences only",
            ));
        }
    };
    let Some(scope) = scope else {
        if own.missing_ok {
            return Ok(Rewrite::nothing(Scope::Tenant));
        }
        return Err(Fault::new(format!("there is no {name} to rename at this point"), "correct the name"));
    };
    own.missing_ok = false;
    let to = own.newname.clone();
    let part = own.subname.clone();
    let node = NodeEnum::RenameStmt(Box::new(own));
    let mut rewrite = Rewrite::alike(scope, node.clone());
    let family = if kind == Kind::ObjectTable { vec![name.clone()] } else { schema.family(&name) };
    let before: Vec<Table> = family.iter().filter_map(|name| schema.find(name).cloned()).collect();
    match kind {
        Kind::ObjectTable => {
            rename_table(schema, &name, &to)?;
            (rewrite.shared, rewrite.grants) = copy_view::around(&before, rewrite.shared, &[to], schema)?;
        }
        Kind::ObjectColumn => {
            family.iter().try_for_each(|table| rename_column(schema, table, &part, &to))?;
            (rewrite.shared, rewrite.grants) = copy_view::around(&before, rewrite.shared, &family, schema)?;
        }
        Kind::ObjectTabconstraint => rename_constraint(schema, &name, &part, &to)?,
        Kind::ObjectIndex => {
            schema.must_be_free(&to)?;
            rename_index(schema, &name, &to);
        }
        _ if scope == Scope::Tenant => {
            rewrite.tenant = vec![Sql::of(node)];
            (rewrite.shared, rewrite.grants) = rename_sequence(schema, &name, &to)?;
        }
        _ => {
            schema.must_be_free(&to)?;
            schema.sequences_mut().iter_mut().filter(|known| known.name == name).for_each(|known| {
                to.clone_into(&mut known.name);
            });
        }
    }
    Ok(rewrite)
}

fn scope_of_index(schema: &Schema, name: &str) -> Option<Scope> {
    schema.tables().iter().find(|table| table.index_names().any(|index| index == name)).map(|table| table.scope)
}

fn rename_table(schema: &mut Schema, from: &str, to: &str) -> Verdict<()> {
    if schema.find(to).is_some() {
        return Err(Fault::new(format!("there is a table {to} already"), "choose another name"));
    }
    schema.must_be_free(to)?;
    let follow = |name: &mut String| {
        if name == from {
            to.clone_into(name);
        }
    };
    for table in schema.tables_mut() {
        follow(&mut table.name);
        table.parent.iter_mut().for_each(follow);
        table.foreign_keys.iter_mut().for_each(|key| follow(&mut key.parent));
    }
    schema.sequences_mut().iter_mut().filter_map(|sequence| sequence.owner.as_mut()).for_each(|owner| {
        follow(&mut owner.0);
    });
    schema.objects.triggers.iter_mut().for_each(|trigger| follow(&mut trigger.table));
    schema.objects.views.iter_mut().flat_map(|view| &mut view.reads).for_each(follow);
    Ok(())
}

fn rename_column(schema: &mut Schema, table: &str, from: &str, to: &str) -> Verdict<()> {
    if to == TENANT_ID || from == TENANT_ID {
        return Err(tenant_id_mentioned());
    }
    let model = schema.table(table)?;
    model.column(from)?;
    if model.has_column(to) {
        return Err(Fault::new(format!("table {table} has a column {to} already"), "choose another name"));
    }
    let rename = |names: &mut Vec<String>| {
        for name in names.iter_mut().filter(|name| *name == from) {
            to.clone_into(name);
        }
    };
    for model in schema.tables_mut() {
        for key in model.foreign_keys.iter_mut().filter(|key| key.parent == table) {
            rename(&mut key.parent_columns);
        }
        if model.name != table {
            continue;
        }
        for column in &mut model.columns {
            if column.name == from {
                to.clone_into(&mut column.name);
            }
            rename(&mut column.computed_from);
        }
        rename(&mut model.divided_by);
        model.keys.iter_mut().for_each(|key| {
            rename(&mut key.columns);
            rename(&mut key.including);
        });
        for index in &mut model.indexes {
            rename(&mut index.mentions);
            index.key.iter_mut().for_each(rename);
        }
        model.exclusions.iter_mut().for_each(|exclusion| rename(&mut exclusion.mentions));
        model.checks.iter_mut().for_each(|check| rename(&mut check.mentions));
        model.foreign_keys.iter_mut().for_each(|key| rename(&mut key.columns));
    }
    for owner in schema.sequences_mut().iter_mut().filter_map(|sequence| sequence.owner.as_mut()) {
        if owner.0 == table && owner.1 == from {
            to.clone_into(&mut owner.1);
        }
    }
    Ok(())
}

/// Checks have one name in a partitioned table and its partitions; other constraints go by their own.
fn rename_constraint(schema: &mut Schema, table: &str, from: &str, to: &str) -> Verdict<()> {
    let model = schema.table(table)?;
    if !model.constraints().any(|known| known == from) {
        return Err(Fault::new(format!("table {table} has no constraint {from}"), "correct the name"));
    }
    constraint::free_constraint(to, table, schema)?;
    if model.index_names().any(|index| index == from) {
        schema.must_be_free(to)?;
        rename_index(schema, from, to);
        return Ok(());
    }
    for name in schema.family(table) {
        let model = schema.table_mut(&name)?;
        for check in model.checks.iter_mut().filter(|check| check.name == from) {
            to.clone_into(&mut check.name);
        }
        if name == table {
            for key in model.foreign_keys.iter_mut().filter(|key| key.name == from) {
                to.clone_into(&mut key.name);
            }
        }
    }
    Ok(())
}

fn rename_index(schema: &mut Schema, from: &str, to: &str) {
    let follow = |name: &mut String| {
        if name == from {
            to.clone_into(name);
        }
    };
    for table in schema.tables_mut() {
        for key in &mut table.keys {
            follow(&mut key.name);
            key.attached.iter_mut().for_each(follow);
        }
        for index in &mut table.indexes {
            follow(&mut index.name);
            index.attached.iter_mut().for_each(follow);
        }
        table.exclusions.iter_mut().for_each(|exclusion| follow(&mut exclusion.name));
    }
}

/// A plain database's defaults know their sequence by its number; those of shared tables know it by its name.
fn rename_sequence(schema: &mut Schema, from: &str, to: &str) -> Verdict<(Vec<Sql>, Vec<crate::plan::Grant>)> {
    schema.must_be_free(to)?;
    let owner = schema.sequence(from).and_then(|sequence| sequence.owner.clone());
    let is_drawn = |table: &&Table| table.columns.iter().any(|column| column.draws.iter().any(|name| name == from));
    let concerned = |table: &&Table| is_drawn(table) || owner.as_ref().is_some_and(|owner| owner.0 == table.name);
    let before: Vec<Table> = schema.tables().iter().filter(concerned).cloned().collect();
    for sequence in schema.sequences_mut().iter_mut().filter(|sequence| sequence.name == from) {
        to.clone_into(&mut sequence.name);
    }
    let call = |name: &str| tree::write_expression(&draw::next_value(name)?);
    let (old, new) = (call(from)?, call(to)?);
    let (mut change, mut names) = (Vec::new(), Vec::new());
    for table in &before {
        names.push(table.name.clone());
        for column in &mut schema.table_mut(&table.name)?.columns {
            let renamed = column.draws.iter_mut().filter(|name| *name == from).map(|name| to.clone_into(name)).count();
            if renamed == 0 {
                continue;
            }
            let Some(default) = &column.default else { continue };
            let sql = tree::write_expression(default)?.replace(&old, &new);
            column.default = Some(tree::expression(&sql)?);
            let (table, column) = (quote_ident(&table.name), quote_ident(&column.name));
            change.push(Sql::Text(format!("ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT {sql}")));
        }
    }
    copy_view::around(&before, change, &names, schema)
}
