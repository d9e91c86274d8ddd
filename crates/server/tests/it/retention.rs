//! Rows that are older than they are to be kept go, and no others, in every isolation.

mod archive;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use catalog::AppFile;
use lifecycle::{AddApp, Probe};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tenantize::Manifest;
use tokio_postgres::Client;

use crate::bed::{Bed, Options, enter, one, rows, run};
use crate::migrate::ended;

const TABLES: &str = "
    CREATE TABLE events (id bigserial PRIMARY KEY, at timestamptz NOT NULL, what text);
    CREATE INDEX ON events (at);
    CREATE TABLE notes (id bigserial PRIMARY KEY, event_id bigint REFERENCES events ON DELETE CASCADE);
    CREATE TABLE proofs (event_id bigint PRIMARY KEY CONSTRAINT proofs_keep REFERENCES events);
    CREATE TABLE late_proofs (event_id bigint PRIMARY KEY
        CONSTRAINT late_proofs_keep REFERENCES events DEFERRABLE INITIALLY DEFERRED);
    CREATE TABLE days (day date NOT NULL);
    CREATE TABLE parts (id bigserial, at timestamp NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
    CREATE TABLE parts_early PARTITION OF parts FOR VALUES FROM ('2000-01-01') TO ('2020-01-01');
    CREATE TABLE parts_other PARTITION OF parts DEFAULT;
    CREATE TABLE counters (removed bigint NOT NULL, who text);
    CREATE FUNCTION count_removed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        UPDATE counters SET removed = removed + 1, who = session_user || ' ' || current_user;
        RETURN NULL;
    END $$;
    CREATE TRIGGER count_removed AFTER DELETE ON events FOR EACH ROW EXECUTE FUNCTION count_removed();";

const RULES: &str = "
    [retention.events]
    column = 'at'
    keep = '30 days'
    [retention.days]
    column = 'day'
    keep = '1 month'
    [retention.parts]
    column = 'at'
    keep = '1 year'";

fn diary(bed: &Bed, rules: &str) -> AddApp {
    let manifest = Manifest::parse(&format!("name = \"{}\"\n{rules}", bed.app)).expect("a manifest");
    let file = |path: &str, content: &str| AppFile { path: path.to_owned(), content: content.to_owned() };
    let seed = file("seed/1.sql", "INSERT INTO counters (removed) VALUES (0);");
    AddApp { manifest, files: vec![file("migrations/0001.sql", TABLES), seed] }
}

async fn with_diary(options: Options) -> Bed {
    let bed = Bed::bare(options).await;
    bed.lifecycle().add_app(diary(&bed, RULES)).await.expect("the diary registers");
    bed
}

async fn begin(bed: &Bed, body: Value) -> Value {
    let (status, begun) = bed.call(Method::POST, &format!("/apps/{}/retention/run", bed.app), Some(body)).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{begun:#}");
    begun
}

async fn output(bed: &Bed, body: Value) -> Value {
    let done = ended(bed, &begin(bed, body).await).await;
    assert_eq!(done["state"], "succeeded", "{done:#}");
    done["steps"][0]["output"].clone()
}

async fn runs(bed: &Bed) -> Value {
    let (status, shown) = bed.call(Method::GET, &format!("/apps/{}/retention", bed.app), None).await;
    assert_eq!(status, StatusCode::OK, "{shown:#}");
    shown["runs"].clone()
}

/// Rows of 10 and of 40 days ago, one of the old ones noted and one proven, old and new days and parts.
async fn write(client: &Client) {
    run(
        client,
        "INSERT INTO events (at, what) SELECT now() - interval '40 days', 'old' FROM generate_series(1, 5);
         INSERT INTO events (at, what) SELECT now() - interval '10 days', 'new' FROM generate_series(1, 3);
         INSERT INTO notes (event_id) SELECT min(id) FROM events;
         INSERT INTO proofs (event_id) SELECT max(id) FROM events WHERE what = 'old';
         INSERT INTO days VALUES (current_date), (current_date - 60);
         INSERT INTO parts (at) VALUES ('2010-05-05'), ('2021-05-05'), (now())",
    )
    .await;
}

const LEFT: &str = "SELECT (SELECT string_agg(what, ' ' ORDER BY id) FROM events), (SELECT count(*) FROM notes),
                           (SELECT count(*) FROM days), (SELECT count(*) FROM parts), (SELECT removed FROM counters)";

#[tokio::test]
async fn old_rows_go_and_no_others_in_every_isolation() {
    let bed = with_diary(Options::default()).await;
    let mut clients = Vec::new();
    for isolation in ["shared", "schema", "database", "cluster"] {
        let made = bed.tenant(&format!("diary-{isolation}"), isolation).await;
        clients.push((made["id"].as_str().expect("an id").replace('-', ""), enter(&made).await));
    }
    let strict = enter(&bed.tenant("strict", "shared").await).await;
    let untouched = enter(&bed.tenant("untouched", "shared").await).await;
    for client in clients.iter().map(|(_, client)| client).chain([&strict, &untouched]) {
        write(client).await;
    }
    let own = json!({"events": "7 days"});
    let (status, limits) = bed.call(Method::PUT, "/tenants/strict/retention", Some(own)).await;
    assert_eq!(status, StatusCode::OK, "{limits:#}");
    let events = limits["items"].as_array().expect("items").iter().find(|it| it["table"] == "events").cloned();
    assert_eq!(
        events,
        Some(json!({"table": "events", "column": "at", "keep": "7 days", "archive": null, "own": true}))
    );

    let named = ["diary-shared", "diary-schema", "diary-database", "diary-cluster", "strict"];
    let before = "old old old old old new new new,1,2,3,0";
    let planned = output(&bed, json!({"tenants": named, "dry_run": true})).await;
    assert_eq!(planned["rows"], json!(4 * 8 + 11), "{planned:#}");
    assert_eq!(runs(&bed).await, json!([]));
    assert_eq!(one(&strict, LEFT).await, before, "a dry run removes nothing");

    let done = output(&bed, json!({"tenants": named})).await;
    assert_eq!((&done["rows"], &done["failed"]), (&json!(4 * 7 + 10), &json!([])), "{done:#}");
    for (hex, client) in &clients {
        assert_eq!(one(client, LEFT).await, "old new new new,0,1,1,4");
        let who = rows(client, "SELECT who FROM counters").await;
        assert_eq!(who, [format!("t_{hex} t_{hex}")], "triggers run as the tenant");
    }
    assert_eq!(one(&strict, LEFT).await, "old,0,1,1,7");
    assert_eq!(one(&untouched, LEFT).await, before, "whoever was not named keeps its rows");
    let held: Vec<Value> =
        done["tables"].as_array().expect("tables").iter().filter(|it| it["held"] == 1).cloned().collect();
    assert_eq!(held.len(), 5, "{done:#}");
    assert!(held.iter().all(|it| it["note"].to_string().contains("constraint proofs_keep")), "{held:#?}");

    // What kept a row is gone; whoever's time is the app's again keeps more.
    for client in [&clients[0].1, &strict] {
        run(client, "DELETE FROM proofs; INSERT INTO events (at, what) VALUES (now() - interval '10 days', 'again')")
            .await;
    }
    let (status, _) = bed.call(Method::PUT, "/tenants/strict/retention", Some(json!({}))).await;
    assert_eq!(status, StatusCode::OK);
    let all = output(&bed, json!({})).await;
    assert_eq!(one(&strict, LEFT).await, "again,0,1,1,8");
    assert_eq!(one(&clients[0].1, LEFT).await, "new new new again,0,1,1,5");
    assert_eq!(one(&untouched, LEFT).await, "old new new new,0,1,1,4");
    assert_eq!(all["rows"], json!(2 + 7), "{all:#}");
    let runs = runs(&bed).await;
    let of = |slug: &str| {
        runs.as_array().expect("runs").iter().find(|it| it["slug"] == slug && it["table"] == "events").cloned()
    };
    let strict = of("strict").expect("it ran");
    assert_eq!(
        (&strict["removed_in_all"], &strict["removed"], &strict["held"]),
        (&json!(8), &json!(1), &json!(0)),
        "{strict:#}"
    );
    // Empty partitions stay, and tables are as they should be.
    let (_, begun) = bed.call(Method::POST, &format!("/apps/{}/migrations/verify", bed.app), None).await;
    assert_eq!(ended(&bed, &begun).await["steps"][0]["output"]["drifted"], json!([]));
    assert_eq!(bed.orphans().await, Vec::<String>::new());
    bed.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_rows_go_in_batches_while_a_client_works() {
    let bed = with_diary(Options::default()).await;
    for isolation in ["shared", "schema"] {
        let slug = format!("busy-{isolation}");
        let made = bed.tenant(&slug, isolation).await;
        let client = enter(&made).await;
        run(&client, "INSERT INTO events (at, what) SELECT now() - interval '1 year' + n * interval '1 s', 'old' FROM generate_series(1, 10000) n").await;
        // One in the middle is somebody's proof.
        run(&client, "INSERT INTO proofs SELECT id FROM events ORDER BY at OFFSET 5555 LIMIT 1").await;
        let begun = begin(&bed, json!({"tenants": [slug]})).await;
        let mut written = 0;
        let path = format!("/operations/{}", begun["id"].as_str().expect("an id"));
        let done = loop {
            run(&client, "INSERT INTO events (at, what) VALUES (now(), 'new'); UPDATE events SET what = 'newer' WHERE what = 'new'").await;
            written += 1;
            let (_, operation) = bed.call(Method::GET, &path, None).await;
            if !operation["ended_at"].is_null() {
                break operation;
            }
        };
        assert_eq!(done["steps"][0]["output"]["rows"], 9999, "{done:#}");
        let left = one(
            &client,
            "SELECT count(*) FILTER (WHERE what = 'old'), count(*) FILTER (WHERE what = 'newer') FROM events",
        )
        .await;
        assert_eq!(left, format!("1,{written}"), "{isolation}");
    }
    bed.close().await;
}

/// Whoever is at it dies in the middle; another goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn cut_off_it_is_gone_on_with() {
    let passed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&passed);
    let probe = Probe::new(move |at| {
        assert!(at != "retention" || count.fetch_add(1, Ordering::SeqCst) != 3, "dies here");
        false
    });
    let bed = with_diary(Options { probe, ..Options::default() }).await;
    let client = enter(&bed.tenant("paws", "shared").await).await;
    run(&client, "INSERT INTO events (at) SELECT now() - interval '1 year' FROM generate_series(1, 6000)").await;
    let begun = begin(&bed, json!({})).await;
    while passed.load(Ordering::SeqCst) < 4 {
        tokio::task::yield_now().await;
    }
    assert_eq!(one(&client, "SELECT count(*) FROM events").await, "3000");
    let other = bed.another().await;
    let path = format!("/operations/{}", begun["id"].as_str().expect("an id"));
    let done = loop {
        other.lifecycle.recover().await.expect("recovery");
        let (_, operation) = bed.call(Method::GET, &path, None).await;
        if !operation["ended_at"].is_null() {
            break operation;
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    };
    assert_eq!(done["state"], "succeeded", "{done:#}");
    assert_eq!(one(&client, "SELECT count(*) FROM events").await, "0", "{done:#}");
    let runs = runs(&bed).await;
    let events = runs.as_array().expect("runs").iter().find(|it| it["table"] == "events").cloned().expect("it ran");
    assert_eq!((&events["removed"], &events["removed_in_all"]), (&json!(6000), &json!(6000)), "{runs:#}");
    other.leave().await;
    bed.close().await;
}

#[tokio::test]
async fn cancelled_it_stops() {
    let bed = with_diary(Options::default()).await;
    let made = bed.tenant("paws", "schema").await;
    let client = enter(&made).await;
    run(&client, "INSERT INTO events (at) VALUES (now() - interval '1 year')").await;
    run(&client, "BEGIN; SELECT FROM events FOR UPDATE").await;
    let begun = begin(&bed, json!({})).await;
    let (status, refused) = bed.call(Method::POST, &format!("/apps/{}/retention/run", bed.app), Some(json!({}))).await;
    assert_eq!((status, refused["code"].as_str()), (StatusCode::CONFLICT, Some("CHANGE_IN_PROGRESS")), "{refused:#}");
    let cancel = format!("/operations/{}/cancel", begun["id"].as_str().expect("an id"));
    let (status, _) = bed.call(Method::POST, &cancel, None).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    assert_eq!(ended(&bed, &begun).await["state"], "cancelled");
    run(&client, "COMMIT").await;
    assert_eq!(one(&client, "SELECT count(*) FROM events").await, "1");
    assert_eq!(output(&bed, json!({})).await["rows"], 1);
    bed.close().await;
}

/// A tenant has its role to itself, and does with it what it can.
#[tokio::test]
async fn a_tenant_that_spoilt_its_role_loses_its_old_rows_and_nobody_elses() {
    let bed = with_diary(Options::default()).await;
    let client = enter(&bed.tenant("spoilt", "shared").await).await;
    let other = enter(&bed.tenant("other", "shared").await).await;
    write(&client).await;
    write(&other).await;
    let database = format!("app_{}", bed.app);
    for spoil in ["SET default_transaction_read_only = on", "SET \"TimeZone\" = 'Asia/Tokyo'", "SET row_security = off"]
    {
        run(&client, &format!("ALTER ROLE CURRENT_USER IN DATABASE {database} {spoil}")).await;
    }
    run(&client, "ALTER ROLE CURRENT_USER PASSWORD 'lost'").await;
    let done = output(&bed, json!({"tenants": ["spoilt"]})).await;
    assert_eq!((&done["rows"], &done["failed"]), (&json!(7), &json!([])), "{done:#}");
    assert_eq!(one(&other, LEFT).await, "old old old old old new new new,1,2,3,0");
    bed.close().await;
}

#[tokio::test]
async fn rules_that_do_not_fit_are_refused() {
    let bed = Bed::bare(Options::default()).await;
    let rule = |table: &str, column: &str| format!("[retention.{table}]\ncolumn = '{column}'\nkeep = '1 day'");
    for (rules, said) in [
        (rule("nothing", "at"), "[retention.nothing]: the app has no table nothing"),
        (rule("events", "when"), "[retention.events] column: events has no column when"),
        (rule("events", "what"), "what is of type text"),
        (rule("parts_other", "at"), "write [retention.parts]"),
    ] {
        let error = bed.lifecycle().add_app(diary(&bed, &rules)).await.expect_err("refused").to_string();
        assert!(error.contains(said), "{error}");
    }
    bed.lifecycle().add_app(diary(&bed, "")).await.expect("registered");
    bed.tenant("paws", "shared").await;
    let path = format!("/apps/{}/retention/run", bed.app);
    let (status, refused) = bed.call(Method::POST, &path, Some(json!({}))).await;
    assert_eq!(
        (status, refused["code"].as_str()),
        (StatusCode::UNPROCESSABLE_ENTITY, Some("INVALID_RETENTION")),
        "{refused:#}"
    );
    // The same files with other rules.
    bed.lifecycle().add_app(diary(&bed, RULES)).await.expect("registered");
    for (own, pointer) in
        [(json!({"clients": "1 day"}), ""), (json!({"events": "0 days"}), "/events"), (json!({"events": 3}), "/events")]
    {
        let (status, refused) = bed.call(Method::PUT, "/tenants/paws/retention", Some(own.clone())).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{own}: {refused:#}");
        assert_eq!(refused["errors"][0]["pointer"].as_str().unwrap_or_default(), pointer, "{refused:#}");
    }
    assert_eq!(output(&bed, json!({})).await["rows"], 0);
    bed.close().await;
}

/// The rules of the app in apps/vms fit its tables.
#[test]
fn the_rules_of_video_surveillance_fit() {
    let bed: domain::AppName = "vms".parse().expect("a name");
    let app = crate::bed::app("vms", &bed);
    let text = include_str!("../../../../apps/vms/app.toml");
    let manifest = Manifest::parse(text).expect("a manifest");
    let (mut migrations, mut seed) = (Vec::new(), Vec::new());
    for file in app.files {
        let part = if file.is_migration() { &mut migrations } else { &mut seed };
        part.push(tenantize::SqlFile { name: file.path, text: file.content });
    }
    migrations.sort_by(|a, b| a.name.cmp(&b.name));
    let plan = tenantize::plan(&tenantize::Sources { migrations, seed }).expect("a plan");
    plan.check_retention(&manifest.retention).expect("they fit");
    assert_eq!(manifest.retention.len(), 2);
}

/// The same migrations with other rules: nothing is migrated, and the rules hold.
#[tokio::test]
async fn rules_change_with_nothing_to_migrate() {
    let bed = with_diary(Options::default()).await;
    let other = "[retention.days]\ncolumn = 'day'\nkeep = '2 days'";
    let asked = bed.lifecycle().begin_migration(diary(&bed, other), lifecycle::MigrateOptions::default());
    let answer = tokio::time::timeout(std::time::Duration::from_mins(1), asked).await.expect("it waits for nobody");
    assert!(answer.expect("accepted").is_none(), "nothing is migrated");
    let (_, shown) = bed.call(Method::GET, &format!("/apps/{}/retention", bed.app), None).await;
    let rules = shown["rules"].as_array().expect("rules");
    assert_eq!(rules.len(), 1, "{shown:#}");
    assert_eq!((&rules[0]["table"], &rules[0]["keep"]), (&json!("days"), &json!("2 days")), "{shown:#}");
    bed.close().await;
}
