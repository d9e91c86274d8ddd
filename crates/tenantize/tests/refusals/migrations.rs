//! One statement of each kind that no migration may have.

use crate::assert_refused;

/// What the statements below may refer to.
const TABLES: &str = "CREATE TABLE t (id int PRIMARY KEY, a int, b text, UNIQUE (a, b));\n\
    -- sindico: global\nCREATE TABLE g (id int PRIMARY KEY, name text);\n";

#[test]
fn clauses_of_create_table() {
    for (statement, words) in [
        ("CREATE TABLE x (tenant_id uuid)", "tenant_id is the column that síndico adds"),
        ("CREATE TABLE x (\"tenant_id\" int)", "tenant_id is the column"),
        ("CREATE TABLE x (LIKE t)", "LIKE in CREATE TABLE cannot be used"),
        ("CREATE TABLE x () INHERITS (t)", "INHERITS"),
        ("CREATE TABLE x PARTITION OF t DEFAULT", "partition"),
        ("CREATE TABLE x OF y", "OF a type"),
        ("CREATE TEMP TABLE x (a int)", "temporary table"),
        ("CREATE TABLE x (a int) TABLESPACE y", "tablespace"),
        ("CREATE TABLE x (a int) USING columnar", "access method"),
        ("CREATE TABLE x (a int) WITH (user_catalog_table = true)", "storage parameter"),
        ("CREATE TABLE x (a int UNIQUE WITH (fill = 10))", "storage parameter"),
        ("CREATE TABLE x (a int, EXCLUDE USING hash (a WITH =))", "exclusion constraint with hash"),
        ("CREATE TABLE x (a int, a int)", "column a is defined twice"),
        ("CREATE TABLE x (a int PRIMARY KEY, b int PRIMARY KEY)", "has a primary key already"),
        ("CREATE TABLE x (a int, CONSTRAINT c CHECK (a > 0), CONSTRAINT c CHECK (a > 1))", "a constraint c already"),
        ("CREATE TABLE x (a int, CONSTRAINT t_pkey UNIQUE (a))", "t_pkey is already taken"),
        ("CREATE TABLE x (a int, UNIQUE (b))", "table x has no column b"),
        ("CREATE TABLE x (a int CHECK (b > 0))", "table x has no column b"),
        ("CREATE TABLE x (a int CHECK (t.b > 0))", "table x has no column b"),
        ("CREATE TABLE x (a int CHECK (a > 0) NOT ENFORCED)", "ENFORCED"),
        ("CREATE TABLE x (a int, b int GENERATED ALWAYS AS (a + 1))", "virtual generated column"),
        ("CREATE TABLE x (a int CHECK (a IN (SELECT id FROM t)))", "no sub-query"),
        ("CREATE TABLE x (a int CHECK (x IS NOT NULL))", "no column x"),
        ("CREATE TABLE x (a t)", "row type"),
        ("CREATE TABLE x (a _t)", "row type"),
        ("CREATE TABLE x (a other.type)", "the type other.type"),
        ("CREATE TABLE x (a SETOF int)", "SETOF"),
        ("CREATE TABLE x (a text DEFAULT other.f())", "the function other.f"),
        ("CREATE TABLE x (a xml DEFAULT query_to_xml('SELECT 1', true, true, ''))", "the function query_to_xml"),
        ("CREATE TABLE x (a text DEFAULT set_config('a.b', 'c', false))", "the function set_config"),
        ("CREATE TABLE x (a text DEFAULT pg_catalog.set_config('a.b', 'c', false))", "the function set_config"),
        ("CREATE TABLE x (a int DEFAULT nextval('public.t_id_seq'))", "no sequence t_id_seq"),
        ("CREATE TABLE t (a int)", "there is a table t already"),
        ("CREATE TABLE g (a int)", "there is a table g already"),
        ("CREATE TABLE t_pkey (a int)", "t_pkey is already taken"),
        ("-- sindico: global\nCREATE TABLE t_pkey (a int)", "t_pkey is already taken"),
        ("CREATE TABLE g_pkey (a int)", "g_pkey is already taken"),
        ("CREATE TABLE x (a int, CONSTRAINT g_pkey UNIQUE (a))", "g_pkey is already taken"),
        (
            "-- sindico: global\nCREATE TABLE a (b_id serial); CREATE TABLE a_b (id serial)",
            "a_b_id_seq, which PostgreSQL chooses here, is already taken",
        ),
        ("CREATE TABLE pg_x (a int)", "pg_x begins with pg_"),
        ("CREATE TABLE public.pg_class (a int)", "pg_class begins with pg_"),
        ("CREATE TABLE x (a int, CONSTRAINT pg_x UNIQUE (a))", "pg_x begins with pg_"),
        ("CREATE TABLE other.x (a int)", "other.x is in a schema of its own"),
        ("CREATE TABLE global.x (a int)", "global.x is in a schema of its own"),
        ("CREATE TABLE a_name_of_more_than_sixty_three_bytes_that_postgresql_would_cut_silently (a int)", "63 bytes"),
        ("CREATE TABLE x (\"a name of more than sixty-three bytes that PostgreSQL would cut short\" int)", "63 bytes"),
    ] {
        assert_refused(&format!("{TABLES}{statement}"), "", words);
    }
}

