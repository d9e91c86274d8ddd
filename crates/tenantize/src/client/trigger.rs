//! Which texts are worth reading: a look at the bytes for words that a rule is about.

use std::collections::HashSet;

use domain::Isolation;

use crate::adapt::model::Home;
use crate::lex::{Kind, Lexer, Token, is_blank, is_name, is_name_start};
use crate::plan::Scope;
use crate::schema::Schema;

/// Words that a rule is about, for one app and isolation.
#[derive(Debug)]
pub(super) struct Triggers {
    words: Vec<(&'static [u8], Meaning)>,
    /// For each letter the lengths of those that begin with it, as bits.
    lengths: [u32; 26],
    /// What may be called `public.name` without a rule being needed.
    at_home: HashSet<Vec<u8>>,
    /// Whether there are tables for which values without a list of columns may be other than they seem.
    shares_tables: bool,
}

/// What a word says about a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// A rule is about it wherever it stands.
    Always,
    /// Only where a statement may begin.
    First,
    /// Only before BY.
    Group,
    /// Only before a list of values.
    Row,
    /// Only before the name of something that is elsewhere.
    Public,
    /// Only before a string.
    Schema,
    Insert,
    Select,
    /// Like SELECT, RETURNING may have a star behind it.
    Returning,
    /// UNION and its like.
    Combination,
}

const CHANNELS: [(&[u8], Meaning); 4] = [
    (b"listen", Meaning::First),
    (b"unlisten", Meaning::First),
    (b"notify", Meaning::First),
    (b"pg_notify", Meaning::Always),
];

const SETTINGS: [(&[u8], Meaning); 2] = [(b"search_path", Meaning::Always), (b"schema", Meaning::Schema)];

const SHARED: [(&[u8], Meaning); 16] = [
    (b"copy", Meaning::First),
    (b"truncate", Meaning::First),
    (b"lock", Meaning::First),
    (b"explain", Meaning::First),
    (b"conflict", Meaning::Always),
    (b"pg_get_serial_sequence", Meaning::Always),
    (b"row_security", Meaning::Always),
    (b"group", Meaning::Group),
    (b"row", Meaning::Row),
    (b"insert", Meaning::Insert),
    (b"select", Meaning::Select),
    (b"returning", Meaning::Returning),
    (b"distinct", Meaning::Returning),
    (b"union", Meaning::Combination),
    (b"intersect", Meaning::Combination),
    (b"except", Meaning::Combination),
];

/// What has been seen of a text.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, and together they are no state")]
struct Seen<'a> {
    /// The last name after `public.` that was known: the next one is often the same.
    at_home: &'a [u8],
    /// Whether a comment may have been, so that what seems to be in the middle of a statement may be its beginning.
    comment: bool,
    selects: usize,
    insert: bool,
    combination: bool,
    star: bool,
}

impl Seen<'_> {
    /// Whether there is a star of which it may matter how many columns it is: anywhere but in an outermost SELECT.
    fn counted_star(&self) -> bool {
        self.star && (self.insert || self.combination || self.selects > 1)
    }
}

/// What stands before a byte, as far as it tells about a star or a beginning.
#[derive(PartialEq, Eq)]
enum Before {
    /// Nothing, or a semicolon.
    Start,
    /// A star after it is one of a list of columns.
    List,
    Other,
}

impl Triggers {
    /// `None` where no text needs a rule.
    pub(super) fn of(model: &Schema, isolation: Isolation) -> Option<Self> {
        let mut words: Vec<(&'static [u8], Meaning)> = Vec::new();
        if matches!(isolation, Isolation::Shared | Isolation::Schema) {
            words.extend(CHANNELS);
        }
        if isolation == Isolation::Shared {
            words.extend(SHARED);
        }
        if isolation == Isolation::Schema || model.has_strangers(isolation) {
            words.push((b"public", Meaning::Public));
        }
        if words.is_empty() {
            return None;
        }
        words.extend(SETTINGS);
        let mut lengths = [0; 26];
        for (word, _) in &words {
            if let Some(known) = word.first().and_then(|first| lengths.get_mut(nth_letter(*first))) {
                *known |= 1_u32 << word.len();
            }
        }
        let at_home = if isolation == Isolation::Schema { HashSet::new() } else { at_home(model, isolation) };
        let shares_tables =
            isolation == Isolation::Shared && model.tables().iter().any(|table| table.scope == Scope::Tenant);
        Some(Self { words, lengths, at_home, shares_tables })
    }

    /// Whether a rule may be about a text.
    ///
    /// Strings and comments are not told apart from the rest, since where they end depends on a setting.
    pub(super) fn any(&self, sql: &[u8]) -> bool {
        let mut seen = Seen::default();
        let mut before = Before::Start;
        let mut at = 0;
        while let Some(byte) = sql.get(at).copied() {
            if is_name_start(byte) {
                let rest = sql.get(at..).unwrap_or_default();
                let len = rest.iter().position(|byte| !is_name(*byte)).unwrap_or(rest.len());
                let (word, rest) = rest.split_at(len);
                let meaning = self.meaning(word);
                let first = before == Before::Start || seen.comment;
                if meaning.is_some_and(|meaning| self.counts(meaning, first, rest, &mut seen)) {
                    return true;
                }
                let list = matches!(meaning, Some(Meaning::Select | Meaning::Returning));
                before = if list { Before::List } else { Before::Other };
                at += len;
                continue;
            }
            at += 1;
            match (byte, sql.get(at)) {
                (blank, _) if is_blank(blank) => {}
                (b'-', Some(b'-')) | (b'/', Some(b'*')) | (b'*', Some(b'/')) => {
                    seen.comment = true;
                    at += 1;
                }
                (b'*', _) => {
                    seen.star |= before == Before::List || seen.comment;
                    if seen.counted_star() {
                        return true;
                    }
                    before = Before::Other;
                }
                (b';', _) => before = Before::Start,
                (b'.' | b',', _) => before = Before::List,
                _ => before = Before::Other,
            }
        }
        false
    }

    fn meaning(&self, word: &[u8]) -> Option<Meaning> {
        let lengths = word.first().and_then(|first| self.lengths.get(nth_letter(*first)))?;
        if word.len() >= 32 || lengths & (1 << word.len()) == 0 {
            return None;
        }
        self.words.iter().find(|(known, _)| known.eq_ignore_ascii_case(word)).map(|(_, meaning)| *meaning)
    }

    fn counts<'a>(&self, meaning: Meaning, first: bool, rest: &'a [u8], seen: &mut Seen<'a>) -> bool {
        match meaning {
            Meaning::Always => return true,
            Meaning::First => return first,
            Meaning::Group => return is_before_by(rest),
            Meaning::Row => return is_before_list(rest),
            Meaning::Public => return self.is_elsewhere(rest, seen),
            Meaning::Schema => return is_before_string(rest),
            Meaning::Insert => {
                seen.insert = true;
                if self.shares_tables && !lists_columns(rest) {
                    return true;
                }
            }
            Meaning::Select => seen.selects += 1,
            Meaning::Combination => seen.combination = true,
            Meaning::Returning => {}
        }
        seen.counted_star()
    }

