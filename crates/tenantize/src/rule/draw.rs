//! `nextval` in a default: where tables are shared it draws from the tenant's own sequence.

use domain::{quote_ident, quote_literal};
use pg_query::{NodeEnum, protobuf as pb};

use crate::refusal::{Fault, Verdict};
use crate::schema::{Schema, Sequence};
use crate::tree;

/// The sequence that a call of `nextval` names; `None` for calls of anything else.
pub(super) fn sequence_named<'a>(call: &mut pb::FuncCall, schema: &'a Schema) -> Verdict<Option<&'a Sequence>> {
    let names = tree::strings(&call.funcname);
    let name = match names.as_slice() {
        [name] => name,
        [schema, name] if schema == "pg_catalog" => name,
        _ => return Ok(None),
    };
    match name.as_str() {
        "nextval" => {}
        "currval" | "lastval" => {
            return Err(Fault::unsupported(
                format!("{name} in a table's definition"),
                "use nextval, or let the statement that writes the row give the number",
            ));
        }
        _ => return Ok(None),
    }
    let Some(literal) = call.args.first_mut().and_then(literal) else {
        return Err(Fault::unsupported("nextval of anything but a name", "write nextval('the_sequence')"));
    };
    let Some(name) = relation_name(literal) else {
        return Err(Fault::new(
            format!("'{literal}' is not the name of a sequence of the app's"),
            "write it without a schema, as nextval('the_sequence')",
        ));
    };
    schema.sequence(&name).map(Some).ok_or_else(|| {
        Fault::new(
            format!("there is no sequence {name} at this point"),
            "create it in an earlier statement, or correct the name",
        )
    })
}

/// The call as shared tables have it.
pub(super) fn share(call: &mut pb::FuncCall, sequence: &str) {
    call.funcname = ["sindico", "next_value"].map(tree::name).to_vec();
    let text = pb::a_const::Val::Sval(pb::String { sval: sequence.to_owned() });
    let constant = pb::AConst { isnull: false, location: -1, val: Some(text) };
    call.args = vec![tree::node(NodeEnum::AConst(constant))];
}

/// Takes the schema off the name in the call.
pub(super) fn unqualify(call: &mut pb::FuncCall, sequence: &str) {
    if let Some(literal) = call.args.first_mut().and_then(literal) {
        *literal = quote_if_needed(sequence);
    }
}

/// `sindico.next_value('sequence')`.
pub(super) fn next_value(sequence: &str) -> Verdict<pb::Node> {
    tree::expression(&format!("sindico.next_value({})", quote_literal(sequence)))
}

/// The text in `'…'`, `'…'::regclass` or `'…'::text::regclass`.
fn literal(node: &mut pb::Node) -> Option<&mut String> {
    match &mut node.node {
        Some(NodeEnum::AConst(pb::AConst { val: Some(pb::a_const::Val::Sval(text)), .. })) => Some(&mut text.sval),
        Some(NodeEnum::TypeCast(cast)) => cast.arg.as_deref_mut().and_then(literal),
        _ => None,
    }
}

/// The name that `regclass` reads in a text, if it is in no schema or in `public`.
pub(crate) fn relation_name(text: &str) -> Option<String> {
    let (first, rest) = identifier(text.trim())?;
    let (first, rest) = (first, rest.trim_start());
    if rest.is_empty() {
        return Some(first);
    }
    let (second, rest) = identifier(rest.strip_prefix('.')?.trim_start())?;
    (first == "public" && rest.trim().is_empty()).then_some(second)
}

/// The identifier that a text begins with, and what follows it.
fn identifier(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(|c: char| c == '.' || c == '"' || c.is_whitespace()).unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        return (!name.is_empty()).then(|| (name.to_lowercase(), rest));
    };
    let mut name = String::new();
    let mut chars = quoted.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c != '"' {
            name.push(c);
        } else if chars.next_if(|(_, next)| *next == '"').is_some() {
            name.push('"');
        } else {
            return quoted.get(at + 1..).map(|rest| (name, rest));
        }
    }
    None
}

/// An identifier as `regclass` reads it back, which folds what is not quoted to small letters.
fn quote_if_needed(name: &str) -> String {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.chars().all(plain) && !name.starts_with(|c: char| c.is_ascii_digit()) {
        return name.to_owned();
    }
    quote_ident(name)
}

#[cfg(test)]
mod tests {
    use super::relation_name;

    #[test]
    fn names_are_read_as_regclass_reads_them() {
        for (text, name) in [
            ("a_seq", Some("a_seq")),
            ("A_Seq", Some("a_seq")),
            ("public.a", Some("a")),
            ("public.\"Mixed \"\"Case\"\"\"", Some("Mixed \"Case\"")),
            (" \"public\" . a ", Some("a")),
            ("other.a", None),
            ("public.a.b", None),
            ("\"open", None),
            ("", None),
        ] {
            assert_eq!(relation_name(text).as_deref(), name, "{text}");
        }
    }
}
