//! Taking a tenant back to one of its backups.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::backup::restore::is_open;
use crate::backup::{EACH, back_up, ended, everything, furnished, succeeded};
use crate::bed::{Bed, enter, rows};
use crate::migrate::{apply, with};

#[tokio::test]
async fn a_tenant_is_as_it_was_in_any_isolation_with_the_same_keys() {
    let bed = Bed::make().await;
    let neighbour = furnished(&bed, "neighbour", "shared").await;
    let beside = everything(&enter(&neighbour).await).await;
    for isolation in EACH {
        let slug = format!("back-{isolation}");
        let made = furnished(&bed, &slug, isolation).await;
        let client = enter(&made).await;
        let before = everything(&client).await;
        let backup = back_up(&bed, &slug).await;
        client
            .batch_execute("DELETE FROM clients WHERE id > 10; UPDATE clients SET name = 'spoilt'")
            .await
            .expect("spoilt");
        let body = Some(json!({"backup": backup}));
        let begun = bed.call(Method::POST, &format!("/tenants/{slug}/restore"), body.clone()).await;
        succeeded(&bed, begun).await;
        is_open(&made).await;
        let again = enter(&made).await;
        assert_eq!(everything(&again).await, before, "{isolation}");
        assert_eq!(
            rows(&again, "INSERT INTO clients (name, email) VALUES ('n', 'n@example.org') RETURNING id > 501").await,
            ["t"]
        );
        // A tenant that was suspended stays so.
        bed.call(Method::PATCH, &format!("/tenants/{slug}"), Some(json!({"status": "suspended"}))).await;
        let begun = bed.call(Method::POST, &format!("/tenants/{slug}/restore"), body).await;
        succeeded(&bed, begun).await;
        let (_, shown) = bed.call(Method::GET, &format!("/tenants/{slug}"), None).await;
        assert_eq!(shown["status"], "suspended");
    }
    assert_eq!(everything(&enter(&neighbour).await).await, beside, "nobody else's rows have changed");
    bed.close().await;
}

#[tokio::test]
async fn an_older_backup_comes_back_with_the_tenants_present_migrations() {
    let bed = Bed::make().await;
    for isolation in ["shared", "schema", "database"] {
        furnished(&bed, &format!("aged-{isolation}"), isolation).await;
    }
    let mut backups = Vec::new();
    for isolation in ["shared", "schema", "database"] {
        backups.push(back_up(&bed, &format!("aged-{isolation}")).await);
    }
    let more = "ALTER TABLE clients ADD COLUMN number bigserial UNIQUE; UPDATE clients SET notes = 'migrated'";
    let applied = apply(&bed, &with(&bed, &[("0090_more", more)]), json!({})).await;
    assert_eq!(applied["state"], "succeeded", "{applied:#}");
    for (isolation, backup) in ["shared", "schema", "database"].into_iter().zip(&backups) {
        let slug = format!("aged-{isolation}");
        let (_, key) = bed.call(Method::POST, &format!("/tenants/{slug}/keys"), Some(json!({"label": "x"}))).await;
        let key = json!({"dsn": key["dsn"]});
        let before = everything(&enter(&key).await).await;
        enter(&key).await.batch_execute("DELETE FROM clients").await.expect("deleted");
        let begun = bed.call(Method::POST, &format!("/tenants/{slug}/restore"), Some(json!({"backup": backup}))).await;
        succeeded(&bed, begun).await;
        is_open(&key).await;
        assert_eq!(everything(&enter(&key).await).await, before, "{isolation}");
    }
    bed.close().await;
}

#[tokio::test]
async fn another_tenants_backup_replaces_nothing() {
    let bed = Bed::make().await;
    furnished(&bed, "mine", "schema").await;
    let theirs = bed.tenant("theirs", "schema").await;
    let backup = back_up(&bed, "mine").await;
    let (status, answer) = bed.call(Method::POST, "/tenants/theirs/restore", Some(json!({"backup": backup}))).await;
    assert_eq!((status, &answer["code"]), (StatusCode::CONFLICT, &json!("BACKUP_UNUSABLE")), "{answer:#}");
    let unknown = json!({"backup": theirs["id"]});
    let (status, answer) = bed.call(Method::POST, "/tenants/theirs/restore", Some(unknown)).await;
    assert_eq!((status, &answer["code"]), (StatusCode::NOT_FOUND, &json!("BACKUP_NOT_FOUND")), "{answer:#}");
    bed.close().await;
}

