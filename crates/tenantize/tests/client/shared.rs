//! Where tenants share tables.

use domain::Isolation;
use tenantize::client::{Rules, Verdict};

use crate::{refused, rewritten, rules};

const TABLES: &str = r#"
    CREATE TABLE clients (id serial PRIMARY KEY, email text UNIQUE, name text,
        half text GENERATED ALWAYS AS (left(email, 3)) STORED);
    CREATE TABLE "Order" (id int PRIMARY KEY, "Client" int REFERENCES clients);
    -- sindico: global
    CREATE TABLE kinds (id int PRIMARY KEY);
"#;

fn shared() -> Rules {
    rules(TABLES, Isolation::Shared)
}

#[test]
fn conflicts_are_within_the_tenant() {
    let rules = shared();
    for (sql, expected) in [
        (
            "INSERT INTO clients (email) VALUES ($1) ON CONFLICT (email) DO NOTHING",
            "INSERT INTO clients (email) VALUES ($1) ON CONFLICT (tenant_id, email) DO NOTHING",
        ),
        (
            "insert into public.clients as c (email) values ('on conflict (x)') on /* ( */ conflict -- (\n ( lower(email) ) \
             where name is null do update set name = excluded.name where c.id = $2; SELECT 1",
            "insert into public.clients as c (email) values ('on conflict (x)') on /* ( */ conflict -- (\n (tenant_id,  \
             lower(email) ) where name is null do update set name = excluded.name where c.id = $2; SELECT 1",
        ),
        (
            r#"WITH x AS (INSERT INTO "Order" VALUES (1) ON CONFLICT ("id") DO NOTHING RETURNING 1) SELECT 1 FROM x"#,
            r#"WITH x AS (INSERT INTO "Order" VALUES (1) ON CONFLICT (tenant_id, "id") DO NOTHING RETURNING 1) SELECT 1 FROM x"#,
        ),
        (
            "PREPARE p AS WITH clients AS (SELECT 1) INSERT INTO clients (id) SELECT 1 ON CONFLICT (id) DO NOTHING",
            "PREPARE p AS WITH clients AS (SELECT 1) INSERT INTO clients (id) SELECT 1 ON CONFLICT (tenant_id, id) DO NOTHING",
        ),
    ] {
        assert_eq!(rewritten(&rules, sql), expected);
        assert_eq!(rules.rewrite(expected, true), Verdict::Unchanged, "adapted once");
    }
    for sql in [
        "INSERT INTO clients (email) VALUES ($1) ON CONFLICT DO NOTHING",
        "INSERT INTO clients (email) VALUES ($1) ON CONFLICT ON CONSTRAINT clients_pkey DO NOTHING",
        "INSERT INTO kinds VALUES (1) ON CONFLICT (id) DO NOTHING",
        "INSERT INTO temporary VALUES (1) ON CONFLICT (id) DO NOTHING",
        "INSERT INTO other.clients VALUES (1) ON CONFLICT (id) DO NOTHING",
        "INSERT INTO clients VALUES (1) ON CONFLICT (id",
    ] {
        assert_eq!(rules.rewrite(sql, true), Verdict::Unchanged, "{sql}");
    }
}

