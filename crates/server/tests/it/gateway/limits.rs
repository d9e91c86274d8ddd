//! How long sessions may take, by the gateway's clock.

use std::time::Duration;

use gateway::{DialSettings, Dials, GatewaySettings, SessionLimits};
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls};

use crate::bed::{Bed, Options, pooled, rows, sqlstate};

const SHORT: Option<Duration> = Some(Duration::from_millis(300));

async fn bed(limits: SessionLimits) -> Bed {
    let dials = Dials::new(DialSettings { session_limits: limits, ..DialSettings::default() });
    let gateway = GatewaySettings { dials, ..GatewaySettings::default() };
    Bed::with(Options { gateway, ..Options::default() }).await
}

/// A session, and how it ends.
async fn watched(tenant: &Value, mode: &str) -> (Client, JoinHandle<Option<String>>) {
    let (client, connection) = tokio_postgres::connect(&pooled(tenant, mode), NoTls).await.expect("a session");
    let end = tokio::spawn(async move { connection.await.err()?.code().map(|code| code.code().to_owned()) });
    (client, end)
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_cancelled_and_the_session_goes_on() {
    let bed = bed(SessionLimits { statement: SHORT, ..SessionLimits::default() }).await;
    let made = bed.tenant("paws", "shared").await;
    for mode in ["transaction", "session"] {
        let (client, _end) = watched(&made, mode).await;
        for _ in 0..2 {
            assert_eq!(sqlstate(&client, "SELECT pg_sleep(60)").await, "57014", "{mode}");
            assert_eq!(rows(&client, "SELECT name FROM clients").await, ["Ana Souza"], "{mode}");
        }
        client.batch_execute("BEGIN").await.expect("begun");
        tokio::time::sleep(Duration::from_millis(600)).await;
        assert_eq!(rows(&client, "SELECT 1").await, ["1"], "{mode}: a transaction may take longer than its statements");
    }
    bed.close().await;
}

#[tokio::test]
async fn a_session_that_says_nothing_in_a_transaction_ends_and_its_locks_with_it() {
    let bed = bed(SessionLimits { idle_in_transaction: SHORT, ..SessionLimits::default() }).await;
    let made = bed.tenant("paws", "database").await;
    for mode in ["transaction", "session"] {
        let (client, end) = watched(&made, mode).await;
        tokio::time::sleep(Duration::from_millis(600)).await;
        client.batch_execute("BEGIN; UPDATE clients SET name = 'Nobody'").await.expect("it may be idle outside of one");
        assert_eq!(end.await.expect("no panic").as_deref(), Some("25P03"), "{mode}");
        let (other, _end) = watched(&made, mode).await;
        other.batch_execute("UPDATE clients SET name = name").await.expect("the rows are free");
        assert_eq!(rows(&other, "SELECT name FROM clients").await, ["Ana Souza"], "{mode}");
    }
    bed.close().await;
}

#[tokio::test]
async fn a_session_that_says_nothing_ends() {
    let bed = bed(SessionLimits { idle: SHORT, ..SessionLimits::default() }).await;
    let made = bed.tenant("paws", "schema").await;
    for mode in ["transaction", "session"] {
        let (client, end) = watched(&made, mode).await;
        client.batch_execute("BEGIN; SELECT pg_sleep(0.6); COMMIT").await.expect("it may be busy");
        assert_eq!(end.await.expect("no panic").as_deref(), Some("57P05"), "{mode}");
    }
    bed.close().await;
}
