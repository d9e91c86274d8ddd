//! Statements over a made-up schema. Every result has one order, and every statement at most one fault that a database
//! may report first: what PostgreSQL leaves open may differ.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::schema::{Key, Schema};

/// How often, roughly, a transaction begins or ends.
const TRANSACTION: [&str; 6] =
    ["BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT s", "ROLLBACK TO SAVEPOINT s", "RELEASE SAVEPOINT s"];

/// A sequence of statements, each table's rows at the end.
pub(super) fn statements(schema: &Schema) -> BoxedStrategy<Vec<String>> {
    let mut kinds = Vec::new();
    for at in 0..schema.tables.len() {
        kinds.push((8, insert(schema, at)));
        kinds.push((3, update(schema, at)));
        kinds.push((2, delete(schema, at)));
        kinds.push((2, query(schema, at)));
        if schema.tables[at].counts() {
            kinds.push((1, sequence(at)));
        }
    }
    kinds.push((3, select(TRANSACTION.as_slice()).prop_map(str::to_owned).boxed()));
    kinds.push((1, truncate(schema)));
    let last: Vec<String> = (0..schema.tables.len()).map(|at| all(schema, at)).collect();
    vec(proptest::strategy::Union::new_weighted(kinds), 10..40)
        .prop_map(move |mut statements| {
            // Whatever is open is closed, so that the tables show what stayed.
            statements.push("COMMIT".to_owned());
            statements.extend(last.iter().cloned());
            statements
        })
        .boxed()
}

/// All rows in the order of their keys.
fn all(schema: &Schema, at: usize) -> String {
    let table = &schema.tables[at];
    format!("SELECT * FROM {} ORDER BY {}", table.name, key(schema, at))
}

