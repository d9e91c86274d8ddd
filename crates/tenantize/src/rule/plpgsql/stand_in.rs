//! Types for PostgreSQL's reader of PL/pgSQL, which knows none of the app's.
//!
//! What it needs to know of a type is little: only what has fields may be assigned to by them, only what has none may stand
//! in a list behind INTO, and OPEN wants a `refcursor`. It takes whatever it does not know for a row, and `%ROWTYPE`
//! for none.

use pg_query::protobuf as pb;

use crate::schema::{Kind, Schema};
use crate::tree;

/// Of rows and composite types.
pub(super) const RECORD: &str = "record";
/// Of values without fields.
pub(super) const SCALAR: &str = "text";
const ARRAY: &str = "text[]";
const CURSOR: &str = "refcursor";

/// The type that stands in for one.
pub(super) fn of_type(type_name: &pb::TypeName, schema: &Schema) -> &'static str {
    let names = tree::strings(&type_name.names);
    if type_name.pct_type {
        return match names.as_slice() {
            [.., table, column] => of_column(table, column, schema).unwrap_or(SCALAR),
            _ => SCALAR,
        };
    }
    if !type_name.array_bounds.is_empty() {
        return ARRAY;
    }
    match names.as_slice() {
        [catalog, name] if catalog == "pg_catalog" => of_catalog(name),
        // Its tables are views; its domains are few.
        [catalog, name] if catalog == "information_schema" => {
            let domains = ["cardinal_number", "character_data", "sql_identifier", "time_stamp", "yes_or_no"];
            if domains.contains(&name.as_str()) { SCALAR } else { RECORD }
        }
        [.., name] => match schema.objects.find_type(name).map(|known| &known.kind) {
            Some(Kind::Composite(_) | Kind::Domain { fields: true }) => RECORD,
            Some(Kind::Enum(..) | Kind::Domain { fields: false } | Kind::Range) => SCALAR,
            // Without a schema the catalog comes first.
            None if is_built_in(name) => of_catalog(name),
            None if schema.rows_of(name).is_ok() || schema.objects.had_fields.contains(name) => RECORD,
            None => of_catalog(name),
        },
        [] => SCALAR,
    }
}

/// The type that stands in for a column's.
pub(super) fn of_column(table: &str, column: &str, schema: &Schema) -> Option<&'static str> {
    let known = schema.rows_of(table).ok()?.columns.iter().find(|known| known.name == column)?;
    Some(if known.type_name.pct_type { SCALAR } else { of_type(&known.type_name, schema) })
}

fn of_catalog(name: &str) -> &'static str {
    match name {
        "record" => RECORD,
        "refcursor" => CURSOR,
        "pg_lsn" | "pg_snapshot" | "pg_node_tree" => SCALAR,
        // The catalog's tables.
        _ if name.starts_with("pg_") => RECORD,
        _ => SCALAR,
    }
}

/// Whether a word that a table may well be called is a type of PostgreSQL's.
fn is_built_in(name: &str) -> bool {
    const NAMES: [&str; 22] = [
        "bit",
        "box",
        "char",
        "cidr",
        "circle",
        "date",
        "inet",
        "interval",
        "json",
        "line",
        "money",
        "name",
        "numeric",
        "oid",
        "path",
        "point",
        "polygon",
        "text",
        "time",
        "timestamp",
        "uuid",
        "xml",
    ];
    NAMES.contains(&name)
}
