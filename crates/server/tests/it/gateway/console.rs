//! The operators' console on the gateway's port.

use std::time::Duration;

use tokio_postgres::{Client, SimpleQueryMessage};

use crate::bed::{Bed, Options, TOKEN, connect, dsn, enter, pooled, refusal, rows, sqlstate};
use crate::instance::psql;

/// The console's connection string.
fn address(bed: &Bed, user: &str, password: &str) -> String {
    let password: String = password.replace('\'', "%27").replace(' ', "%20").replace(',', "%2C");
    format!("postgresql://{user}:{password}@127.0.0.1:{}/sindico", bed.gateway_port)
}

async fn console(bed: &Bed) -> Client {
    connect(&address(bed, "admin", TOKEN)).await.expect("an operator is let in")
}

/// One column of a table, by the name of another's value.
async fn cell(console: &Client, show: &str, by: (&str, &str), column: &str) -> Option<String> {
    let answer = console.simple_query(show).await.expect(show);
    answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) if row.get(by.0) == Some(by.1) => row.get(column).map(str::to_owned),
        _ => None,
    })
}

#[tokio::test]
async fn only_the_admin_token_opens_the_console() {
    let bed = Bed::make().await;
    let made = bed.tenant("paws", "shared").await;
    for (user, password) in [("admin", "wrong"), ("root", TOKEN), ("paws", TOKEN)] {
        let (code, text) = refusal(&address(&bed, user, password)).await;
        assert!(code == "28P01" && text.contains("admin token"), "{user}: {text}");
    }
    // A tenant's key opens nothing there, and the token no tenant.
    let key = dsn(&made).split([':', '@']).nth(2).expect("a key").to_owned();
    assert_eq!(refusal(&address(&bed, "admin", &key)).await.0, "28P01");
    let error = tenantize::Manifest::parse("name = \"sindico\"").expect_err("no app's name").to_string();
    assert!(error.contains("console"), "{error}");
    bed.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_show_what_goes_on() {
    let bed = Bed::with(Options::by_session()).await;
    let (made, other) = (bed.tenant("paws", "shared").await, bed.tenant("other", "schema").await);
    let console = console(&bed).await;
    let working = enter(&made).await;
    working.batch_execute("BEGIN; SELECT 1").await.expect("begun");
    let finished = enter(&other).await;
    finished.batch_execute("SELECT 1; SELECT 2").await.expect("answered");
    assert_eq!(sqlstate(&finished, "SELECT 1/0").await, "22012");

    let paws = ("user", "paws");
    assert_eq!(cell(&console, "SHOW POOLS", paws, "cl_active").await.as_deref(), Some("1"));
    assert_eq!(cell(&console, "SHOW POOLS;", paws, "cl_waiting").await.as_deref(), Some("0"));
    assert_eq!(cell(&console, "show clients", paws, "state").await.as_deref(), Some("active"));
    assert_eq!(cell(&console, "SHOW CLIENTS", paws, "pool_mode").await.as_deref(), Some("session"));
    assert_eq!(cell(&console, "SHOW TENANTS", ("name", "other"), "isolation").await.as_deref(), Some("schema"));
    assert_eq!(cell(&console, "SHOW TENANTS", ("name", "paws"), "cluster").await.as_deref(), Some("main"));
    let stat = async |column| cell(&console, "SHOW STATS", ("user", "other"), column).await.expect("a number");
    assert_eq!((stat("total_error_count").await, stat("total_client_count").await), ("1".to_owned(), "1".to_owned()));
    // An answer is counted when it has gone out, which the client may know before those who count.
    while stat("total_xact_count").await != "2" {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(stat("total_query_count").await, "2");
    assert!(stat("total_received").await.parse::<u64>().expect("bytes") > 20);
    let active = cell(&console, "SHOW CLUSTERS", ("name", "main"), "sv_active").await.expect("connections");
    assert!(active.parse::<u64>().expect("a number") >= 2, "{active}");
    let role = format!("t_{}", made["id"].as_str().expect("an id").replace('-', ""));
    assert_eq!(cell(&console, "SHOW SERVERS", ("user", &role), "state").await.as_deref(), Some("active"));
    assert!(rows(&console, "SHOW VERSION").await[0].contains(env!("CARGO_PKG_VERSION")));
    assert!(rows(&console, "SHOW HELP").await.iter().any(|row| row.starts_with("SHOW POOLS")));
    assert_eq!(rows(&console, "SHOW CONFIG").await, Vec::<String>::new());

    for (wrong, code) in
        [("SHOW ME", "42601"), ("DROP TABLE x", "42601"), ("PAUSE nobody", "42704"), ("RELOAD", "F0000")]
    {
        assert_eq!(sqlstate(&console, wrong).await, code, "{wrong}");
    }
    // Drivers prepare what they send.
    let shown = console.query("SHOW VERSION", &[]).await.expect("prepared");
    assert!(shown[0].get::<_, &str>(0).starts_with("síndico"));
    assert!(console.query("SHOW NOTHING", &[]).await.is_err());
    assert_eq!(console.query("SHOW VERSION", &[]).await.expect("it goes on").len(), 1);
    let said = psql(&address(&bed, "admin", TOKEN), "SHOW TENANTS; SHOW VERSION").ok();
    assert!(said.contains("paws"), "{said}");
    bed.close().await;
}

#[tokio::test]
async fn tenants_are_paused_resumed_and_disconnected() {
    let bed = Bed::make().await;
    let made = bed.tenant("paws", "shared").await;
    let client = connect(&pooled(&made, "transaction")).await.expect("in");
    let console = console(&bed).await;
    console.batch_execute("PAUSE paws").await.expect("nobody is at work");
    assert_eq!(cell(&console, "SHOW TENANTS", ("name", "paws"), "paused").await.as_deref(), Some("yes"));
    let (answer, ()) = tokio::join!(rows(&client, "SELECT 'after'"), async {
        while cell(&console, "SHOW CLIENTS", ("user", "paws"), "state").await.as_deref() != Some("waiting") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        console.batch_execute("RESUME paws").await.expect("resumed");
    });
    assert_eq!(answer, ["after"]);
    assert_eq!(sqlstate(&console, "RESUME paws").await, "55000");

    let by_session = connect(&pooled(&made, "session")).await.expect("in");
    console.batch_execute("PAUSE paws FORCE").await.expect("whoever keeps a connection is told");
    assert!(by_session.batch_execute("SELECT 1").await.is_err());
    console.batch_execute("RESUME").await.expect("resumed");
    assert_eq!(rows(&client, "SELECT 1").await, ["1"]);
    console.batch_execute("KILL paws").await.expect("disconnected");
    while !client.is_closed() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    enter(&made).await;
    bed.close().await;
}
