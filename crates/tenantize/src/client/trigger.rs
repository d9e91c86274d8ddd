//! Which texts are worth reading: a look at the bytes for words that a rule is about.

use std::collections::HashSet;

use domain::Isolation;

use crate::adapt::model::{Home, has_late_columns};
use crate::lex::{Kind, Lexer, is_name, is_name_start};
use crate::plan::Scope;
use crate::schema::Schema;

/// Words that a rule is about, for one app and isolation.
#[derive(Debug)]
pub(super) struct Triggers {
    words: Vec<(&'static [u8], Meaning)>,
    /// The letters that those begin with: bit 0 is `a`.
    initials: u32,
    /// What may be called `public.name` without a rule being needed.
    at_home: HashSet<Vec<u8>>,
    /// Whether values without a list of columns may be for other columns than they seem.
    late_columns: bool,
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
    /// Only before the name of something that is elsewhere.
    Public,
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

const SHARED: [(&[u8], Meaning); 14] = [
    (b"copy", Meaning::First),
    (b"truncate", Meaning::First),
    (b"lock", Meaning::First),
    (b"explain", Meaning::First),
    (b"conflict", Meaning::Always),
    (b"pg_get_serial_sequence", Meaning::Always),
    (b"group", Meaning::Group),
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
struct Seen {
    /// Whether a comment may have been, so that what seems to be in the middle of a statement may be its beginning.
    comment: bool,
    selects: usize,
    insert: bool,
    combination: bool,
    star: bool,
}

impl Seen {
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
        if isolation == Isolation::Schema || model.has_strangers() {
            words.push((b"public", Meaning::Public));
        }
        if words.is_empty() {
            return None;
        }
        let initials =
            words.iter().filter_map(|(word, _)| word.first()).fold(0, |letters, first| letters | bit(*first));
        let at_home = if isolation == Isolation::Schema { HashSet::new() } else { at_home(model, isolation) };
        let tenants = |table: &&crate::schema::Table| table.scope == Scope::Tenant;
        let late_columns =
            isolation == Isolation::Shared && model.tables().iter().filter(tenants).any(has_late_columns);
        Some(Self { words, initials, at_home, late_columns })
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
                (b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c, _) => {}
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
        if word.first().is_none_or(|first| self.initials & bit(*first) == 0) {
            return None;
        }
        self.words.iter().find(|(known, _)| known.eq_ignore_ascii_case(word)).map(|(_, meaning)| *meaning)
    }

    fn counts(&self, meaning: Meaning, first: bool, rest: &[u8], seen: &mut Seen) -> bool {
        match meaning {
            Meaning::Always => return true,
            Meaning::First => return first,
            Meaning::Group => return is_before_by(rest),
            Meaning::Public => return self.is_elsewhere(rest),
            Meaning::Insert => {
                seen.insert = true;
                if self.late_columns && !lists_columns(rest) {
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
    fn is_elsewhere(&self, rest: &[u8]) -> bool {
        let rest = rest.strip_prefix(b"\"").unwrap_or(rest).trim_ascii_start();
        let Some(rest) = rest.strip_prefix(b".") else {
            // A comment may stand before the point.
            return rest.starts_with(b"/*") || rest.starts_with(b"--");
        };
        let rest = rest.trim_ascii_start();
        if let Some(quoted) = rest.strip_prefix(b"\"") {
            let len = quoted.iter().position(|byte| *byte == b'"').unwrap_or(quoted.len());
            return quoted.get(..len).is_none_or(|name| !self.at_home.contains(name));
        }
        let len = rest.iter().position(|byte| !is_name(*byte)).unwrap_or(rest.len());
        let name = rest.get(..len).unwrap_or_default();
        if name.iter().any(u8::is_ascii_uppercase) {
            return !self.at_home.contains(&name.to_ascii_lowercase());
        }
        !self.at_home.contains(name)
    }
}

fn bit(letter: u8) -> u32 {
    let letter = letter.to_ascii_lowercase();
    if letter.is_ascii_lowercase() { 1 << (letter - b'a') } else { 0 }
}

/// Names of what is in the schema that the app thinks it is in.
fn at_home(model: &Schema, isolation: Isolation) -> HashSet<Vec<u8>> {
    model
        .names()
        .filter(|name| model.all_homes(name, isolation) == Some(Home::Own))
        .map(|name| name.as_bytes().to_vec())
        .collect()
}

/// Whether BY may be next.
fn is_before_by(rest: &[u8]) -> bool {
    let rest = rest.trim_ascii_start();
    rest.first().is_none_or(|byte| matches!(byte, b'/' | b'-'))
        || rest.get(..2).is_some_and(|by| by.eq_ignore_ascii_case(b"by"))
}

/// Whether what follows INSERT is `INTO name [AS alias] (` and then something else than a query.
fn lists_columns(rest: &[u8]) -> bool {
    // The list of a table that has more columns than this is read in vain.
    const LOOK: usize = 512;
    let rest = rest.get(..rest.len().min(LOOK)).unwrap_or_default();
    let text = std::str::from_utf8(rest).unwrap_or_else(|error| {
        rest.get(..error.valid_up_to()).and_then(|valid| std::str::from_utf8(valid).ok()).unwrap_or_default()
    });
    let mut words = Lexer::new(text, true);
    let opened = words.by_ref().find(|word| !matches!(word.kind, Kind::Word | Kind::Quoted | Kind::Dot));
    let column = words.next();
    let named = column.and_then(|word| text.get(word.start..word.end));
    opened.is_some_and(|word| word.kind == Kind::Open)
        && column.is_some_and(|word| matches!(word.kind, Kind::Word | Kind::Quoted))
        && !named.is_some_and(|word| {
            ["select", "values", "with", "table"].iter().any(|query| query.eq_ignore_ascii_case(word))
        })
}
