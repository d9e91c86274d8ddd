//! Taking a tenant back to one of its backups.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::backup::{EACH, back_up, everything, furnished, succeeded};
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
