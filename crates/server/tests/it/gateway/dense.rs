//! Clients of many tenants take turns on the connections of one login.

use std::time::Duration;

use domain::{PoolMode, Pooling};
use futures_util::future::join_all;
use gateway::GatewaySettings;
use pool::PoolSettings;
use reqwest::{Method, StatusCode};

use crate::bed::{Bed, Options, connect, dsn, enter, one, run, sqlstate};
use crate::socket::{Login, Socket, bind, errors, execute, parse, query, sync, tags, values};

/// A bed where tenants share server connections, of which there are so many.
async fn bed_for(connections: usize) -> Bed {
    let wait_timeout = Duration::from_secs(10);
    let pool = PoolSettings { max_per_cluster: connections, wait_timeout, ..PoolSettings::default() };
    let gateway =
        GatewaySettings { pool_mode: PoolMode::Transaction, pooling: Pooling::Dense, ..GatewaySettings::default() };
    Bed::with(Options { pool, gateway, ..Options::default() }).await
}

const PID: &str = "SELECT pg_backend_pid()";

#[tokio::test]
async fn many_tenants_share_one_connection_and_see_their_own_rows() {
    let bed = bed_for(1).await;
    let mut clients = Vec::new();
    for nth in 0..6 {
        let made = bed.tenant(&format!("t{nth}"), "shared").await;
        clients.extend([enter(&made).await, enter(&made).await]);
    }
    let pid = one(&clients[0], PID).await;
    let work = clients.iter().enumerate().map(async |(nth, client)| {
        let tenant = nth / 2;
        // A statement that every client prepares under its own name, and all with one text.
        let count = client.prepare("SELECT count(*) FROM clients WHERE name = $1").await.expect("prepared");
        for turn in 0..8_i64 {
            run(
                client,
                &format!("BEGIN; INSERT INTO clients (name, email) VALUES ('of {tenant}', 'x{turn}@{nth}.example')"),
            )
            .await;
            assert_eq!(one(client, PID).await, pid);
            run(client, if turn % 2 == 0 { "COMMIT" } else { "ROLLBACK" }).await;
            for other in (0..6).filter(|other| *other != tenant) {
                let found = client.query_one(&count, &[&format!("of {other}")]).await.expect("a row");
                assert_eq!(found.get::<_, i64>(0), 0, "another tenant's row");
            }
            assert!(
                client.query_one(&count, &[&format!("of {tenant}")]).await.expect("a row").get::<_, i64>(0) > turn / 2
            );
        }
    });
    join_all(work).await;
    for client in &clients {
        assert_eq!(
            one(client, "SELECT count(*), count(DISTINCT name) FROM clients WHERE name LIKE 'of %'").await,
            "8,1"
        );
    }
    bed.close().await;
}

#[tokio::test]
async fn settings_go_with_their_client_from_tenant_to_tenant() {
    let bed = bed_for(1).await;
    let (first, second) =
        (enter(&bed.tenant("one", "shared").await).await, enter(&bed.tenant("two", "shared").await).await);
    run(&first, "SET TimeZone = 'America/Sao_Paulo'; SET app.who = 'bia'").await;
    let told = "SELECT current_setting('TimeZone'), coalesce(current_setting('app.who', true), '')";
    for _ in 0..3 {
        let seen = one(&second, told).await;
        assert!(!seen.contains("Sao_Paulo") && !seen.contains("bia"), "{seen}");
        assert_eq!(one(&first, told).await, "America/Sao_Paulo,bia");
    }
    bed.close().await;
}

