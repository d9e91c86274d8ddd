//! `TRUNCATE`: where tables are shared, the tenant's rows are deleted.

use std::ops::Range;

use domain::quote_literal;
use pg_query::{NodeEnum, protobuf as pb};

use super::{Adapter, Edit};
use crate::lex::{Kind, Lexer};
use crate::refusal::{Fault, Verdict};

impl<'a> Adapter<'a> {
    pub(super) fn truncate(&mut self, truncate: &'a pb::TruncateStmt, span: Range<usize>) -> Verdict<()> {
        let relations = truncate.relations.iter().filter_map(|node| match &node.node {
            Some(NodeEnum::RangeVar(relation)) => Some(relation),
            _ => None,
        });
        let (shared, other): (Vec<_>, Vec<_>) = relations.partition(|relation| self.target(relation).is_some());
        if shared.is_empty() {
            for relation in other {
                self.relation(relation);
            }
            return Ok(());
        }
        if let Some(other) = other.first() {
            return Err(Fault::new(
                format!("TRUNCATE of {} together with tables that tenants share is not available", other.relname),
                "truncate it in a statement of its own",
            ));
        }
        let divided = |relation: &&&pb::RangeVar| !relation.inh && self.target(relation).is_some_and(|t| t.partitioned);
        if let Some(divided) = shared.iter().find(divided) {
            return Err(Fault::new(
                format!("TRUNCATE ONLY is not for {}, whose rows are all in its partitions", divided.relname),
                "leave ONLY out, or truncate the partitions",
            ));
        }
        let tables: Vec<String> = shared.iter().map(|relation| quote_literal(&relation.relname)).collect();
        let cascade = truncate.behavior() == pb::DropBehavior::DropCascade;
        let call = format!("CALL sindico.truncate(ARRAY[{}], {}, {cascade})", tables.join(", "), truncate.restart_seqs);
        if let Some(words) = words(self.text, span) {
            self.edits.push(Edit::replace(words, call));
        }
        Ok(())
    }
}

/// From a statement's first word to its last: blanks and comments around it stay.
pub(super) fn words(text: &str, span: Range<usize>) -> Option<Range<usize>> {
    let mut words =
        Lexer::from(text, span.start, true).take_while(|token| token.kind != Kind::Semicolon && token.start < span.end);
    let first = words.next()?;
    Some(first.start..words.last().map_or(first.end, |last| last.end))
}
