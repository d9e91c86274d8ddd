//! Queries and bodies of the app's own, adapted to each way of keeping tenants apart.

use domain::Isolation;
use pg_query::{NodeEnum, ParserOptions, protobuf as pb};

use crate::adapt::{self, Flavour, Place, Rows, edit};
use crate::expr;
use crate::refusal::{Fault, Verdict};
use crate::schema::Schema;
use crate::tree;

/// The statements of a text.
pub(super) fn parse(text: &str) -> Verdict<Vec<pb::RawStmt>> {
    match pg_query::parse(text, ParserOptions::default()) {
        Ok(parsed) => Ok(parsed.protobuf.stmts),
        Err(error) => Err(Fault::new(
            error.to_string().trim_start_matches("Invalid statement: ").to_owned(),
            "correct the statement; it has to run on PostgreSQL 15",
        )),
    }
}

/// A text of statements as it runs where tenants share tables. Names in it have no `public.` any more.
pub(super) fn shared(text: &str, place: Place, schema: &Schema, rows: &Rows<'_>) -> Verdict<String> {
    let flavour = Flavour { isolation: Isolation::Shared, place };
    let edits = adapt::within(text, &parse(text)?, schema, flavour, rows)?;
    Ok(edit::written(text, edits, "public"))
}

/// The same for statements that are parts of the text, such as a view's query.
pub(super) fn edited(
    text: &str,
    statements: &[pb::RawStmt],
    isolation: Isolation,
    place: Place,
    schema: &Schema,
) -> Verdict<String> {
    let edits = adapt::statement(text, statements, schema, Flavour { isolation, place })?;
    Ok(edit::written(text, edits, "public"))
}

/// What PostgreSQL's reader of PL/pgSQL makes of a body, which it takes as part of a function only.
pub(super) fn parse_plpgsql(source: &str) -> Verdict<serde_json::Value> {
    // For triggers the reader's output is broken (libpg_query 18): all bodies are read as those of a function to which
    // the row and what else a trigger knows are given.
    const GIVEN: &str = "new record, old record, tg_name text, tg_when text, tg_level text, tg_op text, tg_relid oid, \
                         tg_relname text, tg_table_name text, tg_table_schema text, tg_nargs int, tg_argv text[]";
    read_plpgsql(GIVEN, "record", source)
}

/// [`parse_plpgsql`] for a function with these arguments and this result.
pub(super) fn read_plpgsql(arguments: &str, result: &str, source: &str) -> Verdict<serde_json::Value> {
    let mut quote = "$body$".to_owned();
    while source.contains(&quote) {
        quote.insert(1, 'x');
    }
    let text = format!("CREATE FUNCTION f({arguments}) RETURNS {result} LANGUAGE plpgsql AS {quote}{source}{quote}");
    pg_query::parse_plpgsql(&text).map_err(|error| {
        let message = error.to_string();
        let message = message.trim_start_matches("Invalid statement: ").to_owned();
        Fault::new(
            format!("síndico could not read the body: its reader of PL/pgSQL says \"{message}\""),
            "correct the body if that is so; if PostgreSQL 15 creates the function as it is, the reader does not know all \
             the types in it, and it helps to declare variables with built-in types, %TYPE of a column, or record",
        )
    })
}

/// Fails for what the bodies of routines may not do: they run with their caller's privileges, who creates nothing.
pub(super) fn check(node: &pb::Node) -> Verdict<()> {
    match node.node.as_ref() {
        Some(
            NodeEnum::SelectStmt(_)
            | NodeEnum::InsertStmt(_)
            | NodeEnum::UpdateStmt(_)
            | NodeEnum::DeleteStmt(_)
            | NodeEnum::MergeStmt(_)
            | NodeEnum::CallStmt(_)
            | NodeEnum::TruncateStmt(_)
            | NodeEnum::NotifyStmt(_)
            | NodeEnum::LockStmt(_)
            | NodeEnum::ReturnStmt(_),
        ) => {}
        Some(NodeEnum::VariableSetStmt(set)) => check_setting(&set.name)?,
        Some(NodeEnum::CopyStmt(_)) => {
            return Err(Fault::unsupported("COPY in a function", "use INSERT … SELECT"));
        }
        Some(NodeEnum::CreateStmt(_) | NodeEnum::CreateTableAsStmt(_)) => {
            return Err(Fault::unsupported(
                "CREATE TABLE in a function",
                "create the table in a migration, or use a WITH query or an array: tenants' roles create nothing",
            ));
        }
        _ => {
            return Err(Fault::unsupported(
                "a statement other than SELECT, INSERT, UPDATE, DELETE, MERGE, CALL and TRUNCATE in a function",
                "do it in a migration: tenants' roles create and change no objects",
            ));
        }
    }
    for called in tree::functions_called(node) {
        expr::refused_in_body(&called)?;
    }
    Ok(())
}

/// Fails for settings that a function may not change.
pub(super) fn check_setting(name: &str) -> Verdict<()> {
    const REFUSED: [&str; 4] = ["role", "session_authorization", "session_replication_role", "row_security"];
    if REFUSED.contains(&name.to_ascii_lowercase().as_str()) {
        return Err(Fault::unsupported(
            format!("a function that sets {name}"),
            "leave it out: functions run with the role and the policies of their caller",
        ));
    }
    Ok(())
}
