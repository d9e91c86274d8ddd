//! How much may be written for a text: a star of one byte stands for all columns of all tables of its query, and a text
//! has room for millions of stars.

use domain::quote_ident;

use super::Adapter;
use crate::refusal::{Fault, Verdict};

/// Bytes that any text may gain: more than the longest names of the 1600 columns that a table can have.
const SPARE: usize = 256 << 10;
/// Bytes that a text may gain for each of its own.
const PER_BYTE: usize = 4;

/// What may be written for a text of some bytes.
pub(super) fn of(text: usize) -> usize {
    text.saturating_mul(PER_BYTE).saturating_add(SPARE)
}

impl Adapter<'_> {
    /// To be asked before columns of the model are written. All else that is written is in proportion to words of the
    /// text that it is written for.
    pub(super) fn afford(&mut self, bytes: usize) -> Verdict<()> {
        self.left = self.left.checked_sub(bytes).ok_or_else(|| {
            Fault::excess(
                format!("a text of {} bytes stands for too many columns to write them out", self.text.len()),
                "name the columns that are needed instead of *, or send fewer statements at once",
            )
        })?;
        Ok(())
    }

    /// ` (a, b)`.
    pub(super) fn column_list<'c>(&mut self, columns: impl Iterator<Item = &'c str>) -> Verdict<String> {
        let mut list = String::from(" (");
        let mut comma = "";
        for column in columns {
            let column = quote_ident(column);
            self.afford(column.len() + 2)?;
            list.push_str(std::mem::replace(&mut comma, ", "));
            list.push_str(&column);
        }
        list.push(')');
        Ok(list)
    }
}
