//! What triggers, views, partitions and sequences mean for the statements after them.

use crate::{assert_refused, plan};

/// What the statements below may refer to.
const OBJECTS: &str = "CREATE TABLE t (id int PRIMARY KEY, a int); CREATE VIEW v AS SELECT id FROM t;\n\
    CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';\n\
    CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f();\n\
    CREATE TRIGGER h INSTEAD OF INSERT ON v FOR EACH ROW EXECUTE FUNCTION f();\n\
    CREATE TABLE i (id int GENERATED ALWAYS AS IDENTITY, d int);\n";

#[track_caller]
fn assert_accepted(statements: &str) {
    if let Err(refusals) = plan(&format!("{OBJECTS}{statements}"), "") {
        panic!("{statements}\n{refusals}");
    }
}

#[track_caller]
fn assert_not(statements: &str, words: &str) {
    assert_refused(&format!("{OBJECTS}{statements}"), "", words);
}

#[test]
fn the_triggers_of_sindico_are_left_alone() {
    for statement in [
        "ALTER TABLE i DISABLE TRIGGER \"!sindico_identity\"",
        "ALTER TABLE i ADD COLUMN e int, DISABLE TRIGGER \"!sindico_identity\"",
        "ALTER TRIGGER \"!sindico_identity\" ON i RENAME TO x",
        "ALTER TRIGGER g ON t RENAME TO \"!sindico_identity\"",
        "DROP TRIGGER \"!sindico_identity\" ON i",
        "DROP TRIGGER IF EXISTS \"!sindico_identity\" ON i",
    ] {
        assert_not(statement, "leave it alone: it is síndico's");
    }
    assert_accepted("ALTER TABLE t DISABLE TRIGGER g");
}

/// Rows are brought back and removed by administrators, for whom only ordinary triggers are silent.
#[test]
fn no_trigger_fires_whatever_a_session_says() {
    for statement in [
        "ALTER TABLE t ENABLE ALWAYS TRIGGER g",
        "ALTER TABLE t ENABLE REPLICA TRIGGER g",
        "ALTER TABLE i ENABLE REPLICA TRIGGER \"!sindico_identity\"",
        "ALTER TABLE t ADD COLUMN e int, ENABLE ALWAYS TRIGGER g",
    ] {
        assert_not(statement, "write ENABLE TRIGGER");
    }
    assert_accepted("ALTER TABLE t ENABLE TRIGGER g");
}

#[test]
fn triggers_and_views_follow_what_they_are_on() {
    assert_accepted("ALTER TABLE t RENAME TO u; DROP TRIGGER g ON u");
    assert_not("ALTER TABLE t RENAME TO u; DROP TABLE u", "view v reads table u");
    assert_accepted("ALTER VIEW v RENAME TO w; DROP TRIGGER h ON w");
    assert_accepted("DROP VIEW v; CREATE VIEW v AS SELECT 1 AS id; DROP TRIGGER IF EXISTS h ON v");
}

#[test]
fn triggers_and_views_go_with_their_table() {
    assert_not("DROP TABLE t", "view v reads table t");
    assert_not("DROP TABLE t CASCADE; DROP VIEW v", "no view v");
    assert_not("CREATE VIEW w AS SELECT id FROM v; DROP TABLE t CASCADE; DROP VIEW w", "no view w");
    let again = "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()";
    assert_accepted(&format!("DROP TABLE t CASCADE; CREATE TABLE t (id int); {again}; CREATE VIEW v AS SELECT 1 AS x"));
}

#[test]
fn a_serial_goes_with_the_partitions_that_draw_from_it() {
    let parts = "CREATE TABLE m (id bigserial, k int) PARTITION BY LIST (k);\n\
        CREATE TABLE m1 PARTITION OF m FOR VALUES IN (1);\n";
    assert_accepted(&format!("{parts}DROP TABLE m"));
    assert_accepted(&format!("{parts}ALTER TABLE m DROP COLUMN id"));
    let other = "CREATE TABLE o (n bigint DEFAULT nextval('m_id_seq'));\n";
    assert_not(&format!("{parts}{other}DROP TABLE m"), "a default of table o draws from the sequence m_id_seq");
    assert_not(&format!("{parts}{other}ALTER TABLE m DROP COLUMN id"), "the default of column n draws");
}

