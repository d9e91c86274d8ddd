//! What a session leaves behind, and on which server connection the next one runs.

use std::pin::pin;
use std::time::Duration;

use futures_util::SinkExt as _;
use tokio::time::{sleep, timeout};
use tokio_postgres::Client;

use crate::bed::{Bed, Options, enter, rows, sqlstate};
use crate::socket::{Socket, bind, execute, parse, query, sync, values};

async fn backend(client: &Client) -> String {
    rows(client, "SELECT pg_backend_pid()").await.remove(0)
}

/// Ends a session in good order and waits until its server connection is where the next client finds it: at rest, or
/// gone.
async fn leave(bed: &Bed, client: Client, backend: &str) {
    drop(client);
    settled(bed, backend).await;
}

/// Waits until a server connection whose client has left is reset or gone.
pub(super) async fn settled(bed: &Bed, backend: &str) {
    let operator = bed.superuser(0, "postgres").await;
    let sql = format!(
        "SELECT count(*) FROM pg_stat_activity
         WHERE pid = {backend} AND NOT (state = 'idle' AND (query LIKE '%AS discarded' OR query = ''))"
    );
    let wait = async {
        while rows(&operator, &sql).await != ["0"] {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(10), wait).await.expect("settled in time");
    // From DISCARD's answer to the pool.
    sleep(Duration::from_millis(50)).await;
}

#[tokio::test]
async fn nothing_of_a_session_meets_the_tenants_next_one() {
    let bed = Bed::with(Options::by_session()).await;
    // Where a session may do the most.
    let made = bed.tenant("paws", "database").await;
    let first = enter(&made).await;
    let pid = backend(&first).await;
    first
        .batch_execute(
            "CREATE TEMP TABLE clients (shadow text);
             CREATE FUNCTION pg_temp.now() RETURNS int LANGUAGE sql AS 'SELECT 1';
             SET statement_timeout = '3s'; SET search_path = pg_temp; SET client_encoding = 'LATIN1';
             SET standard_conforming_strings = off; SET DateStyle = 'German';
             PREPARE left_over AS SELECT 1;
             DECLARE held CURSOR WITH HOLD FOR SELECT 1;
             SELECT pg_advisory_lock(7);
             LISTEN left_over;
             SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
        )
        .await
        .expect("a session may do all this");
    leave(&bed, first, &pid).await;

    let next = enter(&made).await;
    assert_eq!(backend(&next).await, pid, "a connection that was left in good order serves on");
    assert_eq!(rows(&next, "SELECT name FROM clients").await, ["Ana Souza"], "not the temporary table");
    let settings = "SELECT current_setting('statement_timeout'), current_setting('client_encoding'),
        current_setting('standard_conforming_strings'), current_setting('DateStyle'),
        current_setting('default_transaction_read_only'), current_setting('search_path')";
    assert_eq!(rows(&next, settings).await, ["0,UTF8,on,ISO, MDY,off,\"public\", global, extensions"]);
    assert_eq!(sqlstate(&next, "EXECUTE left_over").await, "26000");
    assert_eq!(sqlstate(&next, "FETCH held").await, "34000");
    assert_eq!(sqlstate(&next, "SELECT lastval()").await, "55000");
    let left = "SELECT pg_advisory_unlock(7), (SELECT count(*) FROM pg_listening_channels()),
        (SELECT count(*) FROM pg_cursors WHERE name = 'held'),
        (SELECT count(*) FROM pg_proc WHERE pronamespace = pg_my_temp_schema())";
    assert_eq!(rows(&next, left).await, ["f,0,0,0"]);
    bed.close().await;
}

#[tokio::test]
async fn sessions_that_break_off_are_undone_and_their_connections_closed() {
    let bed = Bed::with(Options::by_session()).await;
    let made = bed.tenant("paws", "database").await;
    let insert = "INSERT INTO clients (name, phone) VALUES ('Half', '555 000 111')";

    let open = enter(&made).await;
    let pid = backend(&open).await;
    open.batch_execute(&format!("BEGIN; {insert}")).await.expect("begun");
    leave(&bed, open, &pid).await;
    let after_open = enter(&made).await;
    assert_ne!(backend(&after_open).await, pid, "an open transaction spoils its connection");

    // Inside a failed transaction, in the middle of a pipeline, of a message, of a COPY; and with a statement running.
    let insert_prepared = [parse("", insert), bind("", ""), execute("", 0)].concat();
    for (name, words) in [
        ("failed transaction", query(&format!("BEGIN; {insert}; SELECT 1/0"))),
        ("no Sync", insert_prepared.clone()),
        ("half a message", [&insert_prepared[..], &sync()[..3]].concat()),
        ("COPY", query("COPY staff (name, works_as) FROM STDIN")),
        ("statement at work", query(&format!("WITH i AS ({insert}) SELECT pg_sleep(60)"))),
    ] {
        let mut socket = Socket::enter(&bed, &made).await;
        let pid = values(&socket.query("SELECT pg_backend_pid()").await).remove(0);
        socket.send(&words).await;
        sleep(Duration::from_millis(50)).await;
        drop(socket);
        let operator = bed.superuser(0, "postgres").await;
        let gone = async {
            let sql = format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}");
            while rows(&operator, &sql).await != ["0"] {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(Duration::from_secs(5), gone).await.unwrap_or_else(|_| panic!("{name}: the server works on"));
    }
    let counts = "SELECT (SELECT count(*) FROM clients), (SELECT count(*) FROM staff)";
    assert_eq!(rows(&after_open, counts).await, ["1,0"], "nothing of all this was committed");

    // Half a statement never reaches the server, whose connection serves on.
    let mut socket = Socket::enter(&bed, &made).await;
    let pid = values(&socket.query("SELECT pg_backend_pid()").await).remove(0);
    socket.send(&query(insert)[..20]).await;
    sleep(Duration::from_millis(50)).await;
    drop(socket);
    let mut others = Vec::new();
    let same = async {
        loop {
            let mut client = Socket::enter(&bed, &made).await;
            if values(&client.query("SELECT pg_backend_pid()").await).contains(&pid) {
                return;
            }
            others.push(client);
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(5), same).await.expect("the connection is lent again");

    // A client that says what it wants and leaves without waiting gets what it wants.
    let mut hurried = Socket::enter(&bed, &made).await;
    hurried.send(&[query(insert), b"X\0\0\0\x04".to_vec()].concat()).await;
    hurried.until_closed().await;
    assert_eq!(rows(&after_open, counts).await, ["2,0"]);
    bed.close().await;
}

#[tokio::test]
async fn a_server_process_that_ends_takes_only_its_session_along() {
    let bed = Bed::with(Options::by_session()).await;
    let made = bed.tenant("paws", "shared").await;
    let operator = bed.superuser(0, "postgres").await;
    let (mut working, bystander) = (Socket::enter(&bed, &made).await, enter(&made).await);
    let pid = values(&working.query("SELECT pg_backend_pid()").await).remove(0);
    working.send(&query("SELECT pg_sleep(30)")).await;
    rows(&operator, &format!("SELECT pg_terminate_backend({pid}, 5000)")).await;
    assert_eq!(working.last_words().await, "57P01", "the server's own word");
    assert_eq!(rows(&bystander, "SELECT 1").await, ["1"]);

    // At rest in the pool: the next client must not get it.
    let pid = backend(&bystander).await;
    leave(&bed, bystander, &pid).await;
    rows(&operator, &format!("SELECT pg_terminate_backend({pid}, 5000)")).await;
    assert_eq!(rows(&enter(&made).await, "SELECT count(*) FROM clients").await, ["1"]);

    // In the middle of a COPY.
    let own = bed.tenant("own", "database").await;
    let copying = enter(&own).await;
    let pid = backend(&copying).await;
    let sink = copying.copy_in("COPY staff (name, works_as) FROM STDIN").await.expect("begun");
    let mut sink = pin!(sink);
    sink.send(bytes::Bytes::from_static(b"Half\tgroomer\n")).await.expect("sent");
    rows(&operator, &format!("SELECT pg_terminate_backend({pid}, 5000)")).await;
    let error = sink.close().await.expect_err("the server is gone");
    assert!(error.is_closed() || error.code().is_some_and(|code| code.code() == "57P01"), "{error:?}");
    assert_eq!(rows(&enter(&own).await, "SELECT count(*) FROM staff").await, ["0"]);
    bed.close().await;
}
