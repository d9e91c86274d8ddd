//! What the login of many may not do, because it would meet the next tenant.

use super::bare;
use crate::bed::{Bed, rows, sqlstate};

#[tokio::test]
async fn what_would_outlast_a_tenant_or_reach_another_is_refused() {
    let bed = Bed::make().await;
    bed.tenant("one", "shared").await;
    let session = bare(&bed).await;
    for attempt in [
        "CREATE TEMP TABLE t (a int)",
        "CREATE TABLE t (a int)",
        "CREATE TABLE sindico.t (a int)",
        "CREATE SCHEMA t",
        "DO $$BEGIN PERFORM 1; END$$",
        "CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "SELECT lo_create(0)",
        "SELECT lo_from_bytea(0, 'x')",
        "SELECT pg_advisory_lock(1)",
        "SELECT pg_advisory_unlock_all()",
        "SELECT pg_try_advisory_xact_lock_shared(1, 2)",
        "SELECT pg_cancel_backend(1)",
        "SELECT pg_terminate_backend(1)",
        "SELECT * FROM pg_stat_activity",
        "SELECT * FROM pg_locks",
        "SELECT pg_notify('a', 'b')",
        "TRUNCATE clients",
        "TABLE pg_authid",
        "COPY clients TO PROGRAM 'cat'",
        "SELECT * FROM pg_largeobject",
    ] {
        assert_eq!(sqlstate(&session, attempt).await, "42501", "{attempt}");
    }
    assert_eq!(
        rows(&session, "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication FROM pg_roles WHERE rolname = session_user").await,
        ["f,f,f,f,f"]
    );
    // Nor does it reach another database, or any tenant's sequences.
    assert_eq!(rows(&session, "SELECT datname FROM pg_database WHERE has_database_privilege(datname, 'CONNECT') AND datname ~ '^app_' ORDER BY 1").await,
        [bed.app.names().database]);
    assert_eq!(
        rows(
            &session,
            "SELECT nspname FROM pg_namespace WHERE nspname LIKE 's\\_%' AND has_schema_privilege(oid, 'USAGE')"
        )
        .await,
        [""; 0]
    );
    bed.close().await;
}
