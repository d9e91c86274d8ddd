//! `public.` taken off the names in a text, whatever kind of statement it is part of.
//!
//! Every isolation finds the app's things by `search_path`: its tables are in `public` in one and in the tenant's schema
//! in another, and what extensions bring is in a schema that dumps do not know.

use pg_query::protobuf::{ScanToken, Token};

use crate::piece::span;

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
    use super::text;

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
