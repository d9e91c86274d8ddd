//! Installations that were changed by hand: each change is named, and the SQL that the finding gives mends it.

use audit::inspect::Finding;

use crate::bed::Bed;

/// Where a change is made.
#[derive(Clone, Copy, Debug)]
enum At {
    /// The database that tenants share.
    Shared,
    /// The database of one tenant.
    Own,
}

/// The rule that has to notice, where, and the change. `{app}` is the app, `{one}` and `{own}` tenants' ids in names.
const CHANGES: &[(&str, At, &str)] = &[
    ("parameters", At::Shared, "GRANT SET ON PARAMETER backtrace_functions TO app_{app}_dense"),
    ("row_security", At::Shared, "ALTER TABLE clients DISABLE ROW LEVEL SECURITY"),
    ("row_security", At::Shared, "ALTER TABLE animals NO FORCE ROW LEVEL SECURITY"),
    ("policies", At::Shared, "DROP POLICY tenant ON clients"),
    ("policies", At::Shared, "CREATE POLICY open ON clients USING (true)"),
    ("policies", At::Shared, "ALTER POLICY tenant ON staff USING (true)"),
    ("policies", At::Shared, "ALTER POLICY tenant ON staff TO app_{app}_shared_rw"),
    ("policies", At::Shared, "DROP POLICY entered ON staff"),
    ("policies", At::Shared, "ALTER POLICY entered ON staff TO app_{app}_dense, app_{app}_shared_login"),
    ("policies", At::Shared, "ALTER POLICY views ON staff TO app_{app}_shared_rw"),
    ("tenant_views", At::Shared, "ALTER VIEW v_{one}.animals RESET (security_barrier)"),
    (
        "tenant_views",
        At::Shared,
        "CREATE VIEW v_{one}.everybody AS SELECT * FROM clients; ALTER VIEW v_{one}.everybody OWNER TO app_{app}_views",
    ),
    (
        "tenant_views",
        At::Shared,
        "CREATE OR REPLACE VIEW v_{one}.staff WITH (security_barrier) AS
            SELECT * FROM public.staff WHERE tenant_id = '00000000-0000-0000-0000-000000000000'",
    ),
    (
        "tenant_views",
        At::Shared,
        "CREATE VIEW v_{one}.both WITH (security_barrier) AS SELECT name FROM clients
            UNION ALL SELECT name FROM clients WHERE (clients.tenant_id = '{one}'::uuid);
        ALTER VIEW v_{one}.both OWNER TO app_{app}_views",
    ),
    (
        "tenant_views",
        At::Shared,
        "CREATE VIEW v_{one}.twice WITH (security_barrier) AS SELECT c.name FROM clients, clients c
            WHERE (clients.tenant_id = '{one}'::uuid);
        ALTER VIEW v_{one}.twice OWNER TO app_{app}_views",
    ),
    (
        "tenant_views",
        At::Shared,
        "CREATE VIEW v_{one}.asked WITH (security_barrier) AS SELECT (SELECT max(c.name) FROM clients c) FROM clients
            WHERE (clients.tenant_id = '{one}'::uuid);
        ALTER VIEW v_{one}.asked OWNER TO app_{app}_views",
    ),
    ("tenant_views", At::Shared, "CREATE SCHEMA v_00000000000000000000000000000000"),
    (
        "tenant_views",
        At::Shared,
        "CREATE FUNCTION public.left_over() RETURNS int LANGUAGE sql AS 'SELECT 1';
        ALTER FUNCTION public.left_over() OWNER TO app_{app}_views",
    ),
    ("memberships", At::Shared, "GRANT app_{app}_views TO t_{one}"),
    ("memberships", At::Shared, "GRANT app_{app}_reports TO t_{one}"),
    ("role_attributes", At::Shared, "ALTER ROLE app_{app}_views LOGIN"),
    ("relation_privileges", At::Shared, "GRANT SELECT ON v_{one}.clients TO app_{app}_shared_rw"),
    ("schema_privileges", At::Shared, "GRANT USAGE ON SCHEMA v_{one} TO t_{own}"),
    ("relation_privileges", At::Shared, "GRANT SELECT ON clients TO PUBLIC"),
    ("relation_privileges", At::Shared, "GRANT TRUNCATE ON clients TO app_{app}_shared_rw"),
    ("relation_privileges", At::Shared, "GRANT TRIGGER, REFERENCES ON clients TO app_{app}_shared_rw"),
    ("relation_privileges", At::Shared, "GRANT UPDATE ON clients TO t_{one}"),
    ("relation_privileges", At::Shared, "GRANT SELECT (name) ON clients TO app_{app}_schema"),
    ("relation_privileges", At::Shared, "GRANT INSERT ON global.species TO app_{app}_shared_rw"),
    (
        "view_invokers",
        At::Shared,
        "CREATE VIEW public.all_clients AS SELECT * FROM clients;
        ALTER VIEW public.all_clients OWNER TO app_{app}_owner",
    ),
    (
        "view_invokers",
        At::Shared,
        "CREATE MATERIALIZED VIEW public.kept AS SELECT * FROM clients;
        ALTER MATERIALIZED VIEW public.kept OWNER TO app_{app}_owner",
    ),
    ("schema_privileges", At::Shared, "GRANT CREATE ON SCHEMA public TO PUBLIC"),
    ("schema_privileges", At::Shared, "GRANT USAGE ON SCHEMA sindico_secret TO app_{app}_shared_rw"),
    ("schema_privileges", At::Shared, "GRANT USAGE ON SCHEMA sindico_act TO app_{app}_owner"),
    ("hardening", At::Shared, "GRANT EXECUTE ON FUNCTION pg_stat_get_activity(integer) TO PUBLIC"),
    ("hardening", At::Shared, "GRANT EXECUTE ON FUNCTION pg_advisory_lock(bigint) TO app_{app}_shared_rw"),
    ("hardening", At::Shared, "GRANT USAGE ON LANGUAGE plpgsql TO PUBLIC"),
    ("own_privileges", At::Own, "GRANT SELECT ON clients TO PUBLIC"),
    ("own_privileges", At::Own, "GRANT USAGE ON SCHEMA sindico_act TO app_{app}_owner"),
    ("own_privileges", At::Own, "GRANT USAGE ON SCHEMA sindico_act TO app_{app}_own_rw"),
    ("definer_functions", At::Own, "ALTER FUNCTION sindico_act.as_owner(text) SET search_path = public"),
    ("own_privileges", At::Own, "GRANT CREATE ON SCHEMA public TO app_{app}_own_rw"),
    ("own_hardening", At::Own, "GRANT EXECUTE ON FUNCTION pg_stat_get_activity(integer) TO PUBLIC"),
    ("owners", At::Shared, "ALTER TABLE clients OWNER TO t_{one}"),
    (
        "definer_functions",
        At::Shared,
        "CREATE FUNCTION public.peek() RETURNS bigint LANGUAGE sql SECURITY DEFINER
        AS 'SELECT count(*) FROM public.clients'; ALTER FUNCTION public.peek() OWNER TO app_{app}_owner",
    ),
    ("function_privileges", At::Shared, "GRANT EXECUTE ON FUNCTION sindico.next_value(text) TO PUBLIC"),
    ("function_privileges", At::Shared, "GRANT EXECUTE ON FUNCTION sindico.enter(text, boolean) TO t_{one}"),
    ("function_privileges", At::Shared, "GRANT EXECUTE ON FUNCTION sindico_act.as_owner(text) TO app_{app}_shared_rw"),
    (
        "languages",
        At::Shared,
        "CREATE FUNCTION public.raw() RETURNS int LANGUAGE internal AS 'pg_backend_pid';
        ALTER FUNCTION public.raw() OWNER TO app_{app}_owner",
    ),
    ("extensions", At::Shared, "CREATE EXTENSION pageinspect SCHEMA extensions"),
    (
        "default_privileges",
        At::Shared,
        "ALTER DEFAULT PRIVILEGES FOR ROLE app_{app}_owner GRANT SELECT ON TABLES TO PUBLIC",
    ),
    ("event_triggers", At::Shared, "ALTER EVENT TRIGGER sindico_guard_start DISABLE"),
    ("event_triggers", At::Shared, "CREATE RULE spy AS ON DELETE TO clients DO ALSO NOTHING"),
    ("replication", At::Shared, "CREATE PUBLICATION everything FOR ALL TABLES"),
    ("foreign", At::Own, "CREATE FOREIGN DATA WRAPPER elsewhere"),
    ("role_attributes", At::Shared, "ALTER ROLE t_{one} BYPASSRLS"),
    ("role_attributes", At::Shared, "ALTER ROLE app_{app}_shared_rw LOGIN"),
    ("memberships", At::Shared, "GRANT app_{app}_owner TO t_{one}"),
    ("memberships", At::Shared, "GRANT t_{own} TO t_{one}"),
    ("memberships", At::Shared, "GRANT pg_read_all_data TO app_{app}_shared_rw"),
    ("role_settings", At::Shared, "ALTER ROLE t_{one} SET search_path = pg_temp"),
    ("database_privileges", At::Shared, "GRANT CONNECT ON DATABASE app_{app}_{own} TO PUBLIC"),
    ("database_privileges", At::Shared, "GRANT CONNECT ON DATABASE app_{app} TO PUBLIC"),
    ("orphaned_roles", At::Shared, "CREATE ROLE t_00000000000000000000000000000000 IN ROLE app_{app}_shared_rw"),
];

