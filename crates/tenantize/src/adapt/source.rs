//! What a query's rows come from, by the names that its expressions know.

use std::collections::{HashMap, HashSet};

use pg_query::{NodeEnum, protobuf as pb};

use super::model::has_late_columns;
use super::row::Row;
use super::{Adapter, TENANT_ID};
use crate::plan::Scope;
use crate::schema::Table;
use crate::tree;

/// The columns that a result can have: `MaxTupleAttributeNumber` of PostgreSQL, which refuses more.
pub(super) const MOST_COLUMNS: usize = 1664;
/// Sources of one query that are looked at. The columns of each are listed, and a text has room for a million of them.
const MOST_SOURCES: usize = 1664;

/// All of a FROM clause.
#[derive(Default)]
pub(super) struct Sources<'a> {
    pub(super) list: Vec<Source<'a>>,
    /// Whether `*` is more than the columns of one source after the other: USING and NATURAL merge columns, an alias of
    /// a whole join hides its tables, and there may be more sources than are looked at.
    pub(super) tangled: bool,
    /// Where in the list the first of a name is.
    by_name: HashMap<&'a str, usize>,
}

/// One of them.
pub(super) struct Source<'a> {
    /// What its columns are qualified with.
    pub(super) name: Option<&'a str>,
    /// The app's table that it is, if it is one that tenants share.
    pub(super) shared: Option<&'a Table>,
    /// The names of its columns, if they are known; without `tenant_id`.
    pub(super) columns: Option<Vec<&'a str>>,
    /// The query in FROM that it is.
    pub(super) query: Option<&'a pb::Node>,
    /// How many columns it has, if it is a WITH query of which that is known.
    pub(super) width: Option<usize>,
    /// Whether it is now one table and now another, with other columns.
    pub(super) unlike: bool,
}

impl<'a> Source<'a> {
    /// One of which only the name is known, if it has one.
    fn unknown(name: Option<&'a str>) -> Self {
        Self { name, shared: None, columns: None, query: None, width: None, unlike: false }
    }
}

impl<'a> Sources<'a> {
    /// The one that a name means.
    pub(super) fn named(&self, name: &str) -> Option<&Source<'a>> {
        self.list.get(self.position(name)?)
    }

    /// Where in the list that is.
    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    fn push(&mut self, source: Source<'a>) {
        if self.is_full() {
            return;
        }
        if let Some(name) = source.name {
            self.by_name.entry(name).or_insert(self.list.len());
        }
        self.list.push(source);
    }

    fn is_full(&mut self) -> bool {
        let full = self.list.len() >= MOST_SOURCES;
        self.tangled |= full;
        full
    }
}

impl<'a> Adapter<'a> {
    pub(super) fn sources(&self, items: impl IntoIterator<Item = &'a pb::Node>) -> Sources<'a> {
        self.written_sources(None, items)
    }

    /// What the RETURNING clause of a statement that writes a table knows.
    pub(super) fn written_sources(
        &self,
        target: Option<&'a pb::RangeVar>,
        items: impl IntoIterator<Item = &'a pb::Node>,
    ) -> Sources<'a> {
        let mut sources = Sources::default();
        if let Some(target) = target {
            sources.push(self.relation_source(target, self.model.find(&target.relname)));
        }
        for item in items {
            self.collect(item, &mut sources);
        }
        sources
    }

    fn collect(&self, item: &'a pb::Node, into: &mut Sources<'a>) {
        if into.is_full() {
            return;
        }
        match &item.node {
            Some(NodeEnum::JoinExpr(join)) if join.alias.is_some() => {
                into.tangled = true;
                into.push(Source::unknown(None));
            }
            Some(NodeEnum::JoinExpr(join)) => {
                into.tangled |= join.is_natural || !join.using_clause.is_empty();
                for arm in [join.larg.as_deref(), join.rarg.as_deref()].into_iter().flatten() {
                    self.collect(arm, into);
                }
            }
            Some(NodeEnum::RangeVar(relation)) => {
                into.push(self.relation_source(relation, self.table(relation)));
            }
            Some(NodeEnum::RangeTableSample(sample)) => {
                if let Some(relation) = sample.relation.as_deref() {
                    self.collect(relation, into);
                }
            }
            Some(NodeEnum::RangeSubselect(sub)) => {
                let name = sub.alias.as_ref().map(|alias| alias.aliasname.as_str());
                into.push(Source { query: sub.subquery.as_deref(), ..Source::unknown(name) });
            }
            Some(NodeEnum::RangeFunction(function)) => {
                into.push(self.function_source(function));
            }
            _ => into.push(Source::unknown(None)),
        }
    }

