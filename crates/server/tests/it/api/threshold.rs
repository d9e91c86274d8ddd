//! A tenant's own route: who is let in, and in which words others are not.

use reqwest::Method;
use serde_json::json;

use crate::api::{Reply, send};
use crate::bed::{Bed, TOKEN};

async fn ask(bed: &Bed, name: Option<&str>, key: Option<&str>) -> Reply {
    let mut request = bed.raw(Method::GET, "/api/v1/tenant");
    if let Some(name) = name {
        request = request.header("X-Tenant-ID", name);
    }
    if let Some(key) = key {
        request = request.bearer_auth(key);
    }
    send(request).await
}

#[tokio::test]
async fn a_tenant_is_let_in_by_name_and_key_together() {
    let bed = Bed::make().await;
    let (a, b) = (bed.tenant("alpha", "shared").await, bed.tenant("beta", "shared").await);
    let (id, key) = (a["id"].as_str().expect("an id"), a["key"].as_str().expect("a key"));
    let other = b["key"].as_str().expect("a key");

    for name in [id, "alpha", " alpha "] {
        let reply = ask(&bed, Some(name), Some(key)).await;
        let expected = json!({"id": id, "slug": "alpha", "access": "read_write"});
        assert_eq!((reply.status, &reply.body), (200, &expected), "{name}");
    }
    for name in [None, Some(""), Some("  ")] {
        let reply = ask(&bed, name, Some(key)).await;
        reply.is_problem(401, "TENANT_ID_REQUIRED").says("X-Tenant-ID");
        assert_eq!(reply.body["error"], "Tenant ID required", "clients look for this text");
    }
    for name in ["gamma", "0192f0c1-2345-7abc-8def-0123456789ab", "ALPHA", "a b", "é"] {
        let reply = ask(&bed, Some(name), Some(key)).await;
        reply.is_problem(404, "TENANT_NOT_FOUND");
        assert_eq!(reply.body["error"], "Tenant not found", "clients look for this text");
    }
    for wrong in [None, Some(other), Some("sk_x"), Some(TOKEN), Some("")] {
        let reply = ask(&bed, Some("alpha"), wrong).await;
        reply.is_problem(401, "UNAUTHORIZED");
        assert!(reply.header("www-authenticate").starts_with("Bearer"), "{reply:#?}");
    }
    let (_, reader) =
        bed.call(Method::POST, "/tenants/alpha/keys", Some(json!({"label": "r", "access": "read_only"}))).await;
    let reply = ask(&bed, Some("alpha"), reader["key"].as_str()).await;
    assert_eq!(reply.body["access"], "read_only");
    bed.close().await;
}

#[tokio::test]
async fn a_closed_tenant_is_told_why() {
    let bed = Bed::make().await;
    let made = bed.tenant("closed", "schema").await;
    let key = made["key"].as_str();
    bed.call(Method::PATCH, "/tenants/closed", Some(json!({"status": "suspended"}))).await;
    ask(&bed, Some("closed"), key).await.is_problem(403, "TENANT_CLOSED").says("suspended");
    ask(&bed, Some("closed"), Some("wrong")).await.is_problem(401, "UNAUTHORIZED");
    bed.call(Method::PATCH, "/tenants/closed", Some(json!({"status": "active"}))).await;
    assert_eq!(ask(&bed, Some("closed"), key).await.status, 200);
    bed.call(Method::DELETE, "/tenants/closed/schema?confirm=closed", None).await;
    ask(&bed, Some("closed"), key).await.is_problem(503, "TENANT_UNAVAILABLE").says("schema");
    bed.close().await;
}