#[test]
fn foreign_keys() {
    for (statement, words) in [
        ("CREATE TABLE x (a int REFERENCES y)", "no table y"),
        ("CREATE TABLE x (a int REFERENCES other.t)", "in a schema of its own"),
        ("CREATE TABLE x (a int REFERENCES t (b))", "no unique constraint of table t"),
        ("CREATE TABLE x (a int REFERENCES t (z))", "table t has no column z"),
        ("CREATE TABLE x (a int, b int, FOREIGN KEY (a, b) REFERENCES t)", "2 columns and refers to 1"),
        ("CREATE TABLE x (a int REFERENCES t ON UPDATE SET NULL)", "ON UPDATE SET NULL"),
        ("CREATE TABLE x (a int REFERENCES t ON UPDATE SET DEFAULT)", "ON UPDATE SET NULL"),
        ("CREATE TABLE y (a int); CREATE TABLE x (a int REFERENCES y)", "y has no primary key"),
        ("-- sindico: global\nCREATE TABLE x (a int REFERENCES t)", "the global table x refers to t"),
    ] {
        assert_refused(&format!("{TABLES}{statement}"), "", words);
    }
}

#[test]
fn indexes_alterations_and_drops() {
    for (statement, words) in [
        ("CREATE UNIQUE INDEX ON t USING hash (a)", "no btree"),
        ("CREATE INDEX ON t (z)", "no column z"),
        ("CREATE INDEX ON t (tenant_id)", "no column tenant_id"),
        ("CREATE INDEX ON t (a) WHERE tenant_id IS NULL", "tenant_id is the column"),
        ("CREATE INDEX ON y (a)", "no table y"),
        ("CREATE INDEX t_pkey ON t (a)", "t_pkey is already taken"),
        ("CREATE INDEX g_pkey ON t (a)", "g_pkey is already taken"),
        ("CREATE INDEX t_pkey ON g (name)", "t_pkey is already taken"),
        ("CREATE INDEX pg_x ON t (a)", "pg_x begins with pg_"),
        ("CREATE INDEX ON t (a) WITH (fill = 10)", "storage parameter"),
        ("ALTER TABLE t ADD COLUMN tenant_id int", "tenant_id is the column"),
        ("ALTER TABLE t ADD COLUMN a int", "a column a already"),
        ("ALTER TABLE t DROP COLUMN tenant_id", "no column tenant_id"),
        ("ALTER TABLE t DROP CONSTRAINT z", "no constraint z"),
        ("CREATE TABLE x (a int REFERENCES t); ALTER TABLE t DROP CONSTRAINT t_pkey", "x_a_fkey of table x refers"),
        ("ALTER TABLE t ADD CONSTRAINT c UNIQUE USING INDEX i", "no index i"),
        ("ALTER TABLE t SET SCHEMA x", "SET SCHEMA"),
        ("ALTER TABLE t INHERIT g", "INHERIT or OF"),
        ("ALTER TABLE t ALTER a TYPE g USING NULL", "row type"),
        ("ALTER SEQUENCE s RESTART", "no sequence s"),
        ("ALTER TABLE t RENAME TO g", "there is a table g already"),
        ("ALTER TABLE t RENAME TO g_pkey", "g_pkey is already taken"),
        ("ALTER TABLE g RENAME TO t_pkey", "t_pkey is already taken"),
        ("ALTER TABLE t RENAME TO pg_t", "pg_t begins with pg_"),
        ("ALTER TABLE t RENAME a TO tenant_id", "tenant_id is the column"),
        ("ALTER TABLE t RENAME a TO b", "a column b already"),
        ("DROP TABLE y", "no table y"),
        ("DROP TABLE t, g", "one DROP for global"),
        ("CREATE TABLE x (a int REFERENCES t); DROP TABLE t", "table x refers to table t"),
        ("DROP INDEX t_pkey", "belongs to a constraint"),
        ("DROP INDEX i", "no index i"),
        ("DROP VIEW v", "no view v"),
        ("COMMENT ON TABLE y IS 'x'", "no table y"),
        ("COMMENT ON COLUMN t.z IS 'x'", "no column z"),
        ("COMMENT ON DATABASE d IS 'x'", "a comment on this"),
        ("COMMENT ON TABLE other.t IS 'x'", "leave the schema out"),
    ] {
        assert_refused(&format!("{TABLES}{statement}"), "", words);
    }
}

