//! Texts of sessions where a backslash may be an escape in plain quotes (`standard_conforming_strings = off`).

use std::borrow::Cow;

use domain::Isolation;

use super::{UNSUPPORTED, Verdict};
use crate::lex::{Kind, Lexer, leading_words};

/// Statements that may not slip past the rules because their text is read in another way than the server does.
fn guarded(isolation: Isolation) -> &'static [&'static str] {
    match isolation {
        Isolation::Shared => &["listen", "unlisten", "notify", "lock", "explain"],
        Isolation::Schema => &["listen", "unlisten", "notify"],
        Isolation::Database | Isolation::Cluster => &[],
    }
}

fn is_guarded(word: &str, isolation: Isolation) -> bool {
    guarded(isolation).iter().any(|guarded| guarded.eq_ignore_ascii_case(word))
}

/// Refuses a text whose statements begin otherwise under the other setting, if one of those beginnings matters.
pub(super) fn ambiguous(sql: &str, isolation: Isolation) -> Option<Verdict> {
    if !sql.contains('\\') || leading_words(sql, true).eq(leading_words(sql, false)) {
        return None;
    }
    let word = leading_words(sql, true).chain(leading_words(sql, false)).find(|word| is_guarded(word, isolation))?;
    Some(Verdict::Refused {
        sqlstate: UNSUPPORTED,
        message: format!("it depends on standard_conforming_strings whether this text runs {}", word.to_uppercase()),
        hint: "Write strings with backslashes as E'…', or send each statement on its own.".to_owned(),
    })
}

/// What becomes of a text that cannot be read. The server may accept it all the same: versions differ in their reserved
/// words, so `SELECT 1 FROM (VALUES (1)) system_user; LOCK t` is SQL for PostgreSQL 15 and not for 16.
pub(super) fn unread(sql: &str, standard_strings: bool, isolation: Isolation) -> Verdict {
    match leading_words(sql, standard_strings).find(|word| is_guarded(word, isolation)) {
        None => Verdict::Unchanged,
        Some(word) => Verdict::Refused {
            sqlstate: UNSUPPORTED,
            message: format!("{} in a text that síndico cannot read as SQL", word.to_uppercase()),
            hint: "Correct the text, send each statement on its own, and nest expressions less deeply.".to_owned(),
        },
    }
}

/// The text with an `E` before each string whose backslashes are escapes: the same under either setting.
pub(super) fn explicit(sql: &str) -> Cow<'_, str> {
    if !sql.contains('\\') {
        return Cow::Borrowed(sql);
    }
    let mut out = String::with_capacity(sql.len() + 16);
    let mut done = 0;
    for token in Lexer::new(sql, false).filter(|token| token.kind == Kind::Backslashed) {
        out.push_str(sql.get(done..token.start).unwrap_or_default());
        // A word right before would swallow the letter.
        out.push_str(" E");
        done = token.start;
    }
    out.push_str(sql.get(done..).unwrap_or_default());
    Cow::Owned(out)
}
