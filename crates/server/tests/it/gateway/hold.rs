//! A tenant's transactions are held, its data moves, and they go on where it is then.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use tenancy::{Held, Stance};
use tokio::time::sleep;
use tokio_postgres::Client;

use crate::bed::{Bed, connect, dsn, pooled, refusal, rows, sqlstate};

const PATIENCE: Duration = Duration::from_mins(1);

async fn enter(made: &Value, pooled_by: &str) -> Client {
    connect(&pooled(made, pooled_by)).await.expect("in")
}

fn hold(bed: &Bed, made: &Value, patience: Duration) -> Held {
    let id = made["id"].as_str().expect("an id").parse().expect("an id");
    bed.threshold().hold(id, patience).expect("held by nobody else")
}

/// Polls until something is so.
async fn until(what: &str, mut so: impl FnMut() -> bool) {
    for _ in 0..2_000 {
        if so() {
            return;
        }
        sleep(Duration::from_millis(5)).await;
    }
    panic!("{what} did not come about");
}

/// What a client of the move is to find at the end.
struct Work {
    stop: AtomicBool,
    rounds: [AtomicUsize; CLIENTS],
}

const CLIENTS: usize = 6;

/// Inserts pairs of rows, in a transaction of its own each, by all ways that a driver has, until it is told to stop; gives
/// back how many pairs were acknowledged.
async fn insert(made: Arc<Value>, work: Arc<Work>, number: usize) -> usize {
    let client = enter(&made, "transaction").await;
    client.batch_execute(&format!("SET app.who = 'client {number}'")).await.expect("a setting of its own");
    let insert = "INSERT INTO services (code, name, price) VALUES ($1, current_setting('app.who'), $2::int)";
    let prepared = client.prepare(insert).await.expect("prepared");
    let mut round = 0;
    while !work.stop.load(Ordering::Relaxed) {
        let code = |half: char| format!("c{number}_{round}_{half}");
        let price = i32::try_from(round % 1000).expect("small");
        match round % 3 {
            0 => {
                client.batch_execute("BEGIN").await.expect("begun");
                client.execute(&prepared, &[&code('a'), &price]).await.expect("a row");
                client.execute(insert, &[&code('b'), &price]).await.expect("another row");
                client.batch_execute("COMMIT").await.expect("committed");
            }
            1 => {
                for half in ['a', 'b'] {
                    client.execute(&prepared, &[&code(half), &price]).await.expect("a row");
                }
            }
            _ => {
                let (a, b) = (code('a'), code('b'));
                let text = format!(
                    "INSERT INTO services (code, name, price)
                     SELECT code, current_setting('app.who'), {price} FROM (VALUES ('{a}'), ('{b}')) v (code)"
                );
                client.batch_execute(&text).await.expect("both rows");
            }
        }
        round += 1;
        work.rounds[number].store(round, Ordering::Relaxed);
    }
    round
}

/// Moves a tenant's database to another of the same server, as an operator might by hand.
async fn relocate(bed: &Bed, made: &Value, from: &str, to: &str) {
    let hex = made["id"].as_str().expect("an id").replace('-', "");
    let held = hold(bed, made, PATIENCE);
    assert!(bed.threshold().hold(held.tenant(), PATIENCE).is_err(), "two holders");
    held.quiet().await;
    assert!(held.remaining().is_empty());
    let operator = bed.superuser(0, "postgres").await;
    // A server takes its time to end processes whose connections are closed.
    let copy = format!("CREATE DATABASE {to} TEMPLATE {from}");
    for attempt in 0.. {
        match operator.batch_execute(&copy).await {
            Ok(()) => break,
            Err(error) => assert!(attempt < 200, "{error:?}"),
        }
        sleep(Duration::from_millis(20)).await;
    }
    operator
        .batch_execute(&format!(
            "REVOKE ALL ON DATABASE {to} FROM PUBLIC; GRANT CONNECT, TEMPORARY ON DATABASE {to} TO t_{hex}, r_{hex}"
        ))
        .await
        .expect("granted");
    let control = bed.control().await;
    let moved = "UPDATE sindico.placements SET database = $1 WHERE tenant = $2::text::uuid";
    assert_eq!(control.execute(moved, &[&to, &made["id"].as_str()]).await.expect("recorded"), 1);
    bed.catalog().refresh_tenant(held.tenant()).await.expect("read again");
    held.release();
}

