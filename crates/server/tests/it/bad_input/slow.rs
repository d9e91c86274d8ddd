//! Statements that take long, in the log of a running `sindico serve`; and what of a configuration changes while it runs.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use devdb::Scratch;
use serde_json::Value;

use super::serve::{Serving, configure, folder};
use crate::bed::{connect, sqlstate};
use crate::instance::{psql, text};

const PATIENCE: Duration = Duration::from_secs(20);
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// A configuration of the gateway that takes any port.
fn gateway(settings: &str) -> String {
    format!("[gateway]\nlisten = \"127.0.0.1:0\"\n{settings}")
}

/// What the log says of slow statements.
fn slow(folder: &Path) -> Vec<Value> {
    let log = fs::read_to_string(folder.join("log")).expect("a log");
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["fields"]["message"] == "slow statement").collect()
}

/// The same once there are so many.
fn awaited(folder: &Path, count: usize) -> Vec<Value> {
    let until = Instant::now() + PATIENCE;
    loop {
        let lines = slow(folder);
        if lines.len() >= count {
            assert_eq!(lines.len(), count, "{lines:?}");
            return lines;
        }
        assert!(Instant::now() < until, "{count} slow statements, and in the log are {lines:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_statements_are_logged_without_their_parameters() {
    let server = Scratch::start().await.expect("a server");
    psql(&server.dsn("postgres"), "CREATE DATABASE control").ok();
    let control = server.dsn("control");
    let folder = folder(&control, &gateway("slow_query_milliseconds = 200"));
    let folder = folder.path();
    let serving = Serving::start(folder);
    let say = |words: &[&str]| serving.command(&server.dsn("postgres"), words);
    let petshop = concat!(env!("CARGO_MANIFEST_DIR"), "/../../apps/petshop");
    say(&["cluster", "add", "first", "--json"]).ok();
    say(&["app", "add", petshop]).ok();
    let mut logged = 0;
    for isolation in ["shared", "database"] {
        let made = say(&["tenant", "create", &format!("paws-{isolation}"), "--isolation", isolation, "--json"]).json();
        for mode in ["transaction", "session"] {
            let dsn = format!("{}?options=-c%20sindico.pool_mode%3D{mode}", text(&made, "dsn"));
            let client = connect(&dsn).await.expect("let in");
            client.simple_query("SELECT 1").await.expect("answered");
            let sleeping = format!("SELECT pg_sleep(0.3), 'literal'\n/*traceparent='00-{TRACE}-00f067aa0ba902b7-01'*/");
            client.simple_query(&sleeping).await.expect("answered");
            logged += 1;
            let line = awaited(folder, logged).pop().expect("a line");
            let fields = &line["fields"];
            assert_eq!((&line["level"], &fields["tenant"]), (&"WARN".into(), &text(&made, "slug").into()));
            assert_eq!((&fields["statement"], &fields["trace"]), (&2.into(), &TRACE.into()), "{mode} {isolation}");
            assert!(fields["session"].as_u64() > Some(0) && fields["milliseconds"].as_u64() >= Some(300), "{fields}");
            assert!(text(fields, "text").starts_with("SELECT pg_sleep(0.3), 'literal' /*"), "{fields}");

            // Prepared by itself, run later.
            let sql = "SELECT pg_sleep($1)::text || $2::text";
            let statement = client.prepare(sql).await.expect("prepared");
            for _ in 0..2 {
                client.query(&statement, &[&0.3_f64, &"secret-value"]).await.expect("answered");
                logged += 1;
                let line = awaited(folder, logged).pop().expect("a line");
                let shown = text(&line["fields"], "text").to_owned();
                // Nobody keeps the text for a session that has its own server connection.
                let expected = if mode == "session" { "(prepared as " } else { sql };
                assert!(shown.starts_with(expected), "{mode} {isolation}: {shown}");
            }
        }
    }
    let log = fs::read_to_string(folder.join("log")).expect("a log");
    assert!(!log.contains("secret-value"), "the value of a parameter is in the log");

    let made = say(&["tenant", "show", "paws-shared", "--json"]).json();
    assert_eq!(text(&made, "slug"), "paws-shared");
    let key = say(&["tenant", "key", "create", "paws-shared", "--json"]).json();
    let client = connect(text(&key, "dsn")).await.expect("let in");
    let reload = |settings: &str| {
        configure(folder, &control, &gateway(settings));
        psql(&serving.console(), "RELOAD")
    };
    // Who is connected already is concerned as well.
    let changed = reload("slow_query_milliseconds = 200\nslow_query_text = \"none\"").ok();
    assert_eq!(changed, "gateway.slow_query_text|none|yes\n");
    client.simple_query("SELECT pg_sleep(0.3)").await.expect("answered");
    logged += 1;
    let line = awaited(folder, logged).pop().expect("a line");
    assert!(line["fields"]["text"].is_null() && line["fields"]["milliseconds"].as_u64() >= Some(300), "{line}");

    let changed = reload("statement_seconds = 1\nfailed_logins = 1\npause_wait_seconds = 5").ok();
    for told in [
        "gateway.failed_logins|1|yes\n",
        "gateway.pause_wait_seconds|5|yes\n",
        "gateway.slow_query_milliseconds|0|yes\n",
        "gateway.slow_query_text|full|yes\n",
        "gateway.statement_seconds|1|yes\n",
    ] {
        assert!(changed.contains(told), "{told}: {changed}");
    }
    assert_eq!(sqlstate(&client, "SELECT pg_sleep(60)").await, "57014", "the session that was there");
    assert_eq!(slow(folder).len(), logged, "no statement is slow any more");
    let wrong = text(&key, "dsn").replace(text(&key, "key"), "wrong");
    psql(&wrong, "SELECT 1").fails(2, &["password authentication failed"]);
    psql(&wrong, "SELECT 1").fails(2, &["too many logins"]);
    reload("plaintext = \"nowhere\"").fails(1, &["gateway.plaintext"]);
    serving.end();
    server.stop().await.expect("stopped");
}
