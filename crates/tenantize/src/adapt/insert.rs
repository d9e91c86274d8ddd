//! `INSERT INTO t VALUES (…)`: where tables are shared `tenant_id` would take a value too many, and columns that were
//! added later stand after it.

use pg_query::protobuf as pb;

use super::model::has_late_columns;
use super::{Adapter, Edit, Place, place};
use crate::lex::{self, Kind, Lexer};
use crate::refusal::{Fault, Verdict};

impl<'a> Adapter<'a> {
    /// Adds the columns that the values are for by their order.
    pub(super) fn insert_columns(&mut self, insert: &'a pb::InsertStmt) -> Verdict<()> {
        let Some(relation) = insert.relation.as_ref().filter(|_| insert.cols.is_empty()) else { return Ok(()) };
        let Some(table) = self.target(relation) else { return Ok(()) };
        let Some(query) = insert.select_stmt.as_deref() else { return Ok(()) };
        let (late, all) = (has_late_columns(table), table.columns.len());
        let Some(width) = self.width(query) else {
            if late && self.flavour.place != Place::Client {
                return Err(Fault::new(
                    format!(
                        "it is not known here for which columns of {} the values are, some of which were added later",
                        table.name
                    ),
                    "name the columns in INSERT INTO, and in the query",
                ));
            }
            return Ok(());
        };
        // With two values too many the server says so by itself; with one, when it is told the columns.
        if width == 0 || all == 0 || width > all + 1 || (!late && width <= all) {
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
