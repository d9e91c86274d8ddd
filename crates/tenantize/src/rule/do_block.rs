//! DO blocks of migration tools, which create what may be there already.
//!
//! A plan knows what is there at each point, so the statements inside are taken out and go by their own rules; what
//! such a block guards against is known to be the case or not.

use pg_query::{NodeEnum, protobuf as pb};
use serde_json::Value;

use super::{Read, Rewrite, body};
use crate::refusal::{Fault, Verdict};
use crate::schema::Schema;
use crate::tree;

/// What a block does about a statement that finds nothing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Guard {
    None,
    /// `IF NOT EXISTS (…)`, or a handler of `duplicate_object` and its like.
    Exists,
    /// `IF EXISTS (…)`, or a handler of `undefined_object` and its like.
    Lacks,
}

/// DO.
pub(super) fn apply(statement: &pb::DoStmt, schema: &mut Schema) -> Verdict<Rewrite> {
    let (mut source, mut language) = ("", "plpgsql");
    for node in &statement.args {
        if let Some(NodeEnum::DefElem(option)) = &node.node {
            let value = option.arg.as_deref().and_then(tree::string).unwrap_or_default();
            if option.defname == "as" { source = value } else { language = value }
        }
    }
    if !language.eq_ignore_ascii_case("plpgsql") {
        return Err(Fault::unsupported(format!("a DO block in {language}"), "write the statements that it would run"));
    }
    let parsed = body::parse_plpgsql(source)?;
    let block = parsed.pointer("/0/PLpgSQL_function/action").ok_or_else(refused)?;
    let mut statements = Vec::new();
    collect(block, Guard::None, &mut statements)?;
    let mut whole: Option<Rewrite> = None;
    let mut notes = Vec::new();
    for (sql, guard) in statements {
        let tree = tree::parse(&sql).map_err(|_| refused())?;
        let mut after = schema.clone();
        let read = Read { tree: &tree, text: &sql, data: None, global: false };
        let part = match super::apply(read, super::Stage::Migration, &mut after) {
            Ok(part) if part.rows.is_some() => return Err(refused()),
            Ok(part) => part,
            Err(fault) if guards(guard, &fault) => {
                notes.push(fault.reason);
                continue;
            }
            Err(fault) => return Err(fault),
        };
        *schema = after;
        notes.extend(part.note.clone());
        match &mut whole {
            None => whole = Some(part),
            Some(whole) if whole.scope == part.scope => {
                whole.shared.extend(part.shared);
                whole.own.extend(part.own);
                whole.tenant.extend(part.tenant);
                whole.grants.extend(part.grants);
            }
            Some(_) => return Err(refused()),
        }
    }
    let mut whole = whole.unwrap_or_else(|| Rewrite::dropped(""));
    notes.insert(0, "the block's statements run by themselves".to_owned());
    whole.note = Some(notes.join("; "));
    Ok(whole)
}

/// Whether a statement was refused for what the block guards against.
fn guards(guard: Guard, fault: &Fault) -> bool {
    match guard {
        Guard::None => false,
        Guard::Exists => fault.reason.contains("already"),
        Guard::Lacks => fault.reason.starts_with("there is no ") || fault.reason.contains(" has no "),
    }
}

fn refused() -> Fault {
    Fault::unsupported(
        "a DO block that does more than create or alter things, in IF [NOT] EXISTS (…) or with a handler of \
         duplicate_object,",
        "write the statements that it would run; what depends on rows belongs into a function that a seed calls",
    )
}