fn key(schema: &Schema, at: usize) -> String {
    schema.tables[at].key_columns().iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

fn insert(schema: &Schema, at: usize) -> BoxedStrategy<String> {
    let table = schema.tables[at].clone();
    let written = schema.written(at);
    let keys: Vec<_> = table.key_columns().iter().map(|(name, kind)| ((*name).to_owned(), *kind)).collect();
    let columns: Vec<_> = keys.into_iter().chain(written).collect();
    let values = columns.iter().map(|(_, kind)| select(kind.values())).collect::<Vec<_>>();
    let keep = vec(any::<bool>(), columns.len());
    let arbiters = table.arbiters();
    let set = table.columns[0].name.clone();
    let form = (0..3_u8, 0..4_u8, select(arbiters), any::<bool>(), any::<bool>());
    (values, keep, form)
        .prop_map(move |(mut values, keep, (form, conflict, arbiter, overriding, returning))| {
            // Numbers come from the sequence more often than not; a client's own meet them now and then.
            if table.counts() && !(overriding && keep[0]) {
                values[0] = "DEFAULT";
            }
            let mut sql = format!("INSERT INTO {}", table.name);
            let insists = if overriding && matches!(table.key, Key::Always | Key::ByDefault) {
                " OVERRIDING SYSTEM VALUE"
            } else {
                ""
            };
            if form == 0 {
                // Without a list: the first columns of the table, all of them or fewer.
                let many = 1 + keep.iter().filter(|keep| **keep).count().min(values.len() - 1);
                sql.push_str(&format!("{insists} VALUES ({})", values[..many].join(", ")));
            } else {
                let pairs = columns.iter().zip(&values).zip(&keep).filter(|(_, keep)| **keep).map(|(pair, _)| pair);
                let pairs: Vec<_> = pairs.collect();
                if pairs.is_empty() {
                    sql.push_str(" DEFAULT VALUES");
                } else {
                    let names = pairs.iter().map(|((name, _), _)| name.as_str()).collect::<Vec<_>>().join(", ");
                    let values = pairs.iter().map(|(_, value)| **value).collect::<Vec<_>>().join(", ");
                    sql.push_str(&format!(" ({names}){insists} VALUES ({values})"));
                }
            }
            match conflict {
                0 => sql.push_str(" ON CONFLICT DO NOTHING"),
                1 => sql.push_str(&format!(" ON CONFLICT ({arbiter}) DO NOTHING")),
                2 => sql.push_str(&format!(" ON CONFLICT ({arbiter}) DO UPDATE SET {set} = excluded.{set}")),
                _ => {}
            }
            if returning {
                sql.push_str(" RETURNING *");
            }
            sql
        })
        .boxed()
}

fn update(schema: &Schema, at: usize) -> BoxedStrategy<String> {
    let (name, key) = (schema.tables[at].name.clone(), key(schema, at));
    let written = schema.written(at);
    let set = select(written).prop_flat_map(|(column, kind)| (Just(column), select(kind.values())));
    (set, condition(schema, at), any::<bool>())
        .prop_map(move |((column, value), condition, shown)| {
            let update = format!("UPDATE {name} SET {column} = {value} WHERE {condition}");
            if shown { format!("WITH u AS ({update} RETURNING *) SELECT * FROM u ORDER BY {key}") } else { update }
        })
        .boxed()
}

fn delete(schema: &Schema, at: usize) -> BoxedStrategy<String> {
    let (name, key) = (schema.tables[at].name.clone(), key(schema, at));
    (condition(schema, at), any::<bool>())
        .prop_map(move |(condition, shown)| {
            let delete = format!("DELETE FROM {name} WHERE {condition}");
            if shown { format!("WITH d AS ({delete} RETURNING *) SELECT * FROM d ORDER BY {key}") } else { delete }
        })
        .boxed()
}

fn condition(schema: &Schema, at: usize) -> BoxedStrategy<String> {
    let table = &schema.tables[at];
    let first = table.columns[0].clone();
    let counts = table.counts();
    let by_key = (1..6_u8)
        .prop_map(move |number| if counts { format!("id = {number}") } else { format!("c0 IS NULL AND {number} > 3") });
    let by_column = select(first.kind.values()).prop_map(move |value| match value {
        "NULL" | "DEFAULT" => format!("{} IS NULL", first.name),
        value => format!("{} = {value}", first.name),
    });
    prop_oneof![by_key, by_column, Just("true".to_owned())].boxed()
}

fn query(schema: &Schema, at: usize) -> BoxedStrategy<String> {
    let table = &schema.tables[at];
    let (name, key) = (&table.name, key(schema, at));
    let first = &table.columns[0].name;
    select(vec![
        all(schema, at),
        format!("SELECT *, count(*) OVER () FROM {name} ORDER BY {key}"),
        format!("SELECT {first}, count(*) FROM {name} GROUP BY {key} ORDER BY {key}"),
        format!("SELECT {first}, count(*) FROM {name} GROUP BY {first} ORDER BY {first}"),
        format!("SELECT x.*, y.{first} AS other FROM {name} x LEFT JOIN {name} y USING ({key}) ORDER BY {key}"),
        format!("SELECT count(*), min({first}::text) FROM (SELECT * FROM {name}) AS all_of_it"),
        format!("INSERT INTO {name} SELECT * FROM {name}"),
    ])
    .boxed()
}

fn sequence(at: usize) -> BoxedStrategy<String> {
    select(vec![
        format!("SELECT nextval('t{at}_id_seq')"),
        format!("SELECT currval('t{at}_id_seq')"),
        format!("SELECT currval(pg_get_serial_sequence('t{at}', 'id'))"),
        format!("SELECT setval('t{at}_id_seq', 20)"),
        format!("SELECT setval('t{at}_id_seq', 1, false)"),
    ])
    .boxed()
}

fn truncate(schema: &Schema) -> BoxedStrategy<String> {
    let names: Vec<String> = schema.tables.iter().map(|table| table.name.clone()).collect();
    // RESTART IDENTITY takes the owner of the sequences, which a tenant is nowhere.
    let options = vec!["", " CASCADE", " CONTINUE IDENTITY"];
    (select(names), select(options)).prop_map(|(name, options)| format!("TRUNCATE {name}{options}")).boxed()
}
