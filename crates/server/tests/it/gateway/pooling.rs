//! Clients of one tenant take turns on its server connections, and each finds its session as it left it.

use std::time::Duration;

use futures_util::future::join_all;
use pool::PoolSettings;
use tokio_postgres::{AsyncMessage, Client, NoTls};

use serde_json::Value;

use crate::bed::{Bed, Options, connect, one, pooled, rows, run, sqlstate};
use crate::socket::{Login, Socket, bind, errors, execute, parse, query, sync, tags, values};

/// A client that is pooled by transaction.
async fn enter(made: &Value) -> Client {
    connect(&pooled(made, "transaction")).await.expect("in")
}

/// The same, by its messages.
async fn socket(bed: &Bed, made: &Value) -> Socket {
    let login = Login::of(made);
    let mut socket = Socket::open(bed).await;
    socket.send(&login.startup(&[("sindico.pool_mode", "transaction")])).await;
    socket.prove(&login.key).await.expect("in");
    socket
}

const PID: &str = "SELECT pg_backend_pid()";

/// A bed whose cluster takes so many server connections.
async fn bed_for(connections: usize) -> Bed {
    let wait_timeout = Duration::from_secs(10);
    let pool = PoolSettings { max_per_cluster: connections, wait_timeout, ..PoolSettings::default() };
    Bed::with(Options { pool, ..Options::default() }).await
}

#[tokio::test]
async fn many_clients_share_one_connection() {
    let bed = bed_for(1).await;
    let made = bed.tenant("paws", "shared").await;
    let clients = join_all((0..20).map(|_| enter(&made))).await;
    let pid = one(&clients[0], PID).await;
    let work = clients.iter().enumerate().map(async |(nth, client)| {
        for turn in 0..5 {
            run(
                client,
                "BEGIN; INSERT INTO services (code, name, price) VALUES ('x' || floor(random() * 1e9)::bigint, 'x', 1)",
            )
            .await;
            assert_eq!(one(client, PID).await, pid, "one connection for all");
            run(client, if (nth + turn) % 2 == 0 { "COMMIT" } else { "ROLLBACK" }).await;
        }
    });
    join_all(work).await;
    assert_eq!(one(&clients[7], "SELECT count(*) FROM services WHERE name = 'x'").await, "50");
    bed.close().await;
}

#[tokio::test]
async fn settings_go_with_their_client() {
    let bed = bed_for(2).await;
    let made = bed.tenant("paws", "database").await;
    let (one_client, other) = (enter(&made).await, enter(&made).await);
    run(&one_client, "SET TimeZone = 'America/Sao_Paulo'; SET app.who = 'bia'; SET statement_timeout = '5s'").await;
    let told =
        "SELECT current_setting('TimeZone'), current_setting('app.who', true), current_setting('statement_timeout')";
    let before = one(&other, told).await;
    assert!(!before.contains("Sao_Paulo") && !before.contains("bia"), "{before}");
    // Both connections are used by both clients in turn.
    for _ in 0..3 {
        run(&other, "BEGIN").await;
        assert_eq!(one(&one_client, told).await, "America/Sao_Paulo,bia,5s");
        run(&one_client, "BEGIN").await;
        run(&other, "ROLLBACK").await;
        assert_eq!(one(&other, told).await.replace("NULL", ""), before.replace("NULL", ""));
        assert_eq!(one(&one_client, told).await, "America/Sao_Paulo,bia,5s");
        run(&one_client, "COMMIT").await;
    }
    // What a transaction takes back was never set, and what a function sets is.
    run(
        &one_client,
        "BEGIN; SET TimeZone = 'UTC'; ROLLBACK; SELECT set_config('app.who', 'ana', false); SET LOCAL app.who = 'x'",
    )
    .await;
    assert_eq!(one(&one_client, told).await, "America/Sao_Paulo,ana,5s");
    run(&one_client, "RESET ALL").await;
    assert_eq!(one(&one_client, told).await.replace("NULL", ""), before.replace("NULL", ""));
    bed.close().await;
}

