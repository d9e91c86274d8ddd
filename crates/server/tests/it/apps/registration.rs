//! An app is accepted whole or leaves nothing.

use domain::AppName;
use reqwest::Method;
use serde_json::{Value, json};

use crate::api::{Reply, operator};
use crate::apps::{body, remains};
use crate::bed::{Bed, Options, enter, rows};

const TABLE: (&str, &str) = ("migrations/1.sql", "CREATE TABLE notes (id int PRIMARY KEY, body text NOT NULL UNIQUE);");

async fn register(bed: &Bed, files: &[(&str, &str)]) -> Reply {
    operator(bed, Method::POST, "/apps", Some(body(&bed.app, files))).await
}

async fn listed(bed: &Bed) -> Value {
    operator(bed, Method::GET, "/apps", None).await.body["items"].clone()
}

/// What they share on a server, such as who may change a setting, PostgreSQL lets only one change at a time.
#[tokio::test]
async fn apps_that_are_registered_at_once_do_not_fail_each_other() {
    let bed = Bed::bare(Options::default()).await;
    let names: Vec<AppName> = (0..6).map(|nth| format!("{}_{nth}", bed.app).parse().expect("a name")).collect();
    let register = |name| operator(&bed, Method::POST, "/apps", Some(body(name, &[TABLE])));
    for reply in futures_util::future::join_all(names.iter().map(register)).await {
        assert_eq!(reply.status, 201, "{reply:#?}");
    }
    bed.close().await;
}

#[tokio::test]
async fn the_same_app_again_changes_nothing_and_another_is_refused() {
    let bed = Bed::bare(Options::default()).await;
    assert_eq!(listed(&bed).await, json!([]));
    let first = register(&bed, &[TABLE]).await;
    assert_eq!((first.status, &first.body["ready"]), (201, &json!(true)), "{first:#?}");
    let made = bed.tenant("early", "shared").await;
    enter(&made).await.batch_execute("INSERT INTO notes VALUES (1, 'kept')").await.expect("a row");

    let again = register(&bed, &[TABLE]).await;
    assert_eq!((again.status, &again.body), (201, &first.body));
    let more = register(&bed, &[TABLE, ("migrations/2.sql", "CREATE TABLE more (id int PRIMARY KEY);")]).await;
    more.is_problem(409, "APP_TAKEN").points_at("/name").says("other files");
    assert_eq!(listed(&bed).await, json!([first.body]));
    assert_eq!(rows(&enter(&made).await, "SELECT body FROM notes").await, ["kept"]);
    bed.close().await;
}

#[tokio::test]
async fn everything_refused_is_listed_with_file_and_line() {
    let bed = Bed::bare(Options::default()).await;
    let migration = "CREATE TABLE fine (id int PRIMARY KEY);\n\nCREATE EXTENSION dblink;\nCREATE TABLESPACE mine LOCATION '/mine';\n";
    let seed = "-- first rows\nCOPY fine FROM '/etc/passwd';\n";
    let refused = register(&bed, &[("migrations/1.sql", migration), ("seed/1.sql", seed)]).await;
    refused.is_problem(422, "SQL_REFUSED");
    let errors = refused.body["errors"].as_array().expect("errors");
    let places: Vec<_> = errors.iter().filter_map(|error| error["pointer"].as_str()).collect();
    assert_eq!(places, ["migrations/1.sql:3", "migrations/1.sql:4", "seed/1.sql:2"], "{refused:#?}");
    for error in errors {
        assert!(error["detail"].as_str().is_some_and(|text| text.contains("; ")), "reason and remedy: {error}");
    }
    let broken = register(&bed, &[("migrations/1.sql", "CREATE TABLE a (id int);\nCREATE TABEL b (id int);")]).await;
    broken.is_problem(422, "SQL_REFUSED").points_at("migrations/1.sql:2");
    assert_eq!((listed(&bed).await, remains(&bed).await), (json!([]), vec![]));
    bed.close().await;
}

#[tokio::test]
async fn sql_that_fails_leaves_nothing_and_can_be_mended() {
    let bed = Bed::bare(Options::default()).await;
    let global = "-- sindico: global\nCREATE TABLE kinds (id int PRIMARY KEY);";
    for (files, place, said) in [
        // While the shared database is built.
        (
            vec![TABLE, ("migrations/2.sql", "\nCREATE TABLE x (id int DEFAULT 1/0, y nothing);")],
            "migrations/2.sql:2",
            "nothing",
        ),
        (
            vec![("migrations/1.sql", global), ("seed/1.sql", "INSERT INTO kinds VALUES (1), (1);")],
            "seed/1.sql:1",
            "duplicate",
        ),
        // Only once a tenant is made.
        (
            vec![TABLE, ("seed/1.sql", "INSERT INTO notes VALUES (1, 'a');\nINSERT INTO notes VALUES (2, 'a');")],
            "seed/1.sql:2",
            "duplicate",
        ),
        (vec![TABLE, ("seed/1.sql", "INSERT INTO notes VALUES (1, NULL);")], "seed/1.sql:1", "null value"),
    ] {
        let failed = register(&bed, &files).await;
        failed.is_problem(422, "SQL_FAILED").points_at(place).says(said);
        assert_eq!((listed(&bed).await, remains(&bed).await), (json!([]), vec![]), "{place}");
    }
    assert_eq!(register(&bed, &[TABLE]).await.status, 201, "the name is free for the mended app");
    bed.tenant("mended", "database").await;
    bed.close().await;
}

