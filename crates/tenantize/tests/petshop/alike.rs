//! The same session in a plain database, among tenants who share tables, in a schema and in a database of one's own.

use std::fmt::Write as _;

use bytes::Bytes;
use domain::{Access, Role, TenantId, quote_ident};
use futures_util::SinkExt as _;
use tenantize::{Sources, SqlFile};
use tokio_postgres::{Client, Error, SimpleQueryMessage};

use crate::bench::{Bench, plan_of, run, run_as_written};
use crate::catalog;

/// Runs migrations and then a session everywhere, and checks that catalog and results are those of a plain database.
///
/// A line of the session that begins with COPY has its data on the lines below. Where tables are shared it goes to the
/// view that the gateway sends it to.
pub(crate) async fn alike(migrations: &str, session: &[&str]) {
    let file = SqlFile { name: "migrations/1.sql".to_owned(), text: migrations.to_owned() };
    let sources = Sources { migrations: vec![file], seed: Vec::new() };
    let planned = plan_of(&sources);
    let mut bench = Bench::new().await;

    let plain = bench.database("plain").await;
    run_as_written(&plain, &sources.migrations).await;
    let tables = catalog::describe(&plain, &["public"]).await;
    assert!(!tables.is_empty());
    let expected = play(&plain, session, "").await;

    let shared = bench.database("sh").await;
    run(&shared, &planned.shared_ddl(&bench.names)).await;
    assert_eq!(catalog::describe(&shared, &["public", "global"]).await, tables, "shared");
    assert_eq!(catalog::unprotected(&shared).await, Vec::<String>::new());
    let (rw, ro) = (bench.names.shared_rw.clone(), bench.names.shared_ro.clone());
    for _ in 0..2 {
        let tenant = bench.tenant(&rw, &ro).await;
        bench.sequences(&shared, tenant, &planned).await;
        let client = bench.login("sh", tenant, Access::ReadWrite).await;
        assert_eq!(play(&client, session, "sindico_copy.").await, expected, "shared");
    }

    let (rw, ro) = (bench.names.own_rw.clone(), bench.names.own_ro.clone());
    let tenant = bench.tenant(&rw, &ro).await;
    own_schema(&bench, &shared, tenant).await;
    run(&shared, &planned.own_schema_ddl(tenant)).await;
    let client = bench.login("sh", tenant, Access::ReadWrite).await;
    let path = format!("SET search_path = \"t_{}\", global, extensions", tenant.hex());
    client.batch_execute(&path).await.expect("search_path");
    assert_eq!(play(&client, session, "").await, expected, "schema");

    let own = bench.database("own").await;
    run(&own, &planned.own_database_ddl(&bench.names)).await;
    assert_eq!(catalog::describe(&own, &["public", "global"]).await, tables, "database");
    let client = bench.login("own", tenant, Access::ReadWrite).await;
    assert_eq!(play(&client, session, "").await, expected, "database");
    drop((client, own, shared, plain));
    bench.clear().await;
}

async fn own_schema(bench: &Bench, owner: &Client, tenant: TenantId) {
    let schema = quote_ident(&format!("t_{}", tenant.hex()));
    let role = quote_ident(&Role::new(tenant, Access::ReadWrite).to_string());
    let group = quote_ident(&bench.names.owner);
    let setup = format!(
        "RESET ROLE; CREATE SCHEMA {schema} AUTHORIZATION {group}; GRANT USAGE ON SCHEMA {schema} TO {role};
         SET ROLE {group}; SET search_path = {schema}, global, extensions"
    );
    owner.batch_execute(&setup).await.expect("a schema");
}

/// What each statement answers: rows, or SQLSTATE and constraint.
async fn play(client: &Client, session: &[&str], copy_schema: &str) -> Vec<String> {
    let mut answers = Vec::new();
    for sql in session {
        let outcome = match sql.strip_prefix("COPY ") {
            Some(rest) => {
                let (head, data) = rest.split_once('\n').expect("data after COPY");
                copy(client, &format!("COPY {copy_schema}{head}"), data).await
            }
            None => client.simple_query(sql).await.map(|messages| rows(&messages)),
        };
        answers.push(format!("{sql}: {}", outcome.unwrap_or_else(|error| refusal(&error))));
    }
    answers
}

async fn copy(client: &Client, head: &str, data: &str) -> Result<String, Error> {
    let sink = client.copy_in::<_, Bytes>(head).await?;
    let mut sink = Box::pin(sink);
    sink.send(Bytes::from(data.to_owned())).await?;
    sink.as_mut().finish().await.map(|count| count.to_string())
}

fn rows(messages: &[SimpleQueryMessage]) -> String {
    let mut text = String::new();
    for message in messages {
        match message {
            SimpleQueryMessage::Row(row) => {
                let values: Vec<&str> = (0..row.len()).map(|column| row.get(column).unwrap_or("NULL")).collect();
                write!(text, "({}) ", values.join(", ")).expect("a string takes every text");
            }
            SimpleQueryMessage::CommandComplete(count) => {
                write!(text, "{count}").expect("a string takes every text");
            }
            _ => {}
        }
    }
    text
}

fn refusal(error: &Error) -> String {
    error.as_db_error().map_or_else(
        || error.to_string(),
        |error| format!("{} {}", error.code().code(), error.constraint().unwrap_or_default()),
    )
}
