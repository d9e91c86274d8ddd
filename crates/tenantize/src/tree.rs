//! Reading and building nodes of PostgreSQL's parse tree, and writing them back as SQL.

use std::collections::HashSet;

use pg_query::{DeparseOptions, NodeEnum, ParserOptions, protobuf as pb};
use serde_json::Value;

use crate::refusal::{Fault, Verdict};

mod quote;

/// The column that shared tables have and apps must not.
pub(crate) const TENANT_ID: &str = "tenant_id";

/// Wraps a kind of node.
pub(crate) fn node(kind: NodeEnum) -> pb::Node {
    pb::Node { node: Some(kind) }
}

/// A name, as lists of columns hold it.
pub(crate) fn name(text: impl Into<String>) -> pb::Node {
    node(NodeEnum::String(pb::String { sval: text.into() }))
}

/// The text of a name; `None` for any other node.
pub(crate) fn string(node: &pb::Node) -> Option<&str> {
    match &node.node {
        Some(NodeEnum::String(text)) => Some(&text.sval),
        _ => None,
    }
}

/// The names in a list of nodes that are names.
pub(crate) fn strings(nodes: &[pb::Node]) -> Vec<String> {
    nodes.iter().filter_map(string).map(str::to_owned).collect()
}

/// `tenant_id` as a member of an index.
pub(crate) fn tenant_index_element() -> pb::Node {
    node(NodeEnum::IndexElem(Box::new(pb::IndexElem {
        name: TENANT_ID.to_owned(),
        ordering: pb::SortByDir::SortbyDefault.into(),
        nulls_ordering: pb::SortByNulls::SortbyNullsDefault.into(),
        ..pb::IndexElem::default()
    })))
}

/// `tenant_id uuid NOT NULL DEFAULT sindico.current_tenant()`.
pub(crate) fn tenant_column() -> Verdict<pb::Node> {
    match own_words("CREATE TABLE t (tenant_id uuid NOT NULL DEFAULT sindico.current_tenant())")? {
        NodeEnum::CreateStmt(mut table) if table.table_elts.len() == 1 => Ok(table.table_elts.remove(0)),
        _ => Err(unfaithful("the column tenant_id was not understood")),
    }
}

/// An expression in síndico's own words.
pub(crate) fn expression(sql: &str) -> Verdict<pb::Node> {
    let fault = || unfaithful(&format!("{sql} was not understood"));
    let NodeEnum::SelectStmt(mut select) = own_words(&format!("SELECT {sql}"))? else { return Err(fault()) };
    match select.target_list.pop().and_then(|target| target.node) {
        Some(NodeEnum::ResTarget(target)) => target.val.map(|value| *value).ok_or_else(fault),
        _ => Err(fault()),
    }
}

/// A statement in síndico's own words.
pub(crate) fn own_words(sql: &str) -> Verdict<NodeEnum> {
    parse(sql).ok().and_then(|node| node.node).ok_or_else(|| unfaithful(&format!("{sql} was not understood")))
}

/// Writes an expression as SQL.
pub(crate) fn write_expression(expression: &pb::Node) -> Verdict<String> {
    let fault = || unfaithful("an expression was not written");
    let NodeEnum::SelectStmt(mut select) = own_words("SELECT 1")? else { return Err(fault()) };
    if let Some(NodeEnum::ResTarget(target)) = select.target_list.first_mut().and_then(|target| target.node.as_mut()) {
        target.val = Some(Box::new(expression.clone()));
    }
    let sql = write(&node(NodeEnum::SelectStmt(select)))?;
    sql.strip_prefix("SELECT ").map(str::to_owned).ok_or_else(fault)
}

/// Why one statement's text is not one statement.
pub(crate) enum ParseError {
    /// PostgreSQL's own words.
    Syntax(String),
    /// Expressions inside expressions past what the tree's encoding carries.
    TooDeep,
    /// None, or several.
    NotOne,
}

/// Reads exactly one statement.
pub(crate) fn parse(sql: &str) -> Result<pb::Node, ParseError> {
    let mut statements = match pg_query::parse(sql, ParserOptions::default()) {
        Ok(result) => result.protobuf.stmts,
        Err(pg_query::Error::Decode(_)) => return Err(ParseError::TooDeep),
        Err(pg_query::Error::Parse(message)) => return Err(ParseError::Syntax(message)),
        Err(other) => return Err(ParseError::Syntax(other.to_string())),
    };
    match (statements.pop(), statements.is_empty()) {
        (Some(pb::RawStmt { stmt: Some(node), .. }), true) => Ok(*node),
        _ => Err(ParseError::NotOne),
    }
}

/// Writes a statement as SQL, and reads that back: a deparser that drops a clause must not go unnoticed.
pub(crate) fn write(statement: &pb::Node) -> Verdict<String> {
    let mut quoted = statement.clone();
    quote::set_columns(&mut quoted);
    let sql = deparse(&quoted)?;
    let is_same = |sql: &str| parse(sql).map(|again| same(statement, &again));
    let detail = match is_same(&sql) {
        Ok(true) => return Ok(sql),
        Ok(false) => "it is read back as something else",
        Err(_) => "it is not read back",
    };
    // Only what needs them gets quotes, for those who read what their SQL becomes.
    quote::parameters(&mut quoted);
    let sql = quote::words(&deparse(&quoted)?, &quote::left_bare(statement));
    if matches!(is_same(&sql), Ok(true)) { Ok(sql) } else { Err(unfaithful(detail)) }
}

