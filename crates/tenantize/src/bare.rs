//! `public.` taken off the names in a text, whatever kind of statement it is part of.
//!
//! Every isolation finds the app's things by `search_path`: its tables are in `public` in one and in the tenant's schema
//! in another, and what extensions bring is in a schema that dumps do not know.

use pg_query::protobuf::{ScanToken, Token};

use crate::lex;
use crate::piece::span;
use crate::refusal::{Fault, Verdict};

/// The text without them; it stays as it is where PostgreSQL's scanner cannot read it.
pub(crate) fn text(text: &str) -> String {
    let Ok(scanned) = pg_query::scan(text) else { return text.to_owned() };
    let comment = |token: &ScanToken| matches!(token.token(), Token::SqlComment | Token::CComment);
    let tokens: Vec<ScanToken> = scanned.tokens.into_iter().filter(|token| !comment(token)).collect();
    let word = |at: usize| tokens.get(at).and_then(|token| text.get(span(token))).unwrap_or_default();
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for (at, token) in tokens.iter().enumerate() {
        let place = span(token);
        let before = |back: usize| at.checked_sub(back).map(word).unwrap_or_default();
        let qualifies = matches!(word(at), "\"public\"") || word(at).eq_ignore_ascii_case("public");
        if qualifies && word(at + 1) == "." && before(1) != "." {
            // A table's alias may be called public, but then nothing follows its column.
            let end = tokens.get(at + 1).map_or(place.end, |dot| span(dot).end);
            out.push_str(text.get(done..place.start).unwrap_or_default());
            done = end;
        } else if token.token() == Token::Sconst
            && let Some(name) = name_in_string(word(at))
            && (word(at + 1) == "::" || (before(1) == "(" && looks_up(before(2))))
        {
            out.push_str(text.get(done..place.start).unwrap_or_default());
            out.push('\'');
            out.push_str(name);
            done = place.end;
        }
    }
    out.push_str(text.get(done..).unwrap_or_default());
    out
}

/// [`text`], unless the name that is left would mean something else.
pub(crate) fn same(text: &str) -> Verdict<String> {
    match shadowed(text) {
        Some(name) => Err(Fault::new(
            format!("public.{name} stands where a WITH query may be called {name}, too"),
            format!("give the WITH query another name: síndico takes public. off, and {name} would mean the query"),
        )),
        None => Ok(self::text(text)),
    }
}

/// A name that follows `public.` outside of a WITH query of this name. In its own text a WITH query is not known yet, which is
/// how dumps write views that give one the name of a table.
fn shadowed(text: &str) -> Option<String> {
    let scanned = pg_query::scan(text).ok()?;
    let comment = |token: &ScanToken| matches!(token.token(), Token::SqlComment | Token::CComment);
    let tokens: Vec<ScanToken> = scanned.tokens.into_iter().filter(|token| !comment(token)).collect();
    let word = |at: usize| tokens.get(at).and_then(|token| text.get(span(token))).unwrap_or_default();
    let is = |at: usize, keyword: &str| word(at).eq_ignore_ascii_case(keyword);
    // Where each parenthesis closes.
    let mut closing = vec![tokens.len(); tokens.len()];
    let mut open = Vec::new();
    for at in 0..tokens.len() {
        match word(at) {
            "(" => open.push(at),
            ")" => {
                if let Some(opening) = open.pop().and_then(|opening: usize| closing.get_mut(opening)) {
                    *opening = at;
                }
            }
            _ => {}
        }
    }
    let close = |at: usize| closing.get(at).copied().unwrap_or(tokens.len());
    // Names of WITH queries, and between which words each is defined.
    let mut queries: Vec<(String, std::ops::Range<usize>)> = Vec::new();
    for at in 1..tokens.len() {
        if !(is(at - 1, "with") || is(at - 1, "recursive") || word(at - 1) == ",") {
            continue;
        }
        let mut next = if word(at + 1) == "(" { close(at + 1) + 1 } else { at + 1 };
        if !is(next, "as") {
            continue;
        }
        next += 1;
        while is(next, "not") || is(next, "materialized") {
            next += 1;
        }
        if word(next) == "(" {
            queries.push((lex::name_of(word(at)), next..close(next)));
        }
    }
    (0..tokens.len()).filter(|at| lex::name_of(word(*at)) == "public" && word(at + 1) == ".").find_map(|at| {
        let name = lex::name_of(word(at + 2));
        let meant = |(query, place): &(String, std::ops::Range<usize>)| *query == name && !place.contains(&at);
        queries.iter().any(meant).then_some(name)
    })
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
    use super::{shadowed, text};

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
            assert_eq!(shadowed(text).as_deref(), hidden, "{text}");
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
        ] {
            assert_eq!(text(written), bare);
        }
    }
}