#[tokio::test]
async fn every_wrong_part_of_an_app_is_named() {
    let bed = Bed::bare(Options::default()).await;
    let name = format!("name = \"{}\"", bed.app);
    let with_files = |files: Value| json!({"manifest": name, "files": files});
    let with_file = |path: &str| with_files(json!([{"path": path, "content": "SELECT 1;"}]));
    for (body, code, pointer) in [
        (json!({"files": []}), "INVALID_FIELD", "/manifest"),
        (json!({"manifest": name}), "INVALID_FIELD", "/files"),
        (json!({"manifest": "", "files": []}), "INVALID_FIELD", "/manifest"),
        (json!({"manifest": "name = \"A\"", "files": []}), "INVALID_FIELD", "/manifest"),
        (json!({"manifest": "name = \"aaaaaaaaaaaaaaaaaaaaaaaaa\"", "files": []}), "INVALID_FIELD", "/manifest"),
        (json!({"manifest": format!("{name}\ntitel = \"x\""), "files": []}), "INVALID_FIELD", "/manifest"),
        (json!({"manifest": format!("{name}\ntitle = \"a\\u0000b\""), "files": []}), "INVALID_FIELD", "/manifest"),
        (json!({"manifest": format!("{name}\ndescription = \"\\u0000\""), "files": []}), "INVALID_FIELD", "/manifest"),
        (with_files(json!({})), "INVALID_FIELD", "/files"),
        (with_files(json!([{"path": "migrations/1.sql"}])), "INVALID_FIELD", "/files/0/content"),
        (with_files(json!([{"path": 1, "content": ""}])), "INVALID_FIELD", "/files/0/path"),
        (with_files(json!([{"path": "migrations/1.sql", "content": "\u{0}"}])), "INVALID_FIELD", "/files/0/content"),
        (with_files(json!([])), "INVALID_APP", "/files"),
        (with_file("1.sql"), "INVALID_APP", "/files"),
        (with_file("migrations/../seed/1.sql"), "INVALID_APP", "/files"),
        (with_file("migrations/1.txt"), "INVALID_APP", "/files"),
        (with_file("migrations/\u{0}.sql"), "INVALID_APP", "/files"),
        (with_file("migrations/a\nb.sql"), "INVALID_APP", "/files"),
        (with_file("/etc/passwd"), "INVALID_APP", "/files"),
    ] {
        let reply = operator(&bed, Method::POST, "/apps", Some(body)).await;
        reply.is_problem(422, code).points_at(pointer);
    }
    assert_eq!((listed(&bed).await, remains(&bed).await), (json!([]), vec![]));
    bed.close().await;
}

#[tokio::test]
async fn one_app_registered_twice_at_once_is_registered_once() {
    let bed = Bed::bare(Options::default()).await;
    let (one, two, other) = tokio::join!(
        register(&bed, &[TABLE]),
        register(&bed, &[TABLE]),
        register(&bed, &[TABLE, ("migrations/2.sql", "CREATE TABLE more (id int PRIMARY KEY);")])
    );
    let mut made = Vec::new();
    for reply in [one, two, other] {
        match reply.status {
            201 => made.push(reply.body["fingerprint"].clone()),
            409 => {
                assert!(["CHANGE_IN_PROGRESS", "APP_TAKEN"].contains(&reply.body["code"].as_str().unwrap_or_default()));
            }
            _ => panic!("{reply:#?}"),
        }
    }
    let listed = listed(&bed).await;
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed:#}");
    assert!(!made.is_empty() && made.iter().all(|print| *print == listed[0]["fingerprint"]), "{made:?} {listed:#}");
    bed.tenant("after", "shared").await;
    bed.close().await;
}

#[tokio::test]
async fn the_longest_name_fits_in_every_isolation() {
    let bed = Bed::bare(Options::default()).await;
    let longest: AppName = format!("{}_{}", bed.app, "z".repeat(23 - bed.app.as_str().len())).parse().expect("a name");
    assert_eq!(longest.as_str().len(), AppName::MAX_LEN);
    let reply = operator(&bed, Method::POST, "/apps", Some(body(&longest, &[TABLE]))).await;
    assert_eq!(reply.status, 201, "{reply:#?}");
    for isolation in ["shared", "schema", "database", "cluster"] {
        let made = bed.tenant(&format!("long-{isolation}"), isolation).await;
        let client = enter(&made).await;
        client.batch_execute("INSERT INTO notes VALUES (1, 'x')").await.expect("a row");
        let database = rows(&client, "SELECT current_database()").await;
        assert_eq!(made["placement"]["database"], database[0], "{isolation}: PostgreSQL did not cut the name");
    }
    bed.close().await;
}
