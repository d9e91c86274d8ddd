//! Requests that meet: each gets an answer of its own, and what stays is whole.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::api::{Reply, operator};
use crate::backup::{back_up, succeeded};
use crate::bed::{Bed, Options, enter, refusal, rows};
use crate::halt::Halt;

/// Nobody is told that síndico failed when it is only busy.
fn nobody_failed(replies: &[Reply]) {
    for reply in replies {
        assert!(reply.status < 500, "{reply:#?}");
        if reply.status >= 400 {
            reply.is_problem(reply.status, reply.body["code"].as_str().unwrap_or_default());
        }
    }
}

fn with_status(replies: &[Reply], status: u16) -> usize {
    replies.iter().filter(|reply| reply.status == status).count()
}

#[tokio::test]
async fn creations_and_deletions_of_one_slug() {
    let bed = Bed::make().await;
    for round in 0..4 {
        let create = || operator(&bed, Method::POST, "/tenants", Some(json!({"slug": "contested"})));
        let delete = async |pause: u64| {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            operator(&bed, Method::DELETE, "/tenants/contested", None).await
        };
        let (one, two, a, b, c) = tokio::join!(create(), create(), delete(0), delete(40), delete(120));
        nobody_failed(&[one, two, a, b, c]);
        let shown = operator(&bed, Method::GET, "/tenants/contested", None).await;
        match shown.status {
            200 => {
                assert_eq!(shown.body["status"], "active", "round {round}");
                assert_eq!(operator(&bed, Method::DELETE, "/tenants/contested", None).await.status, 204);
            }
            status => assert_eq!(status, 404, "round {round}: {shown:#?}"),
        }
    }
    let made = bed.tenant("contested", "shared").await;
    assert_eq!(rows(&enter(&made).await, "SELECT name FROM clients").await, ["Ana Souza"]);
    bed.close().await;
}

#[tokio::test]
async fn a_tenant_is_deleted_once() {
    let bed = Bed::make().await;
    for isolation in ["shared", "schema", "database", "cluster"] {
        let made = bed.tenant("once", isolation).await;
        let id = made["id"].as_str().expect("an id");
        let replies = join_all((0..6).map(|index| {
            let word = if index % 2 == 0 { "once" } else { id };
            let bed = &bed;
            async move { operator(bed, Method::DELETE, &format!("/tenants/{word}"), None).await }
        }))
        .await;
        nobody_failed(&replies);
        assert_eq!(with_status(&replies, 204), 1, "{isolation}: {replies:#?}");
        assert_eq!(bed.traces(id).await, Vec::<String>::new(), "{isolation}");
    }
    bed.close().await;
}

/// Between finding the tenant and recording its removal, somebody else has removed it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_removal_that_comes_late_finds_nothing() {
    let (halt, probe) = Halt::at("removal");
    let bed = Arc::new(Bed::with(Options { probe, ..Options::default() }).await);
    let made = bed.tenant("once", "schema").await;
    let late = {
        let bed = Arc::clone(&bed);
        tokio::spawn(async move { operator(&bed, Method::DELETE, "/tenants/once", None).await })
    };
    halt.reached().await;
    let first = operator(&bed, Method::DELETE, "/tenants/once", None).await;
    assert_eq!(first.status, 204, "{first:#?}");
    halt.wake();
    late.await.expect("answered").is_problem(404, "TENANT_NOT_FOUND");
    assert_eq!(bed.traces(made["id"].as_str().expect("an id")).await, Vec::<String>::new());
    Arc::into_inner(bed).expect("all tasks ended").close().await;
}

