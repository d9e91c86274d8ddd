//! Rows that are removed are archived where a rule says so: each is in its table or in an archive, whatever dies when.

use std::collections::BTreeMap;
use std::sync::Mutex;

use reqwest::RequestBuilder;

use super::*;
use crate::backup::walk;

const ARCHIVED: &str = "
    [retention.events]
    column = 'at'
    keep = '30 days'
    archive = '5 years'
    [retention.parts]
    column = 'at'
    keep = '1 year'
    archive = 'forever'
    [retention.days]
    column = 'day'
    keep = '1 month'";

async fn with_archives(options: Options) -> Bed {
    let bed = Bed::bare(options).await;
    bed.lifecycle().add_app(diary(&bed, ARCHIVED)).await.expect("the diary registers");
    bed
}

/// Those that there are; of what was cut off, the record stays for a while after the object.
async fn archives(bed: &Bed, query: &str) -> Vec<Value> {
    let (status, page) = bed.call(Method::GET, &format!("/archives?{query}"), None).await;
    assert_eq!(status, StatusCode::OK, "{page:#}");
    page["items"].as_array().expect("items").iter().filter(|it| it["state"] != "removing").cloned().collect()
}

fn rows_of(bed: &Bed, archive: &Value, format: &str) -> RequestBuilder {
    let path = format!("/api/v1/archives/{}/rows?format={format}", archive["id"].as_str().expect("an id"));
    bed.raw(Method::GET, &path).bearer_auth(crate::bed::TOKEN)
}

/// What there is of a tenant's archived events, by id.
async fn archived(bed: &Bed, slug: &str) -> BTreeMap<i64, String> {
    let mut all = BTreeMap::new();
    for archive in archives(bed, "table=events&limit=1000").await.iter().filter(|it| it["slug"] == slug) {
        assert_eq!(archive["state"], "kept", "{archive:#}");
        let text = rows_of(bed, archive, "ndjson").send().await.expect("an answer").text().await.expect("rows");
        let mut count = 0;
        for line in text.lines() {
            let row: Value = serde_json::from_str(line).expect("JSON");
            let id = row["id"].as_i64().expect("a number");
            let known = all.insert(id, row["what"].as_str().unwrap_or_default().to_owned());
            assert_eq!(known, None, "event {id} is archived twice");
            count += 1;
        }
        assert_eq!(archive["rows"], count, "{archive:#}");
    }
    all
}

#[tokio::test]
async fn what_is_removed_is_archived_in_every_isolation() {
    let bed = with_archives(Options::default()).await;
    let mut clients = Vec::new();
    for isolation in ["shared", "schema", "database", "cluster"] {
        let made = bed.tenant(&format!("diary-{isolation}"), isolation).await;
        clients.push((isolation, made["id"].clone(), enter(&made).await));
    }
    let odd = "E'tab\\t, \"quote\" and\\nline \\\\ é'";
    for (isolation, _, client) in &clients {
        write(client).await;
        run(
            client,
            &format!("INSERT INTO events (at, what) VALUES (now() - interval '1 year', '{isolation}' || {odd})"),
        )
        .await;
    }
    let planned = output(&bed, json!({"dry_run": true})).await;
    assert_eq!((planned["rows"].as_i64(), archives(&bed, "").await.len()), (Some(4 * 9), 0), "{planned:#}");
    let done = output(&bed, json!({})).await;
    assert_eq!((&done["rows"], &done["failed"]), (&json!(4 * 8), &json!([])), "{done:#}");
    let mut events = done["tables"].as_array().expect("tables").iter().filter(|it| it["table"] == "events");
    assert!(events.all(|it| it["archived"] == true && it["rows"] == 5 && it["held"] == 1), "{done:#}");
    for (isolation, id, client) in &clients {
        assert_eq!(one(client, LEFT).await, "old new new new,0,1,1,5", "{isolation}");
        let slug = format!("diary-{isolation}");
        let odd_one = format!("{isolation}tab\t, \"quote\" and\nline \\ é");
        let held: i64 = one(client, "SELECT event_id FROM proofs").await.parse().expect("a number");
        let expected: BTreeMap<i64, String> =
            (1..=5).filter(|it| *it != held).map(|it| (it, "old".to_owned())).chain([(9, odd_one)]).collect();
        assert_eq!(archived(&bed, &slug).await, expected, "{isolation}");
        let of = archives(&bed, &format!("tenant={}", id.as_str().expect("an id"))).await;
        assert!(
            of.iter().all(|it| it["slug"] == slug.as_str()) && of.iter().any(|it| it["table"] == "parts"),
            "{of:#?}"
        );
        // What is kept for ever has no end.
        assert!(of.iter().all(|it| it["expires_at"].is_null() == (it["table"] == "parts")), "{of:#?}");
    }
    let answer = rows_of(&bed, &archives(&bed, "table=events").await[0], "csv").send().await.expect("an answer");
    assert!(answer.headers()["content-type"].to_str().expect("text").starts_with("text/csv"));
    let text = answer.text().await.expect("rows");
    assert!(text.starts_with("id,at,what\r\n") && !text.contains("tenant_id"), "{text}");
    // Nothing of it can be read in the store.
    for file in walk(bed.store()) {
        assert!(!std::fs::read(&file).expect("a file").windows(5).any(|it| it == b"quote"), "{}", file.display());
    }
    let (_, rules) = bed.call(Method::GET, &format!("/apps/{}/retention", bed.app), None).await;
    let rule = rules["rules"].as_array().expect("rules").iter().find(|it| it["table"] == "events").cloned();
    assert_eq!(rule.expect("a rule")["archive"], "5 years");
    bed.close().await;
}

