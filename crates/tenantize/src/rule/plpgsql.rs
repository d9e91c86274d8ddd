//! Bodies in PL/pgSQL.
//!
//! PostgreSQL's own reader finds the SQL in them (`pg_query::parse_plpgsql`). It gives each piece's text, not its place;
//! since it puts blanks where INTO and its targets stood, a piece is as long as the words it was made from, and is found
//! by comparing.

use domain::Isolation;
use pg_query::protobuf as pb;
use serde_json::Value;

use super::body;
use crate::adapt::{self, Edit, Flavour, Place, edit};
use crate::refusal::{Fault, Verdict};
use crate::schema::Schema;
use crate::tree;

mod declared;
mod reader;
mod stand_in;
mod whole_row;

/// A piece of SQL in a body.
struct Piece {
    text: String,
    kind: Kind,
    /// Whether its columns are counted: RETURN QUERY.
    counted: bool,
    /// Whether it computes a text that is then run as SQL.
    dynamic: bool,
}

impl Piece {
    /// Where in an assignment the value begins.
    fn value(&self) -> Option<usize> {
        self.text.find(":=").map(|at| at + 2).or_else(|| self.text.find('=').map(|at| at + 1))
    }
}

/// How PostgreSQL reads a piece (`RawParseMode`).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Statement,
    Expression,
    Assignment,
}

/// The body where tenants share tables, and what its author should know. `rows` says that the function gives whole rows
/// of a table.
pub(super) fn adapted(
    function: &pb::CreateFunctionStmt,
    source: &str,
    rows: bool,
    isolation: Isolation,
    schema: &Schema,
) -> Verdict<(String, Option<String>)> {
    let mut edits: Vec<Edit> = Vec::new();
    for piece in reader::pieces(function, source, schema)? {
        let place = if piece.counted && !rows { Place::View } else { Place::PlPgSql };
        for edit in of_piece(&piece, place, isolation, schema)? {
            for at in places(source, &piece.text) {
                let moved = Edit { range: edit.range.start + at..edit.range.end + at, parts: edit.parts.clone() };
                if !edits.contains(&moved) {
                    edits.push(moved);
                }
            }
        }
    }
    let body = edit::written(source, edits, "public");
    Ok(if isolation == Isolation::Shared { whole_row::without_tenant(&body) } else { (body, None) })
}

/// The SQL in a body, expressions as SELECT would have them, and whether each computes a text that is run.
pub(super) fn statements(
    function: &pb::CreateFunctionStmt,
    source: &str,
    schema: &Schema,
) -> Verdict<Vec<(String, bool)>> {
    let text = |piece: &Piece| match piece.kind {
        Kind::Statement => piece.text.clone(),
        Kind::Expression => format!("SELECT {}", piece.text),
        Kind::Assignment => {
            format!("SELECT {}", piece.text.get(piece.value().unwrap_or_default()..).unwrap_or_default())
        }
    };
    Ok(reader::pieces(function, source, schema)?.iter().map(|piece| (text(piece), piece.dynamic)).collect())
}

/// Whether values of a type have fields in PL/pgSQL.
pub(super) fn has_fields(type_name: &pb::TypeName, schema: &Schema) -> bool {
    stand_in::of_type(type_name, schema) == stand_in::RECORD
}

