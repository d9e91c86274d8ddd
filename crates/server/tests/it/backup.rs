//! Copies of tenants, and tenants from copies.

mod faults;
mod replace;
mod restore;
mod s3;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::bed::{Bed, enter, one, rows};

pub(crate) const EACH: [&str; 4] = ["shared", "schema", "database", "cluster"];

/// Waits for an operation that a request has begun, and gives it as it ended.
pub(crate) async fn ended(bed: &Bed, (status, begun): (StatusCode, Value)) -> Value {
    assert_eq!(status, StatusCode::ACCEPTED, "{begun:#}");
    let id = begun["operation"].as_str().or(begun["id"].as_str()).expect("an operation").to_owned();
    let mut last = Value::Null;
    for _ in 0..1200 {
        let (_, operation) = bed.call(Method::GET, &format!("/operations/{id}"), None).await;
        if !operation["ended_at"].is_null() {
            return operation;
        }
        last = operation;
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("it does not end: {last:#}");
}

pub(crate) async fn succeeded(bed: &Bed, answer: (StatusCode, Value)) -> Value {
    let ended = ended(bed, answer).await;
    assert_eq!(ended["state"], "succeeded", "{ended:#}");
    ended
}

/// Backs a tenant up, and gives the backup's id.
pub(crate) async fn back_up(bed: &Bed, slug: &str) -> String {
    let begun = bed.call(Method::POST, &format!("/tenants/{slug}/backups"), None).await;
    let ended = succeeded(bed, begun).await;
    ended["steps"][0]["output"]["backup"].as_str().expect("a backup").to_owned()
}

/// A tenant with rows that are hard to copy.
pub(crate) async fn furnished(bed: &Bed, slug: &str, isolation: &str) -> Value {
    let made = bed.tenant(slug, isolation).await;
    let client = enter(&made).await;
    client
        .batch_execute(
            "INSERT INTO clients (name, email) SELECT 'client ' || n, 'c' || n || '@example.org' FROM generate_series(1, 500) n;
             INSERT INTO clients (name, email) VALUES (E'tab\\there, line\\nhere, back\\\\slash, \\\\N', 'odd@example.org');
             DELETE FROM clients WHERE email = 'c7@example.org'",
        )
        .await
        .expect("rows");
    made
}

/// Everything that a tenant sees of its tables, and what its next client would get for an id.
pub(crate) async fn everything(client: &Client) -> Vec<String> {
    let tables = rows(
        client,
        "SELECT table_name FROM information_schema.tables WHERE table_type = 'BASE TABLE'
         AND table_schema NOT IN ('pg_catalog', 'information_schema', 'sindico', 'global') ORDER BY 1",
    )
    .await;
    let mut all = Vec::new();
    for table in tables {
        let found = rows(client, &format!("SELECT (to_jsonb(t) - 'tenant_id')::text FROM {table} t ORDER BY 1")).await;
        all.push(format!("{table}: {}", found.len()));
        all.extend(found);
    }
    all
}

#[tokio::test]
async fn a_backup_of_any_isolation_becomes_a_tenant_of_any_other() {
    let bed = Bed::make().await;
    for (nth, from) in EACH.into_iter().enumerate() {
        let made = furnished(&bed, &format!("from-{from}"), from).await;
        let client = enter(&made).await;
        let before = everything(&client).await;
        assert!(before.len() > 500, "{}", before.len());
        let last = one(&client, "SELECT max(id) + 1 FROM clients").await;
        let backup = back_up(&bed, &format!("from-{from}")).await;
        // What is written later is not in it.
        client
            .batch_execute("DELETE FROM clients; INSERT INTO clients (name, email) VALUES ('late', 'l@example.org')")
            .await
            .expect("rows");

        let verified = bed.call(Method::POST, &format!("/backups/{backup}/verify"), None).await;
        succeeded(&bed, verified).await;
        for to in [EACH[nth], EACH[(nth + 1) % 4], EACH[(nth + 2) % 4]] {
            let slug = format!("{from}-to-{to}");
            let body = json!({"slug": slug, "isolation": to});
            let (status, restored) = bed.call(Method::POST, &format!("/backups/{backup}/restore"), Some(body)).await;
            let key = restored.clone();
            succeeded(&bed, (status, restored)).await;
            restore::is_open(&key).await;
            let other = enter(&key).await;
            assert_eq!(everything(&other).await, before, "{slug}");
            // Sequences go on where they were.
            let next =
                rows(&other, "INSERT INTO clients (name, email) VALUES ('next', 'n@example.org') RETURNING id").await;
            assert_eq!(next.concat(), last, "{slug}");
            // Whose it was has nothing to do with it.
            assert_eq!(rows(&client, "SELECT name FROM clients").await, ["late"], "{slug}");
        }
    }
    let (_, listed) = bed.call(Method::GET, "/backups", None).await;
    let listed = listed["items"].as_array().expect("backups");
    assert_eq!(listed.len(), 4);
    assert!(
        listed
            .iter()
            .all(|it| it["state"] == "complete" && !it["verified_at"].is_null() && it["verify_error"].is_null())
    );
    bed.close().await;
}

#[tokio::test]
async fn a_backup_is_of_one_moment() {
    let bed = Bed::make().await;
    for isolation in ["shared", "schema", "database"] {
        let slug = format!("busy-{isolation}");
        let made = bed.tenant(&slug, isolation).await;
        let client = enter(&made).await;
        // Each transaction writes a client and an animal of it: a copy of two moments would have one without the other.
        let work = tokio::spawn(async move {
            for n in 0..400 {
                let sql = format!(
                    "BEGIN; INSERT INTO clients (name, email) VALUES ('w', 'w{n}@example.org');
                     INSERT INTO animals (client_id, name, species_id) SELECT max(id), 'rex', 1 FROM clients; COMMIT"
                );
                client.batch_execute(&sql).await.expect("written");
            }
        });
        for _ in 0..3 {
            let backup = back_up(&bed, &slug).await;
            let (_, shown) = bed.call(Method::GET, &format!("/backups/{backup}"), None).await;
            let count = |table: &str| {
                let tables = shown["contents"]["tables"].as_array().expect("tables");
                tables.iter().find(|it| it["name"] == table).expect(table)["rows"].as_u64().expect("rows")
            };
            assert_eq!(count("clients"), count("animals"), "{isolation}");
        }
        work.await.expect("done");
    }
    bed.close().await;
}

#[tokio::test]
async fn nobody_elses_rows_are_in_a_backup() {
    let bed = Bed::make().await;
    let (one, two) = (bed.tenant("one", "shared").await, bed.tenant("two", "shared").await);
    for (made, name) in [(&one, "mine"), (&two, "theirs")] {
        let sql = format!(
            "INSERT INTO clients (name, email) SELECT '{name}', n || '@example.org' FROM generate_series(1, 50) n"
        );
        enter(made).await.batch_execute(&sql).await.expect("rows");
    }
    // The app's first row is there as well.
    assert_eq!(self::one(&enter(&one).await, "SELECT count(*) FROM clients").await, "51");
    let backup = back_up(&bed, "one").await;
    let rows = bed.raw(Method::GET, &format!("/api/v1/backups/{backup}/tables/clients?format=csv"));
    let answer = rows.bearer_auth(crate::bed::TOKEN).send().await.expect("an answer");
    assert_eq!(answer.headers()["x-row-count"], "51");
    let text = answer.text().await.expect("rows");
    assert!(
        text.contains("mine") && !text.contains("theirs") && !text.contains(two["id"].as_str().expect("an id")),
        "{text}"
    );
    assert_eq!(text.lines().count(), 52, "{text}");
    // Nothing of it can be read in the store.
    let mut found = 0;
    for folder in walk(bed.store()) {
        let bytes = std::fs::read(&folder).expect("a file");
        let name = folder.file_name().expect("a name").to_string_lossy().into_owned();
        if !name.starts_with("manifest") {
            found += 1;
            assert!(!bytes.windows(4).any(|it| it == b"mine"), "{name}");
        }
    }
    assert!(found > 3, "{found}");
    bed.close().await;
}

pub(crate) fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { files.extend(walk(&path)) } else { files.push(path) }
    }
    files
}