/// At each point in turn síndico dies, or fails; whoever goes on, no row is lost and none is there twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_row_is_in_its_table_or_in_an_archive() {
    for point in ["archive written", "archive committed"] {
        for dies in [true, false] {
            let armed = Arc::new(AtomicUsize::new(0));
            let count = Arc::clone(&armed);
            let probe = Probe::new(move |at| {
                let now = at == point && count.fetch_add(1, Ordering::SeqCst) == 1;
                assert!(!(now && dies), "dies here");
                now
            });
            let bed = with_archives(Options { probe, ..Options::default() }).await;
            let client = enter(&bed.tenant("paws", "shared").await).await;
            let many = "INSERT INTO events (at, what)
                SELECT now() - interval '1 year' + n * interval '1 s', 'old' FROM generate_series(1, 25000) n";
            run(&client, many).await;
            let begun = begin(&bed, json!({})).await;
            let other = bed.another().await;
            if dies {
                while armed.load(Ordering::SeqCst) < 2 {
                    tokio::task::yield_now().await;
                }
                let path = format!("/operations/{}", begun["id"].as_str().expect("an id"));
                loop {
                    other.lifecycle.recover().await.expect("recovery");
                    let (_, operation) = bed.call(Method::GET, &path, None).await;
                    if !operation["ended_at"].is_null() {
                        assert_eq!(operation["state"], "succeeded", "{point}: {operation:#}");
                        break;
                    }
                    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
                }
            } else {
                let failed = ended(&bed, &begun).await;
                assert_eq!(failed["state"], "failed", "{point}: {failed:#}");
                let left: usize = one(&client, "SELECT count(*) FROM events").await.parse().expect("a number");
                other.lifecycle.settle_archives(catalog::Unsettled::Ended).await.expect("settled");
                assert_eq!(archived(&bed, "paws").await.len(), 25_000 - left, "{point}");
                output(&bed, json!({})).await;
            }
            assert_eq!(one(&client, "SELECT count(*) FROM events").await, "0", "{point}");
            let archived = archived(&bed, "paws").await;
            assert!(archived.keys().copied().eq(1..=25_000), "{point}: {}", archived.len());
            // Nothing is in the store that no record knows.
            assert_eq!(walk(bed.store()).len(), archives(&bed, "limit=1000").await.len(), "{point}");
            other.leave().await;
            bed.close().await;
        }
    }
}

