//! What shared SQL becomes of statements that are accepted.

use crate::plan;

const TABLES: &str = "CREATE TABLE t (id int PRIMARY KEY, a int, b text UNIQUE);\n\
    CREATE TABLE u (id int PRIMARY KEY);\nALTER TABLE t ADD COLUMN c int;\n\
    -- sindico: global\nCREATE TABLE g (id int PRIMARY KEY, name text);\n";

/// The last statement that shared tables get of this seed.
#[track_caller]
fn shared(seed: &str) -> String {
    let plan = plan(TABLES, seed).unwrap_or_else(|refusals| panic!("{refusals}"));
    plan.seed()[0].shared.concat()
}

#[test]
fn on_conflict_leads_with_the_tenant() {
    assert_eq!(
        shared("INSERT INTO t (id, a) VALUES (1, 2) ON CONFLICT (b) WHERE a > 0 DO UPDATE SET a = excluded.a"),
        "INSERT INTO t (id, a) VALUES (1, 2) ON CONFLICT (tenant_id, b) WHERE a > 0 DO UPDATE SET a = excluded.a"
    );
    assert_eq!(
        shared(
            "WITH x AS (INSERT INTO t (id) VALUES (1) ON CONFLICT (lower(b)) DO NOTHING RETURNING id) \
                INSERT INTO u SELECT id FROM x ON CONFLICT ON CONSTRAINT u_pkey DO NOTHING"
        ),
        "WITH x AS (INSERT INTO t (id) VALUES (1) ON CONFLICT (tenant_id, lower(b)) DO NOTHING RETURNING id) \
         INSERT INTO u (id) SELECT id FROM x ON CONFLICT ON CONSTRAINT u_pkey DO NOTHING"
    );
    let unchanged = "INSERT INTO g (id) VALUES (1) ON CONFLICT (id) DO NOTHING";
    assert_eq!(shared(unchanged), unchanged);
}

#[test]
fn positions_become_names() {
    assert_eq!(shared("INSERT INTO t VALUES (1, 2, 'x', 4)"), "INSERT INTO t (id, a, b, c) VALUES (1, 2, 'x', 4)");
    assert_eq!(
        shared("INSERT INTO t SELECT id, 1 FROM u UNION ALL VALUES (1, 2)"),
        "INSERT INTO t (id, a) SELECT id, 1 FROM u UNION ALL VALUES (1, 2)"
    );
    assert_eq!(shared("INSERT INTO t DEFAULT VALUES"), "INSERT INTO t DEFAULT VALUES");
}

#[test]
fn what_needs_no_change_keeps_its_text() {
    for seed in [
        "UPDATE t /* kept */ SET (a, c) = (SELECT count(*), max(u.id) FROM u) WHERE EXISTS (SELECT FROM u)",
        "DELETE FROM t USING u, generate_series(1, 3) AS n WHERE t.id = u.id AND n = t.id",
        "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 3) \
         INSERT INTO u (id) SELECT i FROM n",
        "INSERT INTO t (id, a) SELECT id, row_number() OVER (PARTITION BY id ORDER BY id) FROM u JOIN g USING (id)",
        "INSERT INTO u (id) SELECT x.i FROM g AS x (i, n) JOIN t AS y ON y.id = x.i",
        "WITH u (id) AS (VALUES (1)) INSERT INTO u (id) SELECT u.id FROM u ON CONFLICT ON CONSTRAINT u_pkey DO NOTHING",
        "INSERT INTO u (id) SELECT x.a FROM json_to_recordset('[]') AS x (a int)",
        "UPDATE t SET b = CASE WHEN a IS NULL THEN 'x' ELSE upper(b) END, a = DEFAULT, c = (ARRAY[1, 2])[1]",
    ] {
        assert_eq!(shared(seed), seed);
    }
}

#[test]
fn the_schema_public_is_taken_off() {
    let plan =
        plan("CREATE TABLE public.t (a int CHECK (public.t.a > 0));", "DELETE FROM public.t WHERE public.t.a = 1")
            .unwrap_or_else(|refusals| panic!("{refusals}"));
    assert_eq!(plan.migrations()[0].own, ["CREATE TABLE t (a int CHECK (t.a > 0))"]);
    assert_eq!(plan.seed()[0].own, ["DELETE FROM t WHERE t.a = 1"]);
}

