//! Enumerated types.

use pg_query::{NodeEnum, protobuf as pb};

use super::{Rewrite, own_name};
use crate::plan::Scope;
use crate::refusal::{Fault, Verdict};
use crate::schema::{Kind, Schema, Type};
use crate::tree;

/// CREATE TYPE … AS ENUM.
pub(super) fn create(statement: &pb::CreateEnumStmt, scope: Scope, schema: &mut Schema) -> Verdict<Rewrite> {
    let mut created = statement.clone();
    let name = own_name(&mut created.type_name)?;
    schema.type_must_be_free(&name)?;
    let kind = Kind::Enum(tree::strings(&created.vals));
    schema.objects.types.push(Type { name, scope, kind });
    super::place_name(&mut created.type_name, scope);
    Ok(Rewrite::alike(scope, NodeEnum::CreateEnumStmt(created)))
}

/// ALTER TYPE … ADD VALUE and RENAME VALUE.
pub(super) fn alter(statement: &pb::AlterEnumStmt, schema: &mut Schema) -> Verdict<Rewrite> {
    let mut altered = statement.clone();
    let name = own_name(&mut altered.type_name)?;
    let known = schema.objects.type_mut(&name)?;
    let scope = known.scope;
    let Kind::Enum(labels) = &mut known.kind else {
        return Err(Fault::new(format!("type {name} is not an enumerated one"), "correct the name"));
    };
    let position = |labels: &[String], label: &str| {
        labels.iter().position(|known| known == label).ok_or_else(|| {
            Fault::new(
                format!("type {name} has no value '{label}'"),
                format!("use one of its values: {}", labels.join(", ")),
            )
        })
    };
    let exists = labels.contains(&altered.new_val);
    if exists && altered.skip_if_new_val_exists {
        return Ok(Rewrite::dropped(format!("type {name} has the value '{}' already", altered.new_val)));
    }
    if exists {
        return Err(Fault::new(
            format!("type {name} has the value '{}' already", altered.new_val),
            "remove the statement, or write ADD VALUE IF NOT EXISTS",
        ));
    }
    if !altered.old_val.is_empty() {
        let at = position(labels, &altered.old_val)?;
        labels[at].clone_from(&altered.new_val);
    } else if altered.new_val_neighbor.is_empty() {
        labels.push(altered.new_val.clone());
    } else {
        let at = position(labels, &altered.new_val_neighbor)?;
        labels.insert(at + usize::from(altered.new_val_is_after), altered.new_val.clone());
    }
    Ok(Rewrite::alike(scope, NodeEnum::AlterEnumStmt(altered)))
}
