//! `public.` taken off the names in a text, whatever kind of statement it is part of.
//!
//! Every isolation finds the app's things by `search_path`: its tables are in `public` in one and in the tenant's schema
//! in another, and what extensions bring is in a schema that dumps do not know.

use std::borrow::Cow;
use std::ops::Range;

use domain::quote_ident;
use pg_query::protobuf::{KeywordKind, ScanToken, Token};

use crate::lex;
use crate::piece::span;
use crate::refusal::{Fault, Verdict};

/// The text without them; it stays as it is where PostgreSQL's scanner cannot read it.
pub(crate) fn text(text: &str) -> String {
    Words::of(text).map_or_else(|| text.to_owned(), |words| words.bare())
}

/// [`text`], unless the name that is left would mean something else.
pub(crate) fn same(text: &str) -> Verdict<String> {
    let Some(words) = Words::of(text) else { return Ok(text.to_owned()) };
    match words.shadowed() {
        Some(name) => Err(Fault::new(
            format!("public.{name} stands where a WITH query may be called {name}, too"),
            format!("give the WITH query another name: síndico takes public. off, and {name} would mean the query"),
        )),
        None => Ok(words.bare()),
    }
}

/// A name as it is written without what qualified it: after a dot any keyword is a name, alone many are not.
pub(crate) fn alone(word: &str) -> Cow<'_, str> {
    let scanned = pg_query::scan(word).ok();
    let kind = scanned.as_ref().and_then(|scanned| scanned.tokens.first()).map(ScanToken::keyword_kind);
    match kind {
        Some(KeywordKind::ReservedKeyword | KeywordKind::ColNameKeyword | KeywordKind::TypeFuncNameKeyword) => {
            Cow::Owned(quote_ident(&lex::name_of(word)))
        }
        _ => Cow::Borrowed(word),
    }
}

/// The words of a text, comments left out.
struct Words<'a> {
    text: &'a str,
    tokens: Vec<ScanToken>,
}

impl<'a> Words<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let mut tokens = pg_query::scan(text).ok()?.tokens;
        tokens.retain(|token| !matches!(token.token(), Token::SqlComment | Token::CComment));
        Some(Self { text, tokens })
    }

    fn word(&self, at: usize) -> &'a str {
        self.tokens.get(at).and_then(|token| self.text.get(span(token))).unwrap_or_default()
    }

    fn is(&self, at: usize, keyword: &str) -> bool {
        self.word(at).eq_ignore_ascii_case(keyword)
    }

    /// Whether a name begins here with `public.`
    fn qualifies(&self, at: usize) -> bool {
        lex::name_of(self.word(at)) == "public" && self.word(at + 1) == "."
    }

    fn bare(&self) -> String {
        let mut out = String::with_capacity(self.text.len());
        let mut done = 0;
        for (at, token) in self.tokens.iter().enumerate() {
            let place = span(token);
            let before = |back: usize| at.checked_sub(back).map(|at| self.word(at)).unwrap_or_default();
            // A table's alias may be called public, but then nothing follows its column.
            let (end, instead) = if self.qualifies(at) && before(1) != "." {
                match self.tokens.get(at + 2) {
                    Some(name) => (span(name).end, alone(self.word(at + 2))),
                    None => (self.text.len(), Cow::default()),
                }
            } else if token.token() == Token::Sconst
                && let Some(name) = name_in_string(self.word(at))
                && (self.word(at + 1) == "::" || (before(1) == "(" && looks_up(before(2))))
            {
                (place.end, Cow::Owned(format!("'{name}")))
            } else {
                continue;
            };
            out.push_str(self.text.get(done..place.start).unwrap_or_default());
            out.push_str(&instead);
            done = end;
        }
        out.push_str(self.text.get(done..).unwrap_or_default());
        out
    }

    /// A name that follows `public.` outside of a WITH query of this name. In its own text a WITH query is not known yet,
    /// which is how dumps write views that give one the name of a table.
    fn shadowed(&self) -> Option<String> {
        let queries = self.with_queries();
        (0..self.tokens.len()).filter(|at| self.qualifies(*at)).find_map(|at| {
            let name = lex::name_of(self.word(at + 2));
            let meant = |(query, place): &(String, Range<usize>)| *query == name && !place.contains(&at);
            queries.iter().any(meant).then_some(name)
        })
    }

    /// Names of WITH queries, and between which words each is defined.
    fn with_queries(&self) -> Vec<(String, Range<usize>)> {
        let closing = self.closing();
        let close = |at: usize| closing.get(at).copied().unwrap_or(self.tokens.len());
        let mut queries = Vec::new();
        for at in 1..self.tokens.len() {
            if !(self.is(at - 1, "with") || self.is(at - 1, "recursive") || self.word(at - 1) == ",") {
                continue;
            }
            let mut next = if self.word(at + 1) == "(" { close(at + 1) + 1 } else { at + 1 };
            if !self.is(next, "as") {
                continue;
            }
            next += 1;
            while self.is(next, "not") || self.is(next, "materialized") {
                next += 1;
            }
            if self.word(next) == "(" {
                queries.push((lex::name_of(self.word(at)), next..close(next)));
            }
        }
        queries
    }

    /// Where each parenthesis closes.
    fn closing(&self) -> Vec<usize> {
        let mut closing = vec![self.tokens.len(); self.tokens.len()];
        let mut open = Vec::new();
        for at in 0..self.tokens.len() {
            match self.word(at) {
                "(" => open.push(at),
                ")" => {
                    if let Some(opening) = open.pop().and_then(|opening: usize| closing.get_mut(opening)) {
                        *opening = at;
                    }
                }
                _ => {}
            }
        }
        closing
    }
}

