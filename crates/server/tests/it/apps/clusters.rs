//! A cluster is checked before anything is recorded.

use devdb::Scratch;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::api::{Reply, operator};
use crate::bed::{Bed, Options, connect, enter, rows};

const SECRET: &str = "pa55word-of-nobody";

async fn add(bed: &Bed, body: Value) -> Reply {
    operator(bed, Method::POST, "/clusters", Some(body)).await
}

async fn names(bed: &Bed) -> Vec<String> {
    let list = operator(bed, Method::GET, "/clusters", None).await;
    let items = list.body["items"].as_array().expect("items");
    items.iter().map(|item| item["name"].as_str().expect("a name").to_owned()).collect()
}

/// User, password, host and port of a server.
fn parts(dsn: &str) -> (String, String, String, String) {
    let rest = dsn.trim_start_matches("postgresql://");
    let (login, address) = rest.split_once('@').expect("a login");
    let (user, password) = login.split_once(':').expect("a password");
    let (host, port) = address.split('/').next().expect("an address").split_once(':').expect("a port");
    [user, password, host, port].map(ToOwned::to_owned).into()
}

#[tokio::test]
async fn a_dsn_that_cannot_be_used_is_refused_without_being_repeated() {
    let bed = Bed::bare(Options::default()).await;
    let (user, _, host, port) = parts(&bed.server_dsn(0, "postgres"));
    for dsn in [
        String::new(),
        SECRET.to_owned(),
        format!("mysql://root:{SECRET}@{host}/x"),
        format!("postgresql://{user}:{SECRET}@/postgres"),
        format!("postgresql://{user}:{SECRET}@{host}:notaport/postgres"),
        format!("postgresql://{user}:{SECRET}@{host}:0/postgres"),
        format!("postgresql://{user}:{SECRET}@{host}:99999/postgres"),
        format!("postgresql://{user}:%ff{SECRET}@{host}:{port}/postgres?x"),
        format!("host={host},{host},{host} port=1,2 user={user} password={SECRET}"),
        format!("postgresql://{user}:x@{host}:{port}/postgres?target_session_attrs={SECRET}"),
        format!("postgresql://{user}:{SECRET}@%2Frun%2Fa%2Cb/postgres"),
        format!("postgresql://{user}:{SECRET}@%2Frun%2Fpostgresql,{host}/postgres?sslmode=verify-full"),
        format!("postgresql://{user}:{SECRET}@{host}:{port}/postgres?sslmode=prefer"),
        format!("postgresql://{user}:{SECRET}@{host}:{port}/postgres?sslrootcert=/etc/{SECRET}"),
        format!("postgresql://{user}:{SECRET}@{host}:{port}/postgres?sslmode=verify-ca"),
        format!("postgresql://{user}@{host}:{port}/postgres?passwort={SECRET}"),
        format!("postgresql://{host}:{port}/postgres?password={SECRET}"),
        format!("host={host} port={port} user={user} password=two {SECRET}"),
        format!("host={host} port={port} user={user} password=two {SECRET}=x"),
        format!("host={host} user={user} password='{SECRET}"),
        format!("host={host} hostaddr={SECRET} user={user} password=x"),
    ] {
        let refused = add(&bed, json!({"name": "third", "dsn": dsn})).await;
        refused.is_problem(422, "INVALID_CLUSTER").points_at("/dsn");
        assert!(!format!("{refused:?}").contains(SECRET), "{dsn}: {refused:#?}");
    }
    for (body, pointer) in [
        (json!({"name": "third"}), "/dsn"),
        (json!({"dsn": "x"}), "/name"),
        (json!({"name": "Third", "dsn": "x"}), "/name"),
        (json!({"name": "", "dsn": "x"}), "/name"),
        (json!({"name": "third", "dsn": 5}), "/dsn"),
        (json!({"name": "third", "dsn": "x", "capacity": 0}), "/capacity"),
        (json!({"name": "third", "dsn": "x", "capacity": -3}), "/capacity"),
        (json!({"name": "third", "dsn": "x", "capacity": 2_147_483_648_i64}), "/capacity"),
        (json!({"name": "third", "dsn": "x", "dedicated": "yes"}), "/dedicated"),
        (json!({"name": "third", "dsn": "x", "exclusive": true}), "/exclusive"),
    ] {
        add(&bed, body).await.is_problem(422, "INVALID_FIELD").points_at(pointer);
    }
    assert_eq!(names(&bed).await, ["main", "dedicated"], "nothing was recorded");
    bed.close().await;
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_not_recorded() {
    let bed = Bed::bare(Options::default()).await;
    let (user, password, host, port) = parts(&bed.server_dsn(0, "postgres"));
    let nobody = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("bound").port();
    for (dsn, said) in [
        (format!("postgresql://{user}:{SECRET}@127.0.0.1:{nobody}/postgres"), "refused"),
        (format!("postgresql://{user}:{SECRET}@{host}:{port}/postgres"), "password authentication failed"),
        (format!("postgresql://{user}:{password}@{host}:{port}/no_such_database"), "does not exist"),
        (format!("postgresql://{user}:{password}@{host}:{port}/postgres?sslmode=require"), "does not support TLS"),
    ] {
        let failed = add(&bed, json!({"name": "third", "dsn": dsn})).await;
        failed.is_problem(502, "CLUSTER_FAILED").says("third").says(said);
        let text = format!("{failed:?}");
        assert!(!text.contains(SECRET) && !text.contains(&password), "{failed:#?}");
    }
    assert_eq!(names(&bed).await, ["main", "dedicated"]);
    bed.close().await;
}

#[tokio::test]
async fn a_role_that_is_no_superuser_is_not_enough() {
    let bed = Bed::bare(Options::default()).await;
    let role = format!("app_{}_plain", bed.app);
    let server = bed.superuser(0, "postgres").await;
    let make = format!("CREATE ROLE {role} LOGIN CREATEROLE CREATEDB PASSWORD '{SECRET}'");
    server.batch_execute(&make).await.expect("a role");
    let (_, _, host, port) = parts(&bed.server_dsn(0, "postgres"));
    let dsn = format!("postgresql://{role}:{SECRET}@{host}:{port}/postgres");
    let refused = add(&bed, json!({"name": "third", "dsn": dsn})).await;
    refused.is_problem(422, "INVALID_CLUSTER").points_at("/dsn").says("no superuser").says(&role);
    assert_eq!(names(&bed).await, ["main", "dedicated"]);
    server.batch_execute(&format!("DROP ROLE {role}")).await.expect("dropped");
    bed.close().await;
}

#[tokio::test]
async fn a_server_where_transactions_outlive_their_sessions_is_refused() {
    let bed = Bed::bare(Options::default()).await;
    let programs = devdb::Programs::find().expect("PostgreSQL");
    let server = Scratch::start_with(&programs, &[("max_prepared_transactions", "5")]).await.expect("a server");
    let refused = add(&bed, json!({"name": "third", "dsn": server.dsn("postgres")})).await;
    refused.is_problem(422, "INVALID_CLUSTER").points_at("/dsn").says("max_prepared_transactions");
    assert_eq!(names(&bed).await, ["main", "dedicated"]);
    server.stop().await.expect("stopped");
    bed.close().await;
}

#[tokio::test]
async fn a_known_cluster_takes_a_new_dsn_and_keeps_its_tenants() {
    let bed = Bed::make().await;
    let made = bed.tenant("stays", "shared").await;
    let before = operator(&bed, Method::GET, "/clusters", None).await;
    let (user, password, host, port) = parts(&bed.server_dsn(0, "postgres"));
    let dsn = format!("host={host} port={port} user={user} password={password} dbname=template1");
    let again = add(&bed, json!({"name": "main", "dsn": dsn, "capacity": 5})).await;
    assert_eq!(again.status, 201, "{again:#?}");
    assert_eq!(again.body["id"], before.body["items"][0]["id"], "the same cluster");
    assert_eq!((&again.body["tenants"], &again.body["capacity"]), (&json!(1), &json!(5)));
    assert!(!again.body.to_string().contains(&password), "{again:#?}");
    assert_eq!(rows(&enter(&made).await, "SELECT count(*) FROM clients").await, ["1"]);
    bed.tenant("comes", "database").await;
    assert_eq!(names(&bed).await, ["main", "dedicated"]);
    bed.close().await;
}

#[tokio::test]
async fn a_known_cluster_stays_the_same_server_of_the_same_kind() {
    let bed = Bed::make().await;
    let made = bed.tenant("stays", "shared").await;
    let elsewhere = add(&bed, json!({"name": "main", "dsn": bed.server_dsn(1, "postgres")})).await;
    elsewhere.is_problem(422, "INVALID_CLUSTER").points_at("/dsn").says("lacks its database");
    let kind = add(&bed, json!({"name": "main", "dsn": bed.server_dsn(0, "postgres"), "dedicated": true})).await;
    kind.is_problem(409, "CLUSTER_KIND_FIXED").points_at("/dedicated").says("not dedicated");
    let twice = add(&bed, json!({"name": "third", "dsn": bed.server_dsn(0, "postgres")})).await;
    twice.is_problem(422, "INVALID_CLUSTER").points_at("/dsn").says("register each server once");
    assert_eq!(names(&bed).await, ["main", "dedicated"]);
    assert_eq!(rows(&enter(&made).await, "SELECT count(*) FROM clients").await, ["1"], "nothing was touched");
    bed.tenant("comes", "cluster").await;
    bed.close().await;
}

/// The second of two apps finds its database taken: the first one's goes again, and so does the record.
#[tokio::test]
async fn a_registration_that_fails_in_the_middle_leaves_nothing() {
    let bed = Bed::make().await;
    let other = format!("z{}", &bed.app.as_str()[1..]);
    let table = json!([{"path": "migrations/1.sql", "content": "CREATE TABLE things (id uuid PRIMARY KEY)"}]);
    let body = json!({"manifest": format!("name = \"{other}\""), "files": table});
    assert_eq!(operator(&bed, Method::POST, "/apps", Some(body)).await.status, 201);

    let third = Scratch::start().await.expect("a third server");
    let server = connect(&third.dsn("postgres")).await.expect("a superuser's session");
    server.batch_execute(&format!("CREATE DATABASE tpl_{other}")).await.expect("somebody else's database");
    let wanted = json!({"name": "third", "dsn": third.dsn("postgres")});
    let failed = add(&bed, wanted.clone()).await;
    failed.is_problem(409, "DATABASE_TAKEN").says(&format!("tpl_{other}"));
    assert_eq!(names(&bed).await, ["main", "dedicated"]);
    let left = "SELECT datname FROM pg_database WHERE datname LIKE '%\\_p%' OR datname LIKE '%\\_z%' ORDER BY 1";
    assert_eq!(rows(&server, left).await, [format!("tpl_{other}")], "only what was there before");

    server.batch_execute(&format!("DROP DATABASE tpl_{other}")).await.expect("dropped");
    assert_eq!(add(&bed, wanted.clone()).await.status, 201);
    let body = json!({"slug": "new", "app": other, "isolation": "schema", "cluster": "third"});
    assert_eq!(operator(&bed, Method::POST, "/tenants", Some(body)).await.status, 201);

    // A new address or password does not lift a bound.
    let bound = json!({"name": "third", "dsn": third.dsn("postgres"), "capacity": 1});
    assert_eq!(add(&bed, bound).await.body["capacity"], 1);
    assert_eq!(add(&bed, wanted).await.body["capacity"], 1);
    let body = json!({"slug": "one-more", "app": other, "cluster": "third"});
    let full = operator(&bed, Method::POST, "/tenants", Some(body)).await;
    full.is_problem(409, "NO_CLUSTER_ROOM").points_at("/cluster").says("third");
    bed.close().await;
    third.stop().await.expect("stopped");
}
