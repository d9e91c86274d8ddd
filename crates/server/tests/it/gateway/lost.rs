//! What becomes of clients whose server goes away, with transaction pooling.

use std::time::Duration;

use domain::PoolMode;
use gateway::GatewaySettings;
use tokio_postgres::Client;

use crate::bed::{Bed, Options, enter, rows, sqlstate};
use crate::socket::{Socket, bind, errors, execute, parse, sync, tags, values};

async fn bed() -> Bed {
    let gateway = GatewaySettings { pool_mode: PoolMode::Transaction, ..GatewaySettings::default() };
    Bed::with(Options { gateway, ..Options::default() }).await
}

/// Ends the server process that has a transaction whose last statement has this word, which has to be there first.
async fn end_server(operator: &Client, word: &str) {
    let end = format!(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
         WHERE query LIKE '%{word}%' AND state <> 'idle' AND pid <> pg_backend_pid()"
    );
    for _ in 0..500 {
        if !rows(operator, &end).await.is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nothing with {word} runs");
}

#[tokio::test]
async fn a_client_loses_its_transaction_and_not_its_session() {
    let bed = bed().await;
    let made = bed.tenant("paws", "database").await;
    let operator = bed.superuser(0, "postgres").await;
    let client = enter(&made).await;
    client.batch_execute("SET app.person = 'Ana'").await.expect("settings");
    let prepared = client.prepare("SELECT name FROM clients WHERE id = $1").await.expect("a statement");
    let asked = client.query("SELECT id FROM clients", &[]).await.expect("a row");
    let id: i64 = asked[0].get(0);
    for round in 0..3 {
        // While a statement runs.
        let (lost, ()) = tokio::join!(sqlstate(&client, "SELECT pg_sleep(60), 'till'"), end_server(&operator, "till"));
        assert_eq!(lost, "57P01", "{round}");
        assert_eq!(rows(&client, "SELECT current_setting('app.person')").await, ["Ana"], "{round}");
        let name: String = client.query_one(&prepared, &[&id]).await.expect("a row").get(0);
        assert_eq!(name, "Ana Souza", "{round}");

        // Between two statements of a transaction, however the next one comes.
        client.batch_execute("BEGIN; UPDATE clients SET name = 'till'").await.expect("begun");
        end_server(&operator, "till").await;
        if round == 0 {
            assert_eq!(sqlstate(&client, "COMMIT").await, "57P01");
        } else {
            let lost = client.query(&prepared, &[&id]).await.expect_err("the transaction is gone");
            assert_eq!(lost.code().map(tokio_postgres::error::SqlState::code), Some("57P01"));
        }
        assert_eq!(rows(&client, "SELECT name FROM clients").await, ["Ana Souza"], "nothing was committed");
        client.batch_execute("BEGIN; COMMIT").await.expect("outside of a transaction");
    }
    bed.close().await;
}

#[tokio::test]
async fn everything_that_is_owed_is_answered_once() {
    let bed = bed().await;
    let made = bed.tenant("paws", "database").await;
    let operator = bed.superuser(0, "postgres").await;

    // Whatever is pipelined, each group has its own answer.
    let mut client = Socket::enter(&bed, &made).await;
    let group = |sql: &str| [parse("", sql), bind("", ""), execute("", 0), sync()].concat();
    client.send(&[group("SELECT 'pipeline', pg_sleep(60)"), group("SELECT 2"), group("SELECT 3")].concat()).await;
    end_server(&operator, "pipeline").await;
    for _ in 0..3 {
        let answer = client.until_ready().await;
        assert_eq!(errors(&answer), ["57P01"], "{}", tags(&answer));
    }
    client.send(&group("SELECT 4")).await;
    assert_eq!(values(&client.until_ready().await), ["4"]);

    // Without a Sync the client is told nothing before it asks, and skipped up to the Sync.
    client.query("BEGIN; SELECT 'silent'").await;
    end_server(&operator, "silent").await;
    client.send(&[parse("lost", "SELECT 5"), bind("", "lost"), execute("", 0)].concat()).await;
    client.send(&sync()).await;
    let answer = client.until_ready().await;
    assert_eq!((tags(&answer).as_str(), errors(&answer)), ("EZ", vec!["57P01".to_owned()]));
    client.send(&[parse("lost", "SELECT 6"), bind("", "lost"), execute("", 0), sync()].concat()).await;
    assert_eq!(values(&client.until_ready().await), ["6"], "what was skipped was not prepared");
    bed.close().await;
}

#[tokio::test]
async fn a_session_that_kept_something_on_its_server_ends_with_it() {
    let bed = bed().await;
    let made = bed.tenant("paws", "database").await;
    let operator = bed.superuser(0, "postgres").await;
    let client = enter(&made).await;
    client.batch_execute("CREATE TEMP TABLE kept (x int)").await.expect("kept");
    let (lost, ()) = tokio::join!(sqlstate(&client, "SELECT pg_sleep(60), 'keeper'"), end_server(&operator, "keeper"));
    assert_eq!(lost, "57P01");
    for _ in 0..500 {
        if client.is_closed() {
            return bed.close().await;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the session goes on without its table");
}
