//! Stars where it matters how many columns they are.

use domain::Isolation;
use tenantize::client::Verdict;

use crate::{rewritten, rules};

const TABLES: &str = "
    CREATE TABLE a (id int, x text);
    CREATE TABLE archive (id int, x text, at timestamptz DEFAULT now());
    CREATE TABLE five (a int, b text, c int, d text, e int);
    CREATE TABLE one (\"I\" int);
    -- sindico: global
    CREATE TABLE kinds (id int PRIMARY KEY, name text);
";

#[test]
fn counted_stars_are_the_apps_columns() {
    let rules = rules(TABLES, Isolation::Shared);
    for (sql, expected) in [
        (
            "INSERT INTO archive SELECT * FROM a WHERE x <> '*'",
            r#"INSERT INTO archive SELECT "a"."id", "a"."x" FROM a WHERE x <> '*'"#,
        ),
        (
            "INSERT INTO archive (id, x) SELECT a . * /* * */ FROM a, kinds",
            r#"INSERT INTO archive (id, x) SELECT "a"."id", "a"."x" /* * */ FROM a, kinds"#,
        ),
        (
            "INSERT INTO archive SELECT *, now() FROM (SELECT * FROM public.a) s",
            r#"INSERT INTO archive SELECT *, now() FROM (SELECT "a"."id", "a"."x" FROM public.a) s"#,
        ),
        (
            "WITH gone AS (DELETE FROM a AS d WHERE id = $1 RETURNING *) INSERT INTO archive SELECT * FROM gone",
            r#"WITH gone AS (DELETE FROM a AS d WHERE id = $1 RETURNING "d"."id", "d"."x") INSERT INTO archive SELECT * FROM gone"#,
        ),
        (
            "SELECT * FROM a UNION ALL SELECT id, name FROM kinds",
            r#"SELECT "a"."id", "a"."x" FROM a UNION ALL SELECT id, name FROM kinds"#,
        ),
        (
            "SELECT * FROM a WHERE id IN (SELECT * FROM one o (j))",
            r#"SELECT * FROM a WHERE id IN (SELECT "o"."j" FROM one o (j))"#,
        ),
        ("SELECT (SELECT one.* FROM one), count(*) FROM a", r#"SELECT (SELECT "one"."I" FROM one), count(*) FROM a"#),
        (
            "INSERT INTO five SELECT * FROM a JOIN kinds k ON true",
            r#"INSERT INTO five SELECT "a"."id", "a"."x", "k".* FROM a JOIN kinds k ON true"#,
        ),
    ] {
        assert_eq!(rewritten(&rules, sql), expected);
        assert_eq!(rules.rewrite(expected, true), Verdict::Unchanged);
    }
}

#[test]
fn other_stars_stay() {
    let rules = rules(TABLES, Isolation::Shared);
    for sql in [
        "SELECT * FROM a",
        "SELECT a.*, x FROM a WHERE EXISTS (SELECT * FROM one)",
        "SELECT * FROM kinds UNION SELECT * FROM kinds",
        "SELECT * FROM (SELECT * FROM a) s",
        "WITH a AS (SELECT 1) INSERT INTO archive SELECT * FROM a",
        "INSERT INTO archive SELECT 2 * 3, count(*)::text FROM a",
        "INSERT INTO archive (id) SELECT id FROM a RETURNING *",
    ] {
        assert_eq!(rules.rewrite(sql, true), Verdict::Unchanged, "{sql}");
    }
    for sql in ["SELECT * FROM a WHERE id = 2 * 3", "SELECT count(*) FROM a WHERE id IN (SELECT id FROM one)"] {
        assert!(!rules.concerns(sql.as_bytes()), "{sql}");
    }
}

#[test]
fn rows_of_a_tables_type_are_the_apps_columns() {
    let rules = rules(TABLES, Isolation::Shared);
    for (sql, expected) in [
        (
            "INSERT INTO a SELECT * FROM jsonb_populate_record(null::a, $1)",
            r#"INSERT INTO a SELECT "jsonb_populate_record"."id", "jsonb_populate_record"."x" FROM jsonb_populate_record(null::a, $1)"#,
        ),
        (
            "INSERT INTO public.a SELECT r.* FROM json_populate_recordset(NULL::public.a, $1) r RETURNING id",
            r#"INSERT INTO public.a SELECT "r"."id", "r"."x" FROM json_populate_recordset(NULL::public.a, $1) r RETURNING id"#,
        ),
        (
            "INSERT INTO a SELECT (jsonb_populate_record(null::a, $1)).*",
            r#"INSERT INTO a SELECT (jsonb_populate_record(null::a, $1))."id", (jsonb_populate_record(null::a, $1))."x""#,
        ),
        (
            "INSERT INTO a SELECT * FROM unnest($1::a[])",
            r#"INSERT INTO a SELECT "unnest"."id", "unnest"."x" FROM unnest($1::a[])"#,
        ),
        ("SELECT ROW (7, f(ARRAY[1, 2]))::a", "SELECT ROW (7, f(ARRAY[1, 2]), sindico.current_tenant())::a"),
    ] {
        assert_eq!(rewritten(&rules, sql), expected);
    }
    for sql in [
        "INSERT INTO kinds SELECT * FROM jsonb_populate_record(null::kinds, $1)",
        "INSERT INTO a SELECT * FROM jsonb_populate_record(null::a, $1) AS r (i, j)",
        "SELECT ROW(7, 'a', 'b')::a, ROW(1, 'x')::kinds",
    ] {
        assert_eq!(rules.rewrite(sql, true), Verdict::Unchanged, "{sql}");
    }
    let late = crate::rules("CREATE TABLE t (a int, b int[]); ALTER TABLE t ADD c int", Isolation::Shared);
    assert_eq!(
        rewritten(&late, "SELECT CAST(ROW((1), '{1,2}', 3) AS t)"),
        "SELECT CAST(ROW((1), '{1,2}', sindico.current_tenant(), 3) AS t)"
    );
}