#[tokio::test]
async fn what_no_other_connection_has_keeps_its_own() {
    let bed = bed_for(2).await;
    let made = bed.tenant("paws", "database").await;
    let (keeper, other) = (enter(&made).await, enter(&made).await);
    for (take, look, leave) in [
        ("CREATE TEMP TABLE own (a int); INSERT INTO own VALUES (7)", "SELECT a FROM own", "DROP TABLE own"),
        ("DECLARE held SCROLL CURSOR WITH HOLD FOR SELECT 7", "FETCH ABSOLUTE 1 FROM held", "CLOSE held"),
        ("PREPARE p AS SELECT 7", "EXECUTE p", "DEALLOCATE p"),
    ] {
        run(&keeper, take).await;
        let pid = one(&keeper, PID).await;
        for _ in 0..3 {
            assert_ne!(one(&other, PID).await, pid, "{take}: a connection that is kept serves nobody else");
            assert_eq!(one(&keeper, look).await, "7", "{take}");
        }
        run(&keeper, leave).await;
        // It is free again: both connections can be used by the other client at once.
        run(&other, "BEGIN").await;
        let second = enter(&made).await;
        run(&second, "BEGIN").await;
        assert!([one(&other, PID).await, one(&second, PID).await].contains(&pid), "{leave}: not given back");
        run(&other, "COMMIT").await;
        drop(second);
    }
    run(&keeper, "SELECT pg_advisory_lock(7)").await;
    assert_eq!(one(&other, "SELECT pg_try_advisory_lock(7)").await, "f");
    bed.close().await;
}

#[tokio::test]
async fn statements_are_where_their_client_is() {
    let bed = bed_for(3).await;
    let made = bed.tenant("paws", "schema").await;
    let (first, second) = (enter(&made).await, enter(&made).await);
    // Drivers give the same names to different texts.
    let of_first = first.prepare("SELECT $1::int + 1").await.expect("prepared");
    let of_second = second.prepare("SELECT name FROM clients WHERE name = $1").await.expect("prepared");
    let blocker = enter(&made).await;
    for round in 0..6 {
        // Now one connection is taken, now another.
        if round % 2 == 0 {
            run(&blocker, "BEGIN").await;
        } else {
            run(&blocker, "COMMIT").await;
        }
        let sum = async { first.query_one(&of_first, &[&round]).await };
        let name = async { second.query_one(&of_second, &[&"Ana Souza"]).await };
        let (sum, name) = tokio::join!(sum, name);
        assert_eq!(sum.expect("a row").get::<_, i32>(0), round + 1);
        assert_eq!(name.expect("a row").get::<_, &str>(0), "Ana Souza");
    }
    run(&first, "DISCARD ALL").await;
    let gone = first.query_one(&of_first, &[&1]).await.expect_err("it was given up");
    assert_eq!(gone.code().map(tokio_postgres::error::SqlState::code), Some("26000"));
    assert_eq!(second.query(&of_second, &[&"nobody"]).await.expect("still there").len(), 0);

    // A statement whose table has changed fails once, and not for ever.
    let operator = bed.superuser(0, made["placement"]["database"].as_str().expect("a database")).await;
    let star = second.prepare("SELECT * FROM staff WHERE id = $1").await.expect("prepared");
    second.query(&star, &[&1_i64]).await.expect("rows");
    let schema = made["placement"]["schema"].as_str().expect("a schema");
    run(&operator, &format!("ALTER TABLE {schema}.staff ADD COLUMN late int")).await;
    let changed = second.query(&star, &[&1_i64]).await.expect_err("other columns");
    assert_eq!(changed.code().map(tokio_postgres::error::SqlState::code), Some("0A000"));
    let anew = second.prepare("SELECT * FROM staff WHERE id = $1").await.expect("prepared again");
    second.query(&anew, &[&1_i64]).await.expect("rows");
    bed.close().await;
}

#[tokio::test]
async fn sequences_tell_a_client_only_of_its_own() {
    let bed = bed_for(1).await;
    let made = bed.tenant("paws", "schema").await;
    let (first, second) = (enter(&made).await, enter(&made).await);
    let draw = "INSERT INTO services (code, name, price) VALUES ('x' || floor(random() * 1e9)::bigint, 'x', 1)";
    let sequence = "SELECT currval(pg_get_serial_sequence('services', 'id'))";
    run(&first, draw).await;
    assert_eq!(one(&second, "SELECT 1").await, "1");
    assert_eq!(sqlstate(&second, sequence).await, "55000", "the other client's value");
    drop(second);
    run(&first, draw).await;
    assert!(one(&first, sequence).await.parse::<i64>().is_ok());
    bed.close().await;
}

