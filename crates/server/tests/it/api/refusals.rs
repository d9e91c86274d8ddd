//! What no handler sees: wrong tokens, routes, methods and bodies.

use reqwest::Method;
use serde_json::{Value, json};

use crate::api::openapi::{Operation, operations};
use crate::api::{operator, send};
use crate::bed::{Bed, Options, TOKEN};

#[tokio::test]
async fn every_operators_route_is_closed_to_everybody_else() {
    let bed = Bed::make().await;
    let made = bed.tenant("victim", "schema").await;
    let key = made["key"].as_str().expect("a key");
    let closed: Vec<Operation> = operations().into_iter().filter(|operation| operation.schemes == ["admin"]).collect();
    assert!(closed.len() >= 14, "{closed:#?}");
    for operation in closed {
        let Operation { method, .. } = &operation;
        let path = operation.path_with("victim");
        let bare = || bed.raw(method.clone(), &path).json(&json!({}));
        for (request, what) in [
            (bare(), "no token"),
            (bare().header("authorization", "Bearer "), "an empty token"),
            (bare().header("authorization", format!("Basic {TOKEN}")), "another scheme"),
            (bare().header("authorization", TOKEN), "no scheme"),
            (bare().header("authorization", b"Bearer \xff\xfe".as_slice()), "bytes that are no text"),
            (bare().bearer_auth(&TOKEN[1..]), "a part of the token"),
            (bare().bearer_auth(key), "a tenant's key"),
        ] {
            let reply = send(request).await;
            assert_eq!(reply.status, 401, "{method} {path} with {what}: {reply:#?}");
            reply.is_problem(401, "UNAUTHORIZED");
            assert_eq!(reply.header("www-authenticate"), "Bearer realm=\"sindico\"", "{method} {path}");
        }
    }
    let shown = operator(&bed, Method::GET, "/tenants/victim", None).await;
    assert_eq!((shown.status, shown.body["status"].as_str()), (200, Some("active")), "nothing happened");
    bed.close().await;
}

#[tokio::test]
async fn routes_and_methods_that_do_not_exist_are_problems() {
    let bed = Bed::bare(Options::default()).await;
    for path in [
        "/",
        "/api",
        "/api/v1",
        "/api/v1/",
        "/api/v2/tenants",
        "/api/v1/tenants/",
        "/api/v1/tenants/a/b",
        "/api/v1/tenants/a/keys/",
        "/healthz",
        "/%ff",
    ] {
        for method in [Method::GET, Method::POST, Method::DELETE] {
            send(bed.raw(method, path).bearer_auth(TOKEN)).await.is_problem(404, "ROUTE_NOT_FOUND");
        }
    }
    let known: Vec<Operation> = operations();
    for operation in &known {
        for method in
            [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS, Method::TRACE]
        {
            if known.iter().any(|other| other.path == operation.path && other.method == method) {
                continue;
            }
            let reply = send(bed.raw(method.clone(), &operation.path_with("nobody")).bearer_auth(TOKEN)).await;
            reply.is_problem(405, "METHOD_NOT_ALLOWED");
            let allowed = reply.header("allow");
            assert!(
                allowed.split(',').any(|name| name == operation.method.as_str()),
                "{method} {}: {allowed:?}",
                operation.path
            );
        }
    }
    bed.close().await;
}

#[tokio::test]
async fn every_answer_carries_the_requests_id() {
    let bed = Bed::bare(Options::default()).await;
    for (path, status) in [("/health", 200), ("/api/v1/tenants", 401), ("/nowhere", 404)] {
        let named = send(bed.raw(Method::GET, path).header("x-request-id", "mine-42")).await;
        assert_eq!((named.status, named.header("x-request-id")), (status, "mine-42"));
        let unnamed = send(bed.raw(Method::GET, path)).await;
        assert!(uuid::Uuid::parse_str(unnamed.header("x-request-id")).is_ok(), "{unnamed:#?}");
    }
    bed.close().await;
}

#[tokio::test]
async fn bodies_that_cannot_be_read_are_problems_on_every_route_that_takes_one() {
    let bed = Bed::make().await;
    bed.tenant("body", "shared").await;
    for operation in
        operations().into_iter().filter(|operation| operation.takes_body && operation.method != Method::DELETE)
    {
        let path = operation.path_with("body");
        let ask = |kind: Option<&str>, body: &[u8]| {
            let request = bed.raw(operation.method.clone(), &path).bearer_auth(TOKEN).body(body.to_vec());
            send(match kind {
                Some(kind) => request.header("content-type", kind),
                None => request,
            })
        };
        for kind in
            [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("application/jsonp"), Some("")]
        {
            ask(kind, b"{}").await.is_problem(415, "NOT_JSON").says("application/json");
        }
        for body in [&b""[..], b"{", b"{} {}", b"nonsense", b"{\"a\": \xff}", b"\xef\xbb\xbf{}", b"{'a': 1}"] {
            ask(Some("application/json"), body).await.is_problem(400, "MALFORMED_JSON").says("not JSON");
        }
        let unknown = ask(Some("Application/JSON; charset=utf-8"), b"{\"unheard-of\": 1}").await;
        unknown.is_problem(422, "INVALID_FIELD");
        let large = ask(Some("application/json"), &vec![b' '; (16 << 20) + 1]).await;
        large.is_problem(413, "BODY_TOO_LARGE").says("16 MiB");
    }
    let deep = Value::String("[".repeat(100_000));
    let nested = format!("{{\"slug\": {}", deep.as_str().expect("text"));
    let reply = bed.raw(Method::POST, "/api/v1/tenants").bearer_auth(TOKEN).header("content-type", "application/json");
    let reply = send(reply.body(nested)).await;
    assert!([400, 422].contains(&reply.status), "{reply:#?}");
    bed.close().await;
}
