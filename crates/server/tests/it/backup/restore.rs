//! Backups of one version of an app in another; rows that run something of the app's when they are written.

use catalog::AppFile;
use lifecycle::AddApp;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::backup::{EACH, back_up, ended, everything, furnished, succeeded, walk};
use crate::bed::{Bed, Options, connect, enter, one, pet_shop, rows, sqlstate};
use crate::migrate::{apply, with};

/// A column that is filled, rows, and one that is gone.
const NEWER: &str = "
    ALTER TABLE clients ADD COLUMN number bigserial UNIQUE;
    CREATE TABLE cards (id bigserial PRIMARY KEY, client_id bigint NOT NULL UNIQUE REFERENCES clients ON DELETE CASCADE);
    INSERT INTO cards (client_id) SELECT id FROM clients;
    ALTER TABLE clients DROP COLUMN street;";

pub(super) async fn restore(bed: &Bed, backup: &str, slug: &str, isolation: &str) -> Value {
    let body = json!({"slug": slug, "isolation": isolation});
    let (status, made) = bed.call(Method::POST, &format!("/backups/{backup}/restore"), Some(body)).await;
    let key = made.clone();
    succeeded(bed, (status, made)).await;
    is_open(&key).await;
    key
}

/// The operation ends with the transaction that opens the tenant; doors hear of it right after.
pub(super) async fn is_open(key: &Value) {
    let mut last = None;
    for _ in 0..100 {
        match connect(key["dsn"].as_str().expect("a connection string")).await {
            Ok(_) => return,
            Err(error) => last = Some(error),
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the tenant is not opened: {last:?}");
}

#[tokio::test]
async fn what_was_backed_up_before_a_migration_is_migrated_on_its_way() {
    let bed = Bed::make().await;
    let mut backups = Vec::new();
    for isolation in EACH {
        let slug = format!("old-{isolation}");
        furnished(&bed, &slug, isolation).await;
        backups.push(back_up(&bed, &slug).await);
    }
    let applied = apply(&bed, &with(&bed, &[("0090_newer", NEWER)]), json!({})).await;
    assert_eq!(applied["state"], "succeeded", "{applied:#}");
    for (nth, backup) in backups.iter().enumerate() {
        // One that stayed and was migrated is what one that was away has to be.
        let (_, key) =
            bed.call(Method::POST, &format!("/tenants/old-{}/keys", EACH[nth]), Some(json!({"label": "x"}))).await;
        let dsn = key["dsn"].as_str().expect("a dsn").to_owned();
        let stayed = everything(&enter(&json!({"dsn": dsn})).await).await;
        assert!(
            stayed.iter().any(|row| row.contains("\"number\"")) && !stayed.iter().any(|row| row.contains("\"street\""))
        );
        let to = EACH[(nth + 1) % 4];
        let made = restore(&bed, backup, &format!("back-{to}"), to).await;
        let client = enter(&made).await;
        assert_eq!(everything(&client).await, stayed, "{} to {to}", EACH[nth]);
        assert_eq!(
            rows(&client, "INSERT INTO clients (name, email) VALUES ('n', 'n@example.org') RETURNING number")
                .await
                .len(),
            1
        );
        let (_, shown) = bed.call(Method::GET, &format!("/tenants/back-{to}"), None).await;
        let (_, other) = bed.call(Method::GET, &format!("/tenants/old-{to}"), None).await;
        assert_eq!(shown["version"], other["version"]);
        // It can be tried as it was.
        let verified = bed.call(Method::POST, &format!("/backups/{backup}/verify"), None).await;
        succeeded(&bed, verified).await;
    }
    // What restoring needed is gone, and tables are just what their version has.
    let verified = bed.call(Method::POST, &format!("/apps/{}/migrations/verify", bed.app), None).await;
    let verified = succeeded(&bed, verified).await;
    assert_eq!(verified["steps"][0]["output"]["drifted"], json!([]), "{verified:#}");
    let inside = bed.superuser(0, &format!("app_{}", bed.app)).await;
    assert_eq!(one(&inside, "SELECT count(*) FROM pg_namespace WHERE nspname ~ '^t_'").await, "2");
    bed.close().await;
}

/// Functions of the app in a check, a generated column, an index and a domain, and a trigger that fires whatever happens. What they do is
/// written down by each with who did it.
const BUSY: &str = "
    CREATE FUNCTION upright(value text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
        BEGIN RETURN value <> '' AND current_setting('is_superuser') = 'off'; END $$;
    CREATE FUNCTION doubled(value integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$
        BEGIN IF current_setting('is_superuser') = 'on' THEN RAISE EXCEPTION 'an administrator'; END IF; RETURN value * 2; END $$;
    CREATE DOMAIN word AS text CHECK (upright(VALUE));
    CREATE TABLE notes (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        title word NOT NULL,
        body text CHECK (upright(body)),
        size integer NOT NULL,
        twice integer GENERATED ALWAYS AS (doubled(size)) STORED
    );
    CREATE INDEX ON notes (doubled(size));
    CREATE TABLE sliced (id integer NOT NULL, size integer NOT NULL) PARTITION BY RANGE (doubled(size));
    CREATE TABLE sliced_low PARTITION OF sliced FOR VALUES FROM (MINVALUE) TO (10);
    CREATE TABLE sliced_high PARTITION OF sliced DEFAULT;
    CREATE TABLE worded (id integer PRIMARY KEY, title text CHECK (title::word IS NOT NULL));
    CREATE FUNCTION shouted() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN IF current_setting('is_superuser') = 'on' THEN RAISE EXCEPTION 'an administrator'; END IF; RETURN NULL; END $$;
    CREATE TRIGGER shouted AFTER INSERT OR DELETE OR TRUNCATE ON notes FOR EACH STATEMENT EXECUTE FUNCTION shouted();
    INSERT INTO sliced SELECT n, n FROM generate_series(1, 20) n;
    INSERT INTO worded VALUES (1, 'one');
    CREATE TYPE mood AS ENUM ('calm', 'wild');
    CREATE TABLE moods (id integer PRIMARY KEY, mood mood NOT NULL, several mood[], price money, span interval, at timestamptz, bytes bytea,
        ratio double precision, doc jsonb, raw xml, fixed char(8));
    INSERT INTO notes (title, body, size) SELECT 'title ' || n, 'body', n FROM generate_series(1, 20) n;
    INSERT INTO moods VALUES (1, 'wild', '{calm,wild}', 1234.56, '1 year 2 days 03:04:05.678', '2026-11-22 10:00:00.123456+03', '\\x00ff0a5c',
        0.1::float8 + 0.2::float8, '{\"a\": [1, null, \"\\\\n\"]}', '<a>b</a>', 'ab'), (2, 'calm', NULL, NULL, NULL, 'infinity', '', 'NaN', 'null', NULL, '');";

#[tokio::test]
async fn the_apps_functions_never_run_as_an_administrator() {
    let bed = Bed::bare(Options::default()).await;
    let mut app: AddApp = pet_shop(&bed.app);
    app.files.push(AppFile { path: "migrations/0090_busy.sql".to_owned(), content: BUSY.to_owned() });
    bed.lifecycle().add_app(app).await.expect("registered");
    for isolation in ["shared", "schema", "database"] {
        let slug = format!("busy-{isolation}");
        let made = bed.tenant(&slug, isolation).await;
        let before = everything(&enter(&made).await).await;
        assert!(before.iter().any(|row| row == "notes: 20"), "{before:#?}");
        let backup = back_up(&bed, &slug).await;
        for to in ["shared", "schema", "database"] {
            let made = restore(&bed, &backup, &format!("{isolation}-{to}"), to).await;
            let client = enter(&made).await;
            assert_eq!(everything(&client).await, before, "{isolation} to {to}");
            assert_eq!(sqlstate(&client, "INSERT INTO notes (title, size) VALUES ('', 1)").await, "23514");
        }
        let begun = bed.call(Method::POST, &format!("/tenants/{slug}/restore"), Some(json!({"backup": backup}))).await;
        succeeded(&bed, begun).await;
        is_open(&made).await;
        assert_eq!(everything(&enter(&made).await).await, before, "{isolation} in place");
        let verified = bed.call(Method::POST, &format!("/backups/{backup}/verify"), None).await;
        succeeded(&bed, verified).await;
    }
    bed.close().await;
}

#[tokio::test]
async fn a_backup_that_was_changed_makes_no_tenant() {
    let bed = Bed::make().await;
    furnished(&bed, "whole", "schema").await;
    let backup = back_up(&bed, "whole").await;
    let files = walk(bed.store());
    let of = |end: &str| files.iter().find(|path| path.to_string_lossy().ends_with(end)).expect(end).clone();
    let rows = files.iter().filter(|path| path.extension().is_some_and(|end| end == "rows"));
    let largest = rows.max_by_key(|path| std::fs::metadata(path).expect("a file").len()).expect("rows").clone();
    for (path, how) in [(largest, "is damaged"), (of("manifest.json"), "its manifest was changed")] {
        let kept = std::fs::read(&path).expect("read");
        let mut bent = kept.clone();
        let middle = bent.len() / 2;
        bent[middle] ^= 4;
        std::fs::write(&path, &bent).expect("written");
        let body = json!({"slug": "bent", "isolation": "shared"});
        let (status, answer) = bed.call(Method::POST, &format!("/backups/{backup}/restore"), Some(body)).await;
        if how == "is damaged" {
            let id = answer["id"].as_str().expect("an id").to_owned();
            let ended = ended(&bed, (status, answer)).await;
            assert_eq!(ended["state"], "failed", "{ended:#}");
            assert!(ended["error"].as_str().expect("why").contains(how), "{ended:#}");
            assert_eq!(bed.traces(&id).await, Vec::<String>::new());
        } else {
            assert_eq!((status, &answer["code"]), (StatusCode::CONFLICT, &json!("BACKUP_UNUSABLE")));
            assert!(answer["detail"].as_str().expect("why").contains(how), "{answer:#}");
        }
        let verified = bed.call(Method::POST, &format!("/backups/{backup}/verify"), None).await;
        assert_eq!(ended(&bed, verified).await["state"], "failed", "{how}");
        let (_, listed) = bed.call(Method::GET, "/backups", None).await;
        assert!(listed["items"][0]["verify_error"].as_str().expect("what was wrong").contains(how), "{listed:#}");
        std::fs::write(&path, &kept).expect("written back");
    }
    let (status, _) = bed.call(Method::GET, "/tenants/bent", None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    restore(&bed, &backup, "mended", "shared").await;
    bed.close().await;
}

#[tokio::test]
async fn rows_that_no_table_takes_make_no_good_backup() {
    let bed = Bed::make().await;
    let made = furnished(&bed, "odd", "database").await;
    // Somebody has taken a check from the tenant's tables by hand, and a row has come that it would have refused.
    let inside = bed.superuser(0, made["placement"]["database"].as_str().expect("a database")).await;
    inside
        .batch_execute(
            "ALTER TABLE clients DROP CONSTRAINT clients_name_check; UPDATE clients SET name = '' WHERE id = 2",
        )
        .await
        .expect("spoilt");
    let backup = back_up(&bed, "odd").await;
    let begun = bed.call(Method::POST, &format!("/backups/{backup}/verify"), None).await;
    let failed = ended(&bed, begun).await;
    assert_eq!(failed["state"], "failed", "{failed:#}");
    let (_, shown) = bed.call(Method::GET, &format!("/backups/{backup}"), None).await;
    assert!(shown["verify_error"].as_str().expect("what was wrong").contains("clients_name_check"), "{shown:#}");
    bed.close().await;
}
