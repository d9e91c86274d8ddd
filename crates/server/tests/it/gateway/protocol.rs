//! Whatever the protocol has, through the gateway as without it.

use std::pin::pin;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::{SinkExt as _, TryStreamExt as _, future};
use tokio_postgres::{AsyncMessage, NoTls};

use crate::bed::{Bed, dsn, enter, rows};
use crate::socket::{Socket, bind, errors, execute, message, parse, query, sync, tags, values};

#[tokio::test]
async fn statements_portals_and_pipelines() {
    let bed = Bed::make().await;
    let made = bed.tenant("paws", "shared").await;
    let mut socket = Socket::enter(&bed, &made).await;

    assert_eq!(tags(&socket.query("").await), "IZ");
    assert_eq!(tags(&socket.query("SELECT 1; SELECT 2, 3; ; SET lock_timeout = 0").await), "TDCTDCCZ");
    let several = socket.query("SELECT 1; SELECT 1/0; SELECT 2").await;
    assert_eq!((tags(&several).as_str(), errors(&several)), ("TDCEZ", vec!["22012".to_owned()]));

    // A portal that gives its rows in parts.
    let begin = [parse("ten", "SELECT generate_series(1, 10)"), bind("part", "ten"), execute("part", 4)].concat();
    let rest = [execute("part", 4), message(b'D', b"Ppart\0"), execute("part", 4), sync()].concat();
    socket.send(&[query("BEGIN"), begin, rest].concat()).await;
    assert_eq!(tags(&socket.until_ready().await), "CZ");
    let heard = socket.until_ready().await;
    assert_eq!((tags(&heard).as_str(), values(&heard).len()), ("12DDDDsDDDDsTDDCZ", 10));
    socket.query("COMMIT").await;

    // After an error everything up to the Sync is skipped, what follows is not.
    let broken = [parse("", "SELECT 1/0"), bind("", ""), execute("", 0), parse("never", "SELECT 1"), sync()].concat();
    let sound = [bind("", "ten"), execute("", 1), message(b'C', b"Sten\0"), sync()].concat();
    socket.send(&[broken, sound, bind("", "never"), sync(), query("SELECT 'end'")].concat()).await;
    let heard = socket.until_ready().await;
    assert_eq!((tags(&heard).as_str(), errors(&heard)), ("1EZ", vec!["22012".to_owned()]));
    assert_eq!(tags(&socket.until_ready().await), "2Ds3Z");
    assert_eq!(errors(&socket.until_ready().await), ["26000"]);
    assert_eq!(values(&socket.until_ready().await), ["end"]);

    // A message that comes byte by byte, and one that ends where the next begins.
    for byte in query("SELECT 'slow'") {
        socket.send(&[byte]).await;
    }
    assert_eq!(values(&socket.until_ready().await), ["slow"]);

    // FunctionCall of int4pl(int4, int4), oid 177, with binary arguments.
    let call = b"\0\0\0\xb1\0\x01\0\x01\0\x02\0\0\0\x04\0\0\0\x14\0\0\0\x04\0\0\0\x16\0\x01";
    socket.send(&message(b'F', call)).await;
    let heard = socket.until_ready().await;
    assert_eq!((tags(&heard).as_str(), &heard[0].1[..]), ("VZ", &b"\0\0\0\x04\0\0\0\x2a"[..]));

    let deep: Vec<u8> = (0..500).flat_map(|number| query(&format!("SELECT {number}"))).collect();
    socket.send(&deep).await;
    for number in 0..500 {
        assert_eq!(values(&socket.until_ready().await), [number.to_string()]);
    }
    bed.close().await;
}

#[tokio::test]
async fn drivers_prepare_pipeline_and_speak_binary() {
    let bed = Bed::make().await;
    let made = bed.tenant("paws", "schema").await;
    let mut client = enter(&made).await;
    let insert =
        client.prepare("INSERT INTO clients (name, email) VALUES ($1, $2) RETURNING id").await.expect("prepared");
    for index in 0..3 {
        let row = client.query_one(&insert, &[&format!("n{index}"), &format!("n{index}@x.org")]).await.expect("a row");
        assert!(row.get::<_, i64>(0) > 1);
    }
    let sum = client.prepare("SELECT $1::int8 + $2::int8").await.expect("prepared");
    let asked = (0..50_i64).map(|number| {
        let (client, sum) = (&client, &sum);
        async move { client.query_one(sum, &[&number, &number]).await.map(|row| row.get::<_, i64>(0)) }
    });
    let sums = future::try_join_all(asked).await.expect("fifty answers");
    assert_eq!(sums, (0..50).map(|number| 2 * number).collect::<Vec<_>>());

    let transaction = client.transaction().await.expect("begun");
    let portal = transaction.bind("SELECT generate_series(1, 5)", &[]).await.expect("bound");
    let mut lengths = Vec::new();
    for _ in 0..3 {
        lengths.push(transaction.query_portal(&portal, 2).await.expect("a part").len());
    }
    assert_eq!(lengths, [2, 2, 1]);
    transaction.rollback().await.expect("rolled back");
    assert_eq!(rows(&client, "SELECT count(*) FROM clients").await, ["4"]);
    bed.close().await;
}

#[tokio::test]
async fn copies_large_values_notices_and_notifications() {
    let bed = Bed::make().await;
    let made = bed.tenant("paws", "database").await;
    let heard = Arc::new(Mutex::new(Vec::new()));
    let (client, mut connection) = tokio_postgres::connect(dsn(&made), NoTls).await.expect("in");
    let hearing = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Some(Ok(said)) = future::poll_fn(|context| connection.poll_message(context)).await {
            let text = match said {
                AsyncMessage::Notice(notice) => notice.message().to_owned(),
                AsyncMessage::Notification(note) => format!("{}: {}", note.channel(), note.payload()),
                _ => continue,
            };
            hearing.lock().expect("not poisoned").push(text);
        }
    });

    let mut sink = pin!(client.copy_in("COPY staff (name, works_as) FROM STDIN").await.expect("begun"));
    for index in 0..2000 {
        sink.send(Bytes::from(format!("Person {index}\tgroomer\n"))).await.expect("sent");
    }
    assert_eq!(sink.finish().await.expect("copied"), 2000);
    let copied: Vec<Bytes> = client
        .copy_out("COPY staff (name) TO STDOUT (FORMAT binary)")
        .await
        .expect("begun")
        .try_collect()
        .await
        .expect("copied");
    assert!(copied.concat().starts_with(b"PGCOPY\n\xff\r\n\0") && copied.len() > 2000, "{}", copied.len());
    drop(client.copy_in::<_, Bytes>("COPY staff FROM STDIN").await.expect("begun"));
    assert_eq!(rows(&client, "SELECT count(*) FROM staff").await, ["2000"], "an abandoned COPY fails, the session not");

    let large = "ã".repeat(10 << 20);
    let row = client.query_one("SELECT $1::text", &[&large]).await.expect("20 MB there and back");
    assert!(row.get::<_, &str>(0) == large, "another value came back");

    client
        .batch_execute("DO $$BEGIN RAISE NOTICE 'look'; END$$; LISTEN bell; NOTIFY bell, 'rings'")
        .await
        .expect("said");
    rows(&client, "SELECT 1").await;
    let heard = heard.lock().expect("not poisoned").clone();
    assert_eq!(heard, ["look", "bell: rings"]);
    bed.close().await;
}
