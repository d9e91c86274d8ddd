//! What begins by itself, as operators see it.

use reqwest::Method;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::api::{Reply, operator};
use crate::bed::{Bed, one, run};
use crate::migrate::ended;

async fn create(bed: &Bed, body: Value) -> Reply {
    operator(bed, Method::POST, "/schedules", Some(body)).await
}

async fn show(bed: &Bed, name: &str) -> Value {
    let shown = operator(bed, Method::GET, &format!("/schedules/{name}"), None).await;
    assert_eq!(shown.status, 200, "{shown:#?}");
    shown.body
}

fn verify(bed: &Bed, name: &str) -> Value {
    json!({"name": name, "kind": "verify", "input": {"app": bed.app.as_str()}, "cron": "0 * * * *"})
}

/// A moment shortly after a schedule's next time. By the real clock that is yet to come, so that nobody but the test sees to it.
fn after_next(schedule: &Value) -> OffsetDateTime {
    let next = schedule["upcoming"][0].as_str().expect("a next time");
    OffsetDateTime::parse(next, &Rfc3339).expect("a time") + std::time::Duration::from_secs(1)
}

async fn operations(bed: &Bed) -> Vec<String> {
    crate::bed::rows(&bed.control().await, "SELECT id FROM sindico.operations WHERE kind = 'verify' ORDER BY id").await
}

#[tokio::test]
async fn two_processes_begin_each_time_once() {
    let bed = Bed::make().await;
    let other = bed.another().await;
    let mut at = OffsetDateTime::UNIX_EPOCH;
    for nth in 0..12 {
        let made = create(&bed, verify(&bed, &format!("often-{nth}"))).await;
        assert_eq!(made.status, 201, "{made:#?}");
        at = after_next(&made.body);
    }
    let (here, there) = (bed.lifecycle(), &other.lifecycle);
    let counts = tokio::join!(
        here.begin_due(Some(at)),
        there.begin_due(Some(at)),
        here.begin_due(Some(at)),
        there.begin_due(Some(at))
    );
    let counts: [usize; 4] = <[_; 4]>::from(counts).map(|seen| seen.expect("begun"));
    assert_eq!(counts.iter().sum::<usize>(), 12, "{counts:?}");
    assert_eq!(here.begin_due(Some(at)).await.expect("asked"), 0);

    // All are about one app, so each has begun an operation of its own or says that one was under way.
    let begun = operations(&bed).await;
    let mut told = Vec::new();
    for nth in 0..12 {
        let seen = show(&bed, &format!("often-{nth}")).await;
        match seen["last_operation"].as_str() {
            Some(operation) => told.push(operation.to_owned()),
            None => assert!(seen["last_error"].as_str().expect("a reason").contains("under way"), "{seen:#}"),
        }
    }
    told.sort_unstable();
    assert_eq!(told, begun);
    assert!(!begun.is_empty());
    for operation in &begun {
        assert_eq!(ended(&bed, &json!({"id": operation})).await["state"], "succeeded");
    }
    other.leave().await;
    bed.close().await;
}