#[test]
fn whatever_no_rule_covers() {
    for (statement, words) in [
        ("CREATE TABLE x AS SELECT 1", "CREATE TABLE AS"),
        ("CREATE MATERIALIZED VIEW x AS SELECT 1", "create a view, which is always fresh"),
        ("CREATE TRIGGER x BEFORE INSERT ON t EXECUTE FUNCTION f()", "no function f"),
        ("CREATE EVENT TRIGGER x ON sql_drop EXECUTE FUNCTION f()", "an event trigger"),
        ("CREATE RULE r AS ON INSERT TO t DO NOTHING", "a rule"),
        ("CREATE EXTENSION dblink", "not available to apps: it opens connections"),
        ("CREATE SCHEMA s", "a schema"),
        ("ALTER ROLE r SET timezone = 'UTC'", "a setting of a role"),
        ("ALTER TABLE t FORCE ROW LEVEL SECURITY", "row-level security of the app's own"),
        ("CREATE POLICY p ON t USING (true)", "row-level security of the app's own"),
        ("SET search_path = x", "search_path names x"),
        ("DO $$ BEGIN INSERT INTO t VALUES (1); END $$", "a DO block"),
        ("CALL p()", "no procedure p"),
        ("COPY t FROM '/etc/passwd'", "COPY"),
        ("TRUNCATE t", "TRUNCATE"),
        ("MERGE INTO t USING g ON true WHEN MATCHED THEN DELETE", "MERGE"),
        ("PREPARE p AS SELECT 1", "PREPARE"),
        ("EXPLAIN ANALYZE DELETE FROM t", "EXPLAIN"),
        ("ALTER SYSTEM SET fsync = off", "the server's configuration"),
        ("LOAD 'x'", "the server's configuration"),
        ("CREATE DATABASE d", "a database"),
        ("\\i other.sql", "a psql command"),
        ("-- sindico: globl\nCREATE TABLE x (a int)", "'sindico: globl' does not exist"),
        ("-- sindico: global\nCREATE INDEX ON t (a)", "this statement creates none"),
        ("CREATE TABLE x (a int); -- sindico: global\nCREATE TABLE y (a int)", "shares a line"),
        ("CREATE TABLE x ( -- sindico: global\n a int)", "stands inside or after"),
        ("-- sindico: global", "stands inside or after"),
        ("CREATE TABLE x (a int", "syntax error at end of input"),
        ("SELECT 'x", "unterminated quoted string"),
    ] {
        assert_refused(&format!("{TABLES}{statement}"), "", words);
    }
}

#[test]
fn the_name_of_the_tenant_index_is_taken() {
    let migrations = "CREATE TABLE a (x int); ";
    let file = |name: &str, text: &str| tenantize::SqlFile { name: name.to_owned(), text: text.to_owned() };
    let second = "CREATE TABLE a_tenant (id int); CREATE INDEX ON a_tenant (id);";
    let migrations = vec![file("migrations/1.sql", migrations), file("migrations/2.sql", second)];
    let refusals = tenantize::plan(&tenantize::Sources { migrations, seed: vec![] }).expect_err("a clash of names");
    assert!(refusals.to_string().contains("a_tenant_id_idx is that of an index which síndico adds"), "{refusals}");
}

#[test]
fn the_name_of_the_tenant_index_is_taken_for_global_tables_too() {
    let file = |name: &str, text: &str| tenantize::SqlFile { name: name.to_owned(), text: text.to_owned() };
    let second = "-- sindico: global\nCREATE TABLE a_tenant_id_idx (id int);";
    let migrations = vec![file("migrations/1.sql", "CREATE TABLE a (x int);"), file("migrations/2.sql", second)];
    let refusals = tenantize::plan(&tenantize::Sources { migrations, seed: vec![] }).expect_err("a clash of names");
    assert!(refusals.to_string().contains("a_tenant_id_idx is that of an index which síndico adds"), "{refusals}");
}