/// What follows `'public.` up to and with the closing quote, if a name does.
fn name_in_string(literal: &str) -> Option<&str> {
    let inner = literal.strip_prefix('\'')?;
    inner.strip_prefix("public.").or_else(|| inner.strip_prefix("\"public\"."))
}

/// Functions whose argument is the name of a relation, type or routine.
pub(crate) const LOOKUPS: [&str; 8] = [
    "nextval",
    "currval",
    "setval",
    "pg_get_serial_sequence",
    "to_regclass",
    "to_regtype",
    "to_regproc",
    "to_regprocedure",
];

fn looks_up(function: &str) -> bool {
    LOOKUPS.contains(&function.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::{Words, text};

    #[test]
    fn a_with_query_hides_a_table_from_all_but_its_own_text() {
        for (text, hidden) in [
            ("WITH v AS (SELECT 1 FROM w) SELECT * FROM public.v", Some("v")),
            ("WITH a AS (SELECT 1), \"V\" (x) AS MATERIALIZED (SELECT 2) SELECT * FROM a, public.\"V\"", Some("V")),
            ("WITH v AS (SELECT 1), w AS (SELECT * FROM public.v) SELECT * FROM w", Some("v")),
            ("WITH v AS (SELECT v_1.id FROM public.v v_1) SELECT * FROM v", None),
            ("WITH w AS (SELECT 1) SELECT public.f(x) FROM public.v", None),
            ("SELECT 1 AS v FROM public.v WHERE ((", None),
        ] {
            let words = Words::of(text).expect("words");
            assert_eq!(words.shadowed().as_deref(), hidden, "{text}");
        }
    }

    #[test]
    fn names_lose_it_and_strings_keep_it() {
        for (written, bare) in [
            ("SELECT public.f(public.t.a) FROM \"public\".t", "SELECT f(t.a) FROM t"),
            ("SELECT 'public.t', nextval('public.s'::regclass)", "SELECT 'public.t', nextval('s'::regclass)"),
            ("SELECT setval('public.s', 1) -- public.x", "SELECT setval('s', 1) -- public.x"),
            ("x public.t%ROWTYPE; y public.t.a%TYPE;", "x t%ROWTYPE; y t.a%TYPE;"),
            ("SELECT a.public.b, publication.c", "SELECT a.public.b, publication.c"),
            ("SELECT public.user.id FROM public.User, public . order", "SELECT \"user\".id FROM \"user\", \"order\""),
            ("SELECT public.values(1), public.name FROM public.", "SELECT \"values\"(1), name FROM "),
        ] {
            assert_eq!(text(written), bare);
        }
    }
}
