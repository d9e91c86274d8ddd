//! The routes that drop and make a tenant's schema; what they do to data is in `lifecycle.rs`.

use reqwest::Method;
use serde_json::json;

use crate::api::{operator, send};
use crate::bed::{Bed, TOKEN, enter, rows};

#[tokio::test]
async fn what_is_not_a_confirmation_drops_nothing() {
    let bed = Bed::make().await;
    let made = bed.tenant("kept", "schema").await;
    let drop = async |query: &str, body: Option<serde_json::Value>| {
        operator(&bed, Method::DELETE, &format!("/tenants/kept/schema{query}"), body).await
    };
    for (query, body) in [
        ("", None),
        ("?confirm=Kept", None),
        ("?confirm=kept%20", None),
        ("?confirm=other", Some(json!({"confirm": "kept"}))),
        ("", Some(json!({"confirm": null}))),
        ("", Some(json!({}))),
        ("", Some(json!({"confirm": made["id"]}))),
    ] {
        drop(query, body).await.is_problem(422, "CONFIRMATION_REQUIRED").points_at("confirm").says("confirm=kept");
    }
    drop("?force=true", None).await.is_problem(422, "INVALID_QUERY").says("force");
    drop("", Some(json!({"confirm": 1}))).await.is_problem(422, "INVALID_FIELD").points_at("/confirm");
    let broken = bed.raw(Method::DELETE, "/api/v1/tenants/kept/schema").bearer_auth(TOKEN).body("{");
    send(broken).await.is_problem(400, "MALFORMED_JSON");
    assert_eq!(rows(&enter(&made).await, "SELECT name FROM clients").await, ["Ana Souza"], "it is all there");
    bed.close().await;
}

#[tokio::test]
async fn only_tenants_in_schema_have_one() {
    let bed = Bed::make().await;
    for isolation in ["shared", "database", "cluster"] {
        bed.tenant(isolation, isolation).await;
        let create = operator(&bed, Method::POST, &format!("/tenants/{isolation}/schema"), None).await;
        create.is_problem(409, "WRONG_ISOLATION").says(isolation);
        let path = format!("/tenants/{isolation}/schema?confirm={isolation}");
        operator(&bed, Method::DELETE, &path, None).await.is_problem(409, "WRONG_ISOLATION").says(isolation);
    }
    bed.tenant("theirs", "schema").await;
    operator(&bed, Method::POST, "/tenants/theirs/schema", None).await.is_problem(409, "SCHEMA_EXISTS");
    assert_eq!(operator(&bed, Method::DELETE, "/tenants/theirs/schema?confirm=theirs", None).await.status, 204);
    let again = operator(&bed, Method::DELETE, "/tenants/theirs/schema?confirm=theirs", None).await;
    again.is_problem(404, "SCHEMA_NOT_FOUND");
    let made = operator(&bed, Method::POST, "/tenants/theirs/schema", None).await;
    assert_eq!(made.status, 201, "{made:#?}");
    assert!(made.body["placement"]["schema"].is_string(), "{made:#?}");
    bed.close().await;
}
