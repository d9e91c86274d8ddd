//! Where in an app's tables a canary can live. Apps differ: whatever table takes a word in a text column will do.

use domain::{Isolation, quote_ident};

use crate::AuditError;
use crate::canary::Canary;
use crate::client::Client;
use crate::heard::Heard;
use crate::names::Names;
use crate::operator::Operator;
use crate::scene::qualified;

/// A table and a column of it that hold a word of each tenant's.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// As the catalog has it.
    pub(crate) name: String,
    /// In the victim's schema, quoted.
    pub(crate) table: String,
    /// Quoted.
    pub(crate) column: String,
    columns: Vec<Column>,
}

/// What is to be known of a column to write a row.
#[derive(Debug, Clone)]
struct Column {
    name: String,
    kind: String,
    category: String,
    required: bool,
    filled: bool,
    unique: bool,
    /// What a foreign key of this column refers to.
    refers: Option<(String, String)>,
}

/// Tables of tenants by how many others refer to them; those are the ones that matter to an app.
const TABLES: &str = "
    SELECT c.relname::text FROM pg_class c
    WHERE c.relnamespace = $1::text::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
      AND ($2 = false OR EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id'))
    ORDER BY (SELECT count(*) FROM pg_constraint f WHERE f.contype = 'f' AND f.confrelid = c.oid) DESC, c.relname";

const COLUMNS: &str = "
    SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), t.typcategory::text,
           a.attnotnull AND NOT a.atthasdef AND a.attidentity = '',
           a.attidentity <> '' OR a.attgenerated <> '' OR coalesce(pg_get_expr(d.adbin, d.adrelid) ~ 'next_?val', false),
           EXISTS (SELECT FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indisunique
                   AND (a.attnum = ANY (i.indkey) OR pg_get_indexdef(i.indexrelid) ~ ('\\m' || a.attname || '\\M'))),
           f.table_name, f.column_name
    FROM pg_attribute a
    JOIN pg_type t ON t.oid = a.atttypid
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    LEFT JOIN LATERAL (
        SELECT k.confrelid::regclass::text AS table_name, quote_ident(p.attname) AS column_name
        FROM pg_constraint k
        JOIN LATERAL unnest(k.conkey, k.confkey) AS pair (child, parent) ON pair.child = a.attnum
        JOIN pg_attribute p ON p.attrelid = k.confrelid AND p.attnum = pair.parent
        WHERE k.conrelid = a.attrelid AND k.contype = 'f' LIMIT 1) f ON true
    WHERE a.attrelid = $1::text::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attname <> 'tenant_id'
    ORDER BY a.attnum";

/// Puts the victim's word wherever it stays, and says where that is.
pub(crate) async fn find(
    within: &Operator,
    victim: &Canary,
    client: &mut Client,
    word: &str,
) -> Result<Place, AuditError> {
    let schema = &victim.tenant.placement.schema;
    let shared = victim.tenant.placement.isolation == Isolation::Shared;
    let mut tried = Vec::new();
    for row in within.query(TABLES, &[schema, &shared]).await? {
        let name: String = row.get(0);
        let table = qualified(schema, &name);
        let columns = columns_of(within, &table).await?;
        let texts = columns.iter().filter(|it| it.category == "S" && !it.filled && it.refers.is_none());
        for column in texts.map(|it| quote_ident(&it.name)) {
            let place = Place { name: name.clone(), table: table.clone(), column, columns: columns.clone() };
            match put(&place, client, word).await {
                Ok(()) => return Ok(place),
                Err(AuditError::Canary(why)) => tried.push(why),
                Err(error) => return Err(error),
            }
        }
    }
    Err(AuditError::Canary(format!("no table of the app takes a word in a text column: {}", tried.join("; "))))
}

/// Puts a word into one row, and one or two more rows beside it, so that the tenant has keys that others may not have.
pub(crate) async fn put(place: &Place, client: &mut Client, word: &str) -> Result<(), AuditError> {
    let Place { name, column, columns, .. } = place;
    let table = quote_ident(name);
    let update = format!("UPDATE {table} SET {column} = '{word}' WHERE ctid = (SELECT ctid FROM {table} LIMIT 1)");
    let mut said = client.query(&update).await?;
    if said.state().is_none() && said.row_count() == 0 {
        said = client.query(&first_row(&table, column, columns, word)).await?;
    }
    if let Some(state) = said.state() {
        return Err(AuditError::Canary(format!("{table}.{column} does not take it ({state})")));
    }
    for extra in 1..=2 {
        // Not every table takes a row like another; then there are just fewer of them.
        let _fewer = client.query(&another_row(&table, column, columns, word, extra)).await?;
    }
    Ok(())
}

