//! `*` where it matters how many columns it stands for: shared tables have one more.

use domain::quote_ident;
use pg_query::{NodeEnum, protobuf as pb};

use super::group_by::is_star;
use super::row_star::is_any_star;
use super::source::{MOST_COLUMNS, Source, Sources};
use super::{Adapter, Edit, Place, place};
use crate::lex::{Kind, Lexer};
use crate::refusal::Verdict;
use crate::tree;

impl<'a> Adapter<'a> {
    /// Writes the app's columns in place of the stars in a list of result columns.
    pub(super) fn stars(
        &mut self,
        targets: &'a [pb::Node],
        from: &'a [pb::Node],
        target: Option<&'a pb::RangeVar>,
    ) -> Verdict<()> {
        if !self.shared() || !(self.counted || self.flavour.place == Place::View) || targets.len() > MOST_COLUMNS {
            return Ok(());
        }
        let starred = |target: &&pb::ResTarget| target.val.as_deref().is_some_and(is_any_star);
        let stars: Vec<&pb::ResTarget> = targets.iter().filter_map(result).filter(starred).collect();
        if stars.is_empty() {
            return Ok(());
        }
        let sources = self.written_sources(target, from);
        for target in stars {
            let Some(value) = target.val.as_deref() else { continue };
            if self.row_starred(value, Some(&sources)).is_some() {
                self.row_star(value, place(target.location), Some(&sources))?;
                continue;
            }
            let Some(star) = star(target) else { continue };
            let Some(expanded) = self.expand(star, &sources)? else { continue };
            if let Some(range) = place(star.location).and_then(|at| self.star_span(at)) {
                self.edits.push(Edit::replace(range, expanded));
            }
        }
        Ok(())
    }

    /// From the first word of `a.b.*` to behind the star.
    fn star_span(&self, at: usize) -> Option<std::ops::Range<usize>> {
        let is_star = |token: &crate::lex::Token| self.text.get(token.start..token.end) == Some("*");
        let mut words = Lexer::from(self.text, at, true);
        let part = |kind| matches!(kind, Kind::Word | Kind::Quoted | Kind::Dot);
        let end = words.by_ref().find(|token| !part(token.kind)).filter(is_star)?;
        Some(at..end.end)
    }

    /// The columns that a star means; `None` where it means no shared table's, or names are missing to write them.
    fn expand(&mut self, star: &pb::ColumnRef, sources: &Sources<'a>) -> Verdict<Option<String>> {
        let meant = match star.fields.as_slice() {
            [_] if sources.tangled => None,
            [_] => Some(sources.list.as_slice()),
            [.., table, _] => tree::string(table).and_then(|name| sources.named(name)).map(std::slice::from_ref),
            [] => None,
        };
        let adaptable = |meant: &&[Source<'a>]| {
            meant.iter().any(|source| source.shared.is_some()) && meant.iter().all(|source| source.name.is_some())
        };
        if let Some(unlike) = meant.and_then(|meant| meant.iter().find(|source| source.unlike)) {
            return Err(super::row::unlike(unlike.name.unwrap_or_default()));
        }
        let Some(meant) = meant.filter(adaptable) else { return Ok(None) };
        let mut out = String::new();
        for source in meant {
            let name = source.name.map(quote_ident).unwrap_or_default();
            match (source.shared, &source.columns) {
                (Some(_), Some(columns)) => {
                    for column in columns {
                        self.item(&mut out, &name, &quote_ident(column))?;
                    }
                }
                _ => self.item(&mut out, &name, "*")?,
            }
        }
        Ok(Some(out))
    }

    /// Adds `name.column` to a list.
    fn item(&mut self, out: &mut String, name: &str, column: &str) -> Verdict<()> {
        self.afford(name.len() + column.len() + 3)?;
        let comma = if out.is_empty() { "" } else { ", " };
        for part in [comma, name, ".", column] {
            out.push_str(part);
        }
        Ok(())
    }
}

/// The column that a result column names, if it stands for all columns of something.
pub(super) fn star(target: &pb::ResTarget) -> Option<&pb::ColumnRef> {
    match target.val.as_deref().and_then(|value| value.node.as_ref()) {
        Some(NodeEnum::ColumnRef(column)) if is_star(target) => Some(column),
        _ => None,
    }
}

fn result(target: &pb::Node) -> Option<&pb::ResTarget> {
    match &target.node {
        Some(NodeEnum::ResTarget(target)) => Some(target.as_ref()),
        _ => None,
    }
}