#[tokio::test]
async fn notifications_come_to_whoever_listens() {
    let bed = bed_for(3).await;
    let made = bed.tenant("paws", "shared").await;
    let (listener, mut connection) = tokio_postgres::connect(&pooled(&made, "transaction"), NoTls).await.expect("in");
    let (heard, mut news) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(Ok(message)) = std::future::poll_fn(|cx| connection.poll_message(cx)).await {
            if let AsyncMessage::Notification(notification) = message {
                heard.send((notification.channel().to_owned(), notification.payload().to_owned())).expect("awaited");
            }
        }
    });
    run(&listener, "LISTEN barks").await;
    let other = enter(&made).await;
    for nth in 0..3 {
        run(&other, &format!("NOTIFY barks, '{nth}'")).await;
        let told = tokio::time::timeout(Duration::from_secs(5), news.recv()).await.expect("in time").expect("news");
        assert_eq!(told, ("barks".to_owned(), nth.to_string()));
        // Asking what the session keeps loses nothing.
        run(&listener, "SET application_name = 'ears'").await;
    }
    run(&listener, "UNLISTEN *").await;
    bed.close().await;
}

#[tokio::test]
async fn a_client_may_have_a_session_of_its_own() {
    let bed = bed_for(2).await;
    let made = bed.tenant("paws", "shared").await;
    let session = connect(&pooled(&made, "session")).await.expect("in");
    let pid = one(&session, PID).await;
    let other = enter(&made).await;
    for _ in 0..3 {
        assert_ne!(one(&other, PID).await, pid);
        assert_eq!(one(&session, PID).await, pid);
    }
    // What the others have left on a connection between transactions is not in a session's.
    run(&other, "SET app.who = 'ana'; SELECT nextval('services_id_seq')").await;
    drop((session, other));
    let session = connect(&pooled(&made, "session")).await.expect("in");
    assert_eq!(sqlstate(&session, "SELECT lastval()").await, "55000");
    assert_eq!(one(&session, "SELECT coalesce(current_setting('app.who', true), '')").await, "");
    let error = connect(&pooled(&made, "statement")).await;
    let error = error.err().and_then(|error| error.code().cloned()).expect("a refusal");
    assert_eq!(error.code(), "22023");
    bed.close().await;
}

#[tokio::test]
async fn a_server_process_that_ends_between_transactions_is_not_missed() {
    let bed = bed_for(2).await;
    let made = bed.tenant("paws", "database").await;
    let client = enter(&made).await;
    let operator = bed.superuser(0, "postgres").await;
    for _ in 0..3 {
        let pid = one(&client, PID).await;
        tokio::time::sleep(Duration::from_millis(150)).await;
        rows(&operator, &format!("SELECT pg_terminate_backend({pid}, 5000)")).await;
        assert_ne!(one(&client, PID).await, pid);
    }
    bed.close().await;
}

