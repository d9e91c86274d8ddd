//! Foreign keys: between tenants' tables they carry `tenant_id`, so that a row cannot hang on another tenant's.

use pg_query::protobuf as pb;

use super::constraint::free_constraint;
use crate::name::addition;
use crate::plan::Scope;
use crate::refusal::{Fault, Verdict};
use crate::schema::{ForeignKey, Schema, Table};
use crate::tree;

/// Gives a foreign key its place in the schema and, on a tenant's table, the form it has where tables are shared.
pub(super) fn settle(
    constraint: &mut pb::Constraint,
    table: &str,
    schema: &mut Schema,
) -> Verdict<Option<pb::Constraint>> {
    let mut check = None;
    let child = schema.table(table)?;
    let parent_name = constraint.pktable.as_ref().map(|parent| parent.relname.clone()).unwrap_or_default();
    let parent = schema.table(&parent_name)?;
    let columns = tree::strings(&constraint.fk_attrs);
    columns.iter().try_for_each(|column| child.column(column).map(drop))?;
    let parent_columns = parent_columns(constraint, parent)?;
    if columns.len() != parent_columns.len() {
        return Err(Fault::new(
            format!("the foreign key has {} columns and refers to {}", columns.len(), parent_columns.len()),
            "name as many columns on either side",
        ));
    }
    let name = if constraint.conname.is_empty() {
        let addition = addition(columns.iter().map(String::as_str));
        schema.choose_constraint(child.scope, table, Some(&addition), "fkey")
    } else {
        free_constraint(&constraint.conname, table, schema)?;
        constraint.conname.clone()
    };
    match (child.scope, parent.scope) {
        (Scope::Global, Scope::Tenant) => {
            return Err(Fault::new(
                format!("the global table {table} refers to {parent_name}, whose rows belong to tenants"),
                format!("make {parent_name} global too, or take the marker off {table}"),
            ));
        }
        (Scope::Global, Scope::Global) => {}
        (Scope::Tenant, Scope::Global) => constraint.conname.clone_from(&name),
        (Scope::Tenant, Scope::Tenant) => {
            if constraint.fk_matchtype == "f" && columns.len() > 1 {
                check = Some(all_or_none(constraint, &columns, table, schema)?);
            }
            lead_with_tenant(constraint, &columns, &parent_columns)?;
            constraint.conname.clone_from(&name);
        }
    }
    let key = ForeignKey {
        deletes: constraint.fk_del_action == "c",
        updates: ["n", "d"].contains(&constraint.fk_del_action.as_str())
            || ["c", "n", "d"].contains(&constraint.fk_upd_action.as_str()),
        name,
        columns,
        parent: parent_name,
        parent_columns,
        full: check.as_ref().map(|check| check.conname.clone()),
    };
    schema.table_mut(table)?.foreign_keys.push(key);
    Ok(check)
}

/// The columns referred to, which are the parent's primary key if the app named none.
fn parent_columns(constraint: &pb::Constraint, parent: &Table) -> Verdict<Vec<String>> {
    let named = tree::strings(&constraint.pk_attrs);
    if named.is_empty() {
        let key = parent.primary_key().ok_or_else(|| {
            Fault::new(
                format!("table {} has no primary key to refer to", parent.name),
                "give it one, or name the columns of a unique constraint",
            )
        })?;
        return Ok(key.columns.clone());
    }
    named.iter().try_for_each(|column| parent.column(column).map(drop))?;
    let matches = |key: &[String]| key.len() == named.len() && named.iter().all(|column| key.contains(column));
    let by_index = parent.indexes.iter().filter_map(|index| index.key.as_deref()).any(matches);
    if by_index || parent.keys.iter().any(|key| matches(&key.columns)) {
        return Ok(named);
    }
    Err(Fault::new(
        format!("no unique constraint of table {} has exactly the columns {}", parent.name, named.join(", ")),
        "add one there, or refer to its primary key",
    ))
}

/// What MATCH FULL says beyond MATCH SIMPLE about the app's own columns, as a check. It fails with another SQLSTATE than
/// the foreign key would (23514, not 23503).
fn all_or_none(
    constraint: &pb::Constraint,
    columns: &[String],
    table: &str,
    schema: &mut Schema,
) -> Verdict<pb::Constraint> {
    let scope = schema.table(table)?.scope;
    let addition = addition(columns.iter().map(String::as_str));
    let name = schema.choose_constraint(scope, table, Some(&addition), "match_full");
    let columns: Vec<String> = columns.iter().map(|column| domain::quote_ident(column)).collect();
    let sql = format!("num_nulls({}) IN (0, {})", columns.join(", "), columns.len());
    Ok(pb::Constraint {
        contype: pb::ConstrType::ConstrCheck.into(),
        conname: name,
        raw_expr: Some(Box::new(tree::expression(&sql)?)),
        is_enforced: true,
        skip_validation: constraint.skip_validation,
        initially_valid: !constraint.skip_validation,
        ..pb::Constraint::default()
    })
}

fn lead_with_tenant(constraint: &mut pb::Constraint, columns: &[String], parent_columns: &[String]) -> Verdict<()> {
    /// `fk_upd_action`, `fk_del_action` and `fk_matchtype` hold the letters of `pg_constraint`.
    const SETS: [&str; 2] = ["n", "d"];
    if SETS.contains(&constraint.fk_upd_action.as_str()) {
        return Err(Fault::unsupported(
            "ON UPDATE SET NULL or SET DEFAULT",
            "use ON UPDATE CASCADE or NO ACTION: PostgreSQL would set tenant_id too",
        ));
    }
    match constraint.fk_matchtype.as_str() {
        // With tenant_id beside them, which is never null, FULL would not allow the app's columns to be null together.
        "f" => "s".clone_into(&mut constraint.fk_matchtype),
        "s" | "" => {}
        _ => return Err(Fault::unsupported("MATCH PARTIAL", "leave it out: PostgreSQL does not have it")),
    }
    if SETS.contains(&constraint.fk_del_action.as_str()) && constraint.fk_del_set_cols.is_empty() {
        constraint.fk_del_set_cols = columns.iter().map(tree::name).collect();
    }
    let with_tenant = |columns: &[String]| {
        std::iter::once(tree::TENANT_ID).chain(columns.iter().map(String::as_str)).map(tree::name).collect()
    };
    constraint.fk_attrs = with_tenant(columns);
    constraint.pk_attrs = with_tenant(parent_columns);
    Ok(())
}
