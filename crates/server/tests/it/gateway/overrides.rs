//! What one tenant has instead of what the configuration gives to all.

use std::time::Duration;

use domain::PoolMode;
use gateway::GatewaySettings;
use pool::PoolSettings;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::bed::{Bed, Options, dsn, enter, one, refusal, run, sqlstate};

async fn bed() -> Bed {
    let pool = PoolSettings { wait_timeout: Duration::from_millis(500), ..PoolSettings::default() };
    let gateway = GatewaySettings { pool_mode: PoolMode::Transaction, ..GatewaySettings::default() };
    Bed::with(Options { pool, gateway, ..Options::default() }).await
}

async fn give(bed: &Bed, tenant: &Value, pool: Value) {
    let path = format!("/tenants/{}", tenant["slug"].as_str().expect("a slug"));
    let (status, body) = bed.call(Method::PATCH, &path, Some(json!({"pool": pool}))).await;
    assert_eq!(status, StatusCode::OK, "{body:#}");
}

#[tokio::test]
async fn a_tenant_of_its_own_choice_is_dense_among_others_that_are_not() {
    let bed = bed().await;
    let (dense, own) = (bed.tenant("dense", "shared").await, bed.tenant("own", "shared").await);
    give(&bed, &dense, json!({"pooling": "dense"})).await;
    let login = async |made: &Value| one(&enter(made).await, "SELECT session_user").await;
    let id = |made: &Value| format!("t_{}", made["id"].as_str().expect("an id").replace('-', ""));
    assert_eq!(login(&own).await, id(&own));
    assert_ne!(login(&dense).await, id(&dense), "the login of many");
    // A client may want less than its tenant has, and not more.
    let less = enter(&json!({"dsn": format!("{}?options=-csindico.pooling%3Down", dsn(&dense))})).await;
    assert_eq!(one(&less, "SELECT session_user").await, id(&dense));
    let (code, hint) = refusal(&format!("{}?options=-csindico.pooling%3Ddense", dsn(&own))).await;
    assert!(code == "0A000" && hint.contains("sindico tenant pool"), "{code} {hint}");
    // In another isolation it means nothing.
    let apart = bed.tenant("apart", "schema").await;
    give(&bed, &apart, json!({"pooling": "dense"})).await;
    assert_eq!(login(&apart).await, id(&apart));
    bed.close().await;
}

#[tokio::test]
async fn a_tenant_in_session_mode_keeps_its_connections() {
    let bed = bed().await;
    let (session, plain) = (bed.tenant("session", "shared").await, bed.tenant("plain", "shared").await);
    give(&bed, &session, json!({"mode": "session", "max_server_connections": 2})).await;
    give(&bed, &plain, json!({"max_server_connections": 2})).await;
    let clients = async |made: &Value| [enter(made).await, enter(made).await];
    let (held, shared) = (clients(&session).await, clients(&plain).await);
    for client in held.iter().chain(&shared) {
        run(client, "SELECT 1").await;
    }
    enter(&plain).await;
    let (code, _) = refusal(dsn(&session)).await;
    assert_eq!(code, "53300", "both are held by clients that do nothing");
    // Who is there has what it came for, who comes has the new.
    give(&bed, &session, json!({"max_server_connections": 3})).await;
    let third = enter(&session).await;
    run(&third, "SELECT 1").await;
    bed.close().await;
}

#[tokio::test]
async fn the_number_of_server_connections_changes_under_clients_that_are_there() {
    let bed = bed().await;
    let made = bed.tenant("paws", "database").await;
    let (first, second) = (enter(&made).await, enter(&made).await);
    give(&bed, &made, json!({"max_server_connections": 1})).await;
    run(&first, "BEGIN").await;
    assert_eq!(sqlstate(&second, "SELECT 1").await, "53300", "one transaction at a time");
    run(&first, "COMMIT").await;
    run(&second, "SELECT 1").await;
    run(&first, "BEGIN").await;
    give(&bed, &made, json!({})).await;
    run(&second, "SELECT 1").await;
    run(&first, "COMMIT").await;
    bed.close().await;
}

#[tokio::test]
async fn a_tenant_has_as_many_clients_as_it_is_given() {
    let bed = bed().await;
    let (few, many) = (bed.tenant("few", "shared").await, bed.tenant("many", "shared").await);
    give(&bed, &few, json!({"max_clients": 1})).await;
    let first = enter(&few).await;
    let (code, _) = refusal(dsn(&few)).await;
    assert_eq!(code, "53300");
    let _both = (enter(&many).await, enter(&many).await);
    drop(first);
    give(&bed, &few, json!({"max_clients": null})).await;
    let _both = (enter(&few).await, enter(&few).await);
    bed.close().await;
}