/// Each was a way to another client's statement, to a wrong answer, or to none at all.
#[tokio::test]
async fn messages_that_led_astray() {
    let bed = bed_for(1).await;
    let made = bed.tenant("paws", "database").await;
    let (mut first, mut second) = (socket(&bed, &made).await, socket(&bed, &made).await);
    let run = |name: &str| [bind("", name), execute("", 0), sync()].concat();

    // One text under a name, and without one in a transaction that has failed.
    first.send(&[parse("s", "SELECT 1"), sync()].concat()).await;
    assert_eq!(tags(&first.until_ready().await), "1Z");
    second.query("BEGIN; SELECT 1 / 0").await;
    second.send(&[parse("", "SELECT 1"), sync()].concat()).await;
    assert_eq!(errors(&second.until_ready().await), ["25P02"]);
    second.query("ROLLBACK").await;
    first.send(&run("s")).await;
    assert_eq!(values(&first.until_ready().await), ["1"]);

    // Without a statement of its own a client runs nobody else's.
    second.send(&[parse("", "SELECT 'second'"), sync()].concat()).await;
    second.until_ready().await;
    first.send(&run("")).await;
    assert_eq!(errors(&first.until_ready().await), ["26000"]);
    second.send(&run("")).await;
    assert_eq!(values(&second.until_ready().await), ["second"], "its own is where it left it");

    // A statement is given up whose table has gone, and in a transaction that has failed.
    first.query("CREATE TEMP TABLE gone (a int)").await;
    first.send(&[parse("g", "SELECT * FROM gone"), sync()].concat()).await;
    first.until_ready().await;
    first.query("DROP TABLE gone").await;
    assert_eq!(errors(&first.query("DEALLOCATE g").await), Vec::<String>::new());
    assert_eq!(errors(&first.query("DEALLOCATE g").await), ["26000"]);
    first.query("BEGIN; SELECT 1 / 0").await;
    assert_eq!(errors(&first.query("DEALLOCATE s").await), ["25P02"]);
    first.query("ROLLBACK").await;

    // What comes behind DISCARD ALL in one go is not discarded by it.
    let behind =
        [parse("", "SELECT pg_advisory_lock(7)"), bind("", ""), execute("", 0), parse("n", "SELECT 2"), sync()];
    first.send(&[query("DISCARD ALL"), behind.concat(), run("n")].concat()).await;
    for _ in 0..2 {
        assert_eq!(errors(&first.until_ready().await), Vec::<String>::new());
    }
    assert_eq!(values(&first.until_ready().await), ["2"]);
    drop(first);
    assert_eq!(
        values(&second.query("SELECT pg_try_advisory_lock(7)").await),
        ["t"],
        "the lock has gone with its client"
    );

    // An answer of the gateway's own stands behind a long one of the server's, not in it.
    let columns = (0..800).map(|n| format!("{n} AS column_with_a_rather_long_name_{n}")).collect::<Vec<_>>().join(", ");
    second.send(&[parse("b", "SELECT 3"), sync()].concat()).await;
    second.until_ready().await;
    let describe = |name: &str| crate::socket::message(b'D', format!("S{name}\0").as_bytes());
    let again =
        [parse("wide", &format!("SELECT {columns}")), describe("wide"), parse("c", "SELECT 3"), describe("c"), sync()];
    second.send(&again.concat()).await;
    assert_eq!(tags(&second.until_ready().await), "1tT1tTZ");
    bed.close().await;
}

/// Whoever sends the next group of messages before the last has been answered does not know what came of it.
#[tokio::test]
async fn a_statement_waits_for_what_an_earlier_group_makes_of_it() {
    let bed = bed_for(2).await;
    let made = bed.tenant("paws", "database").await;
    let (mut first, mut second) = (socket(&bed, &made).await, socket(&bed, &made).await);
    let run = |name: &str| [bind("", name), execute("", 0), sync()].concat();
    for text in ["SELECT 'a'", "SELECT 'b'"] {
        // Prepared on one connection, and then run on the other, behind an error that skips its being prepared there.
        first.send(&[parse("s", text), sync()].concat()).await;
        assert_eq!(errors(&first.until_ready().await), Vec::<String>::new());
        second.query("BEGIN").await;
        let fails = [parse("", "SELECT 1 / 0"), bind("", ""), execute("", 0), bind("", "s"), execute("", 0), sync()];
        first.send(&[fails.concat(), run("s"), run("s")].concat()).await;
        assert_eq!(errors(&first.until_ready().await), ["22012"]);
        for _ in 0..2 {
            let messages = first.until_ready().await;
            assert_eq!((errors(&messages), values(&messages).len()), (Vec::new(), 1), "{text}");
        }
        second.query("COMMIT").await;
        first.query("DEALLOCATE s").await;
    }
    // A name that an error has kept from being given away is free.
    let fails = [parse("", "SELECT 1 / 0"), bind("", ""), execute("", 0), parse("t", "SELECT 't'"), sync()];
    first.send(&[fails.concat(), parse("t", "SELECT 'u'"), run("t")].concat()).await;
    assert_eq!(errors(&first.until_ready().await), ["22012"]);
    assert_eq!(values(&first.until_ready().await), ["u"]);
    bed.close().await;
}
