//! What waits for locks before PostgreSQL looks whether it may have them.

use std::time::{Duration, Instant};

use crate::bed::{Bed, dsn, enter, rows, sqlstate};

/// Longer than the watch on a cluster needs to learn of new tenants and to look again.
const PATIENCE: Duration = Duration::from_secs(8);

#[tokio::test]
async fn nobody_is_kept_from_logging_in_by_a_tenant_that_may_not_drop_a_database() {
    let bed = Bed::make().await;
    let attacker = bed.tenant("attacker", "database").await;
    let other = bed.tenant("other", "shared").await;
    let database = other["placement"]["database"].as_str().expect("a database");
    let role = format!("t_{}", attacker["id"].as_str().expect("an id").replace('-', ""));
    let holder = enter(&attacker).await;
    let hold = format!("BEGIN; ALTER ROLE {role} IN DATABASE {database} SET work_mem = '4MB'");
    holder.batch_execute(&hold).await.expect("its own role");
    let waiter = enter(&attacker).await;
    let drop = format!("DROP DATABASE {database}");
    let (outcome, ()) = tokio::join!(waiter.batch_execute(&drop), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let begun = Instant::now();
        let client = tokio::time::timeout(PATIENCE, bed.superuser(0, database)).await.expect("a login in time");
        assert_eq!(rows(&client, "SELECT 1").await, ["1"], "after {:?}", begun.elapsed());
    });
    outcome.expect_err("ended");
    assert!(!holder.is_closed(), "whoever only holds a lock of its own stays");
    bed.close().await;
}

#[tokio::test]
async fn ddl_waits_for_no_table_that_others_use() {
    let bed = Bed::make().await;
    for isolation in ["shared", "schema", "database"] {
        let made = bed.tenant(&format!("paws-{isolation}"), isolation).await;
        let holder = enter(&made).await;
        holder.batch_execute("BEGIN; UPDATE clients SET name = name; SELECT FROM pg_database").await.expect("begun");
        let other = tokio_postgres::connect(dsn(&made), tokio_postgres::NoTls).await.expect("in");
        tokio::spawn(other.1);
        let other = other.0;
        for statement in [
            "CREATE TEMP TABLE p (a text) PARTITION BY LIST (a)",
            "CREATE TEMP TABLE f (a int REFERENCES clients (id))",
            "CREATE RULE r AS ON INSERT TO pg_database DO NOTHING",
            "CREATE TRIGGER t BEFORE INSERT ON clients EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        ] {
            let begun = Instant::now();
            let state = sqlstate(&other, statement).await;
            assert!(["42501", "55P03", "42P16"].contains(&state.as_str()), "{isolation}: {statement}: {state}");
            assert!(begun.elapsed() < Duration::from_secs(5), "{isolation}: {statement} waited");
        }
        other.batch_execute("CREATE TEMP TABLE own AS SELECT * FROM clients; DROP TABLE own").await.expect("its own");
        assert_eq!(rows(&other, "SHOW lock_timeout").await, ["0"]);
    }
    bed.close().await;
}
