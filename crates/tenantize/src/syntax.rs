//! Statements that PostgreSQL's grammar does not accept: which word it stumbled over, and what to say.

use pg_query::protobuf::Token;

use crate::name::MAX_LEN;
use crate::piece::{Piece, span};
use crate::refusal::{Fault, Verdict};
use crate::tree::{self, ParseError};

/// Whether this is one of the commands for psql that dumps bracket themselves with, which mean nothing here.
pub(crate) fn is_bracket_of_dump(piece: &Piece<'_>, text: &str) -> bool {
    let line = text.get(piece.start..).unwrap_or_default().lines().next().unwrap_or_default();
    matches!(line.split_whitespace().next(), Some("\\restrict" | "\\unrestrict"))
}

/// Fails for what is no SQL although its words are.
pub(crate) fn check_words(piece: &Piece<'_>, text: &str) -> Verdict<()> {
    if piece.tokens.first().is_some_and(|first| first.token() == Token::Ascii92) {
        return Err(Fault::unsupported(
            "a psql command (\\…)",
            "write SQL: files run in the order of their names, on a connection that síndico chooses",
        ));
    }
    for token in &piece.tokens {
        let word = text.get(span(token)).unwrap_or_default();
        if matches!(token.token(), Token::Ident | Token::Uident) && identifier_len(word) > MAX_LEN {
            let shown: String = word.chars().take(70).collect();
            return Err(Fault::new(
                format!("the name {shown} has more than 63 bytes, and PostgreSQL would cut it"),
                "choose a shorter name",
            ));
        }
    }
    Ok(())
}

fn identifier_len(word: &str) -> usize {
    let quoted = word.find('"').and_then(|open| word.get(open + 1..)).and_then(|rest| rest.strip_suffix('"'));
    quoted.map_or(word.len(), |inner| inner.replace("\"\"", "\"").len())
}

/// Where in the file a statement goes wrong, and why.
pub(crate) fn explain(error: &ParseError, piece: &Piece<'_>, text: &str) -> (usize, Fault) {
    let fault = |reason: String| Fault::new(reason, "correct the statement; it has to run on PostgreSQL 15");
    match error {
        ParseError::TooDeep => (
            piece.start,
            Fault::new("the statement nests expressions too deeply", "split it, or use parts of it in WITH queries"),
        ),
        ParseError::NotOne => (piece.start, fault("this is not one statement".to_owned())),
        ParseError::Syntax(message) => {
            let short: String = message.chars().take(200).collect();
            let place = near(message).and_then(|word| stumble(word, piece, text));
            let place = place.or_else(|| message.ends_with("at end of input").then(|| last(piece))?);
            (place.unwrap_or(piece.start), fault(short))
        }
    }
}

fn near(message: &str) -> Option<&str> {
    message.split_once(" at or near \"").and_then(|(_, rest)| rest.strip_suffix('"'))
}

fn last(piece: &Piece<'_>) -> Option<usize> {
    piece.tokens.last().map(|token| span(token).start)
}

/// The first word of that spelling at which the grammar already gives up: any beginning of the statement that ends
/// before it is merely unfinished.
fn stumble(word: &str, piece: &Piece<'_>, text: &str) -> Option<usize> {
    let candidates: Vec<_> =
        piece.tokens.iter().map(span).filter(|place| text.get(place.clone()) == Some(word)).collect();
    let gives_up = |end: usize| {
        let beginning = text.get(piece.start..end).unwrap_or_default();
        matches!(tree::parse(beginning), Err(ParseError::Syntax(message)) if near(&message) == Some(word))
    };
    let at = candidates.partition_point(|place| !gives_up(place.end));
    candidates.get(at).or(candidates.last()).map(|place| place.start)
}
