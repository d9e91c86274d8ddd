//! Exclusion constraints: where tables are shared they exclude rows of the same tenant only.

use pg_query::{NodeEnum, protobuf as pb};

use super::constraint::{MAX_KEY_COLUMNS, free_constraint};
use super::place::TablePlace;
use super::{refused, storage};
use crate::expr::{self, Place as _, walk_opt};
use crate::name::{addition, index_columns};
use crate::plan::Scope;
use crate::refusal::{Fault, Verdict};
use crate::schema::{Exclusion, Schema};
use crate::tree;

/// Fails for what an exclusion constraint of an app may not have, and takes `public.` off its expressions.
pub(super) fn check(constraint: &mut pb::Constraint, place: &mut TablePlace<'_>) -> Verdict<()> {
    storage::check_index(&constraint.options)?;
    storage::check_tablespace(&constraint.indexspace)?;
    constraint.indexspace.clear();
    // PostgreSQL builds a btree if no method is named. Others cannot hold tenant_id beside the app's columns.
    if !matches!(constraint.access_method.as_str(), "gist" | "" | "btree") {
        return Err(Fault::unsupported(
            format!("an exclusion constraint with {}", constraint.access_method),
            "write USING gist; the extension btree_gist has the operator classes for ordinary types",
        ));
    }
    for part in &mut constraint.exclusions {
        let (element, operator) = pair(part)?;
        expr::unqualify(&mut element.opclass, "the operator class")?;
        expr::must_be_unqualified(&element.collation, "the collation")?;
        if !element.name.is_empty() {
            place.column(None, &element.name)?;
        }
        walk_opt(&mut element.expr, place)?;
        expr::unqualify(operator, "the operator")?;
    }
    walk_opt(&mut constraint.where_clause, place)
}

/// The indexed expression, and the operator that is to find no other row.
fn pair(node: &mut pb::Node) -> Verdict<(&mut pb::IndexElem, &mut Vec<pb::Node>)> {
    if let Some(NodeEnum::List(list)) = &mut node.node
        && let [element, operator] = list.items.as_mut_slice()
        && let Some(NodeEnum::IndexElem(element)) = &mut element.node
        && let Some(NodeEnum::List(operator)) = &mut operator.node
    {
        return Ok((element, &mut operator.items));
    }
    Err(refused::nothing())
}

pub(super) fn settle(constraint: &mut pb::Constraint, table: &str, schema: &mut Schema) -> Verdict<()> {
    let model = schema.table(table)?;
    let scope = model.scope;
    let columns: Vec<String> = model.column_names().map(str::to_owned).collect();
    let mut place = TablePlace::new(schema, table, &columns);
    check(constraint, &mut place)?;
    let mentions = place.take_mentions();
    let mut elements = Vec::new();
    for part in &mut constraint.exclusions {
        elements.push(pair(part)?.0.clone());
    }
    if elements.len() > MAX_KEY_COLUMNS {
        return Err(Fault::unsupported("a constraint of more than 31 columns", "use fewer; one more is for tenant_id"));
    }
    let name = if constraint.conname.is_empty() {
        let addition = addition(index_columns(&elements).iter().map(String::as_str));
        schema.choose_relation(scope, table, Some(&addition), "excl", true)?
    } else {
        free_constraint(&constraint.conname, table, schema)?;
        schema.must_be_free(&constraint.conname)?;
        constraint.conname.clone()
    };
    constraint.conname.clone_from(&name);
    if scope == Scope::Tenant {
        let equals = tree::node(NodeEnum::List(pb::List { items: vec![tree::name("=")] }));
        let part = pb::List { items: vec![tree::tenant_index_element(), equals] };
        constraint.exclusions.insert(0, tree::node(NodeEnum::List(part)));
        if constraint.access_method == "gist" {
            schema.need_extension("btree_gist");
        }
    }
    schema.table_mut(table)?.exclusions.push(Exclusion { name, mentions });
    Ok(())
}