fn first_row(table: &str, column: &str, columns: &[Column], word: &str) -> String {
    let needed: Vec<&Column> =
        columns.iter().filter(|it| !it.filled && (it.required || quote_ident(&it.name) == column)).collect();
    let value = |it: &Column| {
        if quote_ident(&it.name) == column {
            return format!("'{word}'");
        }
        if let Some((table, column)) = &it.refers {
            return format!("(SELECT {column} FROM {table} LIMIT 1)");
        }
        match (it.category.as_str(), it.kind.as_str()) {
            ("N", _) => "1".to_owned(),
            ("B", _) => "true".to_owned(),
            ("D", _) => "now()".to_owned(),
            ("T", _) => "'1 hour'".to_owned(),
            ("A", _) => "'{}'".to_owned(),
            ("E", kind) => format!("(enum_range(NULL::{kind}))[1]"),
            (_, "uuid") => "gen_random_uuid()".to_owned(),
            (_, "json" | "jsonb") => "'{}'".to_owned(),
            _ => format!("'{word}'"),
        }
    };
    let names: Vec<String> = needed.iter().map(|it| quote_ident(&it.name)).collect();
    let values: Vec<String> = needed.iter().map(|it| value(it)).collect();
    format!("INSERT INTO {table} ({}) VALUES ({})", names.join(", "), values.join(", "))
}

/// Like the row that holds the word, but for what has to be unique.
fn another_row(table: &str, column: &str, columns: &[Column], word: &str, extra: usize) -> String {
    let copied: Vec<&Column> = columns.iter().filter(|it| !it.filled).collect();
    let value = |it: &Column| match (it.unique, it.required, it.category.as_str()) {
        (true, true, "S") => format!("'{word}_{extra}'"),
        (true, true, "N") => format!("{} + {extra}", quote_ident(&it.name)),
        (true, false, _) => "NULL".to_owned(),
        _ if it.kind == "uuid" && it.unique => "gen_random_uuid()".to_owned(),
        _ => quote_ident(&it.name),
    };
    let names: Vec<String> = copied.iter().map(|it| quote_ident(&it.name)).collect();
    let values: Vec<String> = copied.iter().map(|it| value(it)).collect();
    let (names, values) = (names.join(", "), values.join(", "));
    format!("INSERT INTO {table} ({names}) SELECT {values} FROM {table} WHERE {column} = '{word}' LIMIT 1")
}

async fn columns_of(within: &Operator, table: &str) -> Result<Vec<Column>, AuditError> {
    let rows = within.query(COLUMNS, &[&table]).await?;
    Ok(rows
        .iter()
        .map(|row| Column {
            name: row.get(0),
            kind: row.get(1),
            category: row.get(2),
            required: row.get(3),
            filled: row.get(4),
            unique: row.get(5),
            refers: row.get::<_, Option<String>>(6).zip(row.get(7)),
        })
        .collect())
}

/// Names for attacks on keys: a unique column that holds the canary, and a key that only the victim's parent table has.
pub(crate) async fn relations(
    names: &mut Names,
    within: &Operator,
    victim: &Canary,
    own: &mut Client,
    standing: &mut Client,
    word: &str,
) -> Result<(), AuditError> {
    let schema = &victim.tenant.placement.schema;
    let shared = victim.tenant.placement.isolation == Isolation::Shared;
    for row in within.query(TABLES, &[schema, &shared]).await? {
        let name: String = row.get(0);
        let table = quote_ident(&name);
        for column in columns_of(within, &qualified(schema, &name)).await? {
            let quoted = quote_ident(&column.name);
            if names.get("unique").is_none() && column.unique && column.category == "S" && column.refers.is_none() {
                let row = format!("ctid = (SELECT ctid FROM {table} LIMIT 1)");
                let put = standing.query(&format!("UPDATE {table} SET {quoted} = '{word}' WHERE {row}")).await?;
                if put.state().is_none() && put.row_count() == 1 && has_rows(own, &table).await? {
                    names.set("unique_table", table.clone());
                    names.set("unique", quoted.clone());
                }
            }
            let Some((parent, key)) = column.refers.filter(|_| names.get("fk").is_none()) else { continue };
            // `global` tables have the same rows for everybody.
            if parent.starts_with("global.") || !has_rows(own, &table).await? {
                continue;
            }
            let parent = parent.rsplit_once('.').map_or(parent.as_str(), |(_, name)| name).to_owned();
            // Not every type has a max, but every key has an order.
            let foreign = standing.query(&format!("SELECT {key} FROM {parent} ORDER BY 1 DESC LIMIT 1")).await?;
            if foreign.state().is_some() || foreign.row_count() == 0 {
                continue;
            }
            let foreign = foreign.rows();
            let known = own.query(&format!("SELECT FROM {parent} WHERE {key}::text = '{foreign}'")).await?;
            if foreign != "NULL" && known.state().is_none() && known.row_count() == 0 {
                names.set("child", table.clone());
                names.set("fk", quoted);
                names.set("foreign", format!("'{foreign}'"));
            }
        }
    }
    Ok(())
}

async fn has_rows(client: &mut Client, table: &str) -> Result<bool, AuditError> {
    let heard: Heard = client.query(&format!("SELECT FROM {table} LIMIT 1")).await?;
    Ok(heard.row_count() == 1)
}
