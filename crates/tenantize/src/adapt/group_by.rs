//! `GROUP BY` that names a primary key and leaves its table's other columns to it (manual, 7.2.3): where tables are
//! shared, `tenant_id` is a part of that key.

use domain::quote_ident;
use pg_query::{NodeEnum, protobuf as pb};

use super::source::{Source, Sources, mentions_tenant};
use super::{Adapter, Edit, TENANT_ID, place};
use crate::tree;

impl<'a> Adapter<'a> {
    pub(super) fn group_by(&mut self, select: &'a pb::SelectStmt) {
        let sets = |node: &pb::Node| matches!(node.node, Some(NodeEnum::GroupingSet(_)));
        if !self.shared() || select.group_clause.is_empty() || select.group_clause.iter().any(sets) {
            return;
        }
        let sources = self.sources(&select.from_clause);
        let mut grouped: Vec<(&str, &str)> = Vec::new();
        let mut first = None;
        members(&select.group_clause, &mut |item| {
            grouped.extend(column(item, select, &sources, true));
            first = first.or_else(|| start(item));
        });
        let whole_key = |source: &&Source<'a>| {
            let Some((name, key)) = source.name.zip(source.shared.and_then(|table| table.primary_key())) else {
                return false;
            };
            let table_columns = source.shared.map(|table| table.column_names().collect::<Vec<_>>()).unwrap_or_default();
            // The key's columns by the names that an alias gives them.
            let mut names = key.columns.iter().map(|column| {
                let at = table_columns.iter().position(|known| known == column)?;
                source.columns.as_ref()?.get(at).copied()
            });
            names.all(|column| column.is_some_and(|column| grouped.contains(&(name, column))))
                && !mentions_tenant(&select.group_clause, name)
        };
        let mut added = String::new();
        for name in sources.list.iter().filter(whole_key).filter_map(|source| source.name) {
            added.push_str(&format!("{}.{TENANT_ID}, ", quote_ident(name)));
        }
        if let (Some(at), false) = (first, added.is_empty()) {
            self.edits.push(Edit::insert(at, added));
        }
    }
}

/// The items of a list, those in parentheses too: `GROUP BY (a, b)` means `GROUP BY a, b`.
fn members<'a>(items: &'a [pb::Node], visit: &mut impl FnMut(&'a pb::Node)) {
    for item in items {
        match &item.node {
            Some(NodeEnum::RowExpr(row)) if row.row_format() == pb::CoercionForm::CoerceImplicitCast => {
                members(&row.args, visit);
            }
            _ => visit(item),
        }
    }
}

/// Where an item begins, for the kinds of which the tree says that.
fn start(item: &pb::Node) -> Option<usize> {
    match &item.node {
        Some(NodeEnum::ColumnRef(column)) => place(column.location),
        Some(NodeEnum::AConst(number)) => place(number.location),
        _ => None,
    }
}

/// The source and the column that an item means: itself, or by the number or name of a column of the result.
fn column<'a>(
    item: &'a pb::Node,
    select: &'a pb::SelectStmt,
    sources: &Sources<'a>,
    by_result: bool,
) -> Option<(&'a str, &'a str)> {
    match item.node.as_ref()? {
        NodeEnum::ColumnRef(reference) => {
            let names: Option<Vec<&str>> = reference.fields.iter().map(tree::string).collect();
            match names?.as_slice() {
                [word] => match sources.list.iter().find(|source| source.has(word)) {
                    Some(source) => Some((source.name?, word)),
                    None if by_result => {
                        let result_named = targets(select).find(|result| result.name == *word)?;
                        self::column(result_named.val.as_deref()?, select, sources, false)
                    }
                    None => None,
                },
                [.., table, column] => sources.named(table).and_then(|source| Some((source.name?, *column))),
                [] => None,
            }
        }
        NodeEnum::AConst(pb::AConst { val: Some(pb::a_const::Val::Ival(number)), .. }) if by_result => {
            let nth = usize::try_from(number.ival).ok()?.checked_sub(1)?;
            if targets(select).take(nth + 1).any(is_star) {
                return None;
            }
            self::column(targets(select).nth(nth)?.val.as_deref()?, select, sources, false)
        }
        _ => None,
    }
}

fn targets(select: &pb::SelectStmt) -> impl Iterator<Item = &pb::ResTarget> {
    select.target_list.iter().filter_map(|target| match &target.node {
        Some(NodeEnum::ResTarget(target)) => Some(target.as_ref()),
        _ => None,
    })
}

/// Whether a column of a result stands for all columns of something.
pub(super) fn is_star(target: &pb::ResTarget) -> bool {
    match target.val.as_deref().and_then(|value| value.node.as_ref()) {
        Some(NodeEnum::ColumnRef(column)) => {
            column.fields.last().is_some_and(|field| matches!(field.node, Some(NodeEnum::AStar(_))))
        }
        _ => false,
    }
}