/// Between finding the tenant and recording that it is taken back to a backup, somebody closes it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_is_closed_before_its_rows_are_replaced_stays_closed() {
    let (halt, probe) = Halt::at("replacement");
    let bed = Arc::new(Bed::with(Options { probe, ..Options::default() }).await);
    bed.tenant("closed", "schema").await;
    let backup = back_up(&bed, "closed").await;
    let ask = Some(json!({"backup": backup}));
    let late = {
        let (bed, ask) = (Arc::clone(&bed), ask.clone());
        tokio::spawn(async move { operator(&bed, Method::POST, "/tenants/closed/restore", ask).await })
    };
    halt.reached().await;
    let closed = operator(&bed, Method::PATCH, "/tenants/closed", Some(json!({"status": "suspended"}))).await;
    assert_eq!(closed.status, 200, "{closed:#?}");
    halt.wake();
    late.await.expect("answered").is_problem(409, "CHANGE_IN_PROGRESS");
    succeeded(&bed, bed.call(Method::POST, "/tenants/closed/restore", ask).await).await;
    let shown = operator(&bed, Method::GET, "/tenants/closed", None).await;
    assert_eq!(shown.body["status"], "suspended");
    Arc::into_inner(bed).expect("all tasks ended").close().await;
}

#[tokio::test]
async fn a_suspension_during_a_creation_waits_for_its_end() {
    let bed = Bed::make().await;
    for isolation in ["shared", "database"] {
        let body = json!({"slug": "early", "isolation": isolation});
        let create = operator(&bed, Method::POST, "/tenants", Some(body));
        let suspend = async {
            let mut replies: Vec<Reply> = Vec::new();
            while replies.last().is_none_or(|reply| reply.status != 200) {
                let edit = Some(json!({"status": "suspended"}));
                replies.push(operator(&bed, Method::PATCH, "/tenants/early", edit).await);
            }
            replies
        };
        let both = async { tokio::join!(create, suspend) };
        let (created, replies) = tokio::time::timeout(Duration::from_secs(30), both).await.expect("suspended");
        assert_eq!(created.status, 201, "{created:#?}");
        nobody_failed(&replies);
        assert_eq!(refusal(created.body["dsn"].as_str().expect("a DSN")).await.0, "28000");
        let shown = operator(&bed, Method::GET, "/tenants/early", None).await;
        assert_eq!(shown.body["status"], "suspended", "the creation did not open it again");
        assert_eq!(operator(&bed, Method::DELETE, "/tenants/early", None).await.status, 204);
    }
    bed.close().await;
}

#[tokio::test]
async fn a_schema_is_dropped_and_made_once() {
    let bed = Bed::make().await;
    bed.tenant("torn", "schema").await;
    let ask = |method: Method| {
        let bed = &bed;
        join_all((0..4).map(move |_| operator(bed, method.clone(), "/tenants/torn/schema?confirm=torn", None)))
    };
    for round in 0..3 {
        let dropped = ask(Method::DELETE).await;
        nobody_failed(&dropped);
        assert_eq!(with_status(&dropped, 204), 1, "round {round}: {dropped:#?}");
        let made = ask(Method::POST).await;
        nobody_failed(&made);
        assert_eq!(with_status(&made, 201), 1, "round {round}: {made:#?}");
    }
    let (mixed, more) = tokio::join!(ask(Method::DELETE), ask(Method::POST));
    nobody_failed(&mixed);
    nobody_failed(&more);
    bed.close().await;
}

#[tokio::test]
async fn keys_are_made_and_revoked_while_their_tenant_goes() {
    let bed = Bed::make().await;
    for round in 0..4 {
        bed.tenant("leaving", "shared").await;
        let (_, listed) = bed.call(Method::GET, "/tenants/leaving/keys", None).await;
        let first = format!("/tenants/leaving/keys/{}", listed["items"][0]["id"].as_str().expect("an id"));
        let make = async || {
            let mut replies: Vec<Reply> = Vec::new();
            while replies.last().is_none_or(|reply| reply.status == 201) {
                let body = Some(json!({"label": "late"}));
                replies.push(operator(&bed, Method::POST, "/tenants/leaving/keys", body).await);
            }
            replies
        };
        let delete = async {
            tokio::time::sleep(Duration::from_millis(30 * round)).await;
            operator(&bed, Method::DELETE, "/tenants/leaving", None).await
        };
        let (a, b, c, revoked, deleted) =
            tokio::join!(make(), make(), make(), operator(&bed, Method::DELETE, &first, None), delete);
        assert_eq!((deleted.status, &deleted.body), (204, &Value::Null));
        nobody_failed(&[revoked]);
        for replies in [a, b, c] {
            nobody_failed(&replies);
        }
    }
    bed.close().await;
}
