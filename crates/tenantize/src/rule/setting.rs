//! SET, RESET and SHOW, as dumps and migration tools write them.

use pg_query::{NodeEnum, protobuf as pb};

use super::Rewrite;
use crate::plan::Scope;
use crate::refusal::{Fault, Verdict};
use crate::tree;

/// Settings that change nothing of what an app's statements mean, whatever their value; síndico has its own timeouts.
const HARMLESS: [&str; 18] = [
    "backslash_quote",
    "client_min_messages",
    "default_tablespace",
    "default_table_access_method",
    "default_with_oids",
    "escape_string_warning",
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
    "lock_timeout",
    "log_min_messages",
    "log_statement",
    "maintenance_work_mem",
    "row_security",
    "statement_timeout",
    "synchronous_commit",
    "transaction_timeout",
    "work_mem",
    "xmloption",
];

/// SET and RESET.
pub(super) fn set(statement: &pb::VariableSetStmt) -> Verdict<Rewrite> {
    use pb::VariableSetKind as Kind;
    let name = statement.name.to_ascii_lowercase();
    match statement.kind() {
        // Dumps create functions before the tables that they name.
        Kind::VarSetValue if name == "check_function_bodies" => {
            return Ok(Rewrite::alike(Scope::Tenant, NodeEnum::VariableSetStmt(statement.clone())));
        }
        Kind::VarSetValue => check(&name, &statement.args.iter().filter_map(value).collect::<Vec<_>>()),
        Kind::VarReset | Kind::VarSetDefault if name == "role" || name == "session_authorization" => Err(role()),
        // The last is SET TRANSACTION and SET SESSION CHARACTERISTICS.
        Kind::VarReset | Kind::VarResetAll | Kind::VarSetDefault | Kind::VarSetMulti => Ok(()),
        _ => Err(other(&name)),
    }?;
    Ok(dropped())
}

/// SHOW, whose answer nobody would see.
pub(super) fn show() -> Rewrite {
    Rewrite::dropped("nobody would see the answer")
}

/// `SELECT pg_catalog.set_config('search_path', '', false)`, which dumps begin with; `None` for any other query.
pub(super) fn set_config(select: &pb::SelectStmt) -> Option<Verdict<Rewrite>> {
    let [target] = select.target_list.as_slice() else { return None };
    let Some(NodeEnum::ResTarget(target)) = &target.node else { return None };
    let Some(NodeEnum::FuncCall(call)) = target.val.as_deref().and_then(|val| val.node.as_ref()) else { return None };
    if call.funcname.last().and_then(tree::string) != Some("set_config") || !select.from_clause.is_empty() {
        return None;
    }
    let [name, to, _] = call.args.as_slice() else { return None };
    let (name, to) = (value(name)?, value(to)?);
    Some(check(&name.to_ascii_lowercase(), &[to]).map(|()| dropped()))
}

/// SET CONSTRAINTS.
pub(super) fn constraints() -> Rewrite {
    Rewrite::dropped("each statement's deferred constraints are checked at the end of síndico's transaction")
}

fn dropped() -> Rewrite {
    Rewrite::dropped("síndico sets what its connections need itself")
}

fn check(name: &str, values: &[String]) -> Verdict<()> {
    let one = match values {
        [one] => one.to_ascii_lowercase(),
        _ => String::new(),
    };
    let fixed = |expected: &[&str], why: &str| {
        if expected.contains(&one.as_str()) {
            return Ok(());
        }
        Err(Fault::new(format!("SET {name} to {} has no effect in an app's SQL", values.join(", ")), why))
    };
    match name {
        _ if HARMLESS.contains(&name) => Ok(()),
        "client_encoding" | "names" => fixed(&["utf8", "utf-8", "unicode"], "save the file as UTF-8 and remove it"),
        "standard_conforming_strings" => {
            fixed(&["on", "true", "1", "yes"], "write backslashes in strings as E'…', and remove it")
        }
        "search_path" => {
            let own = ["", "\"$user\"", "$user", "public", "extensions", "pg_catalog"];
            let foreign = values.iter().flat_map(|value| value.split(',')).map(|part| part.trim().to_owned());
            match foreign
                .into_iter()
                .find(|part| !own.contains(&part.trim_matches('"')) && !own.contains(&part.as_str()))
            {
                None => Ok(()),
                Some(foreign) => Err(Fault::new(
                    format!("search_path names {foreign}, and an app's tables are where their isolation wants them"),
                    "leave it out, and name tables without a schema, or with public",
                )),
            }
        }
        "role" | "session_authorization" => Err(role()),
        "session_replication_role" => Err(Fault::unsupported(
            "session_replication_role",
            "leave it out: it switches foreign keys off, which takes a superuser; order rows so that parents come first",
        )),
        _ => Err(other(name)),
    }
}

fn role() -> Fault {
    Fault::unsupported("a change of role", "leave it out: síndico's roles own and use the tables")
}

fn other(name: &str) -> Fault {
    Fault::unsupported(
        format!("the setting {name}"),
        "leave it out: what it changes would differ for other sessions; write values in a form that no setting changes",
    )
}

fn value(node: &pb::Node) -> Option<String> {
    let Some(NodeEnum::AConst(constant)) = &node.node else { return None };
    Some(match constant.val.as_ref()? {
        pb::a_const::Val::Sval(text) => text.sval.clone(),
        pb::a_const::Val::Ival(number) => number.ival.to_string(),
        pb::a_const::Val::Fval(number) => number.fval.clone(),
        pb::a_const::Val::Boolval(truth) => truth.boolval.to_string(),
        pb::a_const::Val::Bsval(bits) => bits.bsval.clone(),
    })
}