/// Writes a statement as SQL that is not run as it is.
pub(crate) fn deparse(statement: &pb::Node) -> Verdict<String> {
    let raw = pb::RawStmt { stmt: Some(Box::new(statement.clone())), ..pb::RawStmt::default() };
    let whole = pb::ParseResult { version: 0, stmts: vec![raw] };
    pg_query::deparse(&whole, DeparseOptions::default()).map_err(|error| unfaithful(&error.to_string()))
}

fn unfaithful(detail: &str) -> Fault {
    Fault::new(
        format!("síndico cannot write the rewritten statement as SQL ({detail})"),
        "write it in a simpler way, and report this statement to síndico's authors",
    )
}

/// Whether two statements are equal but for where their words stood in the text.
pub(crate) fn same(left: &pb::Node, right: &pb::Node) -> bool {
    left == right || placeless(left).is_some_and(|left| placeless(right).is_some_and(|right| left == right))
}

/// Last words of the names of all types that a statement mentions.
pub(crate) fn type_names(statement: &pb::Node) -> Vec<String> {
    let members = ["TypeName", "type_name", "arg_type", "return_type"];
    members.iter().flat_map(|member| named(statement, member, "names")).collect()
}

/// Last words of the names of all functions that a statement calls.
pub(crate) fn functions_called(statement: &pb::Node) -> Vec<String> {
    named(statement, "FuncCall", "funcname")
}

/// Last words of the lists of names that stand under `list` in members called `member`.
fn named(statement: &pb::Node, member: &str, list: &str) -> Vec<String> {
    let mut found = Vec::new();
    each_member(statement, &mut |key, inner| {
        let names = inner.get(list).and_then(Value::as_array).filter(|_| key == member);
        if let Some(name) = names.and_then(|names| names.last()?.pointer("/node/String/sval")?.as_str()) {
            found.push(name.to_owned());
        }
    });
    found
}

/// The tables and views named in a query, each with the schema that it is qualified by.
pub(crate) fn relations(statement: &pb::Node) -> Vec<(String, String)> {
    let mut found = Vec::new();
    each_member(statement, &mut |key, inner| {
        if matches!(key, "RangeVar" | "relation")
            && let (Some(schema), Some(name)) = (inner.get("schemaname"), inner.get("relname"))
        {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            found.push((text(schema), text(name)));
        }
    });
    found
}

/// Names of the WITH queries anywhere in a query.
pub(crate) fn with_queries(statement: &pb::Node) -> Vec<String> {
    let mut found = Vec::new();
    each_member(statement, &mut |key, inner| {
        if key == "CommonTableExpr" {
            found.extend(inner.get("ctename").and_then(Value::as_str).map(str::to_owned));
        }
    });
    found
}

/// All string constants in a statement.
pub(crate) fn strings_in(statement: &pb::Node) -> Vec<String> {
    let mut found = Vec::new();
    each_member(statement, &mut |key, inner| {
        if key == "Sval" {
            found.extend(inner.get("sval").and_then(Value::as_str).map(str::to_owned));
        }
    });
    found
}

/// All names and string constants in expressions.
pub(crate) fn words(expressions: &[pb::Node]) -> HashSet<String> {
    let mut found = HashSet::new();
    for expression in expressions {
        each_member(expression, &mut |key, inner| {
            if key == "sval" {
                found.extend(inner.as_str().map(str::to_owned));
            }
        });
    }
    found
}

/// Whether an expression names the column that shared tables have.
pub(crate) fn mentions_tenant(expression: &pb::Node) -> bool {
    let mut found = false;
    each_member(expression, &mut |key, inner| found |= key == "sval" && inner == TENANT_ID);
    found
}

/// Whether this is `*` or `a.*`.
pub(crate) fn is_star(expression: &pb::Node) -> bool {
    match &expression.node {
        Some(NodeEnum::ColumnRef(column)) => {
            column.fields.last().is_some_and(|field| matches!(field.node, Some(NodeEnum::AStar(_))))
        }
        _ => false,
    }
}

/// Whether stars stand among the columns that a statement gives.
pub(crate) fn selects_star(statement: &pb::Node) -> bool {
    let mut found = false;
    each_member(statement, &mut |key, _| found |= key == "AStar");
    found
}

/// Tells every member of a statement's tree, with its name there.
pub(crate) fn each_member(statement: &pb::Node, seen: &mut impl FnMut(&str, &Value)) {
    fn descend(value: &Value, seen: &mut impl FnMut(&str, &Value)) {
        match value {
            Value::Object(members) => {
                for (key, inner) in members {
                    seen(key, inner);
                    descend(inner, seen);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| descend(item, seen)),
            _ => {}
        }
    }
    if let Ok(value) = serde_json::to_value(statement) {
        descend(&value, seen);
    }
}

fn placeless(node: &pb::Node) -> Option<Value> {
    let mut value = serde_json::to_value(node).ok()?;
    forget_places(&mut value);
    Some(value)
}

fn forget_places(value: &mut Value) {
    const PLACES: [&str; 6] =
        ["location", "arg_location", "list_start", "list_end", "rexpr_list_start", "rexpr_list_end"];
    match value {
        Value::Object(members) => {
            members.retain(|key, _| !PLACES.contains(&key.as_str()));
            members.values_mut().for_each(forget_places);
        }
        Value::Array(items) => items.iter_mut().for_each(forget_places),
        _ => {}
    }
}
