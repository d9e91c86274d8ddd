//! sqlx: a pool of clients, statements that it prepares and forgets by itself, and a listener.

use std::time::Duration;

use futures_util::TryStreamExt as _;
use futures_util::future::try_join_all;
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use sqlx::types::{Json, Uuid};
use sqlx::{Acquire as _, Error, PgPool, Row as _};

use crate::drivers::{CONNECTIONS, Door, same_everywhere};

#[tokio::test]
async fn sqlx() {
    same_everywhere(async |door| session(door).await.map_err(|error| format!("{error:?}"))).await;
}

fn code<T: std::fmt::Debug>(outcome: Result<T, Error>) -> String {
    match outcome {
        Ok(value) => format!("{value:?}"),
        Err(Error::Database(error)) => error.code().unwrap_or_default().into_owned(),
        Err(error) => format!("{error:?}"),
    }
}

async fn session(door: &Door) -> Result<Vec<String>, Error> {
    let Door { port, user, password, database, options } = door;
    let asked = options.split(' ').filter_map(|word| word.split_once('='));
    let options = PgConnectOptions::new_without_pgpass()
        .host("127.0.0.1")
        .port(*port)
        .username(user)
        .password(password)
        .database(database)
        .options(asked);
    let many = u32::try_from(CONNECTIONS * 2).unwrap_or(u32::MAX);
    let acquire = Duration::from_mins(1);
    let pool = PgPoolOptions::new().max_connections(many).acquire_timeout(acquire).connect_with(options).await?;
    let said = vec![
        rows(&pool).await?,
        transactions(&pool).await?,
        types(&pool).await?,
        copy(&pool).await?,
        crowd(&pool).await?,
        notifications(&pool).await?,
        settings(&pool).await?,
        format!(
            "advisory locks: {}",
            code(sqlx::query("SELECT pg_advisory_xact_lock(1)").execute(&pool).await.map(drop))
        ),
    ];
    pool.close().await;
    Ok(said)
}

async fn rows(pool: &PgPool) -> Result<String, Error> {
    let insert = "INSERT INTO visits (animal_id, details)
        SELECT id, jsonb_build_object('note', $1::text) FROM animals WHERE name = 'Rex' RETURNING details";
    let made: Value = sqlx::query_scalar(insert).bind("calm").fetch_one(pool).await?;
    let changed = sqlx::query("UPDATE visits SET details = details || $1").bind(Json(json!({"paid": true})));
    let changed = changed.execute(pool).await?.rows_affected();
    let mut stream = sqlx::query("SELECT details FROM visits").fetch(pool);
    let mut read = Vec::new();
    while let Some(row) = stream.try_next().await? {
        read.push(row.try_get::<Value, _>(0)?.to_string());
    }
    drop(stream);
    let wrong = code(sqlx::query("SELECT no_such_column FROM visits").fetch_all(pool).await.map(|rows| rows.len()));
    let gone = sqlx::query("DELETE FROM visits").execute(pool).await?.rows_affected();
    Ok(format!("rows: {made}, {changed} changed, {read:?}, wrong {wrong}, {gone} gone"))
}

async fn transactions(pool: &PgPool) -> Result<String, Error> {
    let staff = "INSERT INTO staff (name, works_as) VALUES ($1, $2)";
    let mut outer = pool.begin().await?;
    sqlx::query(staff).bind("Bia").bind("groomer").execute(&mut *outer).await?;
    let mut inner = outer.begin().await?;
    let refused = code(sqlx::query(staff).bind("Cat").bind("cat").execute(&mut *inner).await.map(drop));
    inner.rollback().await?;
    let mut inner = outer.begin().await?;
    sqlx::query(staff).bind("Caio").bind("reception").execute(&mut *inner).await?;
    inner.commit().await?;
    outer.commit().await?;
    // Dropped without a word, which rolls it back.
    let mut lost = pool.begin().await?;
    sqlx::query("DELETE FROM staff").execute(&mut *lost).await?;
    drop(lost);
    let kept: Vec<String> = sqlx::query_scalar("SELECT name FROM staff ORDER BY name").fetch_all(pool).await?;
    sqlx::query("DELETE FROM staff").execute(pool).await?;
    Ok(format!("transactions: {refused}, kept {kept:?}"))
}

