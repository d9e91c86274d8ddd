//! One connection, one tenant after the other.

use pool::SessionParams;

use super::{admit, bare, dense, lease, threshold};
use crate::bed::{Bed, rows, sqlstate};

#[tokio::test]
async fn nothing_of_a_tenant_is_left_for_the_next() {
    let bed = Bed::make().await;
    let (one, two) = (bed.tenant("one", "shared").await, bed.tenant("two", "shared").await);
    let threshold = threshold(&bed, 1);
    let (one, two) = (admit(&threshold, &one), admit(&threshold, &two));

    let first = dense(&one).await;
    let pid = rows(first.client(), "SELECT pg_backend_pid()").await;
    first
        .client()
        .batch_execute("INSERT INTO clients (name, email) VALUES ('One', 'one@example.org')")
        .await
        .expect("a row");
    first
        .client()
        .batch_execute(
            "SET search_path = sindico; SET statement_timeout = '1h'; SET row_security = off; SET TimeZone = 'Asia/Tokyo';
             SET my.word = 'secret'; SET ROLE NONE; SELECT setseed(0.5); LISTEN one; PREPARE kept AS SELECT 1;
             DECLARE held CURSOR WITH HOLD FOR SELECT 1; SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
        )
        .await
        .expect("whatever a session can keep");
    first.finish().await;

    let second = dense(&two).await;
    assert_eq!(rows(second.client(), "SELECT pg_backend_pid()").await, pid, "the same process");
    assert_eq!(rows(second.client(), "SELECT count(*) FROM clients WHERE name = 'One'").await, ["0"]);
    assert_eq!(rows(second.client(), "SELECT name FROM clients").await, ["Ana Souza"]);
    let left =
        "SELECT current_setting('search_path'), current_setting('statement_timeout'), current_setting('row_security'),
                current_setting('my.word', true), (SELECT count(*) FROM pg_listening_channels()),
                (SELECT count(*) FROM pg_prepared_statements), (SELECT count(*) FROM pg_cursors),
                current_setting('default_transaction_read_only'), current_setting('TimeZone') <> 'Asia/Tokyo'";
    assert_eq!(rows(second.client(), left).await, ["public, global, extensions,0,on,,0,0,0,off,t"]);
    // What random() gives after setseed(0.5) is the same on every server; a tenant could foretell another's numbers.
    let foretold = rows(&bare(&bed).await, "SELECT setseed(0.5), random()").await[0].clone();
    let drawn = rows(second.client(), "SELECT random()").await[0].clone();
    assert!(!foretold.ends_with(&drawn), "random numbers are foretold");

    second.finish().await;
    let third = dense(&two).await;
    assert_eq!(rows(third.client(), "SELECT pg_backend_pid()").await, pid);
    assert_eq!(rows(third.client(), "SELECT name FROM clients").await, ["Ana Souza"]);
    third.finish().await;
    bed.close().await;
}

#[tokio::test]
async fn a_connection_in_doubt_is_not_used_again() {
    let bed = Bed::make().await;
    let one = bed.tenant("one", "shared").await;
    let threshold = threshold(&bed, 1);
    let one = admit(&threshold, &one);

    let open = dense(&one).await;
    let pid = rows(open.client(), "SELECT pg_backend_pid()").await;
    open.client().batch_execute("BEGIN").await.expect("begun");
    // DISCARD ALL refuses to run in a transaction, so this one is closed.
    open.finish().await;
    let next = dense(&one).await;
    assert_ne!(rows(next.client(), "SELECT pg_backend_pid()").await, pid);
    next.finish().await;
    // Neither is one that was dropped.
    let dropped = dense(&one).await;
    let pid = rows(dropped.client(), "SELECT pg_backend_pid()").await;
    drop(dropped);
    let next = dense(&one).await;
    assert_ne!(rows(next.client(), "SELECT pg_backend_pid()").await, pid);
    bed.close().await;
}

#[tokio::test]
async fn what_sql_stores_on_the_login_is_found_and_removed() {
    let bed = Bed::make().await;
    let (one, two) = (bed.tenant("one", "shared").await, bed.tenant("two", "shared").await);
    let other = format!("r_{}", two["id"].as_str().expect("an id").replace('-', ""));
    let threshold = threshold(&bed, 20);
    let (one, two) = (admit(&threshold, &one), admit(&threshold, &two));
    let names = bed.app.names();
    let attacker = dense(&one).await;
    let mut held = Vec::new();
    for poison in [
        "ALTER ROLE {dense} SET statement_timeout = 1".to_owned(),
        "ALTER ROLE {dense} SET row_security = off".to_owned(),
        "ALTER ROLE {dense} IN DATABASE {database} SET search_path = 'sindico'".to_owned(),
        "ALTER ROLE {dense} IN DATABASE postgres SET default_transaction_read_only = on".to_owned(),
        "ALTER ROLE {dense} SET local_preload_libraries = 'nowhere'".to_owned(),
        "ALTER ROLE {dense} PASSWORD 'mine'".to_owned(),
        format!("GRANT {{dense}} TO {other}"),
    ] {
        let sql = poison.replace("{dense}", &names.dense).replace("{database}", &names.database);
        if attacker.client().batch_execute(&sql).await.is_err() {
            // From version 16 on nobody may make members of itself.
            assert!(sql.starts_with("GRANT"), "{sql}");
            continue;
        }
        // The pool has room, so this opens a connection.
        let fresh = lease(&two).await;
        assert_ne!(fresh.pid(), 0, "{sql}");
        let stored = "SELECT (SELECT count(*) FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole WHERE r.rolname = $1)
                           + (SELECT count(*) FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid WHERE r.rolname = $1)";
        let superuser = bed.superuser(0, "postgres").await;
        let left: i64 = superuser.query_one(stored, &[&names.dense]).await.expect("a count").get(0);
        assert_eq!(left, 0, "{sql}");
        let dialogue = fresh.converse().await.expect("a driver");
        assert_eq!(rows(dialogue.client(), "SELECT name FROM clients").await, ["Ana Souza"], "{sql}");
        // It stays lent out, so that the next one is new again.
        held.push(dialogue);
    }
    bed.close().await;
}

#[tokio::test]
async fn a_reading_key_gets_no_connection_of_the_login_of_many() {
    let bed = Bed::make().await;
    let _made = bed.tenant("one", "shared").await;
    let body = serde_json::json!({"label": "reader", "access": "read_only"});
    let (_, key) = bed.call(reqwest::Method::POST, "/tenants/one/keys", Some(body)).await;
    let threshold = threshold(&bed, 1);
    assert!(admit(&threshold, &key).connect_dense(&SessionParams::default()).await.is_err());
    let schema = bed.tenant("two", "schema").await;
    assert!(admit(&threshold, &schema).connect_dense(&SessionParams::default()).await.is_err());
    assert_eq!(sqlstate(&crate::bed::enter(&key).await, "DELETE FROM clients").await, "42501");
    bed.close().await;
}
