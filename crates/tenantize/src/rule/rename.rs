//! ALTER TABLE … RENAME, of tables and columns.

use pg_query::{NodeEnum, protobuf as pb};

use super::{Rewrite, target};
use crate::expr::tenant_id_mentioned;
use crate::refusal::{Fault, Verdict};
use crate::schema::Schema;
use crate::tree::TENANT_ID;

/// PostgreSQL follows a rename everywhere by itself, policies and foreign keys included; indexes, constraints and
/// sequences keep their names.
pub(super) fn apply(statement: &pb::RenameStmt, schema: &mut Schema) -> Verdict<Rewrite> {
    let mut own = statement.clone();
    if own.missing_ok {
        return Err(Fault::unsupported("IF EXISTS", "leave it out: it is known what exists"));
    }
    let kind = own.rename_type();
    match kind {
        pb::ObjectType::ObjectTable => {}
        pb::ObjectType::ObjectColumn if own.relation_type() == pb::ObjectType::ObjectTable => {}
        _ => return Err(Fault::unsupported("RENAME of this", "rename tables and columns only")),
    }
    let name = target(own.relation.as_mut())?.relname.clone();
    let scope = schema.table(&name)?.scope;
    if kind == pb::ObjectType::ObjectTable {
        rename_table(schema, &name, &own.newname)?;
    } else {
        rename_column(schema, &name, &own.subname, &own.newname)?;
    }
    Ok(Rewrite::alike(scope, NodeEnum::RenameStmt(Box::new(own))))
}

fn rename_table(schema: &mut Schema, from: &str, to: &str) -> Verdict<()> {
    if schema.find(to).is_some() {
        return Err(Fault::new(format!("there is a table {to} already"), "choose another name"));
    }
    schema.must_be_free(to)?;
    for table in schema.tables_mut() {
        if table.name == from {
            to.clone_into(&mut table.name);
        }
        for key in table.foreign_keys.iter_mut().filter(|key| key.parent == from) {
            to.clone_into(&mut key.parent);
        }
    }
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
        model.keys.iter_mut().for_each(|key| {
            rename(&mut key.columns);
            rename(&mut key.including);
        });
        for index in &mut model.indexes {
            rename(&mut index.mentions);
            index.key.iter_mut().for_each(rename);
        }
        model.checks.iter_mut().for_each(|check| rename(&mut check.mentions));
        model.foreign_keys.iter_mut().for_each(|key| rename(&mut key.columns));
    }
    Ok(())
}
