//! What lasts of a migration's statement about rows that the tables, as the last migration leaves them, do not fit.
//!
//! A history of migrations fills columns and drops them later. A tenant that begins with the last form of the tables
//! never had what was dropped, and its tables are empty but for the rows that migrations themselves bring.

use pg_query::{NodeEnum, protobuf as pb};

use crate::schema::{Schema, Table};
use crate::tree;

/// What is left.
pub(crate) enum Lasting {
    /// Nothing, and why.
    Nothing(String),
    /// A statement without what is gone.
    Less(Box<pb::Node>),
}

/// Tables that rows have gone into, by the statements of migrations before.
#[derive(Debug, Default)]
pub(crate) struct Filled {
    pub(crate) tables: Vec<String>,
    /// Whether it is not known which.
    pub(crate) any: bool,
}

/// Whether the statement changes rows of a table that has none.
pub(crate) fn changes_nothing(statement: &pb::Node, filled: &Filled) -> Option<String> {
    let relation = match statement.node.as_ref()? {
        NodeEnum::UpdateStmt(update) => update.relation.as_ref()?,
        NodeEnum::DeleteStmt(delete) => delete.relation.as_ref()?,
        _ => return None,
    };
    // What is written in WITH is not looked at here.
    (is_empty(&relation.relname, filled) && tree::with_queries(statement).is_empty())
        .then(|| format!("a new tenant's {} has no rows that this would change", relation.relname))
}

/// `None` when the statement cannot be reduced without knowing what it meant.
pub(crate) fn of(statement: &pb::Node, renamed: &[String], schema: &Schema) -> Option<Lasting> {
    let relation = match statement.node.as_ref()? {
        NodeEnum::InsertStmt(insert) => insert.relation.as_ref()?,
        NodeEnum::UpdateStmt(update) => update.relation.as_ref()?,
        NodeEnum::DeleteStmt(delete) => delete.relation.as_ref()?,
        NodeEnum::CopyStmt(copy) => copy.relation.as_ref()?,
        _ => return None,
    };
    let name = relation.relname.as_str();
    let Some(table) = schema.find(name) else {
        let gone = !renamed.iter().any(|old| old == name) && schema.objects.find_view(name).is_none();
        return gone.then(|| Lasting::Nothing(format!("a later migration drops {name}")));
    };
    match statement.node.as_ref()? {
        NodeEnum::InsertStmt(insert) => without_columns(insert, table),
        NodeEnum::UpdateStmt(update) => {
            let lost = update.target_list.iter().filter_map(target).all(|column| !table.has_column(column));
            lost.then(|| Lasting::Nothing("later migrations drop the columns that it changes".to_owned()))
        }
        _ => None,
    }
}

fn is_empty(table: &str, filled: &Filled) -> bool {
    !filled.any && !filled.tables.iter().any(|known| known == table)
}

fn target(node: &pb::Node) -> Option<&str> {
    match &node.node {
        Some(NodeEnum::ResTarget(target)) => Some(&target.name),
        _ => None,
    }
}

/// An INSERT of values without those for columns that later migrations drop.
fn without_columns(insert: &pb::InsertStmt, table: &Table) -> Option<Lasting> {
    let kept: Vec<bool> = insert.cols.iter().filter_map(target).map(|column| table.has_column(column)).collect();
    if kept.is_empty() || kept.iter().all(|kept| *kept) {
        return None;
    }
    let mut less = insert.clone();
    let Some(NodeEnum::SelectStmt(select)) = less.select_stmt.as_deref_mut().and_then(|query| query.node.as_mut())
    else {
        return None;
    };
    if select.values_lists.is_empty() {
        return None;
    }
    retain(&mut less.cols, &kept);
    for row in &mut select.values_lists {
        let Some(NodeEnum::List(row)) = &mut row.node else { return None };
        retain(&mut row.items, &kept);
    }
    if less.cols.is_empty() {
        return Some(Lasting::Nothing("later migrations drop all of its columns".to_owned()));
    }
    Some(Lasting::Less(Box::new(tree::node(NodeEnum::InsertStmt(Box::new(less))))))
}

fn retain(nodes: &mut Vec<pb::Node>, kept: &[bool]) {
    let mut flags = kept.iter();
    nodes.retain(|_| flags.next().copied().unwrap_or(true));
}