#[test]
fn copy_goes_by_a_view() {
    let rules = shared();
    for (sql, expected) in [
        ("COPY clients FROM STDIN", "COPY sindico_copy.\"clients\" FROM STDIN"),
        (
            r#"/* COPY */ copy public . "Order" ("id", "Client") from stdin with (format csv, header) where id > 0"#,
            r#"/* COPY */ copy sindico_copy."Order" ("id", "Client") from stdin with (format csv, header) where id > 0"#,
        ),
        ("COPY BINARY clients FROM STDIN", "COPY BINARY sindico_copy.\"clients\" FROM STDIN"),
        ("COPY clients TO STDOUT", r#"COPY clients ("id", "email", "name") TO STDOUT"#),
    ] {
        assert_eq!(rewritten(&rules, sql), expected);
    }
    for sql in [
        "COPY clients (id) TO STDOUT",
        "COPY kinds FROM STDIN",
        "COPY clients FROM '/etc/passwd'",
        "COPY clients FROM PROGRAM 'id'",
        "COPY (SELECT 1) TO STDOUT",
        "COPY temporary FROM STDIN",
    ] {
        assert_eq!(rules.rewrite(sql, true), Verdict::Unchanged, "{sql}");
    }
}

#[test]
fn truncate_deletes() {
    let rules = shared();
    for (sql, expected) in [
        ("TRUNCATE clients", "CALL sindico.truncate(ARRAY[E'clients'], false, false)"),
        (
            "-- all\nSELECT 1; /* now */ truncate table only public.clients, \"Order\" * restart identity cascade /* x */ ; SELECT 2",
            "-- all\nSELECT 1; /* now */ CALL sindico.truncate(ARRAY[E'clients', E'Order'], true, true) /* x */ ; SELECT 2",
        ),
    ] {
        assert_eq!(rewritten(&rules, sql), expected);
    }
    assert_eq!(rules.rewrite("TRUNCATE kinds, temporary", true), Verdict::Unchanged);
    assert!(refused(&rules, "TRUNCATE clients, temporary").contains("temporary"));
}

#[test]
fn channels_are_the_tenants_own() {
    for isolation in [Isolation::Shared, Isolation::Schema] {
        let rules = rules(TABLES, isolation);
        for (sql, expected) in [
            ("LISTEN Jobs", "LISTEN \"n_0_jobs\""),
            ("SELECT 1; unlisten \"J\"\"o\"", "SELECT 1; unlisten \"n_0_J\"\"o\""),
            ("/* x */ NOTIFY jobs, 'NOTIFY jobs'", "/* x */ NOTIFY \"n_0_jobs\", 'NOTIFY jobs'"),
        ] {
            assert_eq!(rewritten(&rules, sql), expected);
        }
        assert_eq!(rules.rewrite("UNLISTEN *", true), Verdict::Unchanged);
        let long = format!("LISTEN {}", "c".repeat(40));
        assert!(refused(&rules, &long).contains("39 bytes"));
        assert!(rewritten(&rules, &long[..46]).len() > 50);
    }
}

#[test]
fn what_would_reach_others_is_refused() {
    let rules = shared();
    for sql in [
        "LOCK clients",
        "BEGIN; LOCK TABLE clients IN SHARE MODE",
        "-- x\nEXPLAIN SELECT 1",
        ";; explain analyze SELECT 1",
    ] {
        assert!(refused(&rules, sql).contains("not available"), "{sql}");
    }
    let own = crate::rules(TABLES, Isolation::Schema);
    assert_eq!(own.rewrite("LOCK clients; EXPLAIN SELECT 1", true), Verdict::Unchanged);
}

#[test]
fn a_text_that_hides_a_statement_behind_a_setting_is_refused() {
    let rules = shared();
    let hidden = r"SELECT 'a\'; LOCK clients; --'";
    assert!(matches!(rules.rewrite(hidden, false), Verdict::Refused { .. }));
    let shown = r"SELECT 'a\''; LOCK clients; --'";
    assert!(matches!(rules.rewrite(shown, false), Verdict::Refused { .. }));
    let insert = r"INSERT INTO clients (email) VALUES('\') ON CONFLICT (id) ') ON CONFLICT (email) DO NOTHING";
    let Verdict::Rewritten(template) = rules.rewrite(insert, false) else { panic!("not rewritten") };
    assert_eq!(
        template.render(&crate::SLOTS),
        r"INSERT INTO clients (email) VALUES( E'\') ON CONFLICT (id) ') ON CONFLICT (tenant_id, email) DO NOTHING"
    );
}

#[test]
fn depth_does_not_hide_a_statement() {
    let rules = shared();
    let deep = format!("EXPLAIN SELECT {}1{}", "f(".repeat(500), ")".repeat(500));
    assert!(matches!(rules.rewrite(&deep, true), Verdict::Refused { .. }));
}

/// PostgreSQL 15 takes `system_user` for a name and runs both statements; the grammar here is a later one's.
#[test]
fn the_grammar_of_another_version_does_not_hide_a_statement() {
    let rules = shared();
    let sql = "SELECT 1 FROM (VALUES (1)) system_user; LOCK clients";
    assert!(refused(&rules, sql).contains("LOCK"));
    assert_eq!(rules.rewrite("SELECT copy FROM (VALUES (1)) system_user GROUP BY 1", true), Verdict::Unchanged);
}

#[test]
fn ordinary_statements_are_not_read() {
    let rules = shared();
    for sql in [
        "SELECT id, copy FROM t WHERE lock = $1 AND explain > 2",
        "UPDATE clients SET name = 'x' WHERE id = 1",
        "INSERT INTO clients (email) VALUES ($1) RETURNING id",
        "BEGIN",
    ] {
        assert!(!rules.concerns(sql.as_bytes()), "{sql}");
    }
}

#[test]
fn values_are_for_the_columns_that_the_app_sees_in_order() {
    let rules = rules(
        "CREATE TABLE t (a int); ALTER TABLE t ADD COLUMN b int; ALTER TABLE t ADD COLUMN c int; CREATE TABLE u (a int)",
        Isolation::Shared,
    );
    for (sql, expected) in [
        ("INSERT INTO t VALUES (1, 2), ($1, DEFAULT)", r#"INSERT INTO t ("a", "b") VALUES (1, 2), ($1, DEFAULT)"#),
        (
            "INSERT INTO public.t AS x OVERRIDING USER VALUE (SELECT * FROM t)",
            r#"INSERT INTO public.t AS x ("a", "b", "c") OVERRIDING USER VALUE (SELECT "t"."a", "t"."b", "t"."c" FROM t)"#,
        ),
        (
            "WITH q AS (SELECT * FROM (VALUES (1, 2)) v (i, j)) INSERT INTO t TABLE q",
            r#"WITH q AS (SELECT * FROM (VALUES (1, 2)) v (i, j)) INSERT INTO t ("a", "b") TABLE q"#,
        ),
    ] {
        assert_eq!(rewritten(&rules, sql), expected);
    }
    for sql in [
        "INSERT INTO t (a) VALUES (1)",
        "INSERT INTO t DEFAULT VALUES",
        "INSERT INTO u VALUES (1)",
        "INSERT INTO t VALUES (1, 2, 3, 4, 5)",
        "INSERT INTO u SELECT * FROM jsonb_to_recordset($1) AS x (a int, b int, c int)",
    ] {
        assert_eq!(rules.rewrite(sql, true), Verdict::Unchanged, "{sql}");
    }
    for (sql, expected) in [
        ("INSERT INTO u VALUES (1, DEFAULT)", r#"INSERT INTO u ("a") VALUES (1, DEFAULT)"#),
        ("INSERT INTO u SELECT 1, 2", r#"INSERT INTO u ("a") SELECT 1, 2"#),
        ("INSERT INTO t VALUES (1, 2, 3, 4)", r#"INSERT INTO t ("a", "b", "c") VALUES (1, 2, 3, 4)"#),
    ] {
        assert_eq!(rewritten(&rules, sql), expected, "one value too many");
    }
    for sql in ["INSERT INTO t VALUES (now(), 1)", "insert into t as x values (DEFAULT)", "INSERT INTO t SELECT (a)"] {
        assert!(rules.concerns(sql.as_bytes()), "{sql}: the first word in the parentheses is no column");
    }
    assert!(!rules.concerns(b"INSERT INTO t (a, b) VALUES (1, 2)"));
    assert!(!rules.concerns(b"insert into \"t\" as x (\"a\") select 1"));
}
