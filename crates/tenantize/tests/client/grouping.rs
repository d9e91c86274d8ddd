//! GROUP BY a primary key.

use domain::Isolation;
use tenantize::client::Verdict;

use crate::{rewritten, rules};

const TABLES: &str = r#"
    CREATE TABLE a (id int PRIMARY KEY, x text, y text);
    CREATE TABLE b (a_id int REFERENCES a, n int, z text, PRIMARY KEY (a_id, n));
    CREATE TABLE "C" ("Id" int PRIMARY KEY, a_id int);
    CREATE TABLE keyless (id int);
    -- sindico: global
    CREATE TABLE kinds (id int PRIMARY KEY, name text);
"#;

#[test]
fn the_whole_key_is_grouped_by() {
    let rules = rules(TABLES, Isolation::Shared);
    for (sql, group) in [
        ("SELECT id, x, count(*) FROM a GROUP BY id", r#"GROUP BY "a".tenant_id, id"#),
        ("SELECT * FROM public.a AS t GROUP BY t.id", r#"GROUP BY "t".tenant_id, t.id"#),
        ("SELECT public.a.x FROM public.a GROUP BY public.a.id", r#"GROUP BY "a".tenant_id, public.a.id"#),
        ("SELECT id, x FROM a group /* by */ by 1 HAVING count(*) > 0", r#"by "a".tenant_id, 1 HAVING count(*) > 0"#),
        ("SELECT * FROM a GROUP\x0bBY id", "GROUP\x0bBY \"a\".tenant_id, id"),
        ("SELECT id AS k, x FROM a GROUP BY k", r#"GROUP BY "a".tenant_id, k"#),
        ("SELECT t.u, x FROM a AS t (u) GROUP BY u", r#"GROUP BY "t".tenant_id, u"#),
        (
            "SELECT a.x, b.z FROM a LEFT JOIN b ON a.id = b.a_id GROUP BY lower(z), (a.id, n), b.a_id",
            r#"GROUP BY lower(z), ("a".tenant_id, "b".tenant_id, a.id, n), b.a_id"#,
        ),
        ("SELECT x FROM a JOIN b ON id = a_id GROUP BY a_id, id", r#"GROUP BY "a".tenant_id, a_id, id"#),
        (r#"SELECT c.* FROM "C" c GROUP BY "Id""#, r#"GROUP BY "c".tenant_id, "Id""#),
        ("SELECT a.x, k.name FROM a, kinds k GROUP BY a.id, k.id", r#"GROUP BY "a".tenant_id, a.id, k.id"#),
        ("SELECT 1 WHERE EXISTS (SELECT x FROM a GROUP BY id)", r#"GROUP BY "a".tenant_id, id)"#),
        ("DECLARE c CURSOR FOR SELECT x FROM a GROUP BY id", r#"GROUP BY "a".tenant_id, id"#),
        (
            "UPDATE b SET z = (SELECT x FROM a WHERE id = $2 GROUP BY id) WHERE n = $1",
            r#"GROUP BY "a".tenant_id, id) WHERE n = $1"#,
        ),
    ] {
        let text = rewritten(&rules, sql);
        assert!(text.ends_with(group), "{text}");
        assert_eq!(rules.rewrite(&text, true), Verdict::Unchanged, "{text}");
    }
}

#[test]
fn other_groups_are_left_alone() {
    let rules = rules(TABLES, Isolation::Shared);
    for sql in [
        "SELECT x FROM a GROUP BY x",
        "SELECT z FROM b GROUP BY a_id, z",
        "SELECT id FROM keyless GROUP BY id",
        "SELECT id, name FROM kinds GROUP BY id",
        "SELECT id, count(*) FROM a GROUP BY GROUPING SETS ((id), ())",
        "SELECT id FROM a GROUP BY ROLLUP (id)",
        "WITH a AS (SELECT 1 AS id) SELECT id FROM a GROUP BY id",
        "SELECT id FROM (SELECT id FROM a) a GROUP BY id",
        "SELECT id FROM other.a GROUP BY id",
        "SELECT id + 1 FROM a GROUP BY id + 1",
        "SELECT *, 1 FROM a GROUP BY 1",
    ] {
        assert_eq!(rules.rewrite(sql, true), Verdict::Unchanged, "{sql}");
    }
}
