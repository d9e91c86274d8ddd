//! Statements that mean the same in every isolation because the gateway reads them.

use std::pin::pin;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::{SinkExt as _, TryStreamExt as _, future};
use serde_json::Value;
use tokio_postgres::error::DbError;
use tokio_postgres::{AsyncMessage, Client, NoTls};

use crate::bed::{Bed, dsn, enter, rows, sqlstate};
use crate::socket::{Message, Socket, bind, errors, execute, message, parse, query, sync, tags, values};

const ISOLATIONS: [&str; 3] = ["shared", "schema", "database"];

/// A session, and what its server says without having been asked: channel and payload.
async fn listening(made: &Value) -> (Client, Arc<Mutex<Vec<(String, String)>>>) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let (client, mut connection) = tokio_postgres::connect(dsn(made), NoTls).await.expect("in");
    let hearing = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Some(Ok(said)) = future::poll_fn(|context| connection.poll_message(context)).await {
            let said = match said {
                AsyncMessage::Notification(it) => (it.channel().to_owned(), it.payload().to_owned()),
                AsyncMessage::Notice(notice) => (notice.code().code().to_owned(), notice.message().to_owned()),
                _ => continue,
            };
            hearing.lock().expect("not poisoned").push(said);
        }
    });
    (client, heard)
}

fn refusal(error: &tokio_postgres::Error) -> &DbError {
    error.as_db_error().unwrap_or_else(|| panic!("an error of the server, not {error:?}"))
}

/// The tags of completed commands among messages.
fn completed(messages: &[Message]) -> Vec<String> {
    let text = |body: &[u8]| String::from_utf8_lossy(body).trim_end_matches('\0').to_owned();
    messages.iter().filter(|(tag, _)| *tag == b'C').map(|(_, body)| text(body)).collect()
}

async fn copy_in(client: &Client, sql: &str, data: &[u8]) -> Result<u64, tokio_postgres::Error> {
    let mut sink = pin!(client.copy_in(sql).await?);
    for part in data.chunks(7) {
        sink.send(Bytes::copy_from_slice(part)).await?;
    }
    sink.finish().await
}

async fn copy_out(client: &Client, sql: &str) -> Vec<u8> {
    let parts: Vec<Bytes> = client.copy_out(sql).await.expect("begun").try_collect().await.expect("copied");
    parts.concat()
}

#[tokio::test]
async fn public_names_everything_of_the_app_in_every_isolation() {
    let bed = Bed::make().await;
    for isolation in ["shared", "schema", "database", "cluster"] {
        let client = enter(&bed.tenant(isolation, isolation).await).await;
        for sql in [
            "SELECT count(*) > 0 FROM public.species",
            "SELECT count(*) > 0 FROM \"public\".\"species\" JOIN public.clients ON true",
            "SELECT 'public.species'::regclass IS NOT NULL",
        ] {
            assert_eq!(rows(&client, sql).await, ["t"], "{isolation}: {sql}");
            let prepared = client.query_one(sql, &[]).await.expect("the extended protocol");
            assert!(prepared.get::<_, bool>(0), "{isolation}: {sql}");
        }
        client.batch_execute("SET search_path = public").await.expect("set");
        assert_eq!(rows(&client, "SELECT count(*) > 0 FROM species").await, ["t"], "{isolation}");
    }
    bed.close().await;
}

