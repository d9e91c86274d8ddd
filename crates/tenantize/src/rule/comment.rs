//! COMMENT ON.

use pg_query::{NodeEnum, protobuf as pb};

use super::Rewrite;
use crate::plan::Scope;
use crate::refusal::{Fault, Verdict};
use crate::schema::Schema;
use crate::tree;

/// Names are the same in every isolation, so comments are too.
pub(super) fn apply(statement: &pb::CommentStmt, schema: &Schema) -> Verdict<Rewrite> {
    use pb::ObjectType as Kind;
    let mut comment = statement.clone();
    let own_names = match comment.objtype() {
        Kind::ObjectTable | Kind::ObjectIndex => 1,
        Kind::ObjectColumn | Kind::ObjectTabconstraint => 2,
        _ => {
            return Err(Fault::unsupported("a comment on this", "comment on tables, columns, indexes and constraints"));
        }
    };
    let kind = comment.objtype();
    let object = comment.object.as_deref_mut().and_then(|object| object.node.as_mut());
    let Some(NodeEnum::List(list)) = object else { return Err(super::refused::nothing()) };
    let names = tree::strings(&list.items);
    let names = match names.len().checked_sub(own_names) {
        Some(0) => names,
        Some(1) if names.first().is_some_and(|schema| schema == "public") => {
            list.items.remove(0);
            names[1..].to_vec()
        }
        _ => return Err(Fault::unsupported(format!("the name {}", names.join(".")), "leave the schema out")),
    };
    let scope = match (kind, names.as_slice()) {
        (Kind::ObjectTable, [table]) => schema.table(table)?.scope,
        (Kind::ObjectColumn, [table, column]) => {
            let table = schema.table(table)?;
            table.column(column)?;
            table.scope
        }
        (Kind::ObjectTabconstraint, [table, constraint]) => {
            let table = schema.table(table)?;
            if !table.constraints().any(|known| known == constraint) {
                return Err(Fault::new(
                    format!("table {} has no constraint {constraint}", table.name),
                    "correct the name",
                ));
            }
            table.scope
        }
        (_, [index]) => scope_of_index(index, schema)?,
        _ => return Err(super::refused::nothing()),
    };
    Ok(Rewrite::alike(scope, NodeEnum::CommentStmt(Box::new(comment))))
}

fn scope_of_index(name: &str, schema: &Schema) -> Verdict<Scope> {
    let found = schema.tables().iter().find(|table| {
        table.indexes.iter().any(|index| index.name == name) || table.keys.iter().any(|key| key.name == name)
    });
    found
        .map(|table| table.scope)
        .ok_or_else(|| Fault::new(format!("there is no index {name} at this point"), "correct the name"))
}
