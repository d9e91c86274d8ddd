//! tokio-postgres, which pipelines whatever is asked of it at once.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{join_all, try_join_all};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio_postgres::{Client, Error, IsolationLevel, NoTls};

use crate::drivers::{CONNECTIONS, Door, WAYS, same_in};

/// Enough for several chunks of everything on the way.
const LARGE: usize = 10 << 20;

#[tokio::test]
async fn tokio_postgres() {
    same_in(&WAYS, async |door| session(door).await.map_err(|error| format!("{error:?}"))).await;
}

async fn connect(door: &Door) -> Result<Client, Error> {
    let (client, connection) = tokio_postgres::connect(&door.url(), NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

fn code<T: std::fmt::Debug>(outcome: Result<T, Error>) -> String {
    match outcome {
        Ok(value) => format!("{value:?}"),
        Err(error) => error.code().map_or_else(|| format!("{error:?}"), |code| code.code().to_owned()),
    }
}

async fn session(door: &Door) -> Result<Vec<String>, Error> {
    let mut client = connect(door).await?;
    let mut said = Vec::new();
    said.push(rows(&client).await?);
    said.push(transactions(&mut client).await?);
    said.push(pipeline(&client).await?);
    said.push(copy(&client).await?);
    said.push(portals(&mut client).await?);
    said.push(large(&client).await?);
    said.push(format!(
        "advisory locks: {}",
        code(client.query_one("SELECT pg_advisory_xact_lock(1)", &[]).await.map(drop))
    ));
    said.push(crowd(door).await?);
    said.push(cancelled(&client).await?);
    Ok(said)
}

async fn rows(client: &Client) -> Result<String, Error> {
    let insert = client.prepare("INSERT INTO services (code, name, price) VALUES ($1, $2, $3::text::numeric)").await?;
    for (code, price) in [("tp_a", "10.50"), ("tp_b", "20.00")] {
        client.execute(&insert, &[&code, &"Tried", &price]).await?;
    }
    let twice = code(client.execute(&insert, &[&"tp_a", &"Again", &"1"]).await);
    let changed = client.execute("UPDATE services SET price = price + 1 WHERE code LIKE 'tp\\_%'", &[]).await?;
    let read = client.query("SELECT code, price::text FROM services WHERE code LIKE 'tp\\_%' ORDER BY 1", &[]).await?;
    let read: Vec<(String, String)> = read.iter().map(|row| (row.get(0), row.get(1))).collect();
    let gone = client.execute("DELETE FROM services WHERE code LIKE 'tp\\_%'", &[]).await?;
    Ok(format!("rows: twice {twice}, {changed} changed, {read:?}, {gone} gone"))
}

async fn transactions(client: &mut Client) -> Result<String, Error> {
    let mut outer = client.build_transaction().isolation_level(IsolationLevel::Serializable).start().await?;
    outer.execute("INSERT INTO staff (name, works_as) VALUES ('Bia', 'groomer')", &[]).await?;
    let inner = outer.savepoint("deeper").await?;
    let refused = code(inner.execute("INSERT INTO staff (name, works_as) VALUES ('Cat', 'cat')", &[]).await);
    let failed = code(inner.query("SELECT 1", &[]).await.map(|rows| rows.len()));
    inner.rollback().await?;
    let level: String = outer.query_one("SHOW transaction_isolation", &[]).await?.get(0);
    outer.commit().await?;
    let kept: i64 = client.query_one("SELECT count(*) FROM staff WHERE name = 'Bia'", &[]).await?.get(0);
    client.execute("DELETE FROM staff WHERE name = 'Bia'", &[]).await?;
    Ok(format!("transactions: {level}, {refused}, then {failed}, {kept} kept"))
}

/// One hundred queries in flight on one connection, among them some that fail.
async fn pipeline(client: &Client) -> Result<String, Error> {
    let divide = client.prepare("SELECT 100 / $1::int").await?;
    let answers = join_all((0..100_i32).map(|n| {
        let divide = &divide;
        async move { client.query_one(divide, &[&(n % 10)]).await.map(|row| row.get::<_, i32>(0)) }
    }));
    let answers: Vec<_> = answers.await.into_iter().map(code).collect();
    Ok(format!("pipeline: {}", answers.join(" ")))
}

async fn copy(client: &Client) -> Result<String, Error> {
    let sink = client.copy_in("COPY staff (name, works_as) FROM STDIN").await?;
    let mut sink = pin!(sink);
    for nth in 0..500 {
        sink.send(Bytes::from(format!("copied {nth}\treception\n"))).await?;
    }
    let written = sink.finish().await?;
    let out = client.copy_out("COPY (SELECT name FROM staff WHERE name LIKE 'copied %' ORDER BY id) TO STDOUT").await?;
    let chunks: Vec<_> = out.collect::<Vec<_>>().await.into_iter().collect::<Result<_, _>>()?;
    let (lines, bytes) = (chunks.len(), chunks.iter().map(Bytes::len).sum::<usize>());
    let removed = client.execute("DELETE FROM staff WHERE name LIKE 'copied %'", &[]).await?;
    Ok(format!("copy: {written} in, {lines} lines of {bytes} bytes out, {removed} removed"))
}

async fn portals(client: &mut Client) -> Result<String, Error> {
    let transaction = client.transaction().await?;
    let portal = transaction.bind("SELECT generate_series(1, 10)", &[]).await?;
    let mut parts = Vec::new();
    loop {
        let part = transaction.query_portal(&portal, 4).await?;
        if part.is_empty() {
            break;
        }
        parts.push(part.iter().map(|row| row.get::<_, i32>(0)).sum::<i32>());
    }
    transaction.commit().await?;
    Ok(format!("portals: {parts:?}"))
}

async fn large(client: &Client) -> Result<String, Error> {
    let bytes: Vec<u8> = (0..=255).cycle().take(LARGE).collect();
    let back: Vec<u8> = client.query_one("SELECT $1::bytea", &[&bytes]).await?.get(0);
    let text = "ã".repeat(LARGE / 2);
    let letters: i32 = client.query_one("SELECT length($1::text)", &[&text]).await?.get(0);
    Ok(format!("large values: {}, {letters} letters", back == bytes))
}

/// More clients than there are server connections, each with a statement that it has prepared once.
async fn crowd(door: &Door) -> Result<String, Error> {
    let clients = try_join_all((0..CONNECTIONS * 3).map(|_| connect(door))).await?;
    let work = clients.into_iter().zip(0_i64..).map(async |(mut client, nth)| {
        let sum = client.prepare(&format!("SELECT $1::bigint + count(*) FROM species WHERE id > {nth}")).await?;
        let mut total = 0;
        for turn in 0..20_i64 {
            let transaction = client.transaction().await?;
            for _ in 0..2 {
                total += transaction.query_one(&sum, &[&turn]).await?.get::<_, i64>(0);
            }
            transaction.commit().await?;
        }
        Ok::<i64, Error>(total)
    });
    let totals = try_join_all(work).await?;
    Ok(format!("crowd: {totals:?}"))
}

async fn cancelled(client: &Client) -> Result<String, Error> {
    let token = client.cancel_token();
    // A request that comes before the statement does nothing, so it is made until the statement ends.
    let asking = async {
        loop {
            tokio::time::sleep(Duration::from_millis(50)).await;
            if token.cancel_query(NoTls).await.is_err() {
                return;
            }
        }
    };
    let outcome = tokio::select! {
        outcome = client.query("SELECT pg_sleep(60)", &[]) => code(outcome.map(|rows| rows.len())),
        () = asking => "not cancelled".to_owned(),
    };
    // A late request may hit one more.
    let _either_way = client.query("SELECT pg_sleep(0.1)", &[]).await;
    let after: i32 = client.query_one("SELECT 1", &[]).await?.get(0);
    Ok(format!("cancel: {outcome}, then {after}"))
}
