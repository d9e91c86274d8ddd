//! Who gets in, who does not, and who is put out again.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_postgres::Client;

use crate::bed::{Bed, dsn, enter, refusal, rows, sqlstate};
use crate::socket::{Login, Socket};

async fn new_key(bed: &Bed, slug: &str, body: Value) -> Value {
    let (_, key) = bed.call(Method::POST, &format!("/tenants/{slug}/keys"), Some(body)).await;
    assert!(key["dsn"].is_string(), "{key}");
    key
}

/// Waits until a session has been closed from the other side.
async fn is_put_out(client: &Client) -> bool {
    let closed = async {
        while !client.is_closed() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(1), closed).await.is_ok()
}

#[tokio::test]
async fn refusals_tell_what_was_wrong() {
    let bed = Bed::make().await;
    let made = bed.tenant("paws", "shared").await;
    let (right, other) = (dsn(&made), bed.tenant("other", "shared").await);

    let (code, text) = refusal(&right.replace("//paws:", "//nobody:")).await;
    assert!(code == "28000" && text.contains("nobody"), "{text}");
    let (code, text) = refusal(&right.replace(&Login::of(&made).key, "wrong")).await;
    assert!(code == "28P01" && text.contains("paws"), "{text}");
    let stolen = right.replace(&Login::of(&made).key, &Login::of(&other).key);
    assert_eq!(refusal(&stolen).await.0, "28P01", "another tenant's key");
    let elsewhere = right.replace(bed.app.as_str(), "postgres");
    let (code, text) = refusal(&elsewhere).await;
    assert!(code == "3D000" && text.contains(bed.app.as_str()), "the hint names the app: {text}");
    let both_wrong = elsewhere.replace(&Login::of(&made).key, "wrong");
    assert_eq!(refusal(&both_wrong).await.0, "28P01", "the app is told only to who has a key");

    let suspend = json!({"status": "suspended"});
    bed.call(Method::PATCH, "/tenants/paws", Some(suspend)).await;
    let (code, text) = refusal(right).await;
    assert!(code == "28000" && text.contains("suspended"), "{text}");
    let (code, text) = refusal(&right.replace(&Login::of(&made).key, "wrong")).await;
    assert!(code == "28P01" && !text.contains("suspended"), "told only to who has a key: {text}");
    bed.close().await;
}

#[tokio::test]
async fn a_key_that_is_revoked_or_expired_opens_nothing() {
    let bed = Bed::make().await;
    bed.tenant("paws", "schema").await;
    let brief = new_key(&bed, "paws", json!({"label": "brief", "expires_in": 1})).await;
    let early = enter(&brief).await;
    let expires = tokio::time::Instant::now() + Duration::from_millis(1100);

    let kept = new_key(&bed, "paws", json!({"label": "kept"})).await;
    let revoked = new_key(&bed, "paws", json!({"label": "revoked"})).await;
    let (idle, stays) = (enter(&revoked).await, enter(&kept).await);
    let mut at_work = Socket::enter(&bed, &revoked).await;
    at_work.send(&crate::socket::query("SELECT pg_sleep(30)")).await;
    let path = format!("/tenants/paws/keys/{}", revoked["id"].as_str().expect("an id"));
    bed.call(Method::DELETE, &path, None).await;
    assert!(is_put_out(&idle).await, "an idle session outlives its key by a second");
    let last = timeout(Duration::from_secs(1), at_work.last_words()).await.expect("a busy one does");
    assert_eq!(last, "57P01");
    assert_eq!(refusal(dsn(&revoked)).await.0, "28P01");
    assert_eq!(rows(&stays, "SELECT 1").await, ["1"], "the tenant's other key is as good as before");
    enter(&kept).await;

    tokio::time::sleep_until(expires).await;
    assert_eq!(refusal(dsn(&brief)).await.0, "28P01");
    assert_eq!(rows(&early, "SELECT 1").await, ["1"], "expiry closes no session that is open");
    bed.close().await;
}

#[tokio::test]
async fn a_read_only_key_stays_so_on_connections_that_others_of_its_tenant_used() {
    let bed = Bed::make().await;
    let made = bed.tenant("paws", "database").await;
    let reader = new_key(&bed, "paws", json!({"label": "reader", "access": "read_only"})).await;
    for _ in 0..3 {
        enter(&made).await.batch_execute("UPDATE clients SET notes = 'x'").await.expect("a writer writes");
        let reading = enter(&reader).await;
        assert_eq!(rows(&reading, "SELECT notes FROM clients").await, ["x"]);
        for write in
            ["DELETE FROM clients", "SELECT lo_create(0); DELETE FROM clients", "SELECT * FROM staff FOR UPDATE"]
        {
            assert_eq!(sqlstate(&reading, write).await, "42501", "{write}");
        }
    }
    bed.close().await;
}
