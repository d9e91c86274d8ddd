//! EXECUTE: texts that a body computes and runs as SQL.

use domain::quote_literal;
use pg_query::{NodeEnum, protobuf as pb};

use super::{Piece, body};
use crate::adapt::{self, Edit, Flavour, Rows, edit};
use crate::lex::{Kind, Lexer, Token, name_of};
use crate::refusal::{Fault, Verdict};
use crate::schema::Schema;
use crate::tree;

/// A text that is written out.
pub(super) struct Constant<'a> {
    text: &'a str,
    location: i32,
}

/// The text, if an expression is nothing but a string.
pub(super) fn constant(statements: &[pb::RawStmt]) -> Option<Constant<'_>> {
    let [raw] = statements else { return None };
    let Some(NodeEnum::SelectStmt(select)) = &raw.stmt.as_deref()?.node else { return None };
    let [target] = select.target_list.as_slice() else { return None };
    let Some(NodeEnum::ResTarget(target)) = &target.node else { return None };
    match target.val.as_deref()?.node.as_ref()? {
        NodeEnum::AConst(pb::AConst { val: Some(pb::a_const::Val::Sval(text)), location, .. }) => {
            Some(Constant { text: &text.sval, location: *location })
        }
        _ => None,
    }
}

/// The change of the string in `text`, the piece as SELECT would have it. What is in it runs like the body's own SQL.
pub(super) fn adapted(
    piece: &Piece,
    text: &str,
    constant: &Constant<'_>,
    flavour: Flavour,
    schema: &Schema,
    known: &Rows<'_>,
) -> Verdict<Option<Edit>> {
    // Whatever is no SQL fails when it is run, as it does everywhere.
    let Ok(statements) = body::parse(constant.text) else { return Ok(None) };
    // The text knows its parameters only.
    let arguments = piece.using.iter().map(|argument| known.named(&name_of(argument.trim()))).collect();
    let rows = Rows { arguments, ..Rows::default() };
    let edits = adapt::within(constant.text, &statements, schema, flavour, &rows)?;
    if edits.is_empty() {
        return Ok(None);
    }
    let string = usize::try_from(constant.location).ok().and_then(|at| Lexer::from(text, at, true).next());
    let string = string.filter(|word| matches!(word.kind, Kind::Text | Kind::Backslashed)).ok_or_else(|| {
        Fault::new(
            "the text that EXECUTE runs is not found again in the body",
            "write it as one string in plain quotes",
        )
    })?;
    let written = edit::written(constant.text, edits, "public");
    Ok(Some(Edit::replace(string.start..string.end, quote_literal(&written))))
}

/// Fails where stars in the parts of a text would stand for `tenant_id` as well: in all of them where it matters how many
/// columns it gives, and in a list with others where they are those of a parameter.
pub(super) fn check_stars(node: &pb::Node, counted: bool) -> Verdict<()> {
    let wrapped = pb::RawStmt { stmt: Some(Box::new(node.clone())), ..pb::RawStmt::default() };
    if constant(std::slice::from_ref(&wrapped)).is_some() {
        return Ok(());
    }
    for text in tree::strings_in(node) {
        let words: Vec<Token> = Lexer::new(&text, true).collect();
        let word = |at: Option<usize>| {
            at.and_then(|at| words.get(at)).and_then(|word| text.get(word.start..word.end)).unwrap_or_default()
        };
        for at in 0..words.len() {
            let before = |by: usize| word(at.checked_sub(by));
            if word(Some(at)) != "*" {
                continue;
            }
            let all = ["select", "distinct", "returning"].iter().any(|word| before(1).eq_ignore_ascii_case(word));
            let of_row = before(1) == ".";
            // `$1.*` or `($1).*`.
            let (row, first) = if before(2) == ")" { (before(3), before(5)) } else { (before(2), before(3)) };
            let listed = row.starts_with('$') && (first == "," || word(at.checked_add(1)) == ",");
            if (counted && (all || of_row)) || (of_row && listed) {
                return Err(Fault::new(
                    "EXECUTE runs a text with a star, which stands for tenant_id as well where tenants share tables",
                    "write the columns out",
                ));
            }
        }
    }
    Ok(())
}

/// Fails where a text that is run as SQL holds words that would need adapting, or would change the schema.
pub(super) fn check(node: &pb::Node) -> Verdict<()> {
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