fn collect(value: &Value, under: &str, found: &mut Vec<Piece>) {
    match value {
        Value::Object(members) => {
            if let Some(text) = members.get("query").and_then(Value::as_str) {
                let kind = match members.get("parseMode").and_then(Value::as_u64) {
                    Some(0) | None => Kind::Statement,
                    Some(2) => Kind::Expression,
                    Some(_) => Kind::Assignment,
                };
                let counted = under == "PLpgSQL_stmt_return_query.query";
                let dynamic = matches!(
                    under,
                    "PLpgSQL_stmt_dynexecute.query"
                        | "PLpgSQL_stmt_dynfors.query"
                        | "PLpgSQL_stmt_return_query.dynquery"
                        | "PLpgSQL_stmt_open.dynquery"
                );
                found.push(Piece { text: text.to_owned(), kind, counted, dynamic });
            }
            for (key, inner) in members {
                // Members are named by kind, then by role; an expression's own name says nothing.
                let path = match key.as_str() {
                    "PLpgSQL_expr" => under.to_owned(),
                    _ if key.starts_with("PLpgSQL_") => key.clone(),
                    _ => format!("{}.{key}", under.split('.').next().unwrap_or_default()),
                };
                collect(inner, &path, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, under, found)),
        _ => {}
    }
}

/// The changes of one piece, in its own bytes.
fn of_piece(piece: &Piece, place: Place, isolation: Isolation, schema: &Schema) -> Verdict<Vec<Edit>> {
    // An expression is read as what SELECT would give.
    const SELECT: &str = "SELECT ";
    let skipped = match piece.kind {
        Kind::Statement => 0,
        Kind::Expression => SELECT.len(),
        Kind::Assignment => {
            let value = piece.value().ok_or_else(super::refused::nothing)?;
            let shorter = Piece {
                text: piece.text.get(value..).unwrap_or_default().to_owned(),
                kind: Kind::Expression,
                counted: false,
                dynamic: false,
            };
            let moved = |edit: Edit| Edit { range: edit.range.start + value..edit.range.end + value, ..edit };
            return Ok(of_piece(&shorter, place, isolation, schema)?.into_iter().map(moved).collect());
        }
    };
    let text = if skipped > 0 { format!("{SELECT}{}", piece.text) } else { piece.text.clone() };
    let statements = body::parse(&text)?;
    for raw in &statements {
        let node = raw.stmt.as_deref().ok_or_else(super::refused::nothing)?;
        body::check(node)?;
        if piece.dynamic {
            check_dynamic(node)?;
        }
    }
    let flavour = Flavour { isolation, place };
    let edits = adapt::statement(&text, &statements, schema, flavour)?;
    let moved = |edit: Edit| Edit {
        range: edit.range.start.saturating_sub(skipped)..edit.range.end.saturating_sub(skipped),
        ..edit
    };
    Ok(edits.into_iter().map(moved).collect())
}

/// Where in the body a piece stands: its blanks may stand for other words.
fn places(source: &str, piece: &str) -> Vec<usize> {
    // PERFORM is read as SELECT, which is one letter shorter and stands over its end.
    const PERFORM: &[u8] = b"perform";
    let (source, piece) = (source.as_bytes(), piece.as_bytes());
    let select = piece.get(..6).is_some_and(|word| word.eq_ignore_ascii_case(b"select"));
    let word = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let same = |have: &[u8], want: &[u8], from: usize| {
        let pairs = have.iter().zip(want).enumerate().skip(from);
        pairs.into_iter().all(|(nth, (have, want))| have == want || (*want == b' ' && nth > 0))
    };
    let fits = |at: &usize| {
        let Some(window) = source.get(*at..at + piece.len()) else { return false };
        let performed = select
            && at
                .checked_sub(1)
                .and_then(|before| source.get(before..at + 6))
                .is_some_and(|word| word.eq_ignore_ascii_case(PERFORM));
        let (first, from) = if performed { (at - 1, 6) } else { (*at, 0) };
        same(window, piece, from)
            && !(word(piece.first()) && first.checked_sub(1).is_some_and(|before| word(source.get(before))))
            && !(word(piece.last()) && word(source.get(at + piece.len())))
    };
    (0..source.len()).filter(fits).collect()
}

/// Fails where a text that is run as SQL holds words that would need adapting, or would change the schema.
fn check_dynamic(node: &pb::Node) -> Verdict<()> {
    const REFUSED: [(&str, &str); 14] = [
        ("ON CONFLICT (", "its key has another column where tenants share tables"),
        ("ON CONFLICT(", "its key has another column where tenants share tables"),
        ("TRUNCATE", "it would empty the tables of all tenants"),
        ("COPY ", "it is not available under row-level security"),
        ("LOCK TABLE", "it would hold up all tenants"),
        ("LISTEN ", "channels are shared by everybody in a database"),
        ("NOTIFY ", "channels are shared by everybody in a database"),
        ("PG_NOTIFY", "channels are shared by everybody in a database"),
        ("CREATE ", "tenants' roles create nothing"),
        ("ALTER ", "tenants' roles change no objects"),
        ("DROP ", "tenants' roles drop nothing"),
        ("GRANT ", "síndico decides who reads and writes what"),
        ("SET ROLE", "tenants' roles are no members of others"),
        ("REFRESH ", "an app has no materialized views"),
    ];
    for text in tree::strings_in(node) {
        let upper = text.to_ascii_uppercase();
        if let Some((word, why)) = REFUSED.iter().find(|(word, _)| upper.contains(word)) {
            return Err(Fault::new(
                format!("EXECUTE runs a text with {}: {why}", word.trim_end_matches([' ', '('])),
                "write the statement itself in place of EXECUTE, or do without it",
            ));
        }
    }
    Ok(())
}
