//! DROP of what is no table, index or sequence.

use pg_query::{NodeEnum, protobuf as pb};

use super::{Rewrite, composite, extension, function, own_name, refused, trigger, view};
use crate::plan::Scope;
use crate::refusal::{Fault, Verdict};
use crate::schema::Schema;

/// `None` for kinds that are not dropped here.
pub(super) fn apply(statement: &pb::DropStmt, schema: &mut Schema) -> Option<Verdict<Rewrite>> {
    use pb::ObjectType as Kind;
    let what = match statement.remove_type() {
        Kind::ObjectType | Kind::ObjectDomain => "type",
        Kind::ObjectView => "view",
        Kind::ObjectFunction | Kind::ObjectProcedure | Kind::ObjectRoutine => "function",
        Kind::ObjectTrigger => "trigger",
        Kind::ObjectStatisticExt => "statistics object",
        Kind::ObjectExtension => return Some(extension::drop(statement)),
        Kind::ObjectTable | Kind::ObjectIndex | Kind::ObjectSequence => return None,
        // What no statement of an app's can have made does no harm where it is dropped if it exists.
        _ if statement.missing_ok => return Some(Ok(Rewrite::dropped("an app has none of these"))),
        kind => return Some(Err(refused::drop_of(kind))),
    };
    Some(each(statement, what, schema))
}

/// Drops what is known of the list; the rest has to be there unless IF EXISTS says otherwise.
fn each(statement: &pb::DropStmt, what: &str, schema: &mut Schema) -> Verdict<Rewrite> {
    let mut dropped = statement.clone();
    let cascade = dropped.behavior() == pb::DropBehavior::DropCascade;
    let mut scope = None;
    let mut objects = Vec::new();
    for mut object in std::mem::take(&mut dropped.objects) {
        let found = match statement.remove_type() {
            pb::ObjectType::ObjectStatisticExt => forget_statistics(&mut object, schema)?,
            pb::ObjectType::ObjectView => view::forget(&mut object, cascade, schema)?,
            pb::ObjectType::ObjectTrigger => trigger::forget(&mut object, schema)?,
            pb::ObjectType::ObjectType | pb::ObjectType::ObjectDomain => forget_type(&mut object, cascade, schema)?,
            _ => function::forget(&mut object, cascade, schema)?,
        };
        match found {
            Found::Yes(of) if scope.is_none_or(|known| known == of) => {
                scope = Some(of);
                objects.push(object);
            }
            Found::Yes(_) => {
                return Err(Fault::unsupported("one DROP for global and tenants' objects", "write two statements"));
            }
            Found::No(_) if dropped.missing_ok => {}
            Found::No(name) => return Err(schema.objects.unknown(what, &name)),
        }
    }
    let Some(scope) = scope else {
        return Ok(Rewrite::dropped(format!("there is no such {what} at this point")));
    };
    dropped.objects = objects;
    Ok(Rewrite::alike(scope, NodeEnum::DropStmt(dropped)))
}

/// Whether what is to be dropped is known.
pub(super) enum Found {
    Yes(Scope),
    No(String),
}

fn forget_type(object: &mut pb::Node, cascade: bool, schema: &mut Schema) -> Verdict<Found> {
    let name = composite::of_type(object)?;
    let Some(at) = schema.objects.types.iter().position(|known| known.name == name) else {
        return Ok(Found::No(name));
    };
    if cascade {
        return Err(Fault::unsupported(
            "DROP TYPE … CASCADE",
            "drop the columns and functions that use it in statements before, and leave CASCADE out",
        ));
    }
    Ok(Found::Yes(schema.objects.types.remove(at).scope))
}

fn forget_statistics(object: &mut pb::Node, schema: &mut Schema) -> Verdict<Found> {
    let Some(NodeEnum::List(list)) = &mut object.node else { return Err(refused::nothing()) };
    let name = own_name(&mut list.items)?;
    let Some(at) = schema.objects.statistics.iter().position(|known| *known == name) else {
        return Ok(Found::No(name));
    };
    schema.objects.statistics.remove(at);
    Ok(Found::Yes(Scope::Tenant))
}