#[test]
fn tables_without_any_key_get_an_index_on_the_tenant() {
    let plan = plan("CREATE TABLE t (a int);\nCREATE TABLE u (a int);\nCREATE INDEX ON u (a);", "")
        .unwrap_or_else(|refusals| panic!("{refusals}"));
    let last = plan.migrations().last().expect("steps");
    assert_eq!(last.shared, [r#"CREATE INDEX "t_tenant_id_idx" ON "t" (tenant_id)"#]);
    assert!(last.own.is_empty());
    assert_eq!(plan.migrations()[2].shared, ["CREATE INDEX u_a_idx ON u USING btree (tenant_id, a)"]);
}

#[test]
fn rows_of_global_tables_may_come_with_a_migration() {
    let plan =
        plan(&format!("{TABLES}INSERT INTO g VALUES (1, 'x')"), "").unwrap_or_else(|refusals| panic!("{refusals}"));
    let last = plan.migrations().last().expect("steps");
    assert_eq!((last.scope, last.shared.as_slice()), (tenantize::Scope::Global, last.own.as_slice()));
}

#[test]
fn keys_and_foreign_keys_lead_with_the_tenant() {
    for (column, constraint) in [
        ("p int REFERENCES t", "CONSTRAINT x_p_fkey FOREIGN KEY (tenant_id, p) REFERENCES t (tenant_id, id)"),
        (
            "p int REFERENCES t (id) MATCH FULL ON DELETE SET NULL ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED",
            "CONSTRAINT x_p_fkey FOREIGN KEY (tenant_id, p) REFERENCES t (tenant_id, id) ON UPDATE CASCADE \
             ON DELETE SET NULL (\"p\")DEFERRABLE INITIALLY DEFERRED",
        ),
        (
            "p text, q int, CONSTRAINT f FOREIGN KEY (p) REFERENCES t (b) ON DELETE SET DEFAULT (p)",
            "CONSTRAINT f FOREIGN KEY (tenant_id, p) REFERENCES t (tenant_id, b) ON DELETE SET DEFAULT (\"p\")",
        ),
        (
            "p int REFERENCES g ON DELETE SET NULL",
            "CONSTRAINT x_p_fkey FOREIGN KEY (p) REFERENCES g ON DELETE SET NULL",
        ),
        (
            "p int REFERENCES x (q), q int UNIQUE",
            "CONSTRAINT x_p_fkey FOREIGN KEY (tenant_id, p) REFERENCES x (tenant_id, q)",
        ),
        ("p int PRIMARY KEY", "CONSTRAINT x_pkey PRIMARY KEY (tenant_id, p)"),
        ("p int UNIQUE NULLS NOT DISTINCT", "CONSTRAINT x_p_key UNIQUE NULLS NOT DISTINCT (tenant_id, p)"),
        ("p int, q int, UNIQUE (p) INCLUDE (q)", "CONSTRAINT x_p_q_key UNIQUE (tenant_id, p) INCLUDE (q)"),
    ] {
        let plan =
            plan(&format!("{TABLES}CREATE TABLE x ({column})"), "").unwrap_or_else(|refusals| panic!("{refusals}"));
        let created = plan.migrations().iter().find(|step| step.shared[0].starts_with("CREATE TABLE x"));
        let sql = &created.expect("the table").shared[0];
        assert!(sql.ends_with(&format!("{constraint})")), "{column}\nexpected: {constraint}\n{sql}");
    }
}

#[test]
fn a_key_said_twice_is_one_key() {
    let plan = plan("CREATE TABLE t (a int PRIMARY KEY, UNIQUE (a), CONSTRAINT named UNIQUE (a))", "")
        .unwrap_or_else(|refusals| panic!("{refusals}"));
    let sql = &plan.migrations()[0].shared[0];
    assert!(sql.ends_with("sindico.current_tenant(), CONSTRAINT named PRIMARY KEY (tenant_id, a))"), "{sql}");
}