#[test]
fn programs_that_would_leave_their_tenant() {
    let function = |options: &str, body: &str| format!("CREATE FUNCTION f() RETURNS void {options} AS $$ {body} $$");
    let plpgsql = |body: &str| function("LANGUAGE plpgsql", &format!("BEGIN {body} END"));
    for (statement, words) in [
        (function("LANGUAGE sql SECURITY DEFINER", "SELECT 1"), "SECURITY DEFINER"),
        (function("LANGUAGE plpython3u", "pass"), "a function in plpython3u"),
        (function("LANGUAGE c", "x"), "a function in c"),
        (function("LANGUAGE sql SET role = postgres", "SELECT 1"), "a function that sets role"),
        (function("LANGUAGE sql SET search_path FROM CURRENT", "SELECT 1"), "FROM CURRENT"),
        (function("LANGUAGE sql", "CREATE TABLE x (a int)"), "CREATE TABLE in a function"),
        (function("LANGUAGE sql", "SELECT dblink('x', 'y')"), "the function dblink"),
        (function("LANGUAGE sql LEAKPROOF", "SELECT 1"), "LEAKPROOF"),
        (function("LANGUAGE sql", "SELEC 1"), "syntax error"),
        (plpgsql("LOCK TABLE t;"), "LOCK is not available"),
        (plpgsql("DROP TABLE t;"), "a statement other than"),
        (plpgsql("SET LOCAL role TO x;"), "a function that sets role"),
        (
            plpgsql("EXECUTE 'INSERT INTO t (id) VALUES (1) ON CONFLICT (id) DO NOTHING';"),
            "EXECUTE runs a text with ON CONFLICT",
        ),
        (plpgsql("EXECUTE format('CREATE TABLE %I (a int)', 'x');"), "EXECUTE runs a text with CREATE"),
        (plpgsql("EXECUTE 'truncate t';"), "EXECUTE runs a text with TRUNCATE"),
        (plpgsql("IF THEN;"), "síndico could not read the body: its reader of PL/pgSQL says"),
        ("CREATE VIEW v AS SELECT * FROM x".to_owned(), "no table x"),
        ("CREATE VIEW v AS SELECT * FROM pg_stat_activity".to_owned(), "a view of pg_stat_activity"),
        ("CREATE VIEW v AS SELECT * FROM other.x".to_owned(), "other.x, in another schema"),
        ("CREATE VIEW v AS SELECT 1 AS tenant_id".to_owned(), "tenant_id is the column"),
        ("CREATE TEMP VIEW v AS SELECT 1".to_owned(), "a temporary view"),
        ("CREATE VIEW t AS SELECT 1".to_owned(), "already taken"),
        ("CREATE VIEW v AS SELECT * FROM generate_series(1, 2), t".to_owned(), "list the columns"),
        ("CREATE VIEW v AS SELECT 1 AS a; ALTER VIEW v SET (security_invoker = false)".to_owned(), "ALTER VIEW"),
        ("ALTER TABLE t DISABLE TRIGGER ALL".to_owned(), "TRIGGER ALL"),
        ("CREATE AGGREGATE a (int) (SFUNC = int4pl, STYPE = int)".to_owned(), "an aggregate"),
        ("CREATE OPERATOR === (FUNCTION = int4eq, LEFTARG = int, RIGHTARG = int)".to_owned(), "an operator"),
        ("CREATE CAST (text AS int) WITH INOUT".to_owned(), "a cast"),
        ("CREATE FOREIGN DATA WRAPPER w".to_owned(), "foreign data"),
        ("CREATE PUBLICATION p FOR ALL TABLES".to_owned(), "replication"),
        ("CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p".to_owned(), "replication"),
        ("CREATE LANGUAGE plperl".to_owned(), "the extension plperl is not available"),
        ("CREATE TYPE x AS ENUM ('a'); DROP TYPE x CASCADE".to_owned(), "CASCADE"),
        ("CREATE TYPE x AS ENUM ('a'); ALTER TYPE x RENAME VALUE 'b' TO 'c'".to_owned(), "no value 'b'"),
        ("CREATE TYPE t AS ENUM ('a')".to_owned(), "already taken"),
        ("CREATE DOMAIN x AS int CHECK ((SELECT true))".to_owned(), "no sub-query"),
        ("CREATE TYPE x AS ENUM ('a');\n-- sindico: global\nCREATE TABLE y (a x)".to_owned(), "each tenant's own"),
        ("CREATE EXTENSION postgis".to_owned(), "spatial_ref_sys"),
        ("CREATE EXTENSION citext VERSION '1'".to_owned(), "VERSION of an extension"),
        ("SET session_replication_role = replica".to_owned(), "session_replication_role"),
        ("SET standard_conforming_strings = off".to_owned(), "has no effect"),
        ("SET timezone = 'UTC'".to_owned(), "the setting timezone"),
        ("ROLLBACK".to_owned(), "ROLLBACK"),
        ("COPY t (id) FROM stdin;\n1\t2\n\\.\n".to_owned(), "row 1 below COPY has 2 values"),
        ("COPY t FROM stdin;\n1\n".to_owned(), "have no end"),
        ("COPY t TO stdout".to_owned(), "COPY … TO"),
        (
            "WITH w AS (SELECT 1 AS x) INSERT INTO t (id) SELECT x FROM w; ALTER TABLE t RENAME id TO c".to_owned(),
            "when all migrations have run, and then table t has no column id",
        ),
        ("DO $$ BEGIN PERFORM 1; END $$".to_owned(), "a DO block"),
        ("CREATE SCHEMA other".to_owned(), "a schema"),
    ] {
        assert_refused(&format!("{TABLES}{statement}"), "", words);
    }
}
