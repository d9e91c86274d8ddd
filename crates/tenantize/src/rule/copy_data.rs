//! COPY … FROM stdin with its rows, as dumps have it: into INSERT statements, which row-level security allows.

use domain::quote_ident;
use pg_query::{NodeEnum, protobuf as pb};

use super::{Rewrite, Rows, Sql, unqualify};
use crate::copy_text::{Format, rows};
use crate::plan::Filled;
use crate::refusal::{Fault, Verdict};
use crate::schema::Schema;
use crate::tree::{self, TENANT_ID};

/// Rows and bytes of one INSERT, so that no statement grows with the dump.
const BATCH_ROWS: usize = 1000;
const BATCH_BYTES: usize = 512 * 1024;

/// `data` is what follows the statement in the file, without the line that ends it.
pub(super) fn apply(statement: &pb::CopyStmt, data: Option<&str>, schema: &Schema) -> Verdict<Rewrite> {
    if !statement.is_from {
        return Err(Fault::unsupported("COPY … TO", "remove it: nobody would get the rows"));
    }
    if statement.is_program || !statement.filename.is_empty() {
        return Err(Fault::unsupported(
            "COPY from the server's files and programs",
            "write COPY … FROM stdin with the rows below it, ended by a line \\., or INSERT … VALUES",
        ));
    }
    if statement.where_clause.is_some() {
        return Err(Fault::unsupported("COPY … WHERE", "leave out the rows that are not wanted"));
    }
    let data = data.ok_or_else(|| {
        Fault::new(
            "the rows after COPY … FROM stdin have no end",
            "write them below the statement, and a line with \\. after the last one",
        )
    })?;
    let mut relation = statement.relation.clone().ok_or_else(super::refused::nothing)?;
    unqualify(&mut relation)?;
    let table = schema.table(&relation.relname)?;
    let mut columns = tree::strings(&statement.attlist);
    if columns.is_empty() {
        let written = table.columns.iter().filter(|column| column.filled != Filled::Computed);
        columns = written.map(|column| column.name.clone()).collect();
    }
    let mut overriding = "";
    for column in &columns {
        if column == TENANT_ID {
            return Err(crate::expr::tenant_id_mentioned());
        }
        if table.column(column)?.filled == Filled::AlwaysSequence {
            overriding = " OVERRIDING SYSTEM VALUE";
        }
    }
    let names: Vec<String> = columns.iter().map(|column| quote_ident(column)).collect();
    let head = format!("INSERT INTO {} ({}){overriding} VALUES", quote_ident(&table.name), names.join(", "));
    let format = Format::of(&options(&statement.options)?, &columns)?;
    // Rows that refer to rows of the same table may come before them; foreign keys wait for a statement's end only.
    let whole = schema.refers_to_itself(&table.name);
    let name = table.name.clone();
    let drawn = super::dml::draws(table, &columns);
    let statements: Vec<Sql> =
        inserts(&head, &rows(data, &format, columns.len())?, whole).into_iter().map(Sql::Text).collect();
    let own = statements.iter().map(Sql::duplicate).collect();
    Ok(Rewrite {
        shared: statements,
        own,
        note: Some("the rows become INSERT statements".to_owned()),
        rows: Some(if drawn { Rows::Drawn(name) } else { Rows::Copied(name) }),
        ..Rewrite::nothing(table.scope)
    })
}

fn options(nodes: &[pb::Node]) -> Verdict<Vec<(String, Vec<String>)>> {
    let mut options = Vec::new();
    for node in nodes {
        let Some(NodeEnum::DefElem(option)) = &node.node else { return Err(super::refused::nothing()) };
        let values = match option.arg.as_deref().and_then(|arg| arg.node.as_ref()) {
            None => Vec::new(),
            Some(NodeEnum::String(text)) => vec![text.sval.clone()],
            Some(NodeEnum::Boolean(truth)) => vec![truth.boolval.to_string()],
            Some(NodeEnum::Integer(number)) => vec![number.ival.to_string()],
            Some(NodeEnum::List(list)) => tree::strings(&list.items),
            Some(NodeEnum::AStar(_)) => vec!["*".to_owned()],
            Some(_) => {
                return Err(Fault::unsupported(format!("the option {} of COPY", option.defname), "leave it out"));
            }
        };
        options.push((option.defname.to_ascii_lowercase(), values));
    }
    Ok(options)
}

fn inserts(head: &str, rows: &[Vec<Option<String>>], whole: bool) -> Vec<String> {
    let mut statements = Vec::new();
    let (mut sql, mut count) = (String::new(), 0_usize);
    for row in rows {
        let full = count >= BATCH_ROWS || sql.len() >= BATCH_BYTES;
        if count > 0 && full && !whole {
            statements.push(std::mem::take(&mut sql));
            count = 0;
        }
        sql.push_str(if count == 0 { head } else { "," });
        sql.push_str(if count == 0 { " (" } else { "\n(" });
        let values: Vec<String> = row.iter().map(|value| value.as_deref().map_or("NULL".to_owned(), literal)).collect();
        sql.push_str(&values.join(", "));
        sql.push(')');
        count += 1;
    }
    if count > 0 {
        statements.push(sql);
    }
    statements
}

/// A string constant that means the same whatever `standard_conforming_strings` says.
fn literal(text: &str) -> String {
    if text.contains('\\') {
        return format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"));
    }
    format!("'{}'", text.replace('\'', "''"))
}
