//! A control database of a test's own, with the tables that it needs.

use std::str::FromStr;

use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use uuid::Uuid;

/// Its connections, another way to it, and the cluster if that was started for it alone.
pub(crate) async fn database(prefix: &str, migrations: &[&str]) -> (PgPool, PgConnectOptions, Option<devdb::Scratch>) {
    let given = std::env::var("SINDICO_TEST_DSN_1").ok();
    let scratch = match given {
        Some(_) => None,
        None => Some(devdb::Scratch::start().await.expect("a scratch cluster")),
    };
    let dsn = given.or_else(|| scratch.as_ref().map(|scratch| scratch.dsn("postgres"))).expect("a server");
    let options = PgConnectOptions::from_str(&dsn).expect("a DSN");
    let server = PgPoolOptions::new().max_connections(1).connect_with(options.clone()).await.expect("connected");
    let name = format!("{prefix}_{}", Uuid::now_v7().simple());
    run(&server, &format!("CREATE DATABASE {name}")).await;
    server.close().await;
    let options = options.database(&name);
    let db = PgPoolOptions::new().max_connections(5).connect_with(options.clone()).await.expect("connected");
    run(&db, "CREATE SCHEMA sindico").await;
    for migration in migrations {
        run(&db, migration).await;
    }
    (db, options, scratch)
}

pub(crate) async fn run(db: &PgPool, sql: &str) {
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(db).await.expect("run");
}