#[tokio::test]
async fn every_change_by_hand_is_named_and_mended() {
    let bed = Bed::make().await;
    let hex = |made: &serde_json::Value| made["id"].as_str().expect("an id").replace('-', "");
    let one = hex(&bed.tenant("one", "shared").await);
    let own = hex(&bed.tenant("own", "database").await);
    bed.lifecycle().create_views(catalog::TenantRef::Slug("one".parse().expect("a slug"))).await.expect("views");
    bed.tenant("schema", "schema").await;
    let auditor = bed.auditor();
    let inspect = async || auditor.inspect().await.expect("an inspection");
    assert_eq!(inspect().await, Vec::<Finding>::new(), "as síndico made it");
    let app = format!("app_{}", bed.app);
    let sessions = [bed.superuser(0, &app).await, bed.superuser(0, &format!("{app}_{own}")).await];
    let mut wrong = Vec::new();
    for (rule, at, change) in CHANGES {
        let session = &sessions[usize::from(matches!(at, At::Own))];
        let change = change.replace("{app}", bed.app.as_str()).replace("{one}", &one).replace("{own}", &own);
        session.batch_execute(&change).await.unwrap_or_else(|error| panic!("{change}: {error:?}"));
        let findings = inspect().await;
        if !findings.iter().any(|finding| finding.rule == *rule) {
            wrong.push(format!("{change}: {rule} says nothing: {findings:#?}"));
        }
        for finding in &findings {
            let in_own = finding.database.as_ref().is_some_and(|database| *database != app);
            if let Err(error) = sessions[usize::from(in_own)].batch_execute(&finding.mend).await {
                wrong.push(format!("{change}: {}: {error:?}", finding.mend));
            }
        }
        let left = inspect().await;
        if !left.is_empty() {
            wrong.push(format!("after mending {change}: {left:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    bed.close().await;
}