#[test]
fn no_identity_column_chooses_the_partition() {
    let words = "the identity column id in the partition key of table";
    let whole = "CREATE TABLE m (id bigint GENERATED ALWAYS AS IDENTITY, k int) PARTITION BY";
    for statements in [
        format!("{whole} RANGE (id)"),
        format!("{whole} HASH (k, (id % 2))"),
        format!("{whole} LIST (k); CREATE TABLE m1 PARTITION OF m DEFAULT PARTITION BY HASH (id)"),
        format!(
            "{whole} LIST (k); CREATE TABLE m1 (id bigint NOT NULL, k int) PARTITION BY HASH (id); \
             ALTER TABLE m ATTACH PARTITION m1 DEFAULT"
        ),
        "CREATE TABLE m (id bigint NOT NULL, k int) PARTITION BY HASH (id); ALTER TABLE m RENAME id TO n; \
         ALTER TABLE m RENAME n TO id; ALTER TABLE m ALTER id ADD GENERATED ALWAYS AS IDENTITY"
            .to_owned(),
    ] {
        assert_not(&statements, words);
    }
    assert_accepted(&format!("{whole} LIST (k); CREATE TABLE m1 PARTITION OF m DEFAULT PARTITION BY HASH (k)"));
    assert_accepted("CREATE TABLE m (id bigserial CHECK (id > 0), k int CHECK (k > 0)) PARTITION BY HASH (id)");
    assert_accepted(&format!("\n-- sindico: global\n{whole} HASH (id)"));
}

#[test]
fn a_routine_that_names_a_later_table_leaves_the_rest_of_its_line() {
    let line = "CREATE FUNCTION n() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM later); END'; \
        CREATE TABLE later (x int PRIMARY KEY); CREATE INDEX ON later (x);";
    let plan = plan(line, "").unwrap_or_else(|refusals| panic!("{refusals}"));
    let begins: Vec<bool> = ["CREATE FUNCTION", "CREATE TABLE later", "CREATE INDEX"]
        .iter()
        .zip(plan.migrations())
        .map(|(words, step)| step.shared.first().is_some_and(|sql| sql.starts_with(words)))
        .collect();
    assert_eq!(begins, [true, true, true], "{:#?}", plan.migrations());
}

/// The rows that migrations write for each tenant, in order.
#[track_caller]
fn rows(migrations: &str) -> Vec<String> {
    let plan = plan(migrations, "").unwrap_or_else(|refusals| panic!("{refusals}"));
    plan.seed().iter().flat_map(|step| step.own.clone()).collect()
}

#[test]
fn rows_whose_numbers_are_drawn_keep_their_place() {
    let tables = "CREATE TABLE p (id serial PRIMARY KEY); CREATE TABLE c (id int PRIMARY KEY, p int REFERENCES p);\n";
    let parent = "INSERT INTO p (id) VALUES (1)";
    for child in ["INSERT INTO c VALUES (nextval('p_id_seq'))", "INSERT INTO c VALUES (1, currval('p_id_seq'))"] {
        assert_eq!(rows(&format!("{tables}{child}; {parent}")), [child, parent]);
    }
    let called = "CREATE FUNCTION n() RETURNS int LANGUAGE sql AS 'SELECT 1';\n";
    let child = "INSERT INTO c VALUES (n())";
    assert_eq!(rows(&format!("{tables}{called}{child}; {parent}")), [child, parent]);
    assert_eq!(rows(&format!("{tables}INSERT INTO c VALUES (1, 1); {parent}"))[0], parent);
}

#[test]
fn a_counter_stays_before_the_rows_that_draw_from_it() {
    let table = "CREATE TABLE p (id serial PRIMARY KEY, a int);\n";
    let counter = "SELECT setval('p_id_seq', 10)";
    for row in [
        "INSERT INTO p (a) VALUES (1)",
        "INSERT INTO p VALUES (DEFAULT, 1)",
        "INSERT INTO p (a, id) VALUES (1, 1), (2, DEFAULT)",
    ] {
        assert_eq!(rows(&format!("{table}{counter}; {row}")), [counter, row]);
    }
    let row = "INSERT INTO p (id) VALUES (1)";
    assert_eq!(rows(&format!("{table}{counter}; {row}")), [row, counter]);
    assert_eq!(rows(&format!("{table}{counter};\nCOPY p (a) FROM stdin;\n1\n\\.\n"))[0], counter);
}

