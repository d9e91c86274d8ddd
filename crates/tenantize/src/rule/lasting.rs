//! What lasts of a migration's statement about rows that the tables, as the last migration leaves them, do not fit.
//!
//! A history of migrations fills columns and drops them later. A tenant that begins with the last form of the tables
//! never had what was dropped, and its tables are empty but for the rows that migrations themselves bring.

use pg_query::{NodeEnum, protobuf as pb};

use super::Rows;
use crate::plan::Scope;
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

impl Filled {
    /// Notes where rows of a statement went: triggers may write anywhere, and a partition's rows are its table's.
    pub(crate) fn note(&mut self, rows: &Rows, schema: &Schema) {
        let table = match rows {
            Rows::Copied(table) | Rows::Inserted(table) | Rows::Drawn(table) | Rows::Calling(table) => table,
            Rows::Written => {
                self.any = true;
                return;
            }
            Rows::Counter => return,
        };
        let mut tables = schema.family(table);
        let mut whole = schema.find(table);
        while let Some(parent) = whole.and_then(|table| table.parent.as_deref()) {
            tables.push(parent.to_owned());
            whole = schema.find(parent);
        }
        self.any |= schema.objects.triggers.iter().any(|trigger| tables.contains(&trigger.table));
        self.tables.extend(tables);
    }

    /// Whether a table or view may have rows; one that INSTEAD OF triggers stand for does what they do.
    fn may_have_rows(&self, name: &str, schema: &Schema) -> bool {
        match schema.objects.find_view(name) {
            _ if self.any => true,
            None => self.tables.iter().any(|known| known == name),
            Some(view) => {
                schema.objects.triggers.iter().any(|trigger| trigger.table == name)
                    || view.reads.iter().any(|read| read != name && self.may_have_rows(read, schema))
            }
        }
    }
}

/// Whether the statement changes rows of a table that has none.
pub(crate) fn changes_nothing(statement: &pb::Node, filled: &Filled, schema: &Schema) -> Option<String> {
    let relation = match statement.node.as_ref()? {
        NodeEnum::UpdateStmt(update) => update.relation.as_ref()?,
        NodeEnum::DeleteStmt(delete) => delete.relation.as_ref()?,
        NodeEnum::InsertStmt(insert) => return copies_nothing(insert, filled, schema),
        _ => return None,
    };
    // What is written in WITH is not looked at here.
    (!filled.may_have_rows(&relation.relname, schema) && tree::with_queries(statement).is_empty())
        .then(|| format!("a new tenant's {} has no rows that this would change", relation.relname))
}

/// Whether an INSERT takes its rows from a table that has none.
fn copies_nothing(insert: &pb::InsertStmt, filled: &Filled, schema: &Schema) -> Option<String> {
    // Functions that give a row even of none are left out of this list, as is whatever an app has.
    const OF_A_ROW: [&str; 12] = [
        "now",
        "clock_timestamp",
        "lower",
        "upper",
        "btrim",
        "concat",
        "length",
        "replace",
        "nextval",
        "date_trunc",
        "gen_random_uuid",
        "uuid_generate_v4",
    ];
    let NodeEnum::SelectStmt(select) = insert.select_stmt.as_deref()?.node.as_ref()? else { return None };
    let whole = select.having_clause.is_some()
        || insert.with_clause.is_some()
        || select.with_clause.is_some()
        || select.larg.is_some();
    let called = select.target_list.iter().flat_map(tree::functions_called);
    if whole || { called }.any(|name| !OF_A_ROW.contains(&name.as_str())) {
        return None;
    }
    let empty = select.from_clause.iter().find_map(|item| empty_source(item, filled, schema))?;
    Some(format!("a new tenant's {empty} has no rows that this would copy"))
}

/// A table without which an item of FROM has no rows, and which has none.
fn empty_source<'a>(item: &'a pb::Node, filled: &Filled, schema: &Schema) -> Option<&'a str> {
    use pb::JoinType as Join;
    match item.node.as_ref()? {
        NodeEnum::RangeVar(relation) => {
            let table = schema.find(&relation.relname)?;
            let has_none = table.scope == Scope::Tenant && !filled.may_have_rows(&table.name, schema);
            has_none.then_some(relation.relname.as_str())
        }
        NodeEnum::JoinExpr(join) => {
            let side =
                |arm: &'a Option<Box<pb::Node>>| arm.as_deref().and_then(|arm| empty_source(arm, filled, schema));
            match join.jointype() {
                Join::JoinInner => side(&join.larg).or_else(|| side(&join.rarg)),
                Join::JoinLeft => side(&join.larg),
                Join::JoinRight => side(&join.rarg),
                _ => None,
            }
        }
        _ => None,
    }
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