    /// Whether `public` is followed by the name of something that may be in another schema.
    fn is_elsewhere<'a>(&self, rest: &'a [u8], seen: &mut Seen<'a>) -> bool {
        let rest = past_blanks(rest.strip_prefix(b"\"").unwrap_or(rest));
        let Some(rest) = rest.strip_prefix(b".") else {
            // A comment may stand before the point.
            return rest.starts_with(b"/*") || rest.starts_with(b"--");
        };
        let rest = past_blanks(rest);
        let quoted = rest.strip_prefix(b"\"");
        let (rest, ends): (_, fn(u8) -> bool) = match quoted {
            Some(quoted) => (quoted, |byte| byte == b'"'),
            None => (rest, |byte| !is_name(byte)),
        };
        let len = rest.iter().position(|byte| ends(*byte)).unwrap_or(rest.len());
        let name = rest.get(..len).unwrap_or_default();
        if quoted.is_none() && name.iter().any(u8::is_ascii_uppercase) {
            return !self.at_home.contains(&name.to_ascii_lowercase());
        }
        if name == seen.at_home && !name.is_empty() {
            return false;
        }
        if self.at_home.contains(name) {
            seen.at_home = name;
            return false;
        }
        true
    }
}

/// 0 for `a`, past 25 for what is no letter of ASCII's.
fn nth_letter(byte: u8) -> usize {
    usize::from((byte | 0x20).wrapping_sub(b'a'))
}

/// Names of what is in the schema that the app thinks it is in.
fn at_home(model: &Schema, isolation: Isolation) -> HashSet<Vec<u8>> {
    model
        .names()
        .filter(|name| model.all_homes(name, isolation) == Some(Home::Own))
        .map(|name| name.as_bytes().to_vec())
        .collect()
}

/// What stands behind blanks, which for PostgreSQL 16 and later are one more than ASCII has: the vertical tab.
fn past_blanks(rest: &[u8]) -> &[u8] {
    let blanks = rest.iter().take_while(|byte| is_blank(**byte)).count();
    rest.get(blanks..).unwrap_or_default()
}

/// Whether BY may be next.
fn is_before_by(rest: &[u8]) -> bool {
    let rest = past_blanks(rest);
    rest.first().is_none_or(|byte| matches!(byte, b'/' | b'-'))
        || rest.get(..2).is_some_and(|by| by.eq_ignore_ascii_case(b"by"))
}

/// Whether a parenthesis may be next.
fn is_before_list(rest: &[u8]) -> bool {
    past_blanks(rest).first().is_none_or(|byte| matches!(byte, b'(' | b'/' | b'-'))
}

/// Whether a string of whichever kind may be next.
fn is_before_string(rest: &[u8]) -> bool {
    let rest = past_blanks(rest);
    rest.first().is_none_or(|byte| matches!(byte, b'\'' | b'$' | b'/' | b'-' | b'e' | b'E' | b'u' | b'U'))
}

/// Whether what follows INSERT is `INTO name [AS alias] (` and then something else than a query.
fn lists_columns(rest: &[u8]) -> bool {
    // The list of a table that has more columns than this is read in vain.
    const LOOK: usize = 512;
    let rest = rest.get(..rest.len().min(LOOK)).unwrap_or_default();
    let text = std::str::from_utf8(rest).unwrap_or_else(|error| {
        rest.get(..error.valid_up_to()).and_then(|valid| std::str::from_utf8(valid).ok()).unwrap_or_default()
    });
    let named = |word: &Token| text.get(word.start..word.end).unwrap_or_default();
    let begins_source = |word: &Token| {
        let sources = ["select", "values", "with", "table", "default", "overriding"];
        word.kind == Kind::Word && sources.iter().any(|source| source.eq_ignore_ascii_case(named(word)))
    };
    let mut words = Lexer::new(text, true);
    for word in words.by_ref() {
        match word.kind {
            Kind::Word if begins_source(&word) => return false,
            Kind::Word | Kind::Quoted | Kind::Dot => {}
            Kind::Open => break,
            _ => return false,
        }
    }
    words.next().is_some_and(|column| matches!(column.kind, Kind::Word | Kind::Quoted) && !begins_source(&column))
}
