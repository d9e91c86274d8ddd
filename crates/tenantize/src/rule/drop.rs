//! DROP TABLE and DROP INDEX.

use pg_query::{NodeEnum, protobuf as pb};

use super::Rewrite;
use crate::plan::Scope;
use crate::refusal::{Fault, Verdict};
use crate::schema::Schema;
use crate::tree;

pub(super) fn apply(statement: &pb::DropStmt, schema: &mut Schema) -> Verdict<Rewrite> {
    let mut own = statement.clone();
    if own.behavior() == pb::DropBehavior::DropCascade {
        return Err(Fault::unsupported("CASCADE", "drop what depends on it first, in statements of their own"));
    }
    if own.concurrent {
        return Err(Fault::unsupported("CONCURRENTLY", "leave it out: it cannot run inside a migration's transaction"));
    }
    let kind = own.remove_type();
    let mut scopes: Vec<Scope> = Vec::new();
    for object in &mut own.objects {
        let name = unqualified(object)?;
        let scope = match kind {
            pb::ObjectType::ObjectTable => drop_table(&name, schema)?,
            pb::ObjectType::ObjectIndex => drop_index(&name, schema)?,
            _ => return Err(Fault::unsupported("DROP of this", "drop tables and indexes only")),
        };
        scopes.push(scope);
    }
    match scopes.as_slice() {
        [first, rest @ ..] if rest.iter().all(|scope| scope == first) => {
            Ok(Rewrite::alike(*first, NodeEnum::DropStmt(own)))
        }
        _ => Err(Fault::unsupported("one DROP for global and tenants' tables", "drop them in two statements")),
    }
}

/// The object's name, after taking `public.` off it.
fn unqualified(object: &mut pb::Node) -> Verdict<String> {
    let Some(NodeEnum::List(list)) = &mut object.node else {
        return Err(Fault::unsupported("DROP of this", "drop tables and indexes only"));
    };
    let names = tree::strings(&list.items);
    match names.as_slice() {
        [name] => Ok(name.clone()),
        [schema, name] if schema == "public" => {
            list.items.remove(0);
            Ok(name.clone())
        }
        _ => Err(Fault::unsupported(format!("the name {}", names.join(".")), "leave the schema out")),
    }
}

fn drop_table(name: &str, schema: &mut Schema) -> Verdict<Scope> {
    let scope = schema.table(name)?.scope;
    let child = schema
        .tables()
        .iter()
        .find(|table| table.name != name && table.foreign_keys.iter().any(|key| key.parent == name));
    if let Some(child) = child {
        return Err(Fault::new(
            format!("table {} refers to table {name}", child.name),
            format!("drop {} or its foreign key in a statement before", child.name),
        ));
    }
    schema.remove(name);
    Ok(scope)
}

fn drop_index(name: &str, schema: &mut Schema) -> Verdict<Scope> {
    for table in schema.tables_mut() {
        if table.keys.iter().any(|key| key.name == name) {
            return Err(Fault::new(
                format!("the index {name} belongs to a constraint of table {}", table.name),
                format!("write ALTER TABLE {} DROP CONSTRAINT {name}", table.name),
            ));
        }
        if let Some(at) = table.indexes.iter().position(|index| index.name == name) {
            table.indexes.remove(at);
            return Ok(table.scope);
        }
    }
    Err(Fault::new(format!("there is no index {name} at this point"), "correct the name"))
}
