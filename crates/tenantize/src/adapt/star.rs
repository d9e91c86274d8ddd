//! `*` where it matters how many columns it stands for: shared tables have one more.

use domain::quote_ident;
use pg_query::{NodeEnum, protobuf as pb};

use super::group_by::is_star;
use super::source::{Source, Sources};
use super::{Adapter, Edit, Place, place};
use crate::lex::{Kind, Lexer};
use crate::tree;

impl<'a> Adapter<'a> {
    /// Writes the app's columns in place of the stars in a list of result columns.
    pub(super) fn stars(&mut self, targets: &'a [pb::Node], from: &'a [pb::Node], target: Option<&'a pb::RangeVar>) {
        if !self.shared() || !(self.counted || self.flavour.place == Place::View) {
            return;
        }
        let sources = self.written_sources(target, from);
        for target in targets {
            let Some(NodeEnum::ResTarget(target)) = &target.node else { continue };
            let Some((columns, expanded)) = star(target).and_then(|column| Some((column, expand(column, &sources)?)))
            else {
                continue;
            };
            if let Some(range) = place(columns.location).and_then(|at| self.star_span(at)) {
                self.edits.push(Edit::replace(range, expanded));
            }
        }
    }

    /// From the first word of `a.b.*` to behind the star.
    fn star_span(&self, at: usize) -> Option<std::ops::Range<usize>> {
        let is_star = |token: &crate::lex::Token| self.text.get(token.start..token.end) == Some("*");
        let mut words = Lexer::from(self.text, at, true);
        let part = |kind| matches!(kind, Kind::Word | Kind::Quoted | Kind::Dot);
        let end = words.by_ref().find(|token| !part(token.kind)).filter(is_star)?;
        Some(at..end.end)
    }

    /// How many columns a query gives, as far as that is known without asking the server.
    pub(super) fn width(&self, query: &'a pb::Node) -> Option<usize> {
        match query.node.as_ref()? {
            NodeEnum::SelectStmt(select) => self.select_width(select),
            NodeEnum::InsertStmt(insert) => {
                let sources = self.written_sources(insert.relation.as_ref(), []);
                self.targets_width(&insert.returning_clause.as_ref()?.exprs, &sources)
            }
            NodeEnum::UpdateStmt(update) => {
                let sources = self.written_sources(update.relation.as_ref(), &update.from_clause);
                self.targets_width(&update.returning_clause.as_ref()?.exprs, &sources)
            }
            NodeEnum::DeleteStmt(delete) => {
                let sources = self.written_sources(delete.relation.as_ref(), &delete.using_clause);
                self.targets_width(&delete.returning_clause.as_ref()?.exprs, &sources)
            }
            _ => None,
        }
    }

    fn select_width(&self, select: &'a pb::SelectStmt) -> Option<usize> {
        if let Some(arm) = select.larg.as_deref() {
            return self.select_width(arm);
        }
        if let Some(row) = select.values_lists.first() {
            return match &row.node {
                Some(NodeEnum::List(row)) => Some(row.items.len()),
                _ => None,
            };
        }
        self.targets_width(&select.target_list, &self.sources(&select.from_clause))
    }

    fn targets_width(&self, targets: &'a [pb::Node], sources: &Sources<'a>) -> Option<usize> {
        let width = |source: &Source<'a>| {
            source.columns.as_ref().map(Vec::len).or_else(|| source.query.and_then(|query| self.width(query)))
        };
        let mut total = 0;
        for target in targets {
            let Some(NodeEnum::ResTarget(target)) = &target.node else { return None };
            total += match star(target).map(|column| column.fields.as_slice()) {
                None => 1,
                Some([_]) if sources.tangled => return None,
                Some([_]) => sources.list.iter().map(width).sum::<Option<usize>>()?,
                Some([.., table, _]) => width(sources.named(tree::string(table)?)?)?,
                Some([]) => return None,
            };
        }
        Some(total)
    }
}

fn star(target: &pb::ResTarget) -> Option<&pb::ColumnRef> {
    match target.val.as_deref().and_then(|value| value.node.as_ref()) {
        Some(NodeEnum::ColumnRef(column)) if is_star(target) => Some(column),
        _ => None,
    }
}

/// The columns that a star means; `None` where it means no shared table's, or names are missing to write them.
fn expand(star: &pb::ColumnRef, sources: &Sources<'_>) -> Option<String> {
    match star.fields.as_slice() {
        [_] if sources.tangled || sources.list.iter().all(|source| source.shared.is_none()) => None,
        [_] => Some(sources.list.iter().map(written).collect::<Option<Vec<_>>>()?.join(", ")),
        [.., table, _] => {
            let source = sources.named(tree::string(table)?)?;
            source.shared.and_then(|_| written(source))
        }
        [] => None,
    }
}

/// The columns of one source.
fn written(source: &Source<'_>) -> Option<String> {
    let name = quote_ident(source.name?);
    match (source.shared, &source.columns) {
        (Some(_), Some(columns)) => {
            let columns: Vec<String> = columns.iter().map(|column| format!("{name}.{}", quote_ident(column))).collect();
            Some(columns.join(", "))
        }
        _ => Some(format!("{name}.*")),
    }
}
