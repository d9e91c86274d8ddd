//! The names that PostgreSQL gives to what the app leaves unnamed.
//!
//! With `tenant_id` in front of a key PostgreSQL would derive another name from the columns, and error messages and
//! `ON CONFLICT ON CONSTRAINT` would differ between isolations. So the shared SQL names everything explicitly, as a
//! plain database would have: `makeObjectName`, `ChooseIndexColumnNames` and `ChooseIndexNameAddition` in
//! PostgreSQL's `src/backend/commands/indexcmds.c`, `FigureIndexColname` in `src/backend/parser/parse_target.c`.

use pg_query::{NodeEnum, protobuf as pb};

use crate::tree;

/// Bytes in the longest identifier (`NAMEDATALEN - 1`).
pub(crate) const MAX_LEN: usize = 63;

/// `first_second_label` cut to [`MAX_LEN`] bytes; the longer of the first two loses bytes first.
pub(crate) fn object_name(first: &str, second: Option<&str>, label: &str) -> String {
    let overhead = label.len() + 1 + usize::from(second.is_some());
    let available = MAX_LEN.saturating_sub(overhead);
    let (mut first_len, mut second_len) = (first.len(), second.map_or(0, str::len));
    while first_len + second_len > available {
        if first_len > second_len {
            first_len -= 1;
        } else {
            second_len -= 1;
        }
    }
    let mut name = clip(first, first_len).to_owned();
    if let Some(second) = second {
        name.push('_');
        name.push_str(clip(second, second_len));
    }
    name.push('_');
    name.push_str(label);
    name
}

/// The column part of an index's or foreign key's name.
pub(crate) fn addition<'a>(columns: impl IntoIterator<Item = &'a str>) -> String {
    let mut joined = String::new();
    for column in columns {
        if !joined.is_empty() {
            joined.push('_');
        }
        joined.push_str(column);
        if joined.len() > MAX_LEN {
            break;
        }
    }
    joined
}

/// What PostgreSQL calls the columns of an index, `INCLUDE` ones too: expressions by what they compute,
/// doublets numbered.
pub(crate) fn index_columns<'a>(elements: impl IntoIterator<Item = &'a pb::IndexElem>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for element in elements {
        let original = if element.name.is_empty() {
            element.expr.as_deref().and_then(figure).map_or_else(|| "expr".to_owned(), |(name, _)| name)
        } else {
            element.name.clone()
        };
        let mut name = original.clone();
        let mut number = 0_u32;
        while names.contains(&name) {
            number += 1;
            let digits = number.to_string();
            name = format!("{}{digits}", clip(&original, MAX_LEN - digits.len()));
        }
        names.push(name);
    }
    names
}

/// What PostgreSQL calls an unnamed column of a query (`FigureColname`).
pub(crate) fn of_result(value: &pb::Node) -> String {
    figure(value).map_or_else(|| "?column?".to_owned(), |(name, _)| name)
}

/// How sure PostgreSQL is of a name that it read off an expression: a cast's type yields to a better one inside.
#[derive(PartialEq, Eq)]
enum Strength {
    Weak,
    Strong,
}

fn figure(node: &pb::Node) -> Option<(String, Strength)> {
    let strong = |name: &str| Some((name.to_owned(), Strength::Strong));
    match node.node.as_ref()? {
        NodeEnum::ColumnRef(column) => column.fields.iter().filter_map(tree::string).next_back().and_then(strong),
        NodeEnum::AIndirection(indirection) => indirection
            .indirection
            .iter()
            .filter_map(tree::string)
            .next_back()
            .map_or_else(|| figure(indirection.arg.as_deref()?), strong),
        NodeEnum::FuncCall(call) => call.funcname.last().and_then(tree::string).and_then(strong),
        NodeEnum::AExpr(expr) if expr.kind() == pb::AExprKind::AexprNullif => strong("nullif"),
        NodeEnum::TypeCast(cast) => {
            cast.arg.as_deref().and_then(figure).filter(|(_, strength)| *strength == Strength::Strong).or_else(|| {
                let name = cast.type_name.as_ref()?.names.last().and_then(tree::string)?;
                Some((name.to_owned(), Strength::Weak))
            })
        }
        NodeEnum::CollateClause(collate) => figure(collate.arg.as_deref()?),
        NodeEnum::CaseExpr(case) => case
            .defresult
            .as_deref()
            .and_then(figure)
            .filter(|(_, strength)| *strength == Strength::Strong)
            .or_else(|| Some(("case".to_owned(), Strength::Weak))),
        NodeEnum::AArrayExpr(_) => strong("array"),
        NodeEnum::RowExpr(_) => strong("row"),
        NodeEnum::CoalesceExpr(_) => strong("coalesce"),
        NodeEnum::MinMaxExpr(expr) if expr.op() == pb::MinMaxOp::IsLeast => strong("least"),
        NodeEnum::MinMaxExpr(_) => strong("greatest"),
        _ => None,
    }
}

/// The longest beginning of at most `len` bytes that ends between two characters.
fn clip(text: &str, len: usize) -> &str {
    let mut end = len.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_are_joined() {
        assert_eq!(object_name("clients", Some("email"), "key"), "clients_email_key");
        assert_eq!(object_name("clients", None, "pkey"), "clients_pkey");
    }

    #[test]
    fn long_names_lose_bytes_where_they_are_longest() {
        let name = object_name(&"t".repeat(60), Some("email"), "key");
        assert_eq!(name, format!("{}_email_key", "t".repeat(53)));
        let both = object_name(&"t".repeat(60), Some(&"c".repeat(60)), "fkey");
        assert_eq!(both.len(), MAX_LEN);
        assert!(both.ends_with("c_fkey"));
    }

    #[test]
    fn a_character_is_never_cut_in_two() {
        let name = object_name(&"é".repeat(31), Some("b"), "key");
        assert!(name.len() < MAX_LEN && name.ends_with("é_b_key"), "{name}");
    }
}