#[tokio::test]
async fn on_conflict_finds_the_tenants_own_keys() {
    let bed = Bed::make().await;
    for isolation in ISOLATIONS {
        let (one, two) = (
            bed.tenant(&format!("{isolation}-1"), isolation).await,
            bed.tenant(&format!("{isolation}-2"), isolation).await,
        );
        let (one, two) = (enter(&one).await, enter(&two).await);
        let before = rows(&one, "SELECT code, price FROM services ORDER BY code").await;
        let upsert = "INSERT INTO services (code, name, price) VALUES ('wash', 'Wash', 10)
                      ON CONFLICT (code) DO UPDATE SET price = services.price + excluded.price RETURNING price";
        assert_eq!(rows(&one, upsert).await, ["10.00"], "{isolation}");
        assert_eq!(rows(&one, upsert).await, ["20.00"], "{isolation}");
        assert_eq!(rows(&two, upsert).await, ["10.00"], "{isolation}: nothing of the other's");

        // Prepared once, run often, by number and by name.
        let prepared = two
            .prepare("INSERT INTO services (code, name, price) VALUES ($1, $1, 1) ON CONFLICT (code) DO NOTHING")
            .await
            .expect("prepared");
        for expected in [1, 0, 0] {
            assert_eq!(two.execute(&prepared, &[&"dry"]).await.expect("run"), expected, "{isolation}");
        }
        two.batch_execute("PREPARE dry AS INSERT INTO services (code, name, price) VALUES ('dry', 'Dry', 1) ON CONFLICT (code) DO NOTHING")
            .await
            .expect("prepared");
        two.batch_execute("EXECUTE dry; EXECUTE dry").await.expect("run");

        // An index over an expression.
        let client =
            "INSERT INTO clients (name, email) VALUES ('Zé', 'ZE@x.org') ON CONFLICT (lower(email)) DO NOTHING";
        one.batch_execute(&format!("{client}; {client}")).await.expect("run");
        assert_eq!(
            rows(&one, "SELECT count(*) FROM clients WHERE lower(email) = 'ze@x.org'").await,
            ["1"],
            "{isolation}"
        );
        assert_eq!(
            sqlstate(
                &one,
                "INSERT INTO services (code, name, price) VALUES ('x', 'X', 1) ON CONFLICT (name) DO NOTHING"
            )
            .await,
            "42P10",
            "{isolation}"
        );
        let after = rows(&one, "SELECT code, price FROM services WHERE code <> 'wash' ORDER BY code").await;
        assert_eq!(before, after, "{isolation}");
    }
    bed.close().await;
}

#[tokio::test]
async fn truncate_empties_the_tenants_own_tables_and_says_so() {
    let bed = Bed::make().await;
    for isolation in ISOLATIONS {
        let made = bed.tenant(&format!("{isolation}-1"), isolation).await;
        let neighbour = enter(&bed.tenant(&format!("{isolation}-2"), isolation).await).await;
        let insert = "INSERT INTO staff (name, works_as) VALUES ('Ana', 'groomer')";
        neighbour.batch_execute(insert).await.expect("a row");
        let mut socket = Socket::enter(&bed, &made).await;
        socket.query(insert).await;

        let heard = socket.query("TRUNCATE staff CASCADE; SELECT 1").await;
        assert_eq!(completed(&heard), ["TRUNCATE TABLE", "SELECT 1"], "{isolation}");
        let said: Vec<_> = heard.iter().filter(|(tag, _)| *tag == b'N').collect();
        assert!(said.iter().all(|(_, body)| !body.windows(5).any(|field| field == b"SN001")), "{isolation}: {said:?}");
        assert_eq!(values(&socket.query("SELECT count(*) FROM staff").await), ["0"], "{isolation}");

        // The extended protocol, twice with one statement.
        socket.query(insert).await;
        let run = [bind("", "empty"), execute("", 0)].concat();
        socket.send(&[parse("empty", "TRUNCATE staff, appointments"), run.clone(), run, sync()].concat()).await;
        let heard = socket.until_ready().await;
        assert_eq!(tags(&heard), "12C2CZ", "{isolation}");
        assert_eq!(completed(&heard), ["TRUNCATE TABLE", "TRUNCATE TABLE"], "{isolation}");

        // What PostgreSQL says of these.
        assert_eq!(errors(&socket.query("TRUNCATE clients").await), ["0A000"], "{isolation}: it is referred to");
        assert_eq!(errors(&socket.query("TRUNCATE nothing").await), ["42P01"], "{isolation}");
        let undone = socket.query("BEGIN; TRUNCATE clients CASCADE; ROLLBACK; SELECT count(*) FROM clients").await;
        assert_eq!(values(&undone), ["1"], "{isolation}");
        assert_eq!(rows(&neighbour, "SELECT count(*) FROM staff").await, ["1"], "{isolation}: the neighbour's");
    }
    bed.close().await;
}

