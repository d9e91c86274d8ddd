//! `COPY`: PostgreSQL does not load tables under row-level security, but it loads views by their triggers.

use domain::quote_ident;
use pg_query::protobuf as pb;

use super::{Adapter, Edit, place};
use crate::lex;
use crate::plan::Filled;
use crate::refusal::Verdict;

/// The schema of the views that COPY loads shared tables by, each called like its table.
const COPY_SCHEMA: &str = "sindico_copy";

impl<'a> Adapter<'a> {
    /// `COPY t FROM STDIN` loads the view over `t`, and `COPY t TO STDOUT` leaves `tenant_id` out, so that what it writes
    /// can be loaded again.
    pub(super) fn copy(&mut self, copy: &'a pb::CopyStmt) -> Verdict<()> {
        if let Some(query) = copy.query.as_deref() {
            self.query(query)?;
        }
        self.expression(copy.where_clause.as_deref())?;
        let Some(relation) = &copy.relation else { return Ok(()) };
        let Some(table) = self.target(relation) else {
            self.relation(relation);
            return Ok(());
        };
        // Files and programs of the server are refused by the server, for the table that the client named.
        if copy.is_program || !copy.filename.is_empty() {
            return Ok(());
        }
        let parts = place(relation.location).map(|at| lex::name_parts(self.text, at)).unwrap_or_default();
        let (Some(first), Some(last)) = (parts.first(), parts.last()) else { return Ok(()) };
        if copy.is_from {
            let view = format!("{COPY_SCHEMA}.{}", quote_ident(&table.name));
            self.edits.push(Edit::replace(first.start..last.end, view));
        } else if copy.attlist.is_empty() {
            let columns = table.columns.iter().filter(|column| column.filled != Filled::Computed);
            let columns = self.column_list(columns.map(|column| column.name.as_str()))?;
            self.edits.push(Edit::insert(last.end, columns));
        }
        Ok(())
    }
}
