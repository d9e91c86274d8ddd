//! Quotes around names that the deparser writes as they are (`pg_query` 18.1.0), though they hold capitals or are
//! reserved words.

use std::collections::HashSet;

use domain::quote_ident;
use pg_query::{NodeEnum, protobuf as pb};

use super::{each_member, name, string};
use crate::piece::span;

/// Quotes the columns of ON DELETE SET NULL (…).
pub(super) fn set_columns(statement: &mut pb::Node) {
    let quote = |node: &mut pb::Node| {
        let constraint = match &mut node.node {
            Some(NodeEnum::Constraint(constraint)) => constraint,
            Some(NodeEnum::AlterTableCmd(command)) => {
                match command.def.as_deref_mut().and_then(|def| def.node.as_mut()) {
                    Some(NodeEnum::Constraint(constraint)) => constraint,
                    _ => return,
                }
            }
            _ => return,
        };
        for column in &mut constraint.fk_del_set_cols {
            *column = name(quote_ident(string(column).unwrap_or_default()));
        }
    };
    match &mut statement.node {
        Some(NodeEnum::CreateStmt(table)) => table.table_elts.iter_mut().for_each(quote),
        Some(NodeEnum::AlterTableStmt(alter)) => alter.cmds.iter_mut().for_each(quote),
        _ => {}
    }
}

/// Quotes the parameters of a function, the columns of the table that it returns among them, and the columns of extended
/// statistics.
pub(super) fn parameters(statement: &mut pb::Node) {
    match &mut statement.node {
        Some(NodeEnum::CreateFunctionStmt(function)) => {
            for node in &mut function.parameters {
                if let Some(NodeEnum::FunctionParameter(parameter)) = &mut node.node
                    && !parameter.name.is_empty()
                {
                    parameter.name = quote_ident(&parameter.name);
                }
            }
        }
        Some(NodeEnum::CreateStatsStmt(statistics)) => {
            for node in &mut statistics.exprs {
                if let Some(NodeEnum::StatsElem(element)) = &mut node.node
                    && !element.name.is_empty()
                {
                    element.name = quote_ident(&element.name);
                }
            }
        }
        _ => {}
    }
}

/// Names in places that may be anywhere in an expression or query: arguments given by name, windows, and aliases of
/// JOIN … USING.
pub(super) fn left_bare(statement: &pb::Node) -> HashSet<String> {
    let mut found = HashSet::new();
    each_member(statement, &mut |key, inner| {
        let member = match key {
            "NamedArgExpr" | "WindowDef" | "over" => "name",
            "join_using_alias" => "aliasname",
            _ => return,
        };
        let text = inner.get(member).and_then(serde_json::Value::as_str).filter(|text| !text.is_empty());
        found.extend(text.map(str::to_owned));
    });
    found
}

/// Quotes each word of a text that is one of these names, and leaves the text alone if it cannot be told into words.
/// The deparser writes keywords in capitals and quotes other names, so such a word hardly is anything else; the text is
/// read back in any case.
pub(super) fn words(sql: &str, names: &HashSet<String>) -> String {
    if names.is_empty() {
        return sql.to_owned();
    }
    let Ok(scanned) = pg_query::scan(sql) else { return sql.to_owned() };
    let (mut written, mut from) = (String::with_capacity(sql.len()), 0);
    for token in &scanned.tokens {
        let place = span(token);
        let (Some(before), Some(word)) = (sql.get(from..place.start), sql.get(place.clone())) else { continue };
        if names.contains(word) {
            written.push_str(before);
            written.push_str(&quote_ident(word));
            from = place.end;
        }
    }
    written.push_str(sql.get(from..).unwrap_or_default());
    written
}
