//! What a query's rows come from, by the names that its expressions know.

use pg_query::{NodeEnum, protobuf as pb};

use super::model::has_late_columns;
use super::{Adapter, TENANT_ID};
use crate::plan::Scope;
use crate::schema::Table;
use crate::tree;

/// All of a FROM clause.
#[derive(Default)]
pub(super) struct Sources<'a> {
    pub(super) list: Vec<Source<'a>>,
    /// Whether `*` is more than the columns of one source after the other: USING and NATURAL merge columns, an alias of
    /// a whole join hides its tables.
    pub(super) tangled: bool,
}

/// One of them.
pub(super) struct Source<'a> {
    /// What its columns are qualified with.
    pub(super) name: Option<&'a str>,
    /// The app's table that it is, if it is one that tenants share.
    pub(super) shared: Option<&'a Table>,
    /// The names of its columns, if they are known; without `tenant_id`.
    pub(super) columns: Option<Vec<&'a str>>,
    /// The query that it is.
    pub(super) query: Option<&'a pb::Node>,
}

impl Source<'_> {
    pub(super) fn has(&self, column: &str) -> bool {
        self.columns.as_ref().is_some_and(|columns| columns.contains(&column))
    }
}

impl<'a> Sources<'a> {
    /// The one that a name means.
    pub(super) fn named(&self, name: &str) -> Option<&Source<'a>> {
        self.list.iter().find(|source| source.name == Some(name))
    }
}

impl<'a> Adapter<'a> {
    pub(super) fn sources(&self, items: impl IntoIterator<Item = &'a pb::Node>) -> Sources<'a> {
        let mut sources = Sources::default();
        for item in items {
            self.collect(item, &mut sources);
        }
        sources
    }

    /// What the RETURNING clause of a statement that writes a table knows.
    pub(super) fn written_sources(
        &self,
        target: Option<&'a pb::RangeVar>,
        items: impl IntoIterator<Item = &'a pb::Node>,
    ) -> Sources<'a> {
        let mut sources = self.sources(items);
        if let Some(target) = target {
            sources.list.insert(0, self.relation_source(target, self.model.find(&target.relname)));
        }
        sources
    }

    fn collect(&self, item: &'a pb::Node, into: &mut Sources<'a>) {
        match &item.node {
            Some(NodeEnum::JoinExpr(join)) if join.alias.is_some() => {
                into.tangled = true;
                into.list.push(Source { name: None, shared: None, columns: None, query: None });
            }
            Some(NodeEnum::JoinExpr(join)) => {
                into.tangled |= join.is_natural || !join.using_clause.is_empty();
                for arm in [join.larg.as_deref(), join.rarg.as_deref()].into_iter().flatten() {
                    self.collect(arm, into);
                }
            }
            Some(NodeEnum::RangeVar(relation)) => {
                into.list.push(self.relation_source(relation, self.table(relation)));
            }
            Some(NodeEnum::RangeTableSample(sample)) => {
                if let Some(relation) = sample.relation.as_deref() {
                    self.collect(relation, into);
                }
            }
            Some(NodeEnum::RangeSubselect(sub)) => {
                let name = sub.alias.as_ref().map(|alias| alias.aliasname.as_str());
                into.list.push(Source { name, shared: None, columns: None, query: sub.subquery.as_deref() });
            }
            Some(NodeEnum::RangeFunction(function)) => {
                let name = function.alias.as_ref().map(|alias| alias.aliasname.as_str());
                into.list.push(Source { name, shared: None, columns: None, query: None });
            }
            _ => into.list.push(Source { name: None, shared: None, columns: None, query: None }),
        }
    }

    fn relation_source(&self, relation: &'a pb::RangeVar, table: Option<&'a Table>) -> Source<'a> {
        let alias = relation.alias.as_ref();
        let name = Some(alias.map_or(relation.relname.as_str(), |alias| alias.aliasname.as_str()));
        let shared = table.filter(|table| self.shared() && table.scope == Scope::Tenant);
        let renamed = alias.map(|alias| alias.colnames.as_slice()).unwrap_or_default();
        // With tenant_id in the middle the alias of a later column names another one, and past the last column it
        // names tenant_id.
        let lost = shared.is_some_and(|table| {
            renamed.len() > table.columns.len() || (!renamed.is_empty() && has_late_columns(table))
        });
        if lost {
            return Source { name, shared: None, columns: None, query: None };
        }
        let columns = table.map(|table| {
            let renamed = renamed.iter().filter_map(tree::string);
            renamed.clone().chain(table.column_names().skip(renamed.count())).collect()
        });
        let query = if table.is_none() { self.shadow(relation) } else { None };
        Source { name, shared, columns, query }
    }

    /// The WITH query that a name means.
    fn shadow(&self, relation: &pb::RangeVar) -> Option<&'a pb::Node> {
        let matches = |shadow: &&super::Shadow<'a>| relation.schemaname.is_empty() && shadow.name == relation.relname;
        self.shadows.iter().rev().find(matches).and_then(|shadow| shadow.query)
    }
}

/// Whether one of these is `tenant_id`, of one source or of whichever.
pub(super) fn mentions_tenant(nodes: &[pb::Node], of: &str) -> bool {
    nodes.iter().any(|node| match &node.node {
        Some(NodeEnum::ColumnRef(column)) => {
            let mut fields = column.fields.iter().rev().filter_map(tree::string);
            fields.next() == Some(TENANT_ID) && fields.next().is_none_or(|table| table == of)
        }
        Some(NodeEnum::RowExpr(row)) => mentions_tenant(&row.args, of),
        _ => false,
    })
}
