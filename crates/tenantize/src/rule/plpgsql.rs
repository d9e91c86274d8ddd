//! Bodies in PL/pgSQL.
//!
//! PostgreSQL's own reader finds the SQL in them (`pg_query::parse_plpgsql`). It gives each piece's text, not its place;
//! since it puts blanks where INTO and its targets stood, a piece is as long as the words it was made from, and is found
//! by comparing.

use domain::Isolation;
use pg_query::protobuf as pb;
use serde_json::Value;

use super::body;
use crate::adapt::{self, Edit, Flavour, Place, Rows, edit};
use crate::refusal::{Fault, Verdict};
use crate::schema::Schema;

mod declared;
mod dynamic;
mod reader;
mod records;
mod stand_in;
mod whole_row;

use records::Records;

/// A piece of SQL in a body.
struct Piece {
    text: String,
    kind: Kind,
    /// Whether its columns are counted: RETURN QUERY.
    counted: bool,
    /// Whether it computes a text that is then run as SQL.
    dynamic: bool,
    /// What takes its columns one by one: a record by its name, or an empty name for several variables.
    into: Option<String>,
    /// What the parameters of a text that is run stand for.
    using: Vec<String>,
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

/// The body as an isolation runs it. `rows` says that the function gives whole rows of a table, and `known` which rows it
/// knows by its arguments and triggers.
pub(super) fn adapted<'a>(
    function: &pb::CreateFunctionStmt,
    source: &str,
    rows: bool,
    isolation: Isolation,
    schema: &'a Schema,
    mut known: Rows<'a>,
) -> Verdict<String> {
    let mut edits: Vec<Edit> = Vec::new();
    let records = Records::of(source, schema, &mut known);
    for piece in reader::pieces(function, source, schema)? {
        let counted = piece.counted && !rows || records.counts(&piece);
        let place = if counted { Place::View } else { Place::PlPgSql };
        let edits_of_piece = of_piece(&piece, Flavour { isolation, place }, schema, &known)?;
        let places = places(source, &piece.text);
        if places.is_empty() && !edits_of_piece.is_empty() {
            return Err(unplaced(&piece));
        }
        for edit in edits_of_piece {
            for at in &places {
                let moved = Edit { range: edit.range.start + at..edit.range.end + at, parts: edit.parts.clone() };
                if !edits.contains(&moved) {
                    edits.push(moved);
                }
            }
        }
    }
    let body = edit::written(source, edits, "public");
    Ok(if isolation == Isolation::Shared { whole_row::without_tenant(&body) } else { body })
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

/// What the statement around a piece says of it.
#[derive(Default)]
struct Around {
    into: Option<String>,
    using: Vec<String>,
}

impl Around {
    fn of(statement: &Value) -> Self {
        let target = statement.get("target").or_else(|| statement.get("var"));
        let into = target.and_then(|target| {
            let record = target.pointer("/PLpgSQL_rec/refname").and_then(Value::as_str);
            let fields = target.pointer("/PLpgSQL_row/fields").and_then(Value::as_array);
            // A variable that is said to be a row of a table comes alone.
            let only = fields.map(|fields| match fields.as_slice() {
                [field] => field.get("name").and_then(Value::as_str).unwrap_or_default(),
                _ => "",
            });
            record.or(only).map(str::to_owned)
        });
        let params = statement.get("params").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let text = |param: &Value| param.pointer("/PLpgSQL_expr/query").and_then(Value::as_str).map(str::to_owned);
        Self { into, using: params.iter().map(|param| text(param).unwrap_or_default()).collect() }
    }
}

fn collect(value: &Value, under: &str, around: &Around, found: &mut Vec<Piece>) {
    match value {
        Value::Object(members) => {
            if let Some(text) = members.get("query").and_then(Value::as_str) {
                let kind = match members.get("parseMode").and_then(Value::as_u64) {
                    Some(0) | None => Kind::Statement,
                    Some(2) => Kind::Expression,
                    Some(_) => Kind::Assignment,
                };
                let counted = matches!(under, "PLpgSQL_stmt_return_query.query" | "PLpgSQL_stmt_return_query.dynquery");
                let dynamic = matches!(
                    under,
                    "PLpgSQL_stmt_dynexecute.query"
                        | "PLpgSQL_stmt_dynfors.query"
                        | "PLpgSQL_stmt_return_query.dynquery"
                        | "PLpgSQL_stmt_open.dynquery"
                );
                let filled = matches!(
                    under,
                    "PLpgSQL_stmt_execsql.sqlstmt"
                        | "PLpgSQL_stmt_fors.query"
                        | "PLpgSQL_stmt_dynexecute.query"
                        | "PLpgSQL_stmt_dynfors.query"
                );
                let into = around.into.clone().filter(|_| filled);
                let using = if dynamic { around.using.clone() } else { Vec::new() };
                let text = in_case(text).unwrap_or(text).to_owned();
                found.push(Piece { text, kind, counted, dynamic, into, using });
            }
            for (key, inner) in members {
                // Members are named by kind, then by role; an expression's own name says nothing.
                let path = match key.as_str() {
                    "PLpgSQL_expr" => under.to_owned(),
                    _ if key.starts_with("PLpgSQL_") => key.clone(),
                    _ => format!("{}.{key}", under.split('.').next().unwrap_or_default()),
                };
                let own = (key.starts_with("PLpgSQL_") && key != "PLpgSQL_expr").then(|| Around::of(inner));
                collect(inner, &path, own.as_ref().unwrap_or(around), found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, under, around, found)),
        _ => {}
    }
}

/// The changes of one piece, in its own bytes.
fn of_piece(piece: &Piece, flavour: Flavour, schema: &Schema, known: &Rows<'_>) -> Verdict<Vec<Edit>> {
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
                into: None,
                using: Vec::new(),
            };
            let moved = |edit: Edit| Edit { range: edit.range.start + value..edit.range.end + value, ..edit };
            return Ok(of_piece(&shorter, flavour, schema, known)?.into_iter().map(moved).collect());
        }
    };
    let text = if skipped > 0 { format!("{SELECT}{}", piece.text) } else { piece.text.clone() };
    let statements = body::parse(&text)?;
    for raw in &statements {
        let node = raw.stmt.as_deref().ok_or_else(super::refused::nothing)?;
        body::check(node)?;
        if piece.dynamic {
            dynamic::check(node)?;
            if flavour.isolation == Isolation::Shared {
                dynamic::check_stars(node, flavour.place == Place::View)?;
            }
        }
    }
    let constant = dynamic::constant(&statements);
    let edits = match constant.filter(|_| piece.dynamic && flavour.isolation == Isolation::Shared) {
        Some(constant) => dynamic::adapted(piece, &text, &constant, flavour, schema, known)?.into_iter().collect(),
        None => adapt::within(&text, &statements, schema, flavour, known)?,
    };
    let moved = |edit: Edit| Edit {
        range: edit.range.start.saturating_sub(skipped)..edit.range.end.saturating_sub(skipped),
        ..edit
    };
    Ok(edits.into_iter().map(moved).collect())
}

/// What stands behind WHEN in a CASE of an expression: the reader writes a comparison around it.
fn in_case(text: &str) -> Option<&str> {
    let (_, compared) = text.strip_prefix("\"__Case__Variable_")?.split_once("__\" IN (")?;
    compared.strip_suffix(')')
}

/// The reader may give an expression that the body does not say in these words.
fn unplaced(piece: &Piece) -> Fault {
    Fault::new(
        format!("síndico would change \"{}\" and cannot tell where the body says it", piece.text.trim()),
        "assign the expression to a variable first, and use the variable here",
    )
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