/// A row of everybody's has gone meanwhile, so the tenant's rows cannot come back; then nothing of them has.
#[tokio::test]
async fn what_cannot_come_back_changes_nothing_not_even_sequences() {
    let bed = Bed::make().await;
    for isolation in ["shared", "schema", "database"] {
        let slug = format!("firm-{isolation}");
        let made = furnished(&bed, &slug, isolation).await;
        let inside = bed.superuser(0, made["placement"]["database"].as_str().expect("a database")).await;
        inside.batch_execute("INSERT INTO global.species VALUES (77, 'axolotl')").await.expect("a species");
        let client = enter(&made).await;
        client
            .batch_execute("INSERT INTO animals (client_id, name, species_id) SELECT max(id), 'lotte', 77 FROM clients")
            .await
            .expect("an animal");
        let backup = back_up(&bed, &slug).await;
        client
            .batch_execute("DELETE FROM animals WHERE species_id = 77; INSERT INTO clients (name, email) SELECT 'more', n || '@more.example' FROM generate_series(1, 40) n")
            .await
            .expect("rows");
        inside.batch_execute("DELETE FROM global.species WHERE id = 77").await.expect("gone");
        let before = everything(&client).await;
        let last = rows(&client, "SELECT max(id) + 1 FROM clients").await;
        let begun = bed.call(Method::POST, &format!("/tenants/{slug}/restore"), Some(json!({"backup": backup}))).await;
        let failed = ended(&bed, begun).await;
        assert_eq!(failed["state"], "failed", "{failed:#}");
        assert!(failed["error"].as_str().expect("why").contains("global table species"), "{failed:#}");
        is_open(&made).await;
        let client = enter(&made).await;
        assert_eq!(everything(&client).await, before, "{isolation}");
        assert_eq!(
            rows(&client, "INSERT INTO clients (name, email) VALUES ('n', 'n@example.org') RETURNING id").await,
            last,
            "{isolation}"
        );
    }
    bed.close().await;
}

#[tokio::test]
async fn nobody_opens_a_tenant_that_is_being_taken_back() {
    let bed = Bed::make().await;
    let made = furnished(&bed, "shut", "schema").await;
    let backup = back_up(&bed, "shut").await;
    // Holds the restore up: a migration of the tenant would do the same.
    let inside = bed.superuser(0, &format!("app_{}", bed.app)).await;
    let hex = made["id"].as_str().expect("an id").replace('-', "");
    inside
        .batch_execute(&format!("SELECT pg_advisory_lock(hashtextextended('sindico migration of {hex}', 0))"))
        .await
        .expect("held");
    let begun = bed.call(Method::POST, "/tenants/shut/restore", Some(json!({"backup": backup}))).await;
    let suspended = async {
        loop {
            let (_, shown) = bed.call(Method::GET, "/tenants/shut", None).await;
            if shown["status"] == "suspended" {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), suspended).await.expect("closed");
    let (status, answer) = bed.call(Method::PATCH, "/tenants/shut", Some(json!({"status": "active"}))).await;
    assert_eq!((status, &answer["code"]), (StatusCode::CONFLICT, &json!("CHANGE_IN_PROGRESS")), "{answer:#}");
    let (status, answer) = bed.call(Method::DELETE, &format!("/backups/{backup}"), None).await;
    assert_eq!((status, &answer["code"]), (StatusCode::CONFLICT, &json!("BACKUP_UNUSABLE")), "{answer:#}");
    inside.batch_execute("SELECT pg_advisory_unlock_all()").await.expect("let go");
    succeeded(&bed, begun).await;
    is_open(&made).await;
    bed.close().await;
}
