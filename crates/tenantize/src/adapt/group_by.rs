//! `GROUP BY` that names a primary key and leaves its table's other columns to it (manual, 7.2.3): where tables are
//! shared, `tenant_id` is a part of that key.

use std::collections::{HashMap, HashSet};

use domain::quote_ident;
use pg_query::{NodeEnum, protobuf as pb};

use super::source::{Source, Sources, tenants_named};
use super::{Adapter, Edit, Place, TENANT_ID, place};
use crate::tree;

impl<'a> Adapter<'a> {
    pub(super) fn group_by(&mut self, select: &'a pb::SelectStmt) {
        let sets = |node: &pb::Node| matches!(node.node, Some(NodeEnum::GroupingSet(_)));
        if !self.shared() || select.group_clause.is_empty() || select.group_clause.iter().any(sets) {
            return;
        }
        let sources = self.sources(&select.from_clause);
        let names = Names::new(select, &sources);
        let mut grouped: HashSet<(&str, &str)> = HashSet::new();
        let mut first = None;
        members(&select.group_clause, &mut |item| {
            grouped.extend(names.column(item, true));
            first = first.or_else(|| start(item));
        });
        let mut tenants = HashSet::new();
        tenants_named(&select.group_clause, &mut tenants);
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
                && (self.flavour.place == Place::Report || !tenants.contains(&None) && !tenants.contains(&Some(name)))
        };
        let mut added = String::new();
        for source in sources.list.iter().filter(whole_key) {
            let Some(name) = source.name else { continue };
            if self.flavour.place == Place::Report {
                left_to_the_key(select, source, &mut |column| {
                    added.push_str(&format!("{}.{}, ", quote_ident(name), quote_ident(column)));
                });
            } else {
                added.push_str(&format!("{}.{TENANT_ID}, ", quote_ident(name)));
            }
        }
        if let (Some(at), false) = (first, added.is_empty()) {
            self.edits.push(Edit::insert(at, added));
        }
    }
}

/// Columns of a source that a query may use without grouping by them, since it groups by the key. A view has no keys, so
/// where one takes the table's place they are grouped by as well, which changes no group.
fn left_to_the_key<'a>(select: &'a pb::SelectStmt, source: &Source<'a>, add: &mut impl FnMut(&'a str)) {
    // Types that have no equality to group by (manual, 8.8, 8.13, 8.14).
    const UNEQUAL: [&str; 9] = ["json", "xml", "point", "line", "lseg", "box", "path", "polygon", "circle"];
    let Some((table, names)) = source.shared.zip(source.columns.as_ref()) else { return };
    let having = select.having_clause.as_deref().map(std::slice::from_ref).unwrap_or_default();
    let used: HashSet<String> =
        [&select.target_list, &select.sort_clause, having].into_iter().flat_map(tree::words).collect();
    for (column, name) in table.columns.iter().zip(names) {
        let kind = column.type_name.names.last().and_then(tree::string).unwrap_or_default();
        if used.contains(*name) && !UNEQUAL.contains(&kind) {
            add(name);
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

/// What the words of a GROUP BY clause may mean.
struct Names<'a, 's> {
    sources: &'s Sources<'a>,
    /// The name of the first source that has a column of the name.
    by_column: HashMap<&'a str, Option<&'a str>>,
    results: Vec<&'a pb::ResTarget>,
    /// The first column of the result that has the name.
    by_result: HashMap<&'a str, &'a pb::ResTarget>,
    /// How many columns of the result stand before the first star, so that their numbers are known.
    numbered: usize,
}

impl<'a, 's> Names<'a, 's> {
    fn new(select: &'a pb::SelectStmt, sources: &'s Sources<'a>) -> Self {
        let mut by_column = HashMap::new();
        for source in &sources.list {
            for column in source.columns.iter().flatten() {
                by_column.entry(*column).or_insert(source.name);
            }
        }
        let results: Vec<&pb::ResTarget> = targets(select).collect();
        let mut by_result = HashMap::new();
        for result in &results {
            by_result.entry(result.name.as_str()).or_insert(*result);
        }
        let numbered = results.iter().position(|result| is_star(result)).unwrap_or(results.len());
        Self { sources, by_column, results, by_result, numbered }
    }

    /// The source and the column that an item means: itself, or by the number or name of a column of the result.
    fn column(&self, item: &'a pb::Node, by_result: bool) -> Option<(&'a str, &'a str)> {
        match item.node.as_ref()? {
            NodeEnum::ColumnRef(reference) => {
                let names: Option<Vec<&str>> = reference.fields.iter().map(tree::string).collect();
                match names?.as_slice() {
                    [word] => match self.by_column.get(word) {
                        Some(source) => Some(((*source)?, word)),
                        None if by_result => self.column(self.by_result.get(word)?.val.as_deref()?, false),
                        None => None,
                    },
                    [.., table, column] => self.sources.named(table).and_then(|source| Some((source.name?, *column))),
                    [] => None,
                }
            }
            NodeEnum::AConst(pb::AConst { val: Some(pb::a_const::Val::Ival(number)), .. }) if by_result => {
                let nth = usize::try_from(number.ival).ok()?.checked_sub(1).filter(|nth| *nth < self.numbered)?;
                self.column(self.results.get(nth)?.val.as_deref()?, false)
            }
            _ => None,
        }
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
