//! Statements that no seed may have.

use crate::assert_refused;

const TABLES: &str = "CREATE TABLE t (id int PRIMARY KEY, a int); CREATE TABLE u (id int PRIMARY KEY);\n\
    -- sindico: global\nCREATE TABLE g (id int PRIMARY KEY, name text);\n";

#[test]
fn of_a_tenant() {
    for (statement, words) in [
        ("CREATE TABLE x (a int)", "move the statement to migrations/"),
        ("DROP TABLE t", "move the statement to migrations/"),
        ("INSERT INTO x VALUES (1)", "no table x"),
        ("INSERT INTO pg_authid (rolname) VALUES ('x')", "no table pg_authid"),
        ("INSERT INTO pg_catalog.pg_authid (rolname) VALUES ('x')", "in a schema of its own"),
        ("INSERT INTO t (id, z) VALUES (1, 2)", "t has no column z"),
        ("INSERT INTO t (id, tenant_id) VALUES (1, 'x')", "tenant_id is the column"),
        ("INSERT INTO t VALUES (1, 2, 'x')", "3 values for the 2 columns"),
        ("INSERT INTO t SELECT * FROM u", "* would include tenant_id"),
        ("INSERT INTO t SELECT u.* FROM u", "* would include tenant_id"),
        ("INSERT INTO t (a) SELECT (u).* FROM u", "* would include tenant_id"),
        ("INSERT INTO t (a) SELECT count(u) FROM u", "u means whole rows"),
        ("INSERT INTO t (a) SELECT length(x::text) FROM u x", "x means whole rows"),
        (
            "INSERT INTO t (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET a = length(excluded::text)",
            "excluded means whole rows",
        ),
        ("INSERT INTO t (id, a) SELECT x.i, x.j FROM t AS x (i, j)", "a list of column names after a table's alias"),
        ("DELETE FROM u USING t AS x (i) WHERE x.i = u.id", "a list of column names after a table's alias"),
        ("INSERT INTO t (a) SELECT x.i FROM (t JOIN u USING (id)) AS x (i)", "an alias of a whole join"),
        ("INSERT INTO t (a) SELECT count(x) FROM (t JOIN u USING (id)) AS x", "an alias of a whole join"),
        (
            "WITH u (id) AS (VALUES (1)) INSERT INTO t (id) SELECT u.id FROM public.u",
            "u is both a table and a WITH query here",
        ),
        (
            "INSERT INTO t (id) WITH u (id) AS (VALUES (1)) SELECT id FROM (SELECT id FROM public.u) AS x",
            "u is both a table and a WITH query here",
        ),
        ("INSERT INTO t (a) SELECT length((u.tenant_id)::text) FROM u", "tenant_id is the column"),
        ("INSERT INTO t (a) SELECT length((tenant_id(u))::text) FROM u", "tenant_id is the column"),
        ("INSERT INTO t (a) SELECT 1 FROM u WHERE ((u).tenant_id) IS NULL", "tenant_id is the column"),
        ("INSERT INTO t (id) VALUES (1) ON CONFLICT (z) DO NOTHING", "t has no column z"),
        ("INSERT INTO t (id) VALUES (1) ON CONFLICT ON CONSTRAINT z DO NOTHING", "no unique constraint z"),
        ("INSERT INTO t (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET tenant_id = 'x'", "tenant_id is the column"),
        ("UPDATE t SET z = 1", "t has no column z"),
        ("UPDATE t SET tenant_id = 'x'", "tenant_id is the column"),
        ("UPDATE t SET a = 1 FROM pg_class", "no table pg_class"),
        ("UPDATE t SET a = (SELECT count(1) FROM information_schema.tables)", "in a schema of its own"),
        ("UPDATE t SET a = lo_create(0)", "the function lo_create"),
        ("UPDATE t SET a = length(pg_read_file('/etc/passwd'))", "the function pg_read_file"),
        ("UPDATE t SET a = $1", "a parameter"),
        ("UPDATE t SET a = 1 WHERE CURRENT OF c", "WHERE CURRENT OF"),
        ("DELETE FROM t USING x", "no table x"),
        ("DELETE FROM t WHERE id IN (SELECT id FROM u FOR UPDATE)", "FOR UPDATE"),
        ("DELETE FROM t WHERE id IN (SELECT id FROM u TABLESAMPLE system (1))", "this in FROM"),
        ("DELETE FROM t WHERE id OPERATOR(other.=) 1", "the operator other.="),
        ("DELETE FROM t WHERE xmlelement(name a) IS NULL", "an XML expression"),
        ("SELECT id INTO x FROM t", "SELECT INTO"),
        ("SELECT create_hypertable('t', 'a')", "calls the function create_hypertable"),
        ("INSERT INTO g SELECT id, 'x' FROM t", "cannot depend on rows of t"),
        ("WITH x AS (INSERT INTO g VALUES (1) RETURNING id) INSERT INTO t SELECT id FROM x", "write two statements"),
        ("TRUNCATE t", "TRUNCATE"),
        ("-- sindico: global\nINSERT INTO g VALUES (1)", "this statement creates none"),
    ] {
        assert_refused(TABLES, statement, words);
    }
}