/// A síndico that stood still while its operation was taken over commits nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_wakes_up_late_removes_nothing() {
    let (wake, asleep) = std::sync::mpsc::channel::<()>();
    let asleep = Mutex::new(asleep);
    let passed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&passed);
    let probe = Probe::new(move |at| {
        if at == "archive written" && count.fetch_add(1, Ordering::SeqCst) == 0 {
            let asleep = asleep.lock().expect("not poisoned");
            tokio::task::block_in_place(|| asleep.recv().expect("woken"));
        }
        false
    });
    let bed = with_archives(Options { probe, ..Options::default() }).await;
    // Nobody else is on that server, so no later transaction tells of this one.
    let client = enter(&bed.tenant("paws", "cluster").await).await;
    run(&client, "INSERT INTO events (at, what) SELECT now() - interval '1 year', 'old' FROM generate_series(1, 100)")
        .await;
    let begun = begin(&bed, json!({})).await;
    while passed.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let control = bed.control().await;
    let over = "UPDATE sindico.operations SET leased_until = clock_timestamp() - interval '1 s' WHERE ended_at IS NULL";
    control.batch_execute(over).await.expect("the lease is over");
    let other = bed.another().await;
    let path = format!("/operations/{}", begun["id"].as_str().expect("an id"));
    loop {
        other.lifecycle.recover().await.expect("recovery");
        let (_, operation) = bed.call(Method::GET, &path, None).await;
        if !operation["ended_at"].is_null() {
            assert_eq!(operation["state"], "succeeded", "{operation:#}");
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    wake.send(()).expect("it sleeps");
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    assert_eq!(one(&client, "SELECT count(*) FROM events").await, "0");
    assert!(archived(&bed, "paws").await.keys().copied().eq(1..=100));
    other.leave().await;
    bed.close().await;
}

/// What is put off to the end of the transaction may still say no.
#[tokio::test]
async fn what_a_commit_refuses_is_not_archived() {
    let bed = with_archives(Options::default()).await;
    for isolation in ["shared", "database"] {
        let slug = format!("late-{isolation}");
        let client = enter(&bed.tenant(&slug, isolation).await).await;
        let many = "INSERT INTO events (at, what)
            SELECT now() - interval '1 year' + n * interval '1 s', 'old' FROM generate_series(1, 20) n;
            INSERT INTO late_proofs VALUES (7), (13)";
        run(&client, many).await;
        let done = output(&bed, json!({"tenants": [slug]})).await;
        let told = &done["tables"][0];
        assert_eq!((&told["rows"], &told["held"]), (&json!(18), &json!(2)), "{done:#}");
        assert!(told["note"].to_string().contains("constraint late_proofs_keep"), "{done:#}");
        assert_eq!(one(&client, "SELECT string_agg(id::text, ' ' ORDER BY id) FROM events").await, "7 13");
        let expected = (1..=20).filter(|id| ![7, 13].contains(id));
        assert!(archived(&bed, &slug).await.keys().copied().eq(expected), "{isolation}");
    }
    assert_eq!(walk(bed.store()).len(), archives(&bed, "limit=1000").await.len());
    bed.close().await;
}

#[tokio::test]
async fn without_a_store_rows_stay() {
    let bed = with_archives(Options { without_store: true, ..Options::default() }).await;
    let client = enter(&bed.tenant("paws", "shared").await).await;
    write(&client).await;
    let done = output(&bed, json!({})).await;
    let events = done["tables"].as_array().expect("tables").iter().find(|it| it["table"] == "events").cloned();
    let note = events.expect("it is told of")["note"].to_string();
    assert!(note.contains("rows of events are to be archived: no store for backups is configured"), "{note}");
    assert_eq!(one(&client, LEFT).await, "old old old old old new new new,1,1,3,0", "days are not archived");
    bed.close().await;
}

#[tokio::test]
async fn archives_go_when_their_time_is_over_or_somebody_says_so() {
    let bed = with_archives(Options::default()).await;
    let client = enter(&bed.tenant("paws", "schema").await).await;
    write(&client).await;
    output(&bed, json!({})).await;
    let [events, parts] = ["events", "parts"].map(|table| format!("table={table}"));
    let kept = archives(&bed, &events).await[0].clone();
    let later = "UPDATE sindico.archives SET expires_at = expires_at - interval '5 years'";
    bed.control().await.batch_execute(later).await.expect("years go by");
    // A tenant that is gone leaves its archives for as long as they are to be kept.
    let (status, _) = bed.call(Method::DELETE, "/tenants/paws", None).await;
    assert!(status.is_success());
    assert_eq!(archived(&bed, "paws").await.len(), 4);
    bed.lifecycle().expire_archives().await.expect("expired");
    assert_eq!((archives(&bed, &events).await.len(), archives(&bed, &parts).await.len()), (0, 1));
    let gone = rows_of(&bed, &kept, "csv").send().await.expect("an answer");
    assert_eq!(gone.status(), StatusCode::NOT_FOUND);
    let left = archives(&bed, "").await[0].clone();
    // One that somebody has changed is not taken for what was archived.
    for file in walk(bed.store()) {
        let mut bytes = std::fs::read(&file).expect("a file");
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        std::fs::write(&file, bytes).expect("written");
    }
    let damaged = rows_of(&bed, &left, "csv").send().await.expect("an answer").text().await;
    damaged.expect_err("the answer breaks off");
    let path = format!("/archives/{}", left["id"].as_str().expect("an id"));
    let (status, _) = bed.call(Method::DELETE, &path, None).await;
    assert_eq!((status, walk(bed.store()).len()), (StatusCode::NO_CONTENT, 0));
    let (status, problem) = bed.call(Method::DELETE, &path, None).await;
    assert_eq!((status, problem["code"].as_str()), (StatusCode::NOT_FOUND, Some("ARCHIVE_NOT_FOUND")), "{problem:#}");
    bed.close().await;
}
