//! How many connections there are, and who waits for them.

use std::sync::Arc;
use std::time::Duration;

use pool::PoolSettings;
use serde_json::Value;
use tokio_postgres::Client;

use crate::bed::{Bed, Options, connect, dsn, enter, refusal, rows};

fn budget(max_per_cluster: usize, wait_timeout: Duration) -> PoolSettings {
    PoolSettings { max_per_cluster, wait_timeout, ..PoolSettings::default() }
}

#[tokio::test]
async fn a_tenant_has_so_many_connections_and_no_more() {
    let bed = Bed::with(Options { connections_per_tenant: 2, ..Options::default() }).await;
    let (made, other) = (bed.tenant("paws", "shared").await, bed.tenant("other", "shared").await);
    let (first, second) = (enter(&made).await, enter(&made).await);
    let (code, text) = refusal(dsn(&made)).await;
    assert!(code == "53300" && text.contains('2'), "{text}");
    enter(&other).await;
    drop(first);
    let third = soon(dsn(&made)).await;
    assert_eq!(rows(&third, "SELECT 1").await, rows(&second, "SELECT 1").await);
    bed.close().await;
}

/// A session, as soon as the place of another has become free.
async fn soon(dsn: &str) -> Client {
    for _ in 0..200 {
        if let Ok(client) = connect(dsn).await {
            return client;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("no place became free");
}

#[tokio::test]
async fn thirty_tenants_take_turns_on_five_connections() {
    let pool = budget(5, Duration::from_millis(500));
    let bed = Bed::with(Options { pool, ..Options::by_session() }).await;
    let mut tenants = Vec::new();
    for index in 0..30 {
        tenants.push(bed.tenant(&format!("turn-{index}"), ["shared", "schema"][index % 2]).await);
    }
    let roles = tenants.iter().map(|made| format!("'t_{}'", made["id"].as_str().expect("an id").replace('-', "")));
    let mine = format!(
        "SELECT count(*) <= 5 FROM pg_stat_activity WHERE usename IN ({})",
        roles.collect::<Vec<_>>().join(", ")
    );
    let operator = bed.superuser(0, "postgres").await;
    // One after the other, twice: whoever comes evicts who has rested longest.
    for made in tenants.iter().chain(&tenants) {
        assert_eq!(rows(&enter(made).await, "SELECT name FROM clients").await, ["Ana Souza"]);
        // A server takes its time to end a process whose connection is closed.
        let mut within = false;
        for _ in 0..100 {
            within = rows(&operator, &mine).await == ["t"];
            if within {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(within, "more connections than the budget has");
    }
    // All in use: the next waits in vain, and is served as soon as one is given back.
    let mut holding = Vec::new();
    for made in &tenants[..5] {
        holding.push(soon(dsn(made)).await);
    }
    let (code, text) = refusal(dsn(&tenants[6])).await;
    assert!(code == "53300" && text.contains("in time"), "{text}");
    let (waiting, ()) = tokio::join!(connect(dsn(&tenants[7])), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        drop(holding.pop());
    });
    assert_eq!(rows(&waiting.expect("its turn"), "SELECT name FROM clients").await, ["Ana Souza"]);
    bed.close().await;
}

/// Moves amounts between two accounts of the tenant's own and looks at the sum after each.
async fn transfer(made: &Value, owner: &str, client: i64) {
    for round in 0..2 {
        let session = connect(dsn(made)).await.unwrap_or_else(|error| panic!("{owner}: {error:?}"));
        for step in 0..3 {
            let amount = (client * 7 + round * 3 + step) % 50;
            session
                .batch_execute(&format!(
                    "BEGIN;
                     UPDATE services SET price = price + {amount} WHERE code = 'credit';
                     UPDATE services SET price = price - {amount} WHERE code = 'debit';
                     COMMIT"
                ))
                .await
                .unwrap_or_else(|error| panic!("{owner}: {error:?}"));
            let seen = session
                .query_one(
                    "SELECT sum(price)::text, string_agg(DISTINCT name, ',') FROM services
                     WHERE code IN ('credit', 'debit')",
                    &[],
                )
                .await
                .expect("a sum");
            let seen: (String, String) = (seen.get(0), seen.get(1));
            assert_eq!(seen, ("200000.00".to_owned(), owner.to_owned()), "somebody else's money");
        }
    }
}

#[tokio::test]
async fn two_hundred_clients_of_forty_tenants_each_see_their_own_sum() {
    let pool = budget(12, Duration::from_mins(1));
    let bed = Arc::new(Bed::with(Options { pool, ..Options::default() }).await);
    let mut tenants = Vec::new();
    for index in 0..40 {
        let isolation = ["shared", "schema", "shared", "shared"][index % 4];
        let made = bed.tenant(&format!("sum-{index}"), isolation).await;
        let open = format!(
            "INSERT INTO services (code, name, price)
             VALUES ('credit', 'sum-{index}', 100000), ('debit', 'sum-{index}', 100000)"
        );
        enter(&made).await.batch_execute(&open).await.expect("two accounts");
        tenants.push(Arc::new(made));
    }
    let clients: Vec<_> = (0..200)
        .map(|client| {
            let made = Arc::clone(&tenants[client % 40]);
            let owner = format!("sum-{}", client % 40);
            tokio::spawn(async move { transfer(&made, &owner, i64::try_from(client).expect("small")).await })
        })
        .collect();
    for client in clients {
        client.await.expect("every client was served");
    }
    Arc::into_inner(bed).expect("all clients ended").close().await;
}