#[tokio::test]
async fn copy_takes_every_format_with_and_without_columns() {
    let bed = Bed::make().await;
    for isolation in ISOLATIONS {
        let client = enter(&bed.tenant(isolation, isolation).await).await;
        let all = "SELECT id, name, works_as FROM staff ORDER BY id";
        for (sql, data) in [
            ("COPY staff (name, works_as) FROM STDIN", "Ana\tgroomer\nB\\tb\treception\n"),
            ("COPY public.staff (works_as, name) FROM STDIN WITH (FORMAT csv, HEADER)", "w,n\ngroomer,\"C, c\"\n"),
            ("COPY staff FROM STDIN", "100\tDora\tgroomer\n"),
            ("copy staff from stdin csv", "101,\"E \"\"e\"\"\",veterinarian\n"),
        ] {
            let lines = data.lines().count() - usize::from(sql.contains("HEADER"));
            let copied =
                copy_in(&client, sql, data.as_bytes()).await.unwrap_or_else(|e| panic!("{isolation}: {sql}: {e:?}"));
            assert_eq!(copied, lines as u64, "{isolation}: {sql}");
        }
        let expected =
            ["1,Ana,groomer", "2,B\tb,reception", "3,C, c,groomer", "100,Dora,groomer", "101,E \"e\",veterinarian"];
        assert_eq!(rows(&client, all).await, expected, "{isolation}");

        for columns in ["", " (id, name, works_as)"] {
            let binary = copy_out(&client, &format!("COPY ({all}) TO STDOUT (FORMAT binary)")).await;
            client.batch_execute("DELETE FROM staff").await.expect("deleted");
            let sql = format!("COPY staff{columns} FROM STDIN (FORMAT binary)");
            assert_eq!(copy_in(&client, &sql, &binary).await.expect("copied"), 5, "{isolation}: {sql}");
            assert_eq!(rows(&client, all).await, expected, "{isolation}: {sql}");
        }

        // A bad line is named, all are undone, and the session goes on.
        let bad = copy_in(&client, "COPY staff (name, works_as) FROM STDIN", b"F\tgroomer\nG\tpilot\n").await;
        let bad = bad.expect_err("no such work");
        assert_eq!(refusal(&bad).code().code(), "23514", "{isolation}");
        assert!(refusal(&bad).where_().is_some_and(|at| at.contains("line 2")), "{isolation}: {bad:?}");
        // Data that looks like a statement is data.
        copy_in(&client, "COPY staff (name, works_as) FROM STDIN", b"LOCK TABLE clients; LISTEN x\tgroomer\n")
            .await
            .expect("copied");
        assert_eq!(rows(&client, "SELECT count(*) FROM staff").await, ["6"], "{isolation}");
    }
    bed.close().await;
}

/// COPY is sent to a view beside the app's table, which must not get rows that were meant for another.
#[tokio::test]
async fn copy_never_takes_the_apps_table_for_a_temporary_one() {
    let bed = Bed::make().await;
    let client = enter(&bed.tenant("paws", "shared").await).await;
    client.batch_execute("CREATE TEMP TABLE clients (name text)").await.expect("one's own");
    let refused = copy_in(&client, "COPY clients (name) FROM STDIN", b"Bia\n").await.expect_err("which one?");
    assert_eq!(refusal(&refused).code().code(), "0A000");
    client.batch_execute("DROP TABLE pg_temp.clients").await.expect("one's own");
    copy_in(&client, "COPY clients (name, phone) FROM STDIN", b"Bia\t555 000 111\n").await.expect("the app's");
    bed.close().await;
}

#[tokio::test]
async fn channels_are_each_tenants_own() {
    let bed = Bed::make().await;
    let mut tenants = Vec::new();
    for (slug, isolation) in [("a", "shared"), ("b", "shared"), ("c", "schema"), ("d", "schema"), ("e", "database")] {
        tenants.push(bed.tenant(slug, isolation).await);
    }
    let mut sessions = Vec::new();
    for made in &tenants {
        let (client, heard) = listening(made).await;
        client
            .batch_execute("LISTEN barks; LISTEN \"Loud Barks\"; LISTEN gone; UNLISTEN gone")
            .await
            .expect("listening");
        sessions.push((client, heard));
    }
    for (made, name) in tenants.iter().zip('a'..) {
        let other = enter(made).await;
        other
            .batch_execute(&format!("NOTIFY barks, '{name}'; NOTIFY \"Loud Barks\"; NOTIFY gone"))
            .await
            .expect("said");
        other.execute("SELECT pg_notify('barks', $1)", &[&format!("{name}, prepared")]).await.expect("said");
    }
    for ((client, heard), name) in sessions.iter().zip('a'..) {
        rows(client, "SELECT 1").await;
        let pair = |channel: &str, payload: String| (channel.to_owned(), payload);
        let expected = [
            pair("barks", name.to_string()),
            pair("Loud Barks", String::new()),
            pair("barks", format!("{name}, prepared")),
        ];
        assert_eq!(*heard.lock().expect("not poisoned"), expected, "{name}");
    }
    bed.close().await;
}

