//! Composite and range types, and what all types have in common.

use pg_query::{NodeEnum, protobuf as pb};

use super::{Rewrite, own_name, unqualify};
use crate::expr::{self, tenant_id_mentioned};
use crate::plan::Scope;
use crate::refusal::{Fault, Verdict};
use crate::schema::{Kind, Schema, Type};
use crate::tree::TENANT_ID;

/// CREATE TYPE … AS (…).
pub(super) fn create(statement: &pb::CompositeTypeStmt, scope: Scope, schema: &mut Schema) -> Verdict<Rewrite> {
    let mut created = statement.clone();
    let relation = created.typevar.as_mut().ok_or_else(super::refused::nothing)?;
    unqualify(relation)?;
    let name = relation.relname.clone();
    schema.type_must_be_free(&name)?;
    schema.must_be_free(&name)?;
    let mut attributes = Vec::new();
    for node in &mut created.coldeflist {
        attributes.push(attribute(node, schema)?);
    }
    if scope == Scope::Global {
        "global".clone_into(&mut relation.schemaname);
    }
    schema.objects.types.push(Type { name, scope, kind: Kind::Composite(attributes) });
    Ok(Rewrite::alike(scope, NodeEnum::CompositeTypeStmt(created)))
}

/// CREATE TYPE … AS RANGE.
pub(super) fn create_range(statement: &pb::CreateRangeStmt, scope: Scope, schema: &mut Schema) -> Verdict<Rewrite> {
    let mut created = statement.clone();
    let name = own_name(&mut created.type_name)?;
    schema.type_must_be_free(&name)?;
    for parameter in &mut created.params {
        let Some(NodeEnum::DefElem(parameter)) = &mut parameter.node else { return Err(super::refused::nothing()) };
        if parameter.defname == "canonical" {
            return Err(Fault::unsupported("CANONICAL of a range", "leave it out: such a function has to be in C"));
        }
        if let Some(NodeEnum::TypeName(named)) = parameter.arg.as_deref_mut().and_then(|arg| arg.node.as_mut()) {
            expr::unqualify(&mut named.names, "the name")?;
        }
    }
    schema.objects.types.push(Type { name, scope, kind: Kind::Range });
    super::place_name(&mut created.type_name, scope);
    Ok(Rewrite::alike(scope, NodeEnum::CreateRangeStmt(created)))
}

/// ALTER TYPE … ADD, DROP and ALTER ATTRIBUTE.
pub(super) fn alter(statement: &pb::AlterTableStmt, schema: &mut Schema) -> Verdict<Rewrite> {
    use pb::AlterTableType as Command;
    let mut altered = statement.clone();
    let relation = altered.relation.as_mut().ok_or_else(super::refused::nothing)?;
    unqualify(relation)?;
    let name = relation.relname.clone();
    let (mut attributes, scope) = attributes_of(&name, schema)?;
    for node in &mut altered.cmds {
        let Some(NodeEnum::AlterTableCmd(command)) = &mut node.node else { return Err(super::refused::nothing()) };
        let at = attributes.iter().position(|known| *known == command.name);
        match (command.subtype(), command.def.as_deref_mut(), at) {
            (Command::AtAddColumn, Some(def), _) => attributes.push(attribute(def, schema)?),
            (Command::AtDropColumn, _, Some(at)) => drop(attributes.remove(at)),
            (Command::AtDropColumn, _, None) if command.missing_ok => {}
            (Command::AtAlterColumnType, Some(def), Some(_)) => {
                attribute(def, schema)?;
            }
            (Command::AtDropColumn | Command::AtAlterColumnType, ..) => {
                return Err(Fault::new(format!("type {name} has no attribute {}", command.name), "correct the name"));
            }
            _ => return Err(Fault::unsupported("this form of ALTER TYPE", "use ADD, DROP and ALTER ATTRIBUTE")),
        }
    }
    schema.objects.type_mut(&name)?.kind = Kind::Composite(attributes);
    Ok(Rewrite::alike(scope, NodeEnum::AlterTableStmt(altered)))
}

/// ALTER TYPE … RENAME ATTRIBUTE.
pub(super) fn rename_attribute(statement: &pb::RenameStmt, schema: &mut Schema) -> Verdict<Rewrite> {
    let mut renamed = statement.clone();
    let relation = renamed.relation.as_mut().ok_or_else(super::refused::nothing)?;
    unqualify(relation)?;
    let (mut attributes, scope) = attributes_of(&relation.relname, schema)?;
    if renamed.newname == TENANT_ID {
        return Err(tenant_id_mentioned());
    }
    for known in attributes.iter_mut().filter(|known| **known == renamed.subname) {
        known.clone_from(&renamed.newname);
    }
    schema.objects.type_mut(&relation.relname)?.kind = Kind::Composite(attributes);
    Ok(Rewrite::alike(scope, NodeEnum::RenameStmt(Box::new(renamed))))
}

/// ALTER TYPE and ALTER DOMAIN … RENAME.
pub(super) fn rename(statement: &pb::RenameStmt, schema: &mut Schema) -> Verdict<Rewrite> {
    let mut renamed = statement.clone();
    let object = renamed.object.as_deref_mut().ok_or_else(super::refused::nothing)?;
    let name = of_type(object)?;
    schema.type_must_be_free(&renamed.newname)?;
    let known = schema.objects.type_mut(&name)?;
    known.name.clone_from(&renamed.newname);
    let scope = known.scope;
    Ok(Rewrite::alike(scope, NodeEnum::RenameStmt(Box::new(renamed))))
}

/// ALTER DOMAIN … RENAME CONSTRAINT.
pub(super) fn rename_constraint(statement: &pb::RenameStmt, schema: &mut Schema) -> Verdict<Rewrite> {
    let mut renamed = statement.clone();
    let object = renamed.object.as_deref_mut().ok_or_else(super::refused::nothing)?;
    let name = of_type(object)?;
    let scope = schema.objects.type_mut(&name)?.scope;
    Ok(Rewrite::alike(scope, NodeEnum::RenameStmt(Box::new(renamed))))
}

/// A type's name where it stands as an object of a statement, without `public.`.
pub(super) fn of_type(object: &mut pb::Node) -> Verdict<String> {
    match &mut object.node {
        Some(NodeEnum::TypeName(named)) => own_name(&mut named.names),
        Some(NodeEnum::List(list)) => own_name(&mut list.items),
        _ => Err(super::refused::nothing()),
    }
}

fn attributes_of(name: &str, schema: &mut Schema) -> Verdict<(Vec<String>, Scope)> {
    match schema.objects.type_mut(name)? {
        Type { kind: Kind::Composite(attributes), scope, .. } => Ok((attributes.clone(), *scope)),
        _ => Err(Fault::new(format!("type {name} has no attributes"), "correct the name")),
    }
}

fn attribute(node: &mut pb::Node, schema: &Schema) -> Verdict<String> {
    let Some(NodeEnum::ColumnDef(column)) = &mut node.node else { return Err(super::refused::nothing()) };
    if column.colname == TENANT_ID {
        return Err(tenant_id_mentioned());
    }
    if let Some(type_name) = &mut column.type_name {
        expr::check_type(type_name, |table| schema.find(table).is_some())?;
    }
    if let Some(collate) = &mut column.coll_clause {
        expr::unqualify(&mut collate.collname, "the collation")?;
    }
    Ok(column.colname.clone())
}