#[test]
fn rows_that_something_else_may_have_made_are_changed() {
    let insert = "INSERT INTO p VALUES (1)";
    let trigger = "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS \
        'BEGIN INSERT INTO q VALUES (1); RETURN NEW; END';\n\
        CREATE TRIGGER g BEFORE INSERT ON p FOR EACH ROW EXECUTE FUNCTION f();\n";
    let tables = "CREATE TABLE p (id int); CREATE TABLE q (id int);\n";
    let parts = "CREATE TABLE p (id int); CREATE TABLE q (id int) PARTITION BY LIST (id);\n\
        CREATE TABLE q1 PARTITION OF q DEFAULT;\n";
    for (before, insert, update) in [
        (format!("{tables}{trigger}"), insert, "UPDATE q SET id = 2"),
        (parts.to_owned(), "INSERT INTO q1 VALUES (1)", "UPDATE q SET id = 2"),
        (parts.to_owned(), "INSERT INTO q VALUES (1)", "DELETE FROM q1"),
        (format!("{tables}CREATE VIEW v AS SELECT id FROM q;"), "INSERT INTO v VALUES (1)", "UPDATE q SET id = 2"),
        (format!("{tables}CREATE VIEW v AS SELECT id FROM p;"), insert, "UPDATE v SET id = 2"),
    ] {
        assert_eq!(rows(&format!("{before}{insert}; {update}")), [insert, update]);
    }
    assert_eq!(rows(&format!("{tables}{insert}; UPDATE q SET id = 2")), [insert]);
}

#[test]
fn conditions_are_about_what_they_guard() {
    let block = |exists: &str, of: &str, then: &str| {
        format!("DO $$ BEGIN IF {exists} (SELECT 1 FROM {of}) THEN {then}; END IF; END $$")
    };
    let of_a = "information_schema.columns WHERE table_schema = 'public' AND table_name = 't' AND column_name = 'a'";
    let of_n = "information_schema.columns WHERE table_name = 't' AND column_name = 'n'";
    let of_c = "pg_constraint WHERE conname = 'c' AND conrelid = 'public.t'::regclass AND contype = 'c'";
    for (exists, of, then) in [
        ("NOT EXISTS", of_a, "ALTER TABLE t ADD COLUMN a int"),
        ("NOT EXISTS", of_n, "ALTER TABLE t ADD COLUMN n int"),
        ("EXISTS", of_n, "ALTER TABLE t DROP COLUMN n"),
        ("EXISTS", of_a, "ALTER TABLE t RENAME COLUMN a TO b"),
        ("NOT EXISTS", of_c, "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0)"),
        ("NOT EXISTS", "pg_class WHERE relname = 'x'", "CREATE INDEX x ON t (a)"),
        (
            "NOT EXISTS",
            "pg_trigger WHERE tgname = 'g'",
            "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()",
        ),
        ("EXISTS", "pg_type WHERE typname = 'x'", "DROP TYPE x"),
    ] {
        assert_accepted(&block(exists, of, then));
    }
    let typed = format!("{of_a} AND data_type = 'integer'");
    for (exists, of, then) in [
        ("NOT EXISTS", of_n, "ALTER TABLE t ADD COLUMN m int"),
        ("NOT EXISTS", "pg_class WHERE relname = 't'", "ALTER TABLE t ADD COLUMN m int"),
        ("EXISTS", of_a, "ALTER TABLE t ADD COLUMN m int"),
        ("NOT EXISTS", of_n, "ALTER TABLE t DROP COLUMN a"),
        ("EXISTS", typed.as_str(), "ALTER TABLE t RENAME COLUMN a TO b"),
        ("NOT EXISTS", "pg_roles", "CREATE TYPE x AS ENUM ('a')"),
    ] {
        assert_not(&block(exists, of, then), "not about whether the object is there");
    }
    let kept = |query: &str, then: &str| {
        let from = "FROM information_schema.columns WHERE table_name = 't' AND column_name";
        format!("DO $$ DECLARE c boolean := false; BEGIN SELECT {query} INTO c {from} = 'a'; {then} END $$")
    };
    let drop = "ALTER TABLE t DROP COLUMN a; END IF;";
    let add = "ALTER TABLE t ADD COLUMN a int; END IF;";
    assert_accepted(&kept("count(*) <> 0", &format!("IF c THEN {drop}")));
    assert_accepted(&kept("count(*) = 0", &format!("IF NOT c THEN {drop}")));
    assert_accepted(&kept("count(*) > 0", &format!("IF NOT c THEN {add}")));
    assert_not(&kept("count(*) > 0", &format!("IF c THEN {add}")), "not about whether the object is there");
    assert_not(&kept("count(*) > 1", &format!("IF c THEN {drop}")), "SELECT … INTO a variable");
    assert_not(&kept("max(data_type)", &format!("IF c THEN {drop}")), "SELECT … INTO a variable");
    assert_not(&kept("count(*) > 0", &format!("IF d THEN {drop}")), "a DO block that does more");
    let counted = "DO $$ BEGIN IF (SELECT count(*) = 0 FROM pg_type WHERE typname = 'x') THEN \
        CREATE TYPE x AS ENUM ('a'); END IF; END $$";
    assert_not(counted, "a DO block that does more");
}

