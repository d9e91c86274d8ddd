//! `ROW(1, 'a')::t`: where tenants share tables a row of t has one value more.

use pg_query::{NodeEnum, protobuf as pb};

use super::row::of_row_type;
use super::row_star::is_any_star;
use super::{Adapter, Edit, place};
use crate::lex::{Kind, Lexer};

/// The value that is missing, as the default of `tenant_id` has it.
const TENANT: &str = "sindico.current_tenant()";

impl<'a> Adapter<'a> {
    /// Adds the tenant to the values of a row that becomes one of a shared table.
    pub(super) fn row_cast(&mut self, cast: &'a pb::TypeCast) {
        if !self.shared() {
            return;
        }
        let Some(NodeEnum::RowExpr(row)) = cast.arg.as_deref().and_then(|arg| arg.node.as_ref()) else { return };
        let Some(table) = cast.type_name.as_ref().and_then(|named| of_row_type(named, self.model)) else { return };
        if self.values_width(&row.args) != Some(table.columns.len()) {
            return;
        }
        let early = table.columns.iter().filter(|column| !column.late).count();
        // Which value a comma follows is not known behind a star.
        let behind = (early < row.args.len()).then_some(early);
        if behind == Some(0) || (behind.is_some() && row.args.iter().any(is_any_star)) {
            return;
        }
        if let Some(at) = place(row.location).and_then(|at| self.end_of_value(at, behind)) {
            self.edits.push(Edit::insert(at, format!(", {TENANT}")));
        }
    }

    /// Where the value of this number ends in a list in parentheses, or the last one.
    fn end_of_value(&self, list: usize, nth: Option<usize>) -> Option<usize> {
        let (mut depth, mut commas) = (0_usize, 0);
        for word in Lexer::from(self.text, list, true) {
            match (word.kind, self.text.get(word.start..word.end)) {
                (Kind::Open, _) | (_, Some("[")) => depth += 1,
                (Kind::Close, _) if depth == 1 => return Some(word.start),
                (Kind::Close, _) | (_, Some("]")) => depth = depth.checked_sub(1)?,
                (Kind::Comma, _) if depth == 1 => {
                    commas += 1;
                    if Some(commas) == nth {
                        return Some(word.start);
                    }
                }
                _ => {}
            }
        }
        None
    }
}
