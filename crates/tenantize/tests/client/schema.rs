//! Names in `public`, and sequences.

use domain::Isolation;
use tenantize::client::{Rules, Verdict};

use crate::{plan, rewritten, rules};

const TABLES: &str = r#"
    CREATE EXTENSION citext;
    CREATE TYPE mood AS ENUM ('sad', 'ok');
    CREATE TABLE "User" (id serial PRIMARY KEY, name text);
    CREATE TABLE posts (id int, author int);
    -- sindico: global
    CREATE TABLE kinds (id int PRIMARY KEY, name text);
"#;

#[test]
fn public_is_the_tenants_schema() {
    let rules = rules(TABLES, Isolation::Schema);
    for (sql, expected) in [
        (
            r#"SELECT "public"."User"."id", 'public.posts' FROM "public"."User" WHERE ("public"."User"."id" = $1 AND 1=1) LIMIT $2 OFFSET $3"#,
            r#"SELECT "t_1"."User"."id", 'public.posts' FROM "t_1"."User" WHERE ("t_1"."User"."id" = $1 AND 1=1) LIMIT $2 OFFSET $3"#,
        ),
        (
            "INSERT INTO Public . posts AS p (id) VALUES ($1) ON CONFLICT (id) DO UPDATE SET id = p.id RETURNING public.posts.*",
            r#"INSERT INTO "t_1" . posts AS p (id) VALUES ($1) ON CONFLICT (id) DO UPDATE SET id = p.id RETURNING "t_1".posts.*"#,
        ),
        (
            "UPDATE public.posts SET author = 1 FROM public.kinds; DELETE FROM public.posts USING public.\"User\" u",
            "UPDATE \"t_1\".posts SET author = 1 FROM global.kinds; DELETE FROM \"t_1\".posts USING \"t_1\".\"User\" u",
        ),
        (
            "SELECT $1::\"public\".\"mood\", CAST('x' AS public.citext), public.gen(1), ARRAY['ok']::public.mood[]",
            "SELECT $1::\"t_1\".\"mood\", CAST('x' AS citext), gen(1), ARRAY['ok']::\"t_1\".mood[]",
        ),
        (
            r#"SELECT nextval('public."User_id_seq"'), 'public.posts'::regclass, setval('"public"."User_id_seq"'::regclass, 1), to_regclass('public.kinds')"#,
            r#"SELECT nextval('"t_1"."User_id_seq"'), '"t_1".posts'::regclass, setval('"t_1"."User_id_seq"'::regclass, 1), to_regclass('global.kinds')"#,
        ),
        ("TRUNCATE public.posts, kinds", "TRUNCATE \"t_1\".posts, kinds"),
        ("COPY public.posts FROM STDIN", "COPY \"t_1\".posts FROM STDIN"),
        ("ANALYZE public.posts (id)", "ANALYZE \"t_1\".posts (id)"),
        (
            "CREATE TEMP TABLE public (LIKE public.posts, m public.mood)",
            "CREATE TEMP TABLE public (LIKE \"t_1\".posts, m \"t_1\".mood)",
        ),
        ("SELECT public.mood('ok')", "SELECT \"t_1\".mood('ok')"),
        ("PREPARE p (public.mood) AS SELECT $1", "PREPARE p (\"t_1\".mood) AS SELECT $1"),
        ("LOCK TABLE public.posts", "LOCK TABLE \"t_1\".posts"),
        ("EXPLAIN SELECT 1 FROM public.posts", "EXPLAIN SELECT 1 FROM \"t_1\".posts"),
        ("SELECT pg_notify('a', $1), 1", "SELECT sindico.notify('a', $1) AS \"pg_notify\", 1"),
    ] {
        assert_eq!(rewritten(&rules, sql), expected);
    }
    for sql in [
        "SELECT public.id FROM posts AS public",
        "SELECT 'public.posts' FROM public.unknown",
        "SELECT 'public.posts'::text -- public.posts",
    ] {
        assert_eq!(rules.rewrite(sql, true), Verdict::Unchanged, "{sql}");
    }
}

#[test]
fn elsewhere_public_stays_but_for_what_is_not_there() {
    for isolation in [Isolation::Shared, Isolation::Database, Isolation::Cluster] {
        let rules = rules(TABLES, isolation);
        for (sql, expected) in [
            ("SELECT name FROM \"public\".\"kinds\", public.posts", "SELECT name FROM global.\"kinds\", public.posts"),
            ("SELECT 'x'::public.citext", "SELECT 'x'::citext"),
            // Behind a dot any word is a name; alone this one is a statement's.
            (
                "SELECT public.DO(1), public . kinds.name FROM public.kinds",
                "SELECT \"do\"(1), global . kinds.name FROM global.kinds",
            ),
        ] {
            assert_eq!(rewritten(&rules, sql), expected);
        }
        let prisma = r#"SELECT "public"."User"."id" FROM "public"."User", PUBLIC.Posts WHERE 'ok'::public.mood = public.mood($1)"#;
        assert!(!rules.concerns(prisma.as_bytes()));
        assert_eq!(rules.rewrite(prisma, true), Verdict::Unchanged);
    }
    assert!(Rules::new(&plan("CREATE TABLE t (a int)"), Isolation::Database).is_none());
}

#[test]
fn sequences_are_the_tenants_own_where_tables_are_shared() {
    let rules = rules(TABLES, Isolation::Shared);
    for (sql, expected) in [
        (
            "SELECT setval(pg_get_serial_sequence('public.\"User\"', 'id'), coalesce(max(id), 1)) FROM \"User\"",
            "SELECT setval(E'\"s_1\".\"User_id_seq\"'::text, coalesce(max(id), 1)) FROM \"User\"",
        ),
        (
            "SELECT pg_catalog.pg_get_serial_sequence ( '\"User\"' , 'id' )",
            "SELECT E'\"s_1\".\"User_id_seq\"'::text AS \"pg_get_serial_sequence\"",
        ),
        ("SELECT nextval('public.\"User_id_seq\"')", "SELECT nextval('\"s_1\".\"User_id_seq\"')"),
        ("SELECT last_value FROM public.\"User_id_seq\"", "SELECT last_value FROM \"s_1\".\"User_id_seq\""),
    ] {
        assert_eq!(rewritten(&rules, sql), expected);
    }
    for sql in [
        "SELECT pg_get_serial_sequence('posts', 'id')",
        "SELECT pg_get_serial_sequence($1, 'id')",
        "SELECT * FROM pg_get_serial_sequence('\"User\"', 'id')",
        "SELECT nextval('\"User_id_seq\"')",
    ] {
        assert_eq!(rules.rewrite(sql, true), Verdict::Unchanged, "{sql}");
    }
}