async fn types(pool: &PgPool) -> Result<String, Error> {
    let sql =
        "SELECT $1::uuid, $2::int[], $3::bytea, $4::timestamptz = 'epoch', ($5::text::numeric * 2)::text, $6::jsonb";
    let row = sqlx::query(sql)
        .bind(Uuid::from_u128(7))
        .bind([1, 2, 3])
        .bind([0_u8, 255].as_slice())
        .bind(sqlx::types::time::OffsetDateTime::UNIX_EPOCH)
        .bind("12345678901234567890.123456789")
        .bind(json!([1, null, {"a": "é"}]))
        .fetch_one(pool)
        .await?;
    let (id, list, bytes): (Uuid, Vec<i32>, Vec<u8>) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let (epoch, number, json): (bool, String, Value) = (row.try_get(3)?, row.try_get(4)?, row.try_get(5)?);
    Ok(format!("types: {id} {list:?} {bytes:?} {epoch} {number} {json}"))
}

async fn copy(pool: &PgPool) -> Result<String, Error> {
    let mut client = pool.acquire().await?;
    let mut sink = client.copy_in_raw("COPY staff (name, works_as) FROM STDIN (FORMAT csv)").await?;
    for nth in 0..300 {
        sink.send(format!("\"copied, {nth}\",reception\n").into_bytes()).await?;
    }
    let written = sink.finish().await?;
    let out = client.copy_out_raw("COPY (SELECT name FROM staff ORDER BY id) TO STDOUT (FORMAT csv)").await?;
    let out: Vec<_> = out.try_collect::<Vec<_>>().await?.concat();
    sqlx::query("DELETE FROM staff").execute(&mut *client).await?;
    let first = String::from_utf8_lossy(&out).lines().next().unwrap_or_default().to_owned();
    Ok(format!("copy: {written} in, {} bytes out, first {first}", out.len()))
}

async fn crowd(pool: &PgPool) -> Result<String, Error> {
    let work = (0..CONNECTIONS * 4).zip(0_i64..).map(async |(_, nth)| {
        let mut total = 0;
        for turn in 0..10 {
            let mut transaction = pool.begin().await?;
            let sum = sqlx::query_scalar::<_, i64>("SELECT $1 + count(*) FROM breeds WHERE id > $2");
            total += sum.bind(turn).bind(nth).fetch_one(&mut *transaction).await?;
            transaction.commit().await?;
        }
        Ok::<i64, Error>(total)
    });
    Ok(format!("crowd: {:?}", try_join_all(work).await?))
}

async fn notifications(pool: &PgPool) -> Result<String, Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen_all(["pets", "owners"]).await?;
    for (channel, text) in [("pets", "barks"), ("nobody", "listens"), ("owners", "")] {
        sqlx::query("SELECT pg_notify($1, $2)").bind(channel).bind(text).execute(pool).await?;
    }
    let mut heard = Vec::new();
    for _ in 0..2 {
        let news = listener.recv().await?;
        heard.push(format!("{}={}", news.channel(), news.payload()));
    }
    Ok(format!("notifications: {heard:?}"))
}

async fn settings(pool: &PgPool) -> Result<String, Error> {
    let shown = "SELECT current_setting('TimeZone') || ' ' || current_setting('statement_timeout')";
    let (mut one, mut other) = (pool.acquire().await?, pool.acquire().await?);
    let before: String = sqlx::query_scalar(shown).fetch_one(&mut *other).await?;
    sqlx::query("SET TimeZone = 'America/Sao_Paulo'").execute(&mut *one).await?;
    let mut transaction = one.begin().await?;
    sqlx::query("SET LOCAL statement_timeout = '7s'").execute(&mut *transaction).await?;
    let inside: String = sqlx::query_scalar(shown).fetch_one(&mut *transaction).await?;
    transaction.commit().await?;
    let after: String = sqlx::query_scalar(shown).fetch_one(&mut *one).await?;
    let others: String = sqlx::query_scalar(shown).fetch_one(&mut *other).await?;
    Ok(format!("settings: {inside}, then {after}; another client is undisturbed: {}", others == before))
}