/// Whatever one tenant's SQL can leave in a session, hidden from whoever reads statements.
#[tokio::test]
async fn what_hides_in_a_statement_does_not_meet_the_next_tenant() {
    let bed = bed_for(1).await;
    let made = bed.tenant("one", "shared").await;
    let (hostile, same) = (enter(&made).await, enter(&made).await);
    let other = enter(&bed.tenant("two", "shared").await).await;
    let hide = |sql: &str| format!("SELECT query_to_xml($x${sql}$x$, true, true, '')");
    for (hidden, look, clean) in [
        (
            "SELECT set_config('search_path', 'sindico', false)",
            "SELECT current_setting('search_path')",
            "public, global, extensions",
        ),
        ("SELECT set_config('my.word', 'secret', false)", "SELECT coalesce(current_setting('my.word', true), '')", ""),
        ("SELECT set_config('default_transaction_read_only', 'on', false)", "SHOW transaction_read_only", "off"),
        ("SELECT set_config('row_security', 'off', false)", "SHOW row_security", "on"),
        ("SELECT set_config('backtrace_functions', '', false)", "SELECT count(*) > 0 FROM clients", "t"),
    ] {
        // Refused or not, it is nothing to the other tenant.
        let _ = hostile.batch_execute(&hide(hidden)).await;
        assert_eq!(one(&other, look).await, clean, "{hidden}");
        assert_eq!(one(&same, look).await, clean, "{hidden}: another client of the tenant");
    }
    bed.close().await;
}

#[tokio::test]
async fn what_needs_a_session_has_one_of_the_tenants_own_login() {
    let bed = bed_for(3).await;
    let made = bed.tenant("one", "shared").await;
    let (client, other) = (enter(&made).await, enter(&bed.tenant("two", "shared").await).await);
    let login = "SELECT session_user = current_setting('is_superuser') OR session_user LIKE 't\\_%'";
    assert_eq!(one(&client, login).await, "f", "on the login of many");
    for (take, look, answer, leave) in [
        ("CREATE TEMP TABLE own (a int); INSERT INTO own VALUES (7)", "SELECT a FROM own", "7", "DROP TABLE own"),
        ("DECLARE held SCROLL CURSOR WITH HOLD FOR SELECT 7", "FETCH ABSOLUTE 1 FROM held", "7", "CLOSE held"),
        ("PREPARE p AS SELECT 7", "EXECUTE p", "7", "DEALLOCATE p"),
        ("LISTEN barks", "SELECT count(*) FROM pg_listening_channels()", "1", "UNLISTEN *"),
    ] {
        run(&client, take).await;
        assert_eq!(one(&client, login).await, "t", "{take}");
        assert_eq!(one(&other, "SELECT 1").await, "1");
        assert_eq!(one(&client, look).await, answer, "{take}");
        run(&client, leave).await;
        assert_eq!(one(&client, login).await, "f", "{leave}");
    }
    let drawn: i64 = one(&client, "SELECT nextval('services_id_seq')").await.parse().expect("a number");
    assert_eq!(one(&client, "SELECT nextval('services_id_seq')").await, (drawn + 1).to_string());
    assert_eq!(one(&client, login).await, "f", "it is back");
    bed.close().await;
}

#[tokio::test]
async fn a_transaction_that_has_only_begun_moves_to_where_it_needs_to_be() {
    let bed = bed_for(3).await;
    let client = enter(&bed.tenant("one", "shared").await).await;
    for begin in ["BEGIN", "begin isolation level serializable;", "START TRANSACTION READ WRITE"] {
        run(&client, begin).await;
        run(&client, "CREATE TEMP TABLE own (a int) ON COMMIT DROP").await;
        if begin.contains("serial") {
            assert_eq!(one(&client, "SHOW transaction_isolation").await, "serializable");
        }
        run(&client, "INSERT INTO own VALUES (7); INSERT INTO clients (name, phone) VALUES ('moved', '123456')").await;
        assert_eq!(one(&client, "SELECT a FROM own").await, "7");
        run(&client, "COMMIT").await;
    }
    assert_eq!(one(&client, "SELECT count(*) FROM clients WHERE name = 'moved'").await, "3");

    // Later it is too late, once: the client is told to run it again, and then it works.
    for turn in 0..2 {
        run(&client, "BEGIN; INSERT INTO clients (name, phone) VALUES ('late', '123456')").await;
        if turn == 0 {
            assert_eq!(sqlstate(&client, "SELECT nextval('services_id_seq')").await, "40001");
        } else {
            run(&client, "SELECT nextval('services_id_seq')").await;
        }
        run(&client, "COMMIT").await;
    }
    assert_eq!(one(&client, "SELECT count(*) FROM clients WHERE name = 'late'").await, "1");
    bed.close().await;
}

