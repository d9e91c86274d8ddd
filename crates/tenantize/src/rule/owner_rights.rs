//! What would run with the rights of the tables' owner.
//!
//! PostgreSQL carries out `ON DELETE CASCADE` and its like as the owner of the table, past row-level security even where that
//! is forced (`ri_PerformCheck`). BEFORE triggers of the rows that go or change run in the middle of it, as the owner, too:
//! a function that names another table there would see and change the rows of all tenants, and under a `search_path` or
//! beside a temporary table of the tenant's choice. AFTER triggers wait for the statement's end and run as whoever gave it. The
//! same goes for functions in checks, defaults, generated columns and indexes.

use pg_query::protobuf as pb;

use super::{body, plpgsql, refused};
use crate::refusal::{Fault, Verdict};
use crate::schema::{ForeignKey, Schema, Table, Trigger};
use crate::tree;

/// Built-in functions that run a text as SQL, or reach what no policy is about.
const REACHING: [&str; 17] = [
    "query_to_xml",
    "query_to_xmlschema",
    "query_to_xml_and_xmlschema",
    "cursor_to_xml",
    "table_to_xml",
    "table_to_xmlschema",
    "table_to_xml_and_xmlschema",
    "schema_to_xml",
    "schema_to_xml_and_xmlschema",
    "database_to_xml",
    "database_to_xml_and_xmlschema",
    "ts_stat",
    "ts_rewrite",
    "setval",
    "crosstab",
    "connectby",
    "xpath_table",
];

/// What a function's body gets at.
pub(super) struct Reach {
    /// Whether it names tables or runs a text as SQL.
    pub(super) names_tables: bool,
    /// Functions that it calls.
    pub(super) calls: Vec<String>,
}

/// Reads a function's body for what it gets at.
pub(super) fn reach(
    function: &pb::CreateFunctionStmt,
    language: &str,
    source: Option<&str>,
    schema: &Schema,
) -> Verdict<Reach> {
    let mut reach = Reach { names_tables: false, calls: Vec::new() };
    if let Some(body) = function.sql_body.as_deref() {
        reach.add(body);
        return Ok(reach);
    }
    let source = source.unwrap_or_default();
    let texts = match language {
        "plpgsql" => plpgsql::statements(function, source, schema)?,
        "sql" => vec![(source.to_owned(), false)],
        // Refused for that.
        _ => Vec::new(),
    };
    for (text, dynamic) in texts {
        reach.names_tables |= dynamic;
        for raw in body::parse(&text)? {
            reach.add(raw.stmt.as_deref().ok_or_else(refused::nothing)?);
        }
    }
    Ok(reach)
}

impl Reach {
    fn add(&mut self, node: &pb::Node) {
        self.names_tables |= !tree::relations(node).is_empty();
        self.calls.extend(tree::functions_called(node));
    }
}

/// Whether a function of this name gets at tables, by itself or by what it calls.
fn reaches_tables(name: &str, schema: &Schema) -> bool {
    let mut names = vec![name.to_owned()];
    let mut next = 0;
    while let Some(name) = names.get(next).cloned() {
        if REACHING.contains(&name.as_str()) {
            return true;
        }
        for routine in schema.objects.routines_called(&name) {
            if routine.names_tables {
                return true;
            }
            let new: Vec<String> = routine.calls.iter().filter(|call| !names.contains(call)).cloned().collect();
            names.extend(new);
        }
        next += 1;
    }
    false
}

/// Fails if a definition calls what gets at tables.
pub(super) fn check_call(call: &pb::FuncCall, of: &str, schema: &Schema) -> Verdict<()> {
    match call.funcname.last().and_then(tree::string) {
        Some(name) if name != "setval" && reaches_tables(name, schema) => Err(Fault::new(
            format!("the definition of {of} calls {name}, which reads tables"),
            "do that in an AFTER trigger: within a foreign key's action a definition is computed as the tables' owner, \
             past the boundary between tenants",
        )),
        _ => Ok(()),
    }
}

/// Fails if a trigger runs within a foreign key's action and gets at tables.
pub(crate) fn check(schema: &Schema) -> Verdict<()> {
    for trigger in schema.objects.triggers.iter().filter(|trigger| trigger.before) {
        // Most such functions set NEW's fields and no more, and this is asked after every statement.
        if reaches_tables(&trigger.routine, schema)
            && let Some(key) = acting(trigger, schema)
        {
            return Err(Fault::new(
                format!(
                    "the BEFORE trigger {} on {} would run within the foreign key {} as the tables' owner, past the \
                     boundary between tenants, and its function {} gets at tables",
                    trigger.name, trigger.table, key.name, trigger.routine
                ),
                "make it an AFTER trigger, or have its function do no more than set NEW's fields",
            ));
        }
    }
    for table in schema.tables() {
        for key in table.foreign_keys.iter().filter(|key| key.updates) {
            let columns = table.columns.iter().filter(|column| key.columns.contains(&column.name));
            let calls = columns.filter_map(|column| column.default.as_ref()).flat_map(tree::functions_called);
            if let Some(call) = { calls }.find(|call| reaches_tables(call, schema)) {
                return Err(Fault::new(
                    format!("the foreign key {} may set a default that calls {call}, which reads tables", key.name),
                    "give the column another default: this one would be computed as the tables' owner",
                ));
            }
        }
    }
    Ok(())
}

/// The foreign key whose action fires a trigger.
fn acting<'s>(trigger: &Trigger, schema: &'s Schema) -> Option<&'s ForeignKey> {
    let fires = |key: &&ForeignKey| trigger.on_delete && key.deletes || trigger.on_update && key.updates;
    // A family holds its head.
    let below = schema.family(&trigger.table);
    let kin = |table: &&Table| below.contains(&table.name) || schema.family(&table.name).contains(&trigger.table);
    let acting = schema.tables().iter().filter(|table| table.foreign_keys.iter().any(|key| fires(&key)));
    acting.filter(kin).flat_map(|table| &table.foreign_keys).find(fires)
}