#[tokio::test]
async fn every_tenant_of_an_app_is_backed_up_and_the_others_are_told() {
    let bed = Bed::make().await;
    for (nth, isolation) in EACH.into_iter().enumerate() {
        bed.tenant(&format!("t{nth}"), isolation).await;
    }
    let path = format!("/apps/{}/backups", bed.app);
    bed.control()
        .await
        .batch_execute("UPDATE sindico.tenants SET created_at = now() - interval '2 days'")
        .await
        .expect("aged");
    let (_, before) = bed.call(Method::GET, &path, None).await;
    let overdue =
        |page: &Value| page["items"].as_array().expect("items").iter().filter(|it| it["overdue"] == true).count();
    assert_eq!((overdue(&before), &before["objective_seconds"]), (4, &json!(86400)));
    // A table that is gone is one tenant's trouble.
    let (_, broken) = bed.call(Method::GET, "/tenants/t2", None).await;
    let database = broken["placement"]["database"].as_str().expect("a database");
    bed.superuser(0, database).await.batch_execute("ALTER TABLE animals RENAME TO \"REVOKED\"; REVOKE ALL ON \"REVOKED\" FROM PUBLIC; ALTER TABLE \"REVOKED\" OWNER TO CURRENT_USER; DO $$ DECLARE g text; BEGIN FOR g IN SELECT DISTINCT grantee::regrole::text FROM pg_class c, aclexplode(c.relacl) WHERE relname = 'REVOKED' AND grantee <> 0 AND grantee <> relowner LOOP EXECUTE 'REVOKE ALL ON \"REVOKED\" FROM ' || g; END LOOP; END $$").await.expect("spoilt");
    let begun = bed.call(Method::POST, &path, None).await;
    let ended = ended(&bed, begun).await;
    assert_eq!(ended["state"], "failed", "{ended:#}");
    assert!(
        ended["error"]
            .as_str()
            .expect("why")
            .contains("1 of 4 tenants could not be backed up, the first because: tenant \"t2\""),
        "{ended:#}"
    );
    let (_, after) = bed.call(Method::GET, &path, None).await;
    assert_eq!(overdue(&after), 1, "{after:#}");
    let (_, listed) = bed.call(Method::GET, "/backups", None).await;
    assert_eq!(listed["items"].as_array().expect("backups").len(), 3, "what was not finished is removed: {listed:#}");
    bed.close().await;
}

#[tokio::test]
async fn backups_are_removed_when_they_are_old_but_never_the_last() {
    let bed = Bed::make().await;
    bed.tenant("kept", "schema").await;
    let first = back_up(&bed, "kept").await;
    let second = back_up(&bed, "kept").await;
    let control = bed.control().await;
    control.batch_execute("UPDATE sindico.backups SET expires_at = now() - interval '1 day'").await.expect("aged");
    bed.lifecycle().expire_backups().await.expect("expired");
    let (status, _) = bed.call(Method::GET, &format!("/backups/{first}"), None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (status, shown) = bed.call(Method::GET, &format!("/backups/{second}"), None).await;
    assert_eq!((status, &shown["state"]), (StatusCode::OK, &json!("complete")), "the newest stays");
    assert!(walk(bed.store()).iter().all(|path| path.to_string_lossy().contains(&second)));
    // A tenant that is gone needs none.
    bed.call(Method::DELETE, "/tenants/kept", None).await;
    bed.lifecycle().expire_backups().await.expect("expired");
    let (status, _) = bed.call(Method::GET, &format!("/backups/{second}"), None).await;
    assert_eq!((status, walk(bed.store()).len()), (StatusCode::NOT_FOUND, 0));
    bed.close().await;
}
