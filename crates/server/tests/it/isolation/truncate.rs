//! TRUNCATE's stand-in where tables are shared, called as it stands in the database.

use crate::bed::{Bed, enter, rows, sqlstate};

const COUNTS: &str = "SELECT (SELECT count(*) FROM clients), (SELECT count(*) FROM animals)";

#[tokio::test]
async fn a_tenants_rows_go_and_nobody_elses() {
    let bed = Bed::make().await;
    let (one, two) = (bed.tenant("one", "shared").await, bed.tenant("two", "shared").await);
    let (one, two) = (enter(&one).await, enter(&two).await);
    let before = rows(&two, COUNTS).await;

    // With PostgreSQL's own objections.
    assert_eq!(sqlstate(&one, "CALL sindico.truncate('{clients}', false, false)").await, "0A000");
    assert_eq!(sqlstate(&one, "CALL sindico.truncate('{nothing}', false, false)").await, "42P01");
    assert_eq!(sqlstate(&one, "CALL sindico.truncate('{species}', false, true)").await, "42501");
    assert_eq!(rows(&one, COUNTS).await, before, "a refusal changes nothing");

    one.batch_execute("BEGIN; CALL sindico.truncate('{clients}', true, true)").await.expect("emptied");
    assert_eq!(rows(&one, COUNTS).await, ["0,0"]);
    let insert = "INSERT INTO clients (name, phone) VALUES ('x', '123456') RETURNING id";
    assert_eq!(rows(&one, insert).await, ["1"], "identity restarts");
    one.batch_execute("ROLLBACK").await.expect("rolled back");
    assert_eq!(rows(&one, COUNTS).await, before);
    assert_eq!(rows(&one, insert).await, ["2"], "restarting is undone as well");
    assert_eq!(rows(&two, COUNTS).await, before);
    bed.close().await;
}

#[tokio::test]
async fn only_whoever_may_write_may_truncate() {
    let bed = Bed::make().await;
    bed.tenant("one", "shared").await;
    let body = serde_json::json!({"label": "reader", "access": "read_only"});
    let (_, key) = bed.call(reqwest::Method::POST, "/tenants/one/keys", Some(body)).await;
    let reader = enter(&key).await;
    assert_eq!(sqlstate(&reader, "CALL sindico.truncate('{clients}', false, true)").await, "42501");
    assert_eq!(sqlstate(&reader, "SELECT sindico.restart_sequence('clients_id_seq')").await, "42501");
    assert_eq!(rows(&reader, "SELECT count(*) FROM clients").await, ["1"]);
    bed.close().await;
}
