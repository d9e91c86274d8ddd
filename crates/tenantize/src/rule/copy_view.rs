//! What stands beside a shared table in schema `sindico_copy`.
//!
//! PostgreSQL refuses COPY FROM on a table under row-level security, but not on a view with an INSTEAD OF INSERT
//! trigger (PostgreSQL manual, COPY, Notes). So each table has a view of the same name with the app's columns, which a
//! trigger function, again of that name, writes to the table. The function is also the one that gives numbers to
//! identity columns ([`super::identity`]). After a change of columns all of it is made anew.

use domain::quote_ident;

use super::{Sql, identity};
use crate::plan::{Filled, Grant, Scope};
use crate::refusal::Verdict;
use crate::schema::{Column, Schema, Table};
use crate::tree;

/// Whether COPY writes the column: a generated one is none that it could.
fn is_copied(column: &Column) -> bool {
    column.filled != Filled::Computed
}

/// Removes what depends on the table's columns, so that they can change.
pub(super) fn lay_aside(table: &Table) -> Vec<Sql> {
    if table.scope == Scope::Global {
        return Vec::new();
    }
    let mut statements = vec![Sql::Text(format!("DROP VIEW sindico_copy.{}", quote_ident(&table.name)))];
    statements.extend(identity::lay_aside(table));
    statements
}

/// Removes the function as well, for a table that goes or gets another name.
pub(super) fn remove(table: &Table) -> Vec<Sql> {
    let mut statements = lay_aside(table);
    if table.scope == Scope::Tenant {
        statements.push(Sql::Text(format!("DROP FUNCTION sindico_copy.{}()", quote_ident(&table.name))));
    }
    statements
}

/// Makes view, function and triggers for a table, and says what is to be granted on them.
pub(super) fn set_up(table: &Table, schema: &Schema) -> Verdict<(Vec<Sql>, Option<Grant>)> {
    if table.scope == Scope::Global {
        return Ok((Vec::new(), None));
    }
    let name = quote_ident(&table.name);
    let columns: Vec<String> =
        table.columns.iter().filter(|column| is_copied(column)).map(|column| quote_ident(&column.name)).collect();
    let mut statements = vec![
        function(table, &columns, schema),
        format!(
            "CREATE VIEW sindico_copy.{name} WITH (security_invoker = true) AS SELECT {} FROM public.{name}",
            columns.join(", ")
        ),
    ];
    for column in table.columns.iter().filter(|column| is_copied(column)) {
        let sequence = schema.sequence_of(&table.name, &column.name).filter(|_| column.identity);
        let default = match (sequence, &column.default) {
            (Some(sequence), _) => identity::draw(&sequence.name),
            (None, Some(default)) => tree::write_expression(default)?,
            (None, None) => continue,
        };
        let column = quote_ident(&column.name);
        statements.push(format!("ALTER VIEW sindico_copy.{name} ALTER COLUMN {column} SET DEFAULT {default}"));
    }
    statements.push(format!(
        "CREATE TRIGGER sindico_copy INSTEAD OF INSERT ON sindico_copy.{name} \
         FOR EACH ROW EXECUTE FUNCTION sindico_copy.{name}()"
    ));
    statements.extend(identity::trigger(table));
    let statements = statements.into_iter().map(Sql::Text).collect();
    Ok((statements, Some(Grant::Copy(table.name.clone()))))
}

/// PL/pgSQL compiles a trigger function once for each relation it serves, so that NEW may be a row of the view and a row
/// of the table.
fn function(table: &Table, columns: &[String], schema: &Schema) -> String {
    let name = quote_ident(&table.name);
    let insert = if columns.is_empty() {
        format!("INSERT INTO public.{name} DEFAULT VALUES;")
    } else {
        let values: Vec<String> = columns.iter().map(|column| format!("NEW.{column}")).collect();
        format!(
            "INSERT INTO public.{name} ({}) OVERRIDING SYSTEM VALUE VALUES ({});",
            columns.join(", "),
            values.join(", ")
        )
    };
    // Who has a temporary table of this name means that one, and no row may go to the other instead.
    let hidden = domain::quote_literal(&format!("pg_temp.{name}"));
    // A trigger of the table's may have kept the row out, which then does not count.
    let mut body = format!(
        "BEGIN IF TG_WHEN = 'INSTEAD OF' THEN \
         IF pg_catalog.to_regclass({hidden}) IS NOT NULL THEN RAISE feature_not_supported USING \
         MESSAGE = 'COPY into a temporary table that has the name of a table of the app is not available', \
         HINT = 'Give the temporary table another name.'; END IF; {insert} \
         IF NOT FOUND THEN RETURN NULL; END IF; RETURN NEW; END IF;"
    );
    for assignment in identity::assignments(table, schema) {
        body.push(' ');
        body.push_str(&assignment);
    }
    body.push_str(" RETURN NEW; END");
    // What the app can write into a name is in double quotes, and a name may hold any mark but NUL.
    let mut mark = "$sindico$".to_owned();
    while body.contains(&mark) {
        mark.insert(mark.len() - 1, '_');
    }
    format!("CREATE OR REPLACE FUNCTION sindico_copy.{name}() RETURNS trigger LANGUAGE plpgsql AS {mark}{body}{mark}")
}

/// Puts a change of tables between removing and making anew what stands beside them; `before` and `after` are those
/// tables' names.
pub(super) fn around(
    before: &[Table],
    change: Vec<Sql>,
    after: &[String],
    schema: &Schema,
) -> Verdict<(Vec<Sql>, Vec<Grant>)> {
    let removed = |table: &Table| if after.contains(&table.name) { lay_aside(table) } else { remove(table) };
    let mut statements: Vec<Sql> = before.iter().flat_map(removed).collect();
    statements.extend(change);
    let mut grants = Vec::new();
    for name in after {
        let (made, grant) = set_up(schema.table(name)?, schema)?;
        statements.extend(made);
        grants.extend(grant);
    }
    Ok((statements, grants))
}
