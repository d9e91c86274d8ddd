//! Tenants that the login of many serves no longer, or not at all.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use tenancy::ScopeError;
use tokio::time::sleep;

use super::{admit, dense, threshold};
use crate::bed::{Bed, rows};

#[tokio::test]
async fn a_tenant_that_is_deleted_leaves_nothing_however_long_it_is_still_served() {
    let bed = Bed::make().await;
    let made = bed.tenant("one", "shared").await;
    // As another process would have it, which does not hear of the deletion in time.
    let threshold = threshold(&bed, 2);
    let handle = admit(&threshold, &made);
    let served = dense(&handle).await;
    let insert = "BEGIN; INSERT INTO clients (name, email) VALUES ('Late', 'late@example.org')";
    served.client().batch_execute(insert).await.expect("a row");

    let finish = async {
        sleep(Duration::from_millis(800)).await;
        assert_eq!(bed.call(Method::GET, "/tenants/one", None).await.1["status"], "deleting", "it is waited for");
        served.client().batch_execute("COMMIT").await.expect("committed");
        served.finish().await;
    };
    let (deleted, ()) = tokio::join!(bed.call(Method::DELETE, "/tenants/one", None), finish);
    assert_eq!(deleted.0, StatusCode::NO_CONTENT, "{}", deleted.1);
    assert_eq!(bed.traces(made["id"].as_str().expect("an id")).await, Vec::<String>::new());

    // With a handle from before, and a connection that is there.
    let late = handle.scope().query("INSERT INTO clients (name) VALUES ('Late') RETURNING id", &[]).await;
    assert!(late.is_err(), "{late:?}");
    assert_eq!(bed.traces(made["id"].as_str().expect("an id")).await, Vec::<String>::new());
    bed.close().await;
}

#[tokio::test]
async fn a_token_that_is_not_accepted_is_an_error_and_no_empty_result() {
    let bed = Bed::make().await;
    let threshold = threshold(&bed, 1);
    let handle = admit(&threshold, &bed.tenant("one", "shared").await);
    let names = "SELECT name FROM clients";
    assert_eq!(handle.scope().query(names, &[]).await.expect("rows").len(), 1);
    let inside = bed.superuser(0, &bed.app.names().database).await;
    let keys = rows(&inside, "SELECT encode(inner_block, 'hex') FROM sindico_secret.token_key").await;
    let other = "UPDATE sindico_secret.token_key SET inner_block = sha256(inner_block)";
    inside.batch_execute(other).await.expect("another key");
    let refused = handle.scope().query(names, &[]).await.expect_err("not this tenant's key");
    let ScopeError::Statement(error) = &refused else { panic!("{refused:?}") };
    assert_eq!(error.code().map(tokio_postgres::error::SqlState::code), Some("28000"), "{refused}");
    assert!(handle.scope().transaction().await.is_err());
    let back = format!("UPDATE sindico_secret.token_key SET inner_block = decode('{}', 'hex')", keys[0]);
    inside.batch_execute(&back).await.expect("the key");
    assert_eq!(handle.scope().query(names, &[]).await.expect("rows").len(), 1, "the scope goes on");
    bed.close().await;
}