#[tokio::test]
async fn what_would_reach_beyond_a_tenant_is_refused_in_so_many_words() {
    let bed = Bed::make().await;
    let made = bed.tenant("paws", "shared").await;
    let client = enter(&made).await;
    for (sql, word) in [
        ("LOCK TABLE clients", "LOCK"),
        ("EXPLAIN SELECT * FROM clients", "EXPLAIN"),
        ("SELECT 1; EXPLAIN ANALYZE SELECT 1", "EXPLAIN"),
        ("/* a comment */ explain (costs off) select 1", "EXPLAIN"),
    ] {
        let error = client.simple_query(sql).await.expect_err(sql);
        let said = refusal(&error);
        assert_eq!(said.code().code(), "0A000", "{sql}");
        assert!(said.message().starts_with(word) && said.hint().is_some(), "{sql}: {said:?}");
        assert_eq!(rows(&client, "SELECT 1").await, ["1"], "{sql}: the session goes on");
    }

    // A driver that prepares is told when it prepares, whatever the parameters, and as often as it tries.
    for sql in ["EXPLAIN SELECT * FROM clients WHERE id = $1 AND name = $2", "LOCK TABLE clients"] {
        for _ in 0..2 {
            let error = client.prepare(sql).await.expect_err(sql);
            assert_eq!(refusal(&error).code().code(), "0A000", "{sql}");
        }
    }

    // In a transaction it fails as errors do.
    client.batch_execute("BEGIN").await.expect("begun");
    assert_eq!(sqlstate(&client, "LOCK TABLE clients IN SHARE MODE").await, "0A000");
    assert_eq!(sqlstate(&client, "SELECT 1").await, "25P02");
    assert_eq!(sqlstate(&client, "LOCK TABLE clients").await, "25P02", "it is not even looked at");
    client.batch_execute("ROLLBACK").await.expect("ended");

    // In a pipeline it keeps its place, and what stands behind it up to the Sync is skipped.
    let mut socket = Socket::enter(&bed, &made).await;
    let skipped = [parse("l", "LOCK clients"), bind("", "l"), execute("", 0), parse("s", "SELECT 1"), sync()].concat();
    socket.send(&[query("SELECT 'before'"), skipped, query("SELECT 'after'")].concat()).await;
    assert_eq!(values(&socket.until_ready().await), ["before"]);
    let heard = socket.until_ready().await;
    assert_eq!((tags(&heard).as_str(), errors(&heard)), ("EZ", vec!["0A000".to_owned()]));
    assert_eq!(values(&socket.until_ready().await), ["after"]);
    socket.send(&[bind("", "l"), sync()].concat()).await;
    assert_eq!(errors(&socket.until_ready().await), ["26000"], "it left no statement behind");

    // With declared types, and with strings in which a backslash escapes.
    socket.query("SET standard_conforming_strings = off; SET client_encoding = 'LATIN1'").await;
    socket.send(&[message(b'P', b"\0EXPLAIN SELECT $1\0\0\x01\0\0\0\x17"), sync()].concat()).await;
    assert_eq!(errors(&socket.until_ready().await), ["0A000"]);

    // Where a tenant has tables of its own they are its own.
    for isolation in ["schema", "database"] {
        let own = enter(&bed.tenant(isolation, isolation).await).await;
        own.batch_execute("BEGIN; LOCK TABLE clients; COMMIT; EXPLAIN SELECT * FROM clients").await.expect(isolation);
    }
    bed.close().await;
}

#[tokio::test]
async fn statements_that_are_too_long_fail_and_nothing_else_does() {
    let bed = Bed::make().await;
    let made = bed.tenant("paws", "shared").await;
    let mut socket = Socket::enter(&bed, &made).await;
    let long = format!("SELECT length('{}')", "x".repeat(17 << 20));
    socket.send(&[query(&long), query("SELECT 'after'")].concat()).await;
    assert_eq!(errors(&socket.until_ready().await), ["54000"]);
    assert_eq!(values(&socket.until_ready().await), ["after"]);
    socket.send(&[parse("", &long), bind("", ""), execute("", 0), sync(), query("SELECT 'after'")].concat()).await;
    let heard = socket.until_ready().await;
    assert_eq!((tags(&heard).as_str(), errors(&heard)), ("EZ", vec!["54000".to_owned()]));
    assert_eq!(values(&socket.until_ready().await), ["after"]);
    let taken = format!("SELECT length('{}')", "x".repeat(10 << 20));
    assert_eq!(values(&socket.query(&taken).await), [(10 << 20).to_string()]);
    bed.close().await;
}