    /// A function that gives rows of a table.
    fn function_source(&self, function: &'a pb::RangeFunction) -> Source<'a> {
        let alias = function.alias.as_ref();
        let call = match function.functions.first().and_then(|item| item.node.as_ref()) {
            Some(NodeEnum::List(item)) => match item.items.first().and_then(|call| call.node.as_ref()) {
                Some(NodeEnum::FuncCall(call)) => Some(call.as_ref()),
                _ => None,
            },
            _ => None,
        };
        let own = || call.and_then(|call| call.funcname.last()).and_then(tree::string);
        let name = alias.map(|alias| alias.aliasname.as_str()).or_else(own);
        let plain = !function.ordinality
            && function.functions.len() == 1
            && function.coldeflist.is_empty()
            && alias.is_none_or(|alias| alias.colnames.is_empty());
        match call.filter(|_| plain && self.shared()).and_then(|call| self.row_of_call(call)) {
            Some(Row::Of(table)) => {
                Source { shared: Some(table), columns: Some(table.column_names().collect()), ..Source::unknown(name) }
            }
            Some(Row::Unlike) => Source { unlike: true, ..Source::unknown(name) },
            None => Source::unknown(alias.map(|alias| alias.aliasname.as_str())),
        }
    }

    fn relation_source(&self, relation: &'a pb::RangeVar, table: Option<&'a Table>) -> Source<'a> {
        let transition = match table {
            None if self.shared() && relation.schemaname.is_empty() => self.rows.transition(&relation.relname),
            _ => None,
        };
        let unlike = matches!(transition, Some(Row::Unlike));
        let table = match transition {
            Some(Row::Of(table)) => Some(table),
            _ => table,
        };
        let alias = relation.alias.as_ref();
        let name = Some(alias.map_or(relation.relname.as_str(), |alias| alias.aliasname.as_str()));
        let shared = table.filter(|table| self.shared() && table.scope == Scope::Tenant);
        let renamed = alias.map(|alias| alias.colnames.as_slice()).unwrap_or_default();
        // With tenant_id in the middle the alias of a later column names another one, and past the last column it
        // names tenant_id.
        let lost = shared.is_some_and(|table| {
            renamed.len() > table.columns.len() || (!renamed.is_empty() && has_late_columns(table))
        });
        if lost || unlike {
            return Source { unlike, ..Source::unknown(name) };
        }
        let columns = table.map(|table| {
            let renamed = renamed.iter().filter_map(tree::string);
            renamed.clone().chain(table.column_names().skip(renamed.count())).collect()
        });
        let is_shadow = table.is_none() && relation.schemaname.is_empty();
        let shadow = if is_shadow { self.shadows.find(&relation.relname) } else { None };
        Source { name, shared, columns, query: None, width: shadow.and_then(|shadow| shadow.width), unlike: false }
    }
}

/// The sources whose `tenant_id` is among these; `None` for that of whichever.
pub(super) fn tenants_named<'a>(nodes: &'a [pb::Node], into: &mut HashSet<Option<&'a str>>) {
    for node in nodes {
        match &node.node {
            Some(NodeEnum::ColumnRef(column)) => {
                let mut fields = column.fields.iter().rev().filter_map(tree::string);
                if fields.next() == Some(TENANT_ID) {
                    into.insert(fields.next());
                }
            }
            Some(NodeEnum::RowExpr(row)) => tenants_named(&row.args, into),
            _ => {}
        }
    }
}
