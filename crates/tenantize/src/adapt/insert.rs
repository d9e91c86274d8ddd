//! `INSERT INTO t VALUES (…)`: columns that were added later stand after `tenant_id` where tables are shared.

use pg_query::protobuf as pb;

use super::model::has_late_columns;
use super::{Adapter, Edit, place};
use crate::lex::{self, Kind, Lexer};
use crate::refusal::Verdict;

impl<'a> Adapter<'a> {
    /// Adds the columns that the values are for by their order.
    pub(super) fn insert_columns(&mut self, insert: &'a pb::InsertStmt) -> Verdict<()> {
        let Some(relation) = insert.relation.as_ref().filter(|_| insert.cols.is_empty()) else { return Ok(()) };
        let Some(table) = self.target(relation).filter(|table| has_late_columns(table)) else { return Ok(()) };
        let Some(width) = insert.select_stmt.as_deref().and_then(|query| self.width(query)) else { return Ok(()) };
        // With too many values the server has something to say about them.
        if width == 0 || width > table.columns.len() {
            return Ok(());
        }
        if let Some(end) = self.target_end(relation) {
            let columns = self.column_list(table.column_names().take(width))?;
            self.edits.push(Edit::insert(end, columns));
        }
        Ok(())
    }

    /// Behind the name of what is written, and its alias.
    fn target_end(&self, relation: &pb::RangeVar) -> Option<usize> {
        let end = lex::name_parts(self.text, place(relation.location)?).last()?.end;
        if relation.alias.is_none() {
            return Some(end);
        }
        let mut words = Lexer::from(self.text, end, true).filter(|token| token.kind != Kind::Other);
        words.nth(1).map(|alias| alias.end)
    }
}