#[test]
fn what_relies_on_something_refused_is_not_refused_again() {
    for (statements, words) in [
        (
            "CREATE MATERIALIZED VIEW mv AS SELECT count(*) FROM t; CREATE UNIQUE INDEX ON mv (count); \
             REFRESH MATERIALIZED VIEW mv; COMMENT ON TABLE mv IS 'x'",
            "create a view, which is always fresh",
        ),
        ("CREATE TABLE n AS SELECT 1 AS a; CREATE INDEX ON n (a); INSERT INTO n VALUES (2)", "CREATE TABLE AS"),
        (
            "CREATE FUNCTION mk(d date) RETURNS void LANGUAGE plpgsql AS \
             $$ BEGIN EXECUTE format('CREATE TABLE x_%s (a int)', d); END $$; SELECT mk('2024-01-01')",
            "migrations/1.sql",
        ),
    ] {
        assert_not(statements, words);
    }
}

#[test]
fn functions_outlive_the_types_in_them() {
    // A body that names a later table is adapted once more when everything is known; by then a type may have gone with its function.
    assert_accepted(
        "CREATE TABLE gone (n int); CREATE TYPE pair AS (n int); CREATE TYPE way AS ENUM ('x');
         CREATE FUNCTION went(r gone, p pair, w way) RETURNS void LANGUAGE plpgsql AS $$
         DECLARE s gone; q pair; v way; i int;
         BEGIN r.n := 1; p.n := 1; s.n := 1; q.n := 1; SELECT 'x', 1 INTO v, i; SELECT 'x', 1 INTO w, i;
         PERFORM n FROM later; END $$;
         DROP FUNCTION went(gone, pair, way); DROP TABLE gone; DROP TYPE pair; DROP TYPE way;
         CREATE TABLE later (n int)",
    );
}

#[test]
fn rows_that_do_not_fit_the_last_tables_are_refused() {
    let then = "when all migrations have run, and then";
    for (statements, words) in [
        (
            "INSERT INTO t (id, a) VALUES (1, 2); CREATE TABLE b (a int); INSERT INTO b (a) SELECT t.a FROM t; \
             INSERT INTO b (a) SELECT x FROM (SELECT 1 AS x) AS s; DROP VIEW v; ALTER TABLE t DROP COLUMN a",
            format!("{then} table t has no column a"),
        ),
        (
            "INSERT INTO t (id, a) VALUES (1, 2); CREATE TABLE b (x int); INSERT INTO b (x) SELECT a FROM t; \
             DROP VIEW v; ALTER TABLE t DROP COLUMN a",
            format!("{then} there is no column a in any of the tables here (b, t)"),
        ),
        (
            "CREATE TABLE r (code text PRIMARY KEY); INSERT INTO r (code) VALUES ('a'); ALTER TABLE r ADD COLUMN lvl int; \
             UPDATE r SET lvl = 3; ALTER TABLE r ALTER lvl SET NOT NULL",
            format!("{then} column lvl of table r takes no NULL"),
        ),
        (
            "CREATE TABLE r (a int); COPY r (a) FROM stdin;\n1\n\\.\nALTER TABLE r RENAME COLUMN a TO b",
            format!("{then} table r has no column a"),
        ),
    ] {
        let refusals = plan(&format!("{OBJECTS}{statements}"), "").expect_err("refused");
        assert!(refusals.iter().any(|refusal| refusal.reason.contains(&words)), "{statements}\n{refusals}");
    }
    for statements in [
        "INSERT INTO t (id) SELECT x FROM generate_series(1, 2) AS x",
        "INSERT INTO t (id) SELECT count(*) AS n FROM t GROUP BY a ORDER BY n",
        "INSERT INTO t (id, a) VALUES (1, 2) ON CONFLICT (id) DO UPDATE SET a = excluded.a + t.a WHERE t.ctid IS NULL",
        "CREATE TABLE r (id serial PRIMARY KEY, b int GENERATED BY DEFAULT AS IDENTITY, c int NOT NULL DEFAULT 1, \
         d int NOT NULL); ALTER TABLE r ALTER d DROP NOT NULL; INSERT INTO r DEFAULT VALUES; INSERT INTO r (c) VALUES (1)",
        "UPDATE t SET a = (SELECT max(i.d) FROM i WHERE i.id = t.id)",
    ] {
        assert_accepted(statements);
    }
}