#[tokio::test]
async fn a_running_process_begins_what_was_missed_once_and_skips_what_is_under_way() {
    let bed = Bed::make().await;
    create(&bed, verify(&bed, "nightly")).await;
    let control = bed.control().await;
    run(&control, "UPDATE sindico.schedules SET next_at = now() - interval '30 hours' WHERE name = 'nightly'").await;
    let first = loop {
        let seen = show(&bed, "nightly").await;
        assert_eq!(seen["last_error"], Value::Null);
        if !seen["last_operation"].is_null() {
            break seen;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    let begun = json!({"id": first["last_operation"]});
    assert_eq!(ended(&bed, &begun).await["state"], "succeeded");
    assert_eq!(operations(&bed).await.len(), 1, "thirty times were missed");

    // As if somebody else were at it still.
    let under_way =
        "UPDATE sindico.operations SET ended_at = NULL, state = 'running', leased_until = now() + interval '15 seconds'
                     WHERE kind = 'verify'";
    run(&control, under_way).await;
    let at = after_next(&first);
    assert_eq!(bed.lifecycle().begin_due(Some(at)).await.expect("seen to"), 1);
    let skipped = show(&bed, "nightly").await;
    assert_eq!(skipped["last_operation"], first["last_operation"]);
    let why = skipped["last_error"].as_str().expect("a reason");
    assert!(why.contains("still under way") && why.contains("sindico operation list"), "{why}");
    assert_eq!(operations(&bed).await.len(), 1);

    run(&control, "UPDATE sindico.operations SET ended_at = now(), state = 'succeeded' WHERE kind = 'verify'").await;
    assert_eq!(bed.lifecycle().begin_due(Some(at)).await.expect("asked"), 0, "skipped is seen to");
    assert_eq!(bed.lifecycle().begin_due(Some(after_next(&skipped))).await.expect("seen to"), 1);
    let third = show(&bed, "nightly").await;
    assert_eq!((&third["last_error"], operations(&bed).await.len()), (&Value::Null, 2));
    ended(&bed, &json!({"id": third["last_operation"]})).await;

    // What it was about is no more.
    let gone = "UPDATE sindico.schedules SET input = '{\"app\": \"gone\"}' WHERE name = 'nightly'";
    run(&control, gone).await;
    assert_eq!(bed.lifecycle().begin_due(Some(after_next(&third))).await.expect("seen to"), 1);
    let seen = show(&bed, "nightly").await;
    assert!(seen["last_error"].as_str().expect("a reason").contains("\"gone\" is not registered"), "{seen:#}");
    bed.close().await;
}

#[tokio::test]
async fn a_schedule_can_be_deleted_while_somebody_is_at_it() {
    let bed = Bed::make().await;
    let made = create(&bed, verify(&bed, "nightly")).await.body;
    let mut holder = bed.control().await;
    let held = holder.transaction().await.expect("a transaction");
    let lock = "SELECT 1 FROM sindico.schedules WHERE name = 'nightly' FOR UPDATE";
    held.batch_execute(lock).await.expect("as another process does");
    let at = after_next(&made);
    assert_eq!(bed.lifecycle().begin_due(Some(at)).await.expect("asked"), 0, "another is at it");
    let (deleted, ()) = tokio::join!(operator(&bed, Method::DELETE, "/schedules/nightly", None), async {
        let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND database = (
                         SELECT oid FROM pg_database WHERE datname = current_database()) OR NOT granted AND locktype = 'transactionid'";
        let watcher = bed.control().await;
        while one(&watcher, waits).await == "0" {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        held.commit().await.expect("committed");
    });
    assert_eq!(deleted.status, 204, "{deleted:#?}");
    assert_eq!(bed.lifecycle().begin_due(Some(at)).await.expect("asked"), 0);
    let gone = operator(&bed, Method::DELETE, "/schedules/nightly", None).await;
    gone.is_problem(404, "SCHEDULE_NOT_FOUND").says("sindico schedule list");
    assert_eq!(operations(&bed).await, Vec::<String>::new());
    bed.close().await;
}

#[tokio::test]
async fn schedules_are_listed_changed_paused_and_resumed() {
    let bed = Bed::make().await;
    let listed = operator(&bed, Method::GET, "/schedules", None).await.body;
    let names = |page: &Value| -> Vec<String> {
        page["items"]
            .as_array()
            .expect("items")
            .iter()
            .map(|it| it["name"].as_str().expect("a name").to_owned())
            .collect()
    };
    assert_eq!(names(&listed), ["usage"], "the one that is there from the beginning");

    let mut body = verify(&bed, "nightly");
    body["time_zone"] = json!("America/Sao_Paulo");
    body["cron"] = json!("30 3 * * *");
    let made = create(&bed, body).await;
    assert_eq!((made.status, made.body["upcoming"].as_array().map(Vec::len)), (201, Some(3)), "{made:#?}");
    assert!(made.body["upcoming"][0].as_str().expect("a time").contains("T06:30:00Z"), "{made:#?}");
    let id = made.body["id"].as_str().expect("an id");
    assert_eq!(show(&bed, id).await, made.body, "by id as by name");
    let page = operator(&bed, Method::GET, "/schedules?limit=1", None).await.body;
    let after = page["next"].as_str().expect("a next page");
    let page = operator(&bed, Method::GET, &format!("/schedules?limit=1&after={after}"), None).await.body;
    assert_eq!((names(&page), &page["next"]), (vec!["nightly".to_owned()], &Value::Null));

    let patch = async |body: Value| operator(&bed, Method::PATCH, "/schedules/nightly", Some(body)).await;
    let paused = patch(json!({"enabled": false})).await;
    assert_eq!((&paused.body["enabled"], &paused.body["upcoming"]), (&json!(false), &json!([])), "{paused:#?}");
    assert_eq!(bed.lifecycle().begin_due(Some(after_next(&made.body))).await.expect("asked"), 0);
    let resumed = patch(json!({"enabled": true, "cron": "@hourly"})).await;
    assert_eq!((resumed.status, resumed.body["upcoming"].as_array().map(Vec::len)), (200, Some(3)));
    patch(json!({"name": "hourly"})).await;
    operator(&bed, Method::GET, "/schedules/nightly", None).await.is_problem(404, "SCHEDULE_NOT_FOUND");
    assert_eq!(show(&bed, "hourly").await["cron"], "@hourly");
    bed.close().await;
}

#[tokio::test]
async fn what_cannot_be_kept_is_refused_with_what_is_wrong() {
    let bed = Bed::make().await;
    let good = verify(&bed, "nightly");
    assert_eq!(create(&bed, good.clone()).await.status, 201);
    create(&bed, good.clone()).await.is_problem(409, "SCHEDULE_TAKEN").points_at("/name").says("nightly");
    for (field, value, told) in [
        ("cron", json!("61 * * * *"), "61"),
        ("cron", json!("* * * * * *"), "30 3 * * 1-5"),
        ("cron", json!("soon"), "such as"),
        ("cron", json!("0 0 30 2 *"), "never comes"),
        ("time_zone", json!("Mars/Base"), "America/Sao_Paulo"),
        ("kind", json!("tea"), "backup, retention, usage, verify"),
        ("input", json!({}), "app"),
        ("input", json!({"app": "gone", "more": 1}), "more"),
        ("name", json!("Not A Name"), "nightly-verify"),
        ("name", json!("0192f0c1-2345-7abc-8def-0123456789ab"), "looks like an id"),
    ] {
        let mut bad = good.clone();
        bad["name"] = json!("another");
        bad[field] = value;
        let refused = create(&bed, bad.clone()).await;
        refused.is_problem(422, "INVALID_FIELD").points_at(&format!("/{field}")).says(told);
        if field != "kind" {
            let edit = json!({field: bad[field]});
            let refused = operator(&bed, Method::PATCH, "/schedules/nightly", Some(edit)).await;
            refused.is_problem(422, "INVALID_FIELD").points_at(&format!("/{field}")).says(told);
        }
    }
    let mut unknown = good.clone();
    unknown["name"] = json!("another");
    unknown["input"] = json!({"app": "gone"});
    create(&bed, unknown).await.is_problem(422, "APP_NOT_FOUND").says("gone");
    assert_eq!(operator(&bed, Method::GET, "/schedules", None).await.body["items"].as_array().map(Vec::len), Some(2));
    bed.close().await;
}
