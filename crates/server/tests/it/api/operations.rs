//! Durable work as clients of the API see it.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::api::{Reply, operator, send};
use crate::bed::{Bed, TOKEN, enter, rows};

/// Asks as an operator who does not wait.
async fn begin(bed: &Bed, method: Method, path: &str, body: Option<Value>) -> Reply {
    let request = bed.raw(method, &format!("/api/v1{path}")).bearer_auth(TOKEN).header("prefer", "respond-async");
    send(match body {
        Some(body) => request.json(&body),
        None => request,
    })
    .await
}

/// Waits until an operation is in a state.
async fn reached(bed: &Bed, id: &str, state: &str) -> Value {
    for _ in 0..600 {
        let shown = operator(bed, Method::GET, &format!("/operations/{id}"), None).await;
        assert_eq!(shown.status, 200, "{shown:#?}");
        if shown.body["state"] == state {
            return shown.body;
        }
        assert!(shown.body["ended_at"].is_null(), "it ended otherwise than {state}: {:#}", shown.body);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("operation {id} does not become {state}");
}

fn steps(operation: &Value) -> Vec<(&str, &str)> {
    operation["steps"]
        .as_array()
        .expect("steps")
        .iter()
        .map(|step| (step["name"].as_str().expect("a name"), step["state"].as_str().expect("a state")))
        .collect()
}

#[tokio::test]
async fn who_does_not_wait_finds_the_end_later() {
    let bed = Bed::make().await;
    let begun = begin(&bed, Method::POST, "/tenants", Some(json!({"slug": "later", "isolation": "database"}))).await;
    assert_eq!((begun.status, begun.header("preference-applied")), (202, "respond-async"), "{begun:#?}");
    assert_eq!(begun.header("cache-control"), "no-store", "the answer holds a secret");
    let id = begun.body["operation"].as_str().expect("an operation");
    assert_eq!(begun.header("location"), format!("/api/v1/operations/{id}"));
    let done = reached(&bed, id, "succeeded").await;
    assert_eq!(steps(&done), [("reserve", "done"), ("roles", "done"), ("storage", "done"), ("open", "done")]);
    assert_eq!((done["kind"].as_str(), done["title"].as_str()), (Some("provision"), Some("later")));
    assert_eq!(done["subject"], begun.body["id"]);
    let (key, whole) = (begun.body["key"].as_str().expect("a key"), done.to_string());
    assert!(!whole.contains(key), "the journal holds no secret: {whole}");
    assert_eq!(rows(&enter(&begun.body).await, "SELECT name FROM clients").await, ["Ana Souza"]);

    let begun = begin(&bed, Method::DELETE, "/tenants/later", None).await;
    assert_eq!(begun.status, 202, "{begun:#?}");
    let id = begun.body["id"].as_str().expect("an operation");
    let done = reached(&bed, id, "succeeded").await;
    let names: Vec<&str> = steps(&done).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["close", "evict", "storage", "roles", "forget"]);
    operator(&bed, Method::GET, "/tenants/later", None).await.is_problem(404, "TENANT_NOT_FOUND");
    let late = operator(&bed, Method::POST, &format!("/operations/{id}/cancel"), None).await;
    late.is_problem(409, "NOT_CANCELLABLE").says("it has ended");
    bed.close().await;
}

