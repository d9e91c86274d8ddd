//! What a foreign key's action would run as the owner of all tenants' tables.

use crate::{assert_refused, plan};

const TABLES: &str = "CREATE TABLE customers (id serial PRIMARY KEY);
    CREATE TABLE totals (customer int PRIMARY KEY, amount int NOT NULL DEFAULT 0);
    CREATE TABLE orders (id serial PRIMARY KEY, amount int, at timestamptz,
        customer int REFERENCES customers ON DELETE CASCADE);
    CREATE TABLE notes (id serial PRIMARY KEY, text text, customer int REFERENCES customers ON DELETE SET NULL);
    CREATE FUNCTION subtract() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN UPDATE totals SET amount = amount - OLD.amount WHERE customer = OLD.customer; RETURN OLD; END $$;
    CREATE FUNCTION helper() RETURNS int LANGUAGE sql AS 'SELECT count(*)::int FROM totals';
    CREATE FUNCTION by_helper() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN NEW.text := helper(); RETURN NEW; END $$;
    CREATE FUNCTION by_text() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN EXECUTE 'SELECT 1' || OLD.text; RETURN OLD; END $$;
    CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN IF NEW.text IS DISTINCT FROM OLD.text THEN NEW.text := upper(NEW.text); END IF; RETURN NEW; END $$;
";

#[test]
fn before_triggers_within_foreign_keys_actions() {
    for statement in [
        "CREATE TRIGGER x BEFORE DELETE ON orders FOR EACH ROW EXECUTE FUNCTION subtract()",
        "CREATE TRIGGER x BEFORE INSERT OR DELETE ON orders FOR EACH STATEMENT EXECUTE FUNCTION subtract()",
        "CREATE TRIGGER x BEFORE UPDATE ON notes FOR EACH ROW EXECUTE FUNCTION by_helper()",
        "CREATE TRIGGER x BEFORE UPDATE ON notes FOR EACH ROW EXECUTE FUNCTION by_text()",
    ] {
        assert_refused(&format!("{TABLES}{statement};"), "", "past the boundary between tenants");
    }
}

#[test]
fn whichever_comes_last() {
    let trigger = "CREATE TABLE a (id serial PRIMARY KEY, c int);
        CREATE TRIGGER x BEFORE DELETE ON a FOR EACH ROW EXECUTE FUNCTION subtract();";
    let tables = format!("{TABLES}{trigger}");
    assert_refused(
        &format!("{tables}ALTER TABLE a ADD FOREIGN KEY (c) REFERENCES customers ON DELETE CASCADE;"),
        "",
        "past the boundary between tenants",
    );
    let harmless = format!("{TABLES}CREATE TRIGGER x BEFORE UPDATE ON notes FOR EACH ROW EXECUTE FUNCTION stamp();");
    let replaced = "CREATE OR REPLACE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN DELETE FROM totals; RETURN NEW; END $$;";
    assert_refused(&format!("{harmless}{replaced}"), "", "past the boundary between tenants");
}

#[test]
fn what_looks_like_a_declared_type() {
    // A column may be called declare, and a type may have arguments.
    for statement in [
        "PERFORM 1 > declare AND helper(1)",
        "PERFORM 1 > declare AND text((SELECT count(*) FROM totals))",
        "RAISE USING MESSAGE = declare AND helper(1)",
        "RAISE USING MESSAGE = declare, MESSAGE = 1 > declare AND text((SELECT count(*) FROM totals))",
    ] {
        let function = format!(
            "CREATE FUNCTION sly() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN {statement}; BEGIN NEW.text := 'x'; END; RETURN NEW; END $$;"
        );
        let trigger = "CREATE TRIGGER x BEFORE UPDATE ON notes FOR EACH ROW EXECUTE FUNCTION sly();";
        assert_refused(&format!("{TABLES}{function}{trigger}"), "", "past the boundary between tenants");
    }
}

#[test]
fn definitions_that_read_tables() {
    for (statement, words) in [
        ("ALTER TABLE notes ADD CHECK (helper() > 0)", "which reads tables"),
        ("CREATE TABLE x (a int CHECK (a < helper()))", "which reads tables"),
        ("CREATE DOMAIN d AS int CHECK (VALUE < helper())", "which reads tables"),
        (
            "CREATE TABLE x (a int DEFAULT helper() REFERENCES customers ON DELETE SET DEFAULT)",
            "may set a default that calls helper",
        ),
    ] {
        assert_refused(&format!("{TABLES}{statement};"), "", words);
    }
}

#[test]
fn what_runs_as_its_caller_is_accepted() {
    for statement in [
        "CREATE TRIGGER x AFTER DELETE ON orders FOR EACH ROW EXECUTE FUNCTION subtract()",
        "CREATE TRIGGER x BEFORE UPDATE ON notes FOR EACH ROW EXECUTE FUNCTION stamp()",
        "CREATE TRIGGER x BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION subtract()",
        "CREATE TRIGGER x BEFORE DELETE ON customers FOR EACH ROW EXECUTE FUNCTION subtract()",
        "CREATE TABLE x (id serial PRIMARY KEY, number int DEFAULT helper())",
    ] {
        plan(&format!("{TABLES}{statement};"), "").unwrap_or_else(|refusals| panic!("{statement}: {refusals}"));
    }
}