/// The SQL in a list of statements, in order, with what guards it.
fn collect(value: &Value, guard: Guard, found: &mut Vec<(String, Guard)>) -> Verdict<()> {
    let query = |value: &Value, path: &str| value.pointer(path).and_then(Value::as_str).map(str::to_owned);
    match value {
        Value::Array(items) => items.iter().try_for_each(|item| collect(item, guard, found)),
        Value::Object(members) => members.iter().try_for_each(|(kind, inner)| match kind.as_str() {
            "PLpgSQL_stmt_block" => {
                let guard = handled(inner, guard)?;
                inner.get("body").map_or(Ok(()), |body| collect(body, guard, found))
            }
            "PLpgSQL_stmt_execsql" => {
                found.push((query(inner, "/sqlstmt/PLpgSQL_expr/query").ok_or_else(refused)?, guard));
                Ok(())
            }
            "PLpgSQL_stmt_dynexecute" => {
                let text = query(inner, "/query/PLpgSQL_expr/query").ok_or_else(refused)?;
                found.push((constant(&text).ok_or_else(refused)?, guard));
                Ok(())
            }
            "PLpgSQL_stmt_if" => {
                if inner.get("elsif_list").is_some() || inner.get("else_body").is_some() {
                    return Err(refused());
                }
                let condition = query(inner, "/cond/PLpgSQL_expr/query").ok_or_else(refused)?;
                let guard = asked(&condition).ok_or_else(refused)?;
                inner.get("then_body").map_or(Ok(()), |body| collect(body, guard, found))
            }
            // RAISE NOTICE and the RETURN at the end.
            "PLpgSQL_stmt_raise" | "PLpgSQL_stmt_return" | "PLpgSQL_stmt_null" => Ok(()),
            _ => Err(refused()),
        }),
        _ => Ok(()),
    }
}

/// What the handlers of a block guard against; they themselves may do nothing.
fn handled(block: &Value, guard: Guard) -> Verdict<Guard> {
    let Some(list) = block.pointer("/exceptions/PLpgSQL_exception_block/exc_list").and_then(Value::as_array) else {
        return Ok(guard);
    };
    let mut outcome = guard;
    for handler in list {
        let handler = handler.get("PLpgSQL_exception").ok_or_else(refused)?;
        let mut done = Vec::new();
        collect(handler.get("action").unwrap_or(&Value::Null), Guard::None, &mut done)?;
        if !done.is_empty() {
            return Err(refused());
        }
        for condition in handler.get("conditions").and_then(Value::as_array).into_iter().flatten() {
            let name = condition.pointer("/PLpgSQL_condition/condname").and_then(Value::as_str).unwrap_or_default();
            outcome = match name {
                _ if name.starts_with("duplicate_") || name == "others" => Guard::Exists,
                _ if name.starts_with("undefined_") => Guard::Lacks,
                _ => return Err(refused()),
            };
        }
    }
    Ok(outcome)
}

/// What `[NOT] EXISTS (…)` over the catalog asks.
fn asked(condition: &str) -> Option<Guard> {
    let tree = tree::parse(&format!("SELECT {condition}")).ok()?;
    let of_catalog = |(schema, name): &(String, String)| match schema.as_str() {
        "pg_catalog" | "information_schema" => true,
        "" => name.starts_with("pg_"),
        _ => false,
    };
    let relations = tree::relations(&tree);
    if relations.is_empty() || !relations.iter().all(of_catalog) {
        return None;
    }
    let Some(NodeEnum::SelectStmt(select)) = tree.node else { return None };
    let Some(NodeEnum::ResTarget(target)) = select.target_list.into_iter().next()?.node else { return None };
    match target.val?.node? {
        NodeEnum::SubLink(_) => Some(Guard::Lacks),
        NodeEnum::BoolExpr(not) if not.boolop() == pb::BoolExprType::NotExpr => {
            matches!(not.args.first()?.node, Some(NodeEnum::SubLink(_))).then_some(Guard::Exists)
        }
        _ => None,
    }
}

/// The text that an expression is, if it is a constant.
fn constant(expression: &str) -> Option<String> {
    let tree = tree::parse(&format!("SELECT {expression}")).ok()?;
    let Some(NodeEnum::SelectStmt(select)) = tree.node else { return None };
    let Some(NodeEnum::ResTarget(target)) = select.target_list.into_iter().next()?.node else { return None };
    match target.val?.node? {
        NodeEnum::AConst(pb::AConst { val: Some(pb::a_const::Val::Sval(text)), .. }) => Some(text.sval),
        _ => None,
    }
}