#[tokio::test]
async fn a_tenant_moves_under_its_clients() {
    let bed = Bed::make().await;
    let made = Arc::new(bed.tenant("paws", "database").await);
    let work = Arc::new(Work { stop: AtomicBool::new(false), rounds: Default::default() });
    let clients: Vec<_> =
        (0..CLIENTS).map(|number| tokio::spawn(insert(Arc::clone(&made), Arc::clone(&work), number))).collect();
    let hex = made["id"].as_str().expect("an id").replace('-', "");
    let place = |nth: usize| format!("app_{}_{hex}{}", bed.app, ["", "_b", "_c"][nth]);
    for nth in 0..3 {
        let before: Vec<_> = work.rounds.iter().map(|rounds| rounds.load(Ordering::Relaxed)).collect();
        until("three rounds of every client", || {
            before.iter().zip(&work.rounds).all(|(before, now)| now.load(Ordering::Relaxed) >= before + 3)
        })
        .await;
        if nth < 2 {
            relocate(&bed, &made, &place(nth), &place(nth + 1)).await;
        }
    }
    work.stop.store(true, Ordering::Relaxed);
    let mut done = Vec::new();
    for client in clients {
        done.push(client.await.expect("no client failed"));
    }

    let seen = "SELECT name, count(*), count(DISTINCT code) FROM services WHERE code ~ '^c[0-9]' GROUP BY 1 ORDER BY 1";
    let now = rows(&bed.superuser(0, &place(2)).await, seen).await;
    let expected: Vec<_> =
        done.iter().enumerate().map(|(number, pairs)| format!("client {number},{0},{0}", pairs * 2)).collect();
    assert_eq!(now, expected, "a write was lost or done twice");
    let total = "SELECT count(*) FROM services WHERE code ~ '^c[0-9]'";
    let mut counts = Vec::new();
    for nth in 0..3 {
        counts.push(
            rows(&bed.superuser(0, &place(nth)).await, total).await.remove(0).parse::<usize>().expect("a number"),
        );
    }
    assert!(counts.is_sorted() && counts[0] > 0 && counts[1] > counts[0] && counts[2] > counts[1], "{counts:?}");
    // A client that comes now is where the others are.
    assert_eq!(rows(&enter(&made, "session").await, "SELECT current_database()").await, [place(2)]);
    bed.close().await;
}

#[tokio::test]
async fn those_who_keep_a_connection_are_named_and_told() {
    let bed = Bed::make().await;
    let (made, other) = (bed.tenant("paws", "shared").await, bed.tenant("other", "shared").await);
    let (by_session, pinned, free) =
        (enter(&made, "session").await, enter(&made, "transaction").await, enter(&made, "transaction").await);
    pinned.batch_execute("CREATE TEMPORARY TABLE mine (id int)").await.expect("a temporary table");
    free.batch_execute("SELECT 1").await.expect("served");
    let working = enter(&made, "transaction").await;
    working.batch_execute("BEGIN; INSERT INTO services (code, name, price) VALUES ('w', 'w', 1)").await.expect("begun");

    let held = hold(&bed, &made, PATIENCE);
    until("four stances", || held.remaining().len() == 3).await;
    let remaining: Vec<_> =
        held.remaining().iter().map(|it| (it.stance, it.guest.clone().map(|it| it.pool_mode))).collect();
    assert_eq!(
        remaining,
        [
            (Stance::Keeping, Some("session")),
            (Stance::Keeping, Some("transaction")),
            (Stance::Active, Some("transaction"))
        ]
    );
    held.ask_to_yield();
    for told in [&by_session, &pinned] {
        until("an end", || told.is_closed()).await;
    }
    assert_eq!(held.remaining().len(), 1, "who has a transaction finishes it");
    assert_eq!(rows(&working, "SELECT name FROM services WHERE code = 'w'").await, ["w"]);
    working.batch_execute("COMMIT").await.expect("committed");
    held.quiet().await;
    assert_eq!(rows(&enter(&other, "transaction").await, "SELECT 1").await, ["1"], "others go on");

    // Whoever comes in the meantime waits, on the wire as well as in a transaction.
    let (seen, arrived, ()) =
        tokio::join!(rows(&free, "SELECT name FROM services WHERE code = 'w'"), connect(dsn(&made)), async {
            until("two who wait", || {
                let mine = bed.threshold().visits().into_iter().filter(|visit| visit.slug.as_str() == "paws");
                mine.filter(|visit| visit.stance == Stance::Waiting).count() == 2
            })
            .await;
            held.release();
        });
    assert_eq!(seen, ["w"]);
    assert_eq!(rows(&arrived.expect("let in"), "SELECT 1").await, ["1"]);
    assert_eq!(rows(&working, "SELECT 1").await, ["1"], "who kept nothing stayed");
    bed.close().await;
}

#[tokio::test]
async fn nobody_waits_for_ever_and_operators_end_connections() {
    let bed = Bed::make().await;
    let made = bed.tenant("paws", "schema").await;
    let (waiting, idle) = (enter(&made, "transaction").await, enter(&made, "transaction").await);
    let held = hold(&bed, &made, Duration::from_millis(50));
    assert_eq!(sqlstate(&waiting, "SELECT 1").await, "57P03");
    let (code, text) = refusal(&pooled(&made, "session")).await;
    assert!(code == "57P03" && text.contains("paused"), "{code} {text}");
    drop(held);
    assert_eq!(rows(&idle, "SELECT 1").await, ["1"]);

    let running = enter(&made, "transaction").await;
    let id = made["id"].as_str().expect("an id").parse().expect("an id");
    let (ended, ()) = tokio::join!(sqlstate(&running, "SELECT pg_sleep(600)"), async {
        until("a transaction", || bed.threshold().visits().iter().any(|visit| visit.stance == Stance::Active)).await;
        // Whoever waited in vain has lost a transaction, and no more.
        assert_eq!(bed.threshold().end_visits(id), 3);
    });
    assert_eq!(ended, "57P01");
    until("an end", || idle.is_closed()).await;
    assert_eq!(rows(&enter(&made, "transaction").await, "SELECT 1").await, ["1"]);
    bed.close().await;
}