#[tokio::test]
async fn messages_sent_ahead_each_run_where_they_belong() {
    let bed = bed_for(3).await;
    let login = Login::of(&bed.tenant("one", "shared").await);
    let mut socket = Socket::open(&bed).await;
    socket.send(&login.startup(&[])).await;
    socket.prove(&login.key).await.expect("in");
    let prepared = |text: &str| [parse("", text), bind("", ""), execute("", 0), sync()].concat();

    // Each is a transaction of its own.
    socket
        .send(
            &[
                query("SELECT 1"),
                query("LISTEN barks"),
                query("UNLISTEN *"),
                prepared("SELECT nextval('services_id_seq') > 0"),
                query("SELECT 2"),
            ]
            .concat(),
        )
        .await;
    let mut answers = Vec::new();
    for _ in 0..5 {
        let messages = socket.until_ready().await;
        assert_eq!(errors(&messages), Vec::<String>::new());
        answers.extend(values(&messages));
    }
    assert_eq!(answers, ["1", "t", "2"]);

    // In one go, and piece by piece, behind a beginning.
    let jdbc = [
        parse("", "BEGIN"),
        bind("", ""),
        execute("", 0),
        parse("", "SELECT nextval('services_id_seq') > 0"),
        bind("", ""),
        execute("", 0),
        sync(),
    ];
    socket.send(&jdbc.concat()).await;
    assert_eq!(tags(&socket.until_ready().await), "12C12DCZ");
    socket.query("ROLLBACK").await;
    socket.send(&prepared("BEGIN")).await;
    socket.until_ready().await;
    socket.send(&prepared("SELECT nextval('services_id_seq') > 0")).await;
    assert_eq!(values(&socket.until_ready().await), ["t"]);
    socket.query("COMMIT").await;

    // Behind an answer of the gateway's own, in every way that bytes can arrive.
    let close = crate::socket::message(b'C', b"Ss1\0");
    for pause in [false, true] {
        for begun in [false, true] {
            socket.send(&[parse("s1", "SELECT 1"), sync()].concat()).await;
            assert_eq!(errors(&socket.until_ready().await), Vec::<String>::new());
            if begun {
                socket.query("BEGIN").await;
            }
            socket.send(&[close.clone(), sync()].concat()).await;
            if pause {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            let describe = crate::socket::message(b'D', b"Ss2\0");
            socket.send(&[parse("s2", "SELECT nextval('services_id_seq')"), describe, sync()].concat()).await;
            assert_eq!(tags(&socket.until_ready().await), "3Z");
            assert_eq!(tags(&socket.until_ready().await), "1tTZ");
            socket
                .send(
                    &[bind("", "s2"), execute("", 0), sync(), crate::socket::message(b'C', b"Ss2\0"), sync()].concat(),
                )
                .await;
            assert_eq!(values(&socket.until_ready().await).len(), 1);
            assert_eq!(tags(&socket.until_ready().await), "3Z");
            socket.query("ROLLBACK").await;
            socket.query("DEALLOCATE ALL").await;
        }
    }

    // Where there is no Sync, there is nothing to wait for.
    let flush = crate::socket::message(b'H', b"");
    socket.send(&[parse("", "SELECT 1"), bind("", ""), execute("", 0), flush].concat()).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    socket.send(&prepared("SELECT nextval('services_id_seq')")).await;
    let messages = socket.until_ready().await;
    assert_eq!((values(&messages), errors(&messages)), (vec!["1".to_owned()], vec!["40001".to_owned()]));

    // Where there is no answer to wait for.
    socket.send(&[parse("", "SELECT 3"), bind("", ""), execute("", 0)].concat()).await;
    socket.send(&[query("SELECT 4"), prepared("LISTEN barks")].concat()).await;
    let messages = [socket.until_ready().await, socket.until_ready().await].concat();
    assert_eq!((values(&messages), errors(&messages)), (vec!["3".to_owned(), "4".to_owned()], Vec::new()));
    bed.close().await;
}

#[tokio::test]
async fn what_a_session_keeps_does_not_move_to_another_client() {
    let bed = bed_for(3).await;
    let made = bed.tenant("one", "shared").await;
    let (client, other) = (enter(&made).await, enter(&made).await);
    let who = "SELECT coalesce(current_setting('app.user', true), '')";
    run(&client, "SELECT set_config('app.' || 'user', 'alice', false)").await;
    run(&client, "BEGIN").await;
    run(&client, "SELECT nextval('services_id_seq')").await;
    run(&client, "COMMIT").await;
    for _ in 0..3 {
        assert_eq!(one(&other, who).await, "");
        assert_eq!(one(&client, who).await, "alice");
    }
    // A transaction that has failed does not come to life again.
    run(&other, "BEGIN").await;
    assert_eq!(sqlstate(&other, "SELECT 1 / 0").await, "22012");
    assert_eq!(sqlstate(&other, "SELECT nextval('services_id_seq')").await, "25P02");
    run(&other, "ROLLBACK").await;
    bed.close().await;
}

#[tokio::test]
async fn a_statement_prepared_where_it_could_not_run_runs_where_it_can() {
    let bed = bed_for(3).await;
    let client = enter(&bed.tenant("one", "shared").await).await;
    let draw = client.prepare("SELECT nextval('services_id_seq')").await.expect("prepared");
    let plain = client.prepare("SELECT count(*) FROM clients").await.expect("prepared");
    for _ in 0..3 {
        assert!(client.query_one(&draw, &[]).await.expect("a row").get::<_, i64>(0) > 0);
        assert!(client.query_one(&plain, &[]).await.expect("a row").get::<_, i64>(0) > 0);
    }
    run(&client, "BEGIN; INSERT INTO clients (name, phone) VALUES ('x', '123456')").await;
    let late = client.query_one(&draw, &[]).await.expect_err("too late");
    assert_eq!(late.code().map(tokio_postgres::error::SqlState::code), Some("40001"));
    run(&client, "ROLLBACK").await;
    bed.close().await;
}

#[tokio::test]
async fn a_tenant_whose_connections_only_rest_can_be_deleted() {
    let bed = bed_for(4).await;
    let made = bed.tenant("one", "shared").await;
    let client = enter(&made).await;
    assert_eq!(one(&client, "SELECT count(*) FROM clients").await, "1");
    let (status, answer) = bed.call(Method::DELETE, "/tenants/one", None).await;
    assert_eq!(status, StatusCode::NO_CONTENT, "{answer}");
    assert!(client.batch_execute("SELECT 1").await.is_err(), "its session has ended");
    assert_eq!(bed.traces(made["id"].as_str().expect("an id")).await, Vec::<String>::new());
    bed.close().await;
}

#[tokio::test]
async fn whoever_may_not_or_will_not_has_connections_of_its_own() {
    let bed = bed_for(4).await;
    let made = bed.tenant("one", "shared").await;
    let own = "SELECT session_user LIKE 't\\_%' OR session_user LIKE 'r\\_%'";
    let asking = connect(&format!("{}?options=-c%20sindico.pooling%3Down", dsn(&made))).await.expect("in");
    assert_eq!(one(&asking, own).await, "t");
    let (status, key) = bed
        .call(Method::POST, "/tenants/one/keys", Some(serde_json::json!({"label": "reader", "access": "read_only"})))
        .await;
    assert_eq!(status, StatusCode::CREATED, "{key}");
    let reading = connect(dsn(&key)).await.expect("in");
    assert_eq!(one(&reading, own).await, "t");
    let elsewhere = enter(&bed.tenant("two", "schema").await).await;
    assert_eq!(one(&elsewhere, own).await, "t");
    bed.close().await;

    let bed = Bed::make().await;
    let made = bed.tenant("one", "shared").await;
    let refused =
        connect(&format!("{}?options=-c%20sindico.pooling%3Ddense", dsn(&made))).await.expect_err("not offered");
    assert_eq!(refused.code().map(tokio_postgres::error::SqlState::code), Some("0A000"));
    bed.close().await;
}
