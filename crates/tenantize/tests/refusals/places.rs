//! Files and lines of refusals.

use tenantize::{Sources, SqlFile};

use crate::plan;

fn lines(migration: &str) -> Vec<(u32, String)> {
    let refusals = plan(migration, "").expect_err("refusals");
    refusals.iter().map(|refusal| (refusal.line, refusal.reason.clone())).collect()
}

#[test]
fn every_refusal_is_reported_with_its_line() {
    let found = lines(
        "\u{feff}-- a\r\n\r\nCREATE RULE r AS ON INSERT TO t DO NOTHING;\n/* b\n*/ CREATE TABLE t\n(a int);\nTRUNCATE t;\n",
    );
    let lines: Vec<u32> = found.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [3, 7]);
}

#[test]
fn the_grammar_stumbles_at_a_word() {
    for (text, line) in [
        ("CREATE TABLE t (\n a int,\n b text,\n);", 4),
        ("CREATE TABLE t (a int);\nCREATE TABLE u (\n a int,\n b in,\n c int);", 4),
        ("CREATE TABLE t (\n a int\n", 2),
        ("CREATE TABLE t (a int);\n\nCREATE TABEL u (a int);", 3),
        ("CREATE TABLE t (a int,\n b int) x;\nVALUES (1", 2),
        ("SELECT 1,\n 'a\n b", 2),
        ("SELECT 1;\nSELECT 1x", 2),
    ] {
        assert_eq!(lines(text).iter().map(|(line, _)| *line).find(|found| *found == line), Some(line), "{text}");
    }
}

#[test]
fn what_depends_on_a_refused_table_is_not_refused_again() {
    let found = lines(
        "CREATE TABLE t (a int, tenant_id int);\nCREATE INDEX ON t (a);\nCREATE TABLE u (t int REFERENCES t);\n\
         COMMENT ON TABLE u IS 'x';\nCREATE INDEX ON other (a);",
    );
    let lines: Vec<u32> = found.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [1, 5], "{found:?}");
}

#[test]
fn files_that_are_no_sql() {
    assert_eq!(lines("SELECT\n 1;\0"), [(2, "the file holds a NUL byte, which SQL cannot".to_owned())]);
    let none = tenantize::plan(&Sources::default()).expect_err("an app without migrations");
    assert!(none.to_string().starts_with("migrations:1: the app has no migrations; add"), "{none}");
}

#[test]
fn empty_files_are_fine_and_files_are_taken_by_name() {
    let file = |name: &str, text: &str| SqlFile { name: name.to_owned(), text: text.to_owned() };
    let migrations = vec![
        file("migrations/3.sql", ""),
        file("migrations/2.sql", "CREATE TABLE b (a int REFERENCES a);"),
        file("migrations/1.sql", "\u{feff}CREATE TABLE a (id int PRIMARY KEY);;"),
    ];
    let plan = tenantize::plan(&Sources { migrations, seed: vec![] }).expect("a plan");
    let names: Vec<&str> = plan.tables().iter().map(|table| table.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
}

#[test]
fn a_refusal_shows_place_reason_remedy_and_the_statements_beginning() {
    let text = format!("CREATE MATERIALIZED VIEW v AS\n  SELECT {}", "1 + ".repeat(30) + "1");
    let refusals = plan(&text, "").expect_err("a materialized view");
    let refusal = refusals.iter().next().expect("one");
    assert_eq!(
        refusal.to_string(),
        "migrations/1.sql:1: a materialized view cannot be used in an app's SQL; create a view, which is always fresh, or a \
         table that the application fills"
    );
    assert!(refusal.statement.starts_with("CREATE MATERIALIZED VIEW v AS SELECT 1 + 1"), "{}", refusal.statement);
    assert_eq!(refusal.statement.chars().count(), 80);
}
