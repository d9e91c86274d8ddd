//! Tenants' keys.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::api::operator;
use crate::bed::{Bed, dsn, enter, refusal, rows};

#[tokio::test]
async fn a_key_is_shown_once_and_opens_what_it_says() {
    let bed = Bed::make().await;
    bed.tenant("keys", "shared").await;
    let wanted = json!({"label": "nightly report", "access": "read_only", "expires_in": 315_360_000});
    let made = operator(&bed, Method::POST, "/tenants/keys/keys", Some(wanted)).await;
    assert_eq!(made.status, 201, "{made:#?}");
    assert_eq!(made.header("cache-control"), "no-store", "the answer holds a secret");
    assert_eq!(
        (made.body["label"].as_str(), made.body["access"].as_str()),
        (Some("nightly report"), Some("read_only"))
    );
    assert_eq!(rows(&enter(&made.body).await, "SELECT left(session_user, 2)").await, ["r_"]);

    let plain = operator(&bed, Method::POST, "/tenants/keys/keys", Some(json!({"label": "x"}))).await;
    assert_eq!((plain.body["access"].as_str(), plain.body["expires_at"].is_null()), (Some("read_write"), true));

    let listed = operator(&bed, Method::GET, "/tenants/keys/keys", None).await;
    assert_eq!(listed.status, 200);
    let labels: Vec<_> = listed.body["items"].as_array().expect("items").iter().map(|key| &key["label"]).collect();
    assert_eq!(labels, ["first key", "nightly report", "x"], "oldest first");
    let text = listed.body.to_string();
    for secret in [&made.body["key"], &plain.body["key"]] {
        assert!(!text.contains(secret.as_str().expect("a key")), "{text}");
    }
    assert!(!text.contains("SCRAM"), "not even verifiers: {text}");
    for key in listed.body["items"].as_array().expect("items") {
        let fields: Vec<_> = key.as_object().expect("an object").keys().collect();
        assert_eq!(fields, ["access", "created_at", "expires_at", "id", "label"]);
    }
    bed.close().await;
}

#[tokio::test]
async fn every_wrong_field_of_a_key_is_named() {
    let bed = Bed::make().await;
    bed.tenant("picky", "shared").await;
    for (body, pointer) in [
        (json!({}), "/label"),
        (json!({"label": ""}), "/label"),
        (json!({"label": "  "}), "/label"),
        (json!({"label": "a\u{0}b"}), "/label"),
        (json!({"label": "x".repeat(101)}), "/label"),
        (json!({"label": 7}), "/label"),
        (json!({"label": "x", "access": "admin"}), "/access"),
        (json!({"label": "x", "expires_in": 0}), "/expires_in"),
        (json!({"label": "x", "expires_in": -1}), "/expires_in"),
        (json!({"label": "x", "expires_in": 315_360_001_i64}), "/expires_in"),
        (json!({"label": "x", "expires_in": i64::MAX}), "/expires_in"),
        (json!({"label": "x", "expires_in": "1"}), "/expires_in"),
        (json!({"label": "x", "expires_at": "2030-01-01"}), "/expires_at"),
    ] {
        let reply = operator(&bed, Method::POST, "/tenants/picky/keys", Some(body)).await;
        reply.is_problem(422, "INVALID_FIELD").points_at(pointer);
    }
    let longest = json!({"label": "é".repeat(100)});
    assert_eq!(operator(&bed, Method::POST, "/tenants/picky/keys", Some(longest)).await.status, 201);
    bed.close().await;
}

#[tokio::test]
async fn a_revoked_key_closes_what_it_opened_and_nothing_else() {
    let bed = Bed::make().await;
    let made = bed.tenant("revoked", "shared").await;
    let (_, key) = bed.call(Method::POST, "/tenants/revoked/keys", Some(json!({"label": "second"}))).await;
    let (first, second) = (enter(&made).await, enter(&key).await);
    assert_eq!(rows(&second, "SELECT 1").await, ["1"]);

    let path = format!("/tenants/revoked/keys/{}", key["id"].as_str().expect("an id"));
    assert_eq!(operator(&bed, Method::DELETE, &path, None).await.status, 204);
    tokio::time::timeout(Duration::from_secs(1), async {
        while second.simple_query("SELECT 1").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("the connection is closed within a second");
    assert_eq!(refusal(dsn(&key)).await.0, "28P01");
    assert_eq!(rows(&first, "SELECT 1").await, ["1"], "the other key's connection goes on");

    operator(&bed, Method::DELETE, &path, None).await.is_problem(404, "KEY_NOT_FOUND");
    for garbage in ["x", "%00", "first%20key", "0192f0c1-2345-7abc-8def-0123456789ab"] {
        let reply = operator(&bed, Method::DELETE, &format!("/tenants/revoked/keys/{garbage}"), None).await;
        reply.is_problem(404, "KEY_NOT_FOUND");
    }
    operator(&bed, Method::DELETE, "/tenants/revoked/keys/%ff", None).await.is_problem(400, "MALFORMED_PATH");
    bed.close().await;
}

#[tokio::test]
async fn a_key_of_one_tenant_cannot_be_revoked_through_another() {
    let bed = Bed::make().await;
    let (mine, theirs) = (bed.tenant("mine", "shared").await, bed.tenant("theirs", "shared").await);
    let (_, listed) = bed.call(Method::GET, "/tenants/theirs/keys", None).await;
    let id = listed["items"][0]["id"].as_str().expect("an id");
    let reply = operator(&bed, Method::DELETE, &format!("/tenants/mine/keys/{id}"), None).await;
    reply.is_problem(404, "KEY_NOT_FOUND");
    for tenant in [&mine, &theirs] {
        assert_eq!(rows(&enter(tenant).await, "SELECT 1").await, ["1"]);
    }
    bed.close().await;
}

#[tokio::test]
async fn an_expired_key_opens_nothing_new_and_keeps_what_is_open() {
    let bed = Bed::make().await;
    let made = bed.tenant("brief", "shared").await;
    let wanted = json!({"label": "brief", "expires_in": 1});
    let (_, key) = bed.call(Method::POST, "/tenants/brief/keys", Some(wanted)).await;
    let open = enter(&key).await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(refusal(dsn(&key)).await.0, "28P01");
    assert_eq!(rows(&open, "SELECT 1").await, ["1"], "the open connection stays");
    assert_eq!(rows(&enter(&made).await, "SELECT 1").await, ["1"], "the first key never expires");
    bed.close().await;
}
