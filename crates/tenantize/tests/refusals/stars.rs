//! Stars that would stand for other columns where tenants share tables.

use crate::{assert_refused, plan};

fn body(declared: &str, body: &str, result: &str) -> String {
    format!(
        "CREATE TABLE a (id int, n text); CREATE TABLE b (m text, id int); CREATE TABLE h (id int, n text, x text);
         CREATE TABLE late (id int); ALTER TABLE late ADD COLUMN n text;
         CREATE FUNCTION f() RETURNS {result} LANGUAGE plpgsql AS $$ {declared} BEGIN {body}; END $$;"
    )
}

#[test]
fn stars_of_rows_that_are_not_known() {
    let two = "CREATE TRIGGER t AFTER INSERT ON a FOR EACH ROW EXECUTE FUNCTION f();
               CREATE TRIGGER t AFTER INSERT ON b FOR EACH ROW EXECUTE FUNCTION f();";
    let unlike = body("", "INSERT INTO h SELECT NEW.*; RETURN NULL", "trigger") + two;
    assert_refused(&unlike, "", "NEW.* stands for the columns of tables that differ");
    let compared = body("", "IF ROW(NEW.*) IS DISTINCT FROM ROW(OLD.*) THEN RETURN NULL; END IF", "trigger") + two;
    assert!(plan(&compared, "").is_ok());
    let moved = body("", "INSERT INTO late SELECT * FROM unknown(); RETURN NULL", "trigger");
    assert_refused(&moved, "", "for which columns of late");
}

#[test]
fn stars_in_texts_that_are_run() {
    for text in ["'SELECT * FROM ' || 'a'", "format('SELECT x.*, 1 FROM %I x', 'a')"] {
        let sql = body("", &format!("RETURN QUERY EXECUTE {text}"), "TABLE (id int, n text)");
        assert_refused(&sql, "", "with a star");
    }
    let parameter = |text: &str| body("", &format!("EXECUTE {text} USING NEW; RETURN NULL"), "trigger");
    assert_refused(&parameter("format('INSERT INTO %I SELECT ($1).*, 1', 'h')"), "", "with a star");
    assert_refused(&parameter("'INSERT INTO ' || 'h' || ' SELECT 1, $1.*'"), "", "with a star");
    for text in ["format('INSERT INTO %I SELECT ($1).*', 'a')", "'INSERT INTO ' || 'a' || ' VALUES ($1.*)'"] {
        assert!(plan(&parameter(text), "").is_ok(), "{text}");
    }
}

/// A function that another one replaces needs not fit the tables and triggers of the end.
#[test]
fn stars_of_functions_that_are_gone() {
    let row = "CREATE TABLE gone (id int); CREATE TABLE a (id int, n text); CREATE TABLE b (m text); CREATE TABLE h (id int, n text);
        CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE r gone; s gone%ROWTYPE; BEGIN
            r.id := 1; s.id := 2; INSERT INTO h SELECT NEW.*; SELECT * INTO s FROM gone; RETURN NULL; END $$;
        CREATE TRIGGER t AFTER INSERT ON a FOR EACH ROW EXECUTE FUNCTION f();";
    assert!(plan(&format!("{row} DROP TABLE gone;"), "").is_ok());
    let dropped = "DROP FUNCTION f() CASCADE; DROP TABLE gone;";
    assert!(plan(&format!("{row} {dropped}"), "").is_ok());
    let other = "CREATE OR REPLACE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
        CREATE TRIGGER t AFTER INSERT ON b FOR EACH ROW EXECUTE FUNCTION f();";
    assert!(plan(&format!("{row} {other}"), "").is_ok());
}