#[tokio::test]
async fn operations_are_listed_newest_first() {
    let bed = Bed::make().await;
    for slug in ["one", "two", "three"] {
        bed.tenant(slug, "shared").await;
    }
    let page = operator(&bed, Method::GET, "/operations?limit=2", None).await;
    let titles = |page: &Reply| -> Vec<String> {
        page.body["items"].as_array().expect("items").iter().map(|it| it["title"].to_string()).collect()
    };
    assert_eq!(titles(&page), ["\"three\"", "\"two\""]);
    let next = page.body["next"].as_str().expect("more");
    let last = operator(&bed, Method::GET, &format!("/operations?limit=2&before={next}"), None).await;
    assert_eq!((titles(&last), &last.body["next"]), (vec!["\"one\"".to_owned()], &Value::Null));
    let none = operator(&bed, Method::GET, "/operations?state=failed", None).await;
    assert_eq!(none.body["items"], json!([]));
    let subject = last.body["items"][0]["subject"].as_str().expect("a subject");
    let one = operator(&bed, Method::GET, &format!("/operations?subject={subject}&state=succeeded"), None).await;
    assert_eq!(titles(&one), ["\"one\""]);
    for (bad, code) in [
        ("state=lost", "INVALID_FIELD"),
        ("limit=0", "INVALID_FIELD"),
        ("limit=1001", "INVALID_FIELD"),
        ("subject=one", "INVALID_QUERY"),
        ("unknown=1", "INVALID_QUERY"),
    ] {
        let refused = operator(&bed, Method::GET, &format!("/operations?{bad}"), None).await;
        refused.is_problem(422, code);
    }
    for unknown in ["0192f0c1-2345-7abc-8def-0123456789ab", "x"] {
        let path = format!("/operations/{unknown}");
        operator(&bed, Method::GET, &path, None).await.is_problem(404, "OPERATION_NOT_FOUND").says(unknown);
        let cancel = operator(&bed, Method::POST, &format!("{path}/cancel"), None).await;
        cancel.is_problem(404, "OPERATION_NOT_FOUND");
    }
    bed.close().await;
}

#[tokio::test]
async fn a_creation_that_is_cancelled_leaves_nothing() {
    let bed = Bed::make().await;
    // The seed waits for this table.
    let operator_session = bed.superuser(0, &format!("app_{}", bed.app)).await;
    operator_session.batch_execute("BEGIN; LOCK TABLE clients IN ACCESS EXCLUSIVE MODE").await.expect("locked");
    let begun = begin(&bed, Method::POST, "/tenants", Some(json!({"slug": "regretted"}))).await;
    let (id, tenant) =
        (begun.body["operation"].as_str().expect("an operation"), begun.body["id"].as_str().expect("an id"));
    let path = format!("/operations/{id}");
    while operator(&bed, Method::GET, &path, None).await.body.pointer("/steps/2/state") != Some(&json!("begun")) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let removing = operator(&bed, Method::DELETE, "/tenants/regretted", None).await;
    removing.is_problem(409, "CHANGE_IN_PROGRESS");
    for _ in 0..2 {
        let asked = operator(&bed, Method::POST, &format!("{path}/cancel"), None).await;
        assert_eq!((asked.status, &asked.body["cancel_requested"]), (202, &json!(true)), "{asked:#?}");
    }
    reached(&bed, id, "undoing").await;
    operator_session.batch_execute("ROLLBACK").await.expect("unlocked");
    let ended = reached(&bed, id, "cancelled").await;
    assert_eq!(ended["error"], Value::Null, "{ended:#}");
    assert_eq!(bed.traces(tenant).await, Vec::<String>::new());
    bed.tenant("regretted", "shared").await;
    bed.close().await;
}

#[tokio::test]
async fn a_removal_that_waits_cannot_be_cancelled() {
    let bed = Bed::make().await;
    let made = bed.tenant("leaving", "shared").await;
    let operator_session = bed.superuser(0, &format!("app_{}", bed.app)).await;
    operator_session.batch_execute("BEGIN; LOCK TABLE clients IN ACCESS EXCLUSIVE MODE").await.expect("locked");
    let begun = begin(&bed, Method::DELETE, "/tenants/leaving", None).await;
    let id = begun.body["id"].as_str().expect("an operation");
    let refused = operator(&bed, Method::POST, &format!("/operations/{id}/cancel"), None).await;
    refused.is_problem(409, "NOT_CANCELLABLE").says("no way back");
    operator_session.batch_execute("ROLLBACK").await.expect("unlocked");
    reached(&bed, id, "succeeded").await;
    assert_eq!(bed.traces(made["id"].as_str().expect("an id")).await, Vec::<String>::new());
    bed.close().await;
}
