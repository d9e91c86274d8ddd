//! Enumerated types.

use pg_query::{NodeEnum, protobuf as pb};

use super::{Rewrite, own_name};
use crate::plan::Scope;
use crate::refusal::{Fault, Verdict};
use crate::schema::{Enum, Kind, Schema, Type};
use crate::tree;

/// CREATE TYPE … AS ENUM.
pub(super) fn create(statement: &pb::CreateEnumStmt, scope: Scope, schema: &mut Schema) -> Verdict<Rewrite> {
    let mut created = statement.clone();
    let name = own_name(&mut created.type_name)?;
    schema.type_must_be_free(&name)?;
    let kind = Kind::Enum(tree::strings(&created.vals), schema.objects.enums.len());
    schema.objects.types.push(Type { name, scope, kind });
    super::place_name(&mut created.type_name, scope);
    schema.objects.enums.push(Enum { written: created.clone(), grown: created.clone(), settled: false });
    Ok(Rewrite::alike(scope, NodeEnum::CreateEnumStmt(created)))
}

/// ALTER TYPE … ADD VALUE and RENAME VALUE.
///
/// PostgreSQL lets nobody use a value in the transaction that adds it, and an app is built in one. So the value is in
/// the type's CREATE TYPE: nothing tells a type that has a value from the beginning from one that gets it later.
pub(super) fn alter(statement: &pb::AlterEnumStmt, schema: &mut Schema) -> Verdict<Rewrite> {
    let mut altered = statement.clone();
    let name = own_name(&mut altered.type_name)?;
    let known = schema.objects.type_mut(&name)?;
    let scope = known.scope;
    let Kind::Enum(labels, origin) = &mut known.kind else {
        return Err(Fault::new(format!("type {name} is not an enumerated one"), "correct the name"));
    };
    let origin = *origin;
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
        return Ok(Rewrite::alike(scope, NodeEnum::AlterEnumStmt(altered)));
    }
    let at = if altered.new_val_neighbor.is_empty() {
        labels.len()
    } else {
        position(labels, &altered.new_val_neighbor)? + usize::from(altered.new_val_is_after)
    };
    labels.insert(at, altered.new_val.clone());
    let label = tree::name(&altered.new_val);
    if let Some(origin) = schema.objects.enums.get_mut(origin) {
        // Another label had the name when the type was created.
        origin.settled |= origin.grown.vals.contains(&label);
        if !origin.settled {
            origin.grown.vals.insert(at, label);
            let note = format!("CREATE TYPE {name} has the value from the beginning, so that it can be used at once");
            return Ok(Rewrite { note: Some(note), ..Rewrite::nothing(scope) });
        }
    }
    // It may have been there from the beginning after all, where an earlier attempt to get to this migration has made it.
    altered.skip_if_new_val_exists = schema.live;
    Ok(Rewrite::alike(scope, NodeEnum::AlterEnumStmt(altered)))
}
