//! Variables that hold rows: those of a table's type have `tenant_id` where tenants share it. A star of theirs is written
//! out where it stands. PostgreSQL knows no star of a variable that is declared as `record`.

use std::collections::HashSet;

use pg_query::NodeEnum;

use super::Piece;
use crate::adapt::{Row, Rows};
use crate::lex::{Kind, Lexer, Token, name_of};
use crate::plan::Scope;
use crate::schema::Schema;
use crate::tree;

/// The variables of a body that are of a table's type.
pub(super) struct Records(HashSet<String>);

impl Records {
    /// Reads declarations, `name [CONSTANT] type`, and adds the variables to the rows that are known.
    pub(super) fn of<'a>(source: &str, schema: &'a Schema, known: &mut Rows<'a>) -> Self {
        let words = Words::of(source);
        let mut rows = HashSet::new();
        for at in 0..words.tokens.len() {
            let begins = words.is(at, "declare") || words.kind(at) == Some(Kind::Semicolon);
            let named = matches!(words.kind(at + 1), Some(Kind::Word | Kind::Quoted));
            if !begins || !named {
                continue;
            }
            let of = at + if words.is(at + 2, "constant") { 3 } else { 2 };
            // Of one column, or of many rows.
            if matches!(words.text(of + 1), "." | "[") {
                continue;
            }
            if let Some(table) = schema.find(&words.name(of)).filter(|table| table.scope == Scope::Tenant) {
                known.name(&words.name(at + 1), Row::Of(table));
                rows.insert(words.name(at + 1));
            }
        }
        Self(rows)
    }

    /// Whether it matters how many columns the query gives that fills variables: several take a column each, and one of a
    /// table's type takes those of that table, unless it gets them by one star.
    pub(super) fn counts(&self, piece: &Piece) -> bool {
        match piece.into.as_deref() {
            None => false,
            Some("") => true,
            Some(name) => self.0.contains(name) && !piece.dynamic && lists_more(&piece.text),
        }
    }
}

/// Whether a query gives something beside one star, so that its columns go by their order.
fn lists_more(text: &str) -> bool {
    let Ok(node) = tree::parse(text) else { return false };
    let listed = match &node.node {
        Some(NodeEnum::SelectStmt(select)) => select.target_list.len(),
        Some(NodeEnum::InsertStmt(insert)) => insert.returning_clause.as_ref().map_or(0, |clause| clause.exprs.len()),
        Some(NodeEnum::UpdateStmt(update)) => update.returning_clause.as_ref().map_or(0, |clause| clause.exprs.len()),
        Some(NodeEnum::DeleteStmt(delete)) => delete.returning_clause.as_ref().map_or(0, |clause| clause.exprs.len()),
        _ => 0,
    };
    listed > 1
}

/// The words of a body.
struct Words<'s> {
    source: &'s str,
    tokens: Vec<Token>,
}

impl<'s> Words<'s> {
    fn of(source: &'s str) -> Self {
        Self { source, tokens: Lexer::new(source, true).collect() }
    }

    fn kind(&self, at: usize) -> Option<Kind> {
        self.tokens.get(at).map(|token| token.kind)
    }

    fn text(&self, at: usize) -> &'s str {
        self.tokens.get(at).and_then(|token| self.source.get(token.start..token.end)).unwrap_or_default()
    }

    fn is(&self, at: usize, word: &str) -> bool {
        self.text(at).eq_ignore_ascii_case(word)
    }

    fn name(&self, at: usize) -> String {
        name_of(self.text(at))
    }
}
