//! COMMENT ON.

use pg_query::{NodeEnum, protobuf as pb};

use super::{Rewrite, composite, domain, function, own_name, refused, trigger};
use crate::plan::Scope;
use crate::refusal::{Fault, Verdict};
use crate::schema::Schema;
use crate::tree;

/// Names are the same in every isolation, so comments are too.
pub(super) fn apply(statement: &pb::CommentStmt, schema: &mut Schema) -> Verdict<Rewrite> {
    use pb::ObjectType as Kind;
    let mut comment = statement.clone();
    let kind = comment.objtype();
    let object = comment.object.as_deref_mut().ok_or_else(refused::nothing)?;
    let scope = match kind {
        Kind::ObjectExtension | Kind::ObjectSchema => {
            return Ok(Rewrite::dropped("extensions and schemas are síndico's"));
        }
        Kind::ObjectType | Kind::ObjectDomain => {
            let name = composite::of_type(object)?;
            schema.objects.type_mut(&name)?.scope
        }
        Kind::ObjectDomconstraint => {
            let (name, _) = domain::of_constraint(object)?;
            schema.objects.type_mut(&name)?.scope
        }
        Kind::ObjectTable | Kind::ObjectIndex | Kind::ObjectColumn | Kind::ObjectTabconstraint => {
            of_table(kind, object, schema)?
        }
        // Where tables are shared the sequence is in each tenant's schema of sequences, of which nobody reads comments.
        Kind::ObjectSequence => {
            own_name(list(object)?)?;
            let own = Rewrite::alike(Scope::Tenant, NodeEnum::CommentStmt(Box::new(comment)));
            return Ok(Rewrite { shared: Vec::new(), ..own });
        }
        Kind::ObjectView => {
            let name = own_name(list(object)?)?;
            schema.rows_of(&name)?.scope
        }
        Kind::ObjectFunction | Kind::ObjectProcedure | Kind::ObjectRoutine => {
            let Some(NodeEnum::ObjectWithArgs(object)) = &mut object.node else { return Err(refused::nothing()) };
            let found = function::find(object, schema)?;
            let unknown = object.objname.last().and_then(tree::string).unwrap_or_default();
            found.ok_or_else(|| schema.objects.unknown("function", unknown))?.scope
        }
        Kind::ObjectTrigger => {
            let (table, name) = trigger::of_table(object)?;
            if !schema.objects.triggers.iter().any(|known| known.table == table && known.name == name) {
                return Err(schema.objects.unknown("trigger", &name));
            }
            Scope::Tenant
        }
        Kind::ObjectStatisticExt => {
            let name = own_name(list(object)?)?;
            if !schema.objects.statistics.contains(&name) {
                return Err(schema.objects.unknown("statistics object", &name));
            }
            Scope::Tenant
        }
        _ => {
            return Err(Fault::unsupported(
                "a comment on this",
                "comment on tables, columns, indexes, constraints, sequences, types, views, functions and triggers",
            ));
        }
    };
    Ok(Rewrite::alike(scope, NodeEnum::CommentStmt(Box::new(comment))))
}

fn list(object: &mut pb::Node) -> Verdict<&mut Vec<pb::Node>> {
    match &mut object.node {
        Some(NodeEnum::List(list)) => Ok(&mut list.items),
        _ => Err(refused::nothing()),
    }
}

fn of_table(kind: pb::ObjectType, object: &mut pb::Node, schema: &Schema) -> Verdict<Scope> {
    use pb::ObjectType as Kind;
    let names = list(object)?;
    let own_names = if matches!(kind, Kind::ObjectTable | Kind::ObjectIndex) { 1 } else { 2 };
    if names.len() == own_names + 1 && names.first().and_then(tree::string) == Some("public") {
        names.remove(0);
    }
    let names = tree::strings(names);
    if names.len() != own_names {
        return Err(Fault::unsupported(format!("the name {}", names.join(".")), "leave the schema out"));
    }
    match (kind, names.as_slice()) {
        (Kind::ObjectTable, [table]) => Ok(schema.table(table)?.scope),
        (Kind::ObjectColumn, [table, _]) if schema.objects.find_type(table).is_some() => Ok(Scope::Tenant),
        (Kind::ObjectColumn, [table, column]) => {
            let table = schema.rows_of(table)?;
            table.column(column)?;
            Ok(table.scope)
        }
        (Kind::ObjectTabconstraint, [table, constraint]) => {
            let table = schema.table(table)?;
            if !table.constraints().any(|known| known == constraint) {
                return Err(Fault::new(
                    format!("table {} has no constraint {constraint}", table.name),
                    "correct the name",
                ));
            }
            Ok(table.scope)
        }
        (_, [index]) => scope_of_index(index, schema),
        _ => Err(refused::nothing()),
    }
}

fn scope_of_index(name: &str, schema: &Schema) -> Verdict<Scope> {
    let found = schema.tables().iter().find(|table| {
        table.indexes.iter().any(|index| index.name == name) || table.keys.iter().any(|key| key.name == name)
    });
    found
        .map(|table| table.scope)
        .ok_or_else(|| Fault::new(format!("there is no index {name} at this point"), "correct the name"))
}
