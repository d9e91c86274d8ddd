//! `sindico audit` as operators use it: over the API, once at a time.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::bed::Bed;

async fn ended(bed: &Bed, id: &str) -> Value {
    for _ in 0..600 {
        let (status, standing) = bed.call(Method::GET, &format!("/audits/{id}"), None).await;
        assert_eq!(status, StatusCode::OK, "{standing:#}");
        if standing["status"] != "running" {
            return standing;
        }
        assert!(standing["done"].as_u64() <= standing["of"].as_u64(), "{standing:#}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    panic!("the audit does not end");
}

#[tokio::test]
async fn an_audit_is_begun_followed_and_leaves_nothing() {
    let bed = Bed::make().await;
    bed.tenant("mine", "database").await;
    // What an audit that was killed has left: its names tell, and nothing else does.
    let mark = format!("canary of sindico audit, installation {}", bed.auditor().installation());
    for (slug, name) in [("audit-0123456789ab-a", mark.as_str()), ("audit-0123456789ab-b", "A customer")] {
        let body = json!({"slug": slug, "isolation": "shared", "name": name});
        assert_eq!(bed.call(Method::POST, "/tenants", Some(body)).await.0, StatusCode::CREATED);
    }
    let (status, unknown) = bed.call(Method::POST, "/audits", Some(json!({"tenant": "nobody"}))).await;
    assert_eq!((status, &unknown["code"]), (StatusCode::NOT_FOUND, &json!("TENANT_NOT_FOUND")));
    let (status, begun) = bed.call(Method::POST, "/audits", Some(json!({"tenant": "mine"}))).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{begun:#}");
    let (status, second) = bed.call(Method::POST, "/audits", Some(json!({}))).await;
    assert_eq!((status, &second["code"]), (StatusCode::CONFLICT, &json!("AUDIT_RUNNING")));
    let standing = ended(&bed, begun["id"].as_str().expect("an id")).await;
    assert_eq!(standing["status"], "done", "{standing:#}");
    let report = &standing["report"];
    assert_eq!((&report["not_run"], &standing["clean"]), (&json!([]), &json!(true)), "{report:#}");
    let isolations = report["tallies"].as_array().expect("tallies").iter().map(|tally| &tally["isolation"]);
    assert!(isolations.clone().count() > 30 && isolations.into_iter().all(|it| it == "database"), "{report:#}");
    let (_, tenants) = bed.call(Method::GET, "/tenants", None).await;
    let left: Vec<&Value> = tenants["items"].as_array().expect("items").iter().map(|it| &it["slug"]).collect();
    assert_eq!(left, ["mine", "audit-0123456789ab-b"], "the customer stays, the canaries are gone");
    let (status, gone) = bed.call(Method::GET, "/audits/0192f0c1-2345-7abc-8def-0123456789ab", None).await;
    assert_eq!((status, &gone["code"]), (StatusCode::NOT_FOUND, &json!("AUDIT_NOT_FOUND")));
    bed.close().await;
}
