//! CREATE INDEX.

use pg_query::{NodeEnum, protobuf as pb};

use super::constraint::MAX_KEY_COLUMNS;
use super::place::TablePlace;
use super::{Rewrite, partition, storage, unqualify};
use crate::expr::{self, walk_opt};
use crate::name::{addition, index_columns};
use crate::plan::Scope;
use crate::refusal::{Fault, Verdict};
use crate::schema::{Index, Schema};
use crate::tree;

pub(super) fn apply(statement: &pb::IndexStmt, schema: &mut Schema) -> Verdict<Rewrite> {
    let mut own = statement.clone();
    check_clauses(&own)?;
    // It cannot run inside a migration's transaction, and leaves the same behind.
    own.concurrent = false;
    own.table_space.clear();
    let relation = own.relation.as_mut().ok_or_else(super::refused::nothing)?;
    unqualify(relation)?;
    let (table_name, only) = (relation.relname.clone(), !relation.inh);
    if own.if_not_exists && schema.tables().iter().any(|table| table.index_names().any(|known| known == own.idxname)) {
        return Ok(Rewrite::dropped(format!("there is an index {} already", own.idxname)));
    }
    own.if_not_exists = false;
    let table = schema.table(&table_name)?;
    let scope = table.scope;
    let columns: Vec<String> = table.column_names().map(str::to_owned).collect();
    let mut place = TablePlace::new(schema, &table_name, &columns);
    for element in own.index_params.iter_mut().chain(&mut own.index_including_params) {
        check_element(element, &mut place)?;
    }
    walk_opt(&mut own.where_clause, &mut place)?;
    let mentions = place.take_mentions();

    let elements: Vec<pb::IndexElem> =
        own.index_params.iter().chain(&own.index_including_params).filter_map(element).cloned().collect();
    let name = if own.idxname.is_empty() {
        let addition = addition(index_columns(&elements).iter().map(String::as_str));
        schema.choose_relation(scope, &table_name, Some(&addition), "idx", false)?
    } else {
        schema.must_be_free(&own.idxname)?;
        own.idxname.clone()
    };

    let mut shared = own.clone();
    let leads = scope == Scope::Tenant && is_btree(&own);
    if scope == Scope::Tenant {
        shared.idxname.clone_from(&name);
    }
    if leads {
        shared.index_params.insert(0, tree::tenant_index_element());
    }
    let index = Index { name, mentions, leads, key: referable(&own), shape: shape(&own), attached: None };
    let name = index.name.clone();
    schema.table_mut(&table_name)?.indexes.push(index);
    let (shared, own) = (NodeEnum::IndexStmt(Box::new(shared)), NodeEnum::IndexStmt(Box::new(own)));
    let mut rewrite = Rewrite::differing(scope, shared, own);
    if !only {
        rewrite.shared.extend(partition::index_follows(&table_name, &name, schema)?);
    }
    Ok(rewrite)
}

fn is_btree(index: &pb::IndexStmt) -> bool {
    matches!(index.access_method.as_str(), "" | "btree")
}

fn check_clauses(index: &pb::IndexStmt) -> Verdict<()> {
    storage::check_index(&index.options)?;
    storage::check_tablespace(&index.table_space)?;
    let (what, remedy) = if index.unique && !is_btree(index) {
        ("a unique index that is no btree", "leave USING out: only btree indexes can be unique")
    } else if !index.exclude_op_names.is_empty() || index.iswithoutoverlaps {
        ("an exclusion constraint", "use a unique index")
    } else if index.index_params.len() + index.index_including_params.len() > MAX_KEY_COLUMNS {
        ("an index of more than 31 columns", "use fewer; one more is for tenant_id")
    } else {
        return Ok(());
    };
    Err(Fault::unsupported(what, remedy))
}

fn check_element(node: &mut pb::Node, place: &mut TablePlace<'_>) -> Verdict<()> {
    use crate::expr::Place as _;
    let Some(NodeEnum::IndexElem(element)) = &mut node.node else { return Err(super::refused::nothing()) };
    expr::unqualify(&mut element.opclass, "the operator class")?;
    expr::unqualify(&mut element.collation, "the collation")?;
    if !element.opclassopts.is_empty() {
        return Err(Fault::unsupported("an option of an operator class", "leave it out"));
    }
    if !element.name.is_empty() {
        place.column(None, &element.name)?;
    }
    walk_opt(&mut element.expr, place)
}

fn element(node: &pb::Node) -> Option<&pb::IndexElem> {
    match &node.node {
        Some(NodeEnum::IndexElem(element)) => Some(element),
        _ => None,
    }
}

/// The statement but for the names in it.
fn shape(index: &pb::IndexStmt) -> pb::IndexStmt {
    pb::IndexStmt { idxname: String::new(), relation: None, ..index.clone() }
}

/// The columns that a foreign key may refer to by this index.
fn referable(index: &pb::IndexStmt) -> Option<Vec<String>> {
    let columns: Vec<String> = index.index_params.iter().filter_map(element).map(|elem| elem.name.clone()).collect();
    let plain = index.unique && index.where_clause.is_none() && columns.iter().all(|column| !column.is_empty());
    plain.then_some(columns)
}
