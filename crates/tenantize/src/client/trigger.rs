//! Which texts are worth reading: a look at the bytes for words that a rule is about.

use domain::Isolation;

use crate::lex::{is_name, is_name_start};
use crate::schema::Schema;

/// Words that a rule is about, for one app and isolation.
#[derive(Debug)]
pub(super) struct Triggers {
    words: Vec<Word>,
}

#[derive(Debug)]
struct Word {
    /// In lower case.
    text: &'static str,
    counts: Counts,
}

/// When a word counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counts {
    Anywhere,
    /// Where a statement may begin.
    First,
}

impl Triggers {
    /// `None` where no text needs a rule.
    pub(super) fn of(_model: &Schema, isolation: Isolation) -> Option<Self> {
        let word = |counts| move |text: &&'static str| Word { text, counts };
        let channels = ["listen", "unlisten", "notify"];
        let words = match isolation {
            Isolation::Database | Isolation::Cluster => return None,
            Isolation::Schema => channels.iter().map(word(Counts::First)).collect(),
            Isolation::Shared => {
                let first = ["copy", "truncate", "lock", "explain"];
                let first = first.iter().chain(&channels).map(word(Counts::First));
                first.chain(["conflict"].iter().map(word(Counts::Anywhere))).collect()
            }
        };
        Some(Self { words })
    }

    /// Whether a word counts somewhere in a text.
    ///
    /// Strings and comments are not told apart from the rest, since that depends on a setting; a word where a statement
    /// may begin is one after nothing, a semicolon or what may be a comment.
    pub(super) fn any(&self, sql: &[u8]) -> bool {
        let mut at = 0;
        let mut may_begin = true;
        let mut commented = false;
        while let Some(byte) = sql.get(at).copied() {
            if is_name_start(byte) {
                let rest = sql.get(at..).unwrap_or_default();
                let len = rest.iter().position(|byte| !is_name(*byte)).unwrap_or(rest.len());
                let word = rest.get(..len).unwrap_or_default();
                if self.counts(word, may_begin || commented) {
                    return true;
                }
                may_begin = false;
                at += len;
                continue;
            }
            match byte {
                b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => {}
                b'-' if sql.get(at + 1) == Some(&b'-') => commented = true,
                b'*' if sql.get(at + 1) == Some(&b'/') => commented = true,
                b';' => may_begin = true,
                _ => may_begin = false,
            }
            at += 1;
        }
        false
    }

    fn counts(&self, word: &[u8], first: bool) -> bool {
        self.words.iter().any(|known| {
            known.text.len() == word.len()
                && (first || known.counts == Counts::Anywhere)
                && known.text.as_bytes().eq_ignore_ascii_case(word)
        })
    }
}
