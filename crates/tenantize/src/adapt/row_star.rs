//! `NEW.*`, `(r).*`: stars of rows that are no tables of a FROM clause.

use domain::quote_ident;
use pg_query::{NodeEnum, protobuf as pb};

use super::row::{Row, unlike};
use super::source::Sources;
use super::{Adapter, Edit, place};
use crate::lex::{Kind, Lexer, Token};
use crate::refusal::Verdict;
use crate::tree;

/// The place of `x.*` in the text.
struct Span {
    start: usize,
    /// Behind `x`.
    prefix: usize,
    end: usize,
}

impl<'a> Adapter<'a> {
    /// Writes the app's columns in place of a star of a row, if this is one; `begins` is where the text of it begins,
    /// where the tree tells that.
    pub(super) fn row_star(
        &mut self,
        value: &'a pb::Node,
        begins: Option<usize>,
        sources: Option<&Sources<'a>>,
    ) -> Verdict<()> {
        let Some(row) = self.row_starred(value, sources) else { return Ok(()) };
        let Some(span) = self.row_star_span(value, begins) else { return Ok(()) };
        let prefix = self.text.get(span.start..span.prefix).unwrap_or_default();
        let Row::Of(table) = row else { return Err(unlike(prefix)) };
        let mut out = String::new();
        for column in table.column_names() {
            let column = quote_ident(column);
            self.afford(prefix.len() + column.len() + 3)?;
            if !out.is_empty() {
                out.push_str(", ");
            }
            out.push_str(prefix);
            out.push('.');
            out.push_str(&column);
        }
        self.edits.push(Edit::replace(span.start..span.end, out));
        Ok(())
    }

    /// The stars in a list of values, of VALUES or of a row.
    pub(super) fn value_stars(&mut self, values: &'a [pb::Node], may_be_unlike: bool) -> Verdict<()> {
        if !self.shared() {
            return Ok(());
        }
        for value in values {
            if may_be_unlike && matches!(self.row_starred(value, None), Some(Row::Unlike)) {
                continue;
            }
            self.row_star(value, None, None)?;
        }
        Ok(())
    }

    /// How many columns a list of values has.
    pub(super) fn values_width(&self, values: &'a [pb::Node]) -> Option<usize> {
        let width = |value: &'a pb::Node| match self.row_starred(value, None) {
            Some(Row::Of(table)) => Some(table.columns.len()),
            Some(Row::Unlike) => None,
            None => (!is_any_star(value)).then_some(1),
        };
        values.iter().try_fold(0, |sum: usize, value| sum.checked_add(width(value)?))
    }

    /// The row whose columns an item of a list stands for.
    pub(super) fn row_starred(&self, value: &'a pb::Node, sources: Option<&Sources<'a>>) -> Option<Row<'a>> {
        match value.node.as_ref()? {
            NodeEnum::ColumnRef(column) => {
                let [.., name, star] = column.fields.as_slice() else { return None };
                let name = tree::string(name).filter(|_| matches!(star.node, Some(NodeEnum::AStar(_))))?;
                let hidden = sources.is_some_and(|sources| sources.named(name).is_some());
                self.rows.named(name).filter(|_| !hidden)
            }
            NodeEnum::AIndirection(indirection) if is_any_star(value) && indirection.indirection.len() == 1 => {
                let row = indirection.arg.as_deref()?;
                let source = match &row.node {
                    Some(NodeEnum::ColumnRef(column)) => {
                        column.fields.last().and_then(tree::string).and_then(|name| sources?.named(name))
                    }
                    _ => None,
                };
                match source {
                    Some(source) => source.shared.map(Row::Of),
                    None => self.row_of(row),
                }
            }
            _ => None,
        }
    }

    fn row_star_span(&self, value: &pb::Node, begins: Option<usize>) -> Option<Span> {
        let inner = match value.node.as_ref()? {
            NodeEnum::ColumnRef(column) => place(column.location)?,
            NodeEnum::AIndirection(indirection) => match (begins, indirection.arg.as_deref()?.node.as_ref()?) {
                (Some(begins), _) => begins,
                (None, NodeEnum::ColumnRef(column)) => place(column.location)?,
                (None, NodeEnum::ParamRef(parameter)) => place(parameter.location)?,
                (None, NodeEnum::FuncCall(call)) => place(call.location)?,
                _ => return None,
            },
            _ => return None,
        };
        let is_star = |token: &Token| self.text.get(token.start..token.end) == Some("*");
        let (mut open, mut closed, mut prefix) = (0_usize, 0_usize, inner);
        let mut words = Lexer::from(self.text, inner, true);
        let end = loop {
            let word = words.next()?;
            match word.kind {
                Kind::Open => open += 1,
                Kind::Close if open > 0 => open -= 1,
                Kind::Close => closed += 1,
                Kind::Dot if open == 0 => {
                    if let Some(star) = words.clone().next().filter(is_star) {
                        break star.end;
                    }
                }
                Kind::Comma | Kind::Semicolon if open == 0 => return None,
                _ => {}
            }
            prefix = word.end;
        };
        // The parentheses around the row begin before it.
        let mut start = inner;
        for _ in 0..closed {
            start = self.text.get(..start)?.trim_end().strip_suffix('(')?.len();
        }
        Some(Span { start, prefix, end })
    }
}

/// Whether an item of a list stands for columns.
pub(super) fn is_any_star(value: &pb::Node) -> bool {
    let last = match &value.node {
        Some(NodeEnum::ColumnRef(column)) => column.fields.last(),
        Some(NodeEnum::AIndirection(indirection)) => indirection.indirection.last(),
        _ => None,
    };
    last.is_some_and(|last| matches!(last.node, Some(NodeEnum::AStar(_))))
}
