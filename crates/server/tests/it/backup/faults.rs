//! Failures at every point of backing up and restoring: nothing is left, and the next attempt succeeds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lifecycle::Probe;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::backup::restore::{is_open, restore};
use crate::backup::{back_up, ended, everything, furnished, succeeded, walk};
use crate::bed::{Bed, Options, enter, one};
use crate::migrate::{apply, with};

/// A síndico that fails at a point until it is told otherwise.
pub(super) async fn failing(point: &'static str) -> (Bed, Arc<AtomicBool>) {
    let armed = Arc::new(AtomicBool::new(false));
    let fails = Arc::clone(&armed);
    let probe = Probe::new(move |step| step == point && fails.load(Ordering::Relaxed));
    (Bed::with(Options { probe, ..Options::default() }).await, armed)
}

/// Schemas and roles of nobody that a record knows.
async fn strays(bed: &Bed) -> Vec<String> {
    let (_, listed) = bed.call(Method::GET, "/tenants", None).await;
    let known: Vec<String> = listed["items"]
        .as_array()
        .expect("tenants")
        .iter()
        .map(|it| it["id"].as_str().expect("an id").replace('-', ""))
        .collect();
    let inside = bed.superuser(0, &format!("app_{}", bed.app)).await;
    let schemas = "SELECT nspname FROM pg_namespace WHERE nspname ~ '^[ts]_[0-9a-f]{32}$'";
    let found = crate::bed::rows(&inside, schemas).await;
    found.into_iter().filter(|name| !known.iter().any(|id| name.ends_with(id.as_str()))).collect()
}

#[tokio::test]
async fn a_backup_that_fails_leaves_nothing() {
    for point in ["backup", "manifest"] {
        let (bed, armed) = failing(point).await;
        furnished(&bed, "whole", "schema").await;
        armed.store(true, Ordering::Relaxed);
        let begun = bed.call(Method::POST, "/tenants/whole/backups", None).await;
        let failed = ended(&bed, begun).await;
        assert_eq!(failed["state"], "failed", "{point}: {failed:#}");
        let (_, listed) = bed.call(Method::GET, "/backups", None).await;
        assert_eq!((&listed["items"], walk(bed.store()).len()), (&json!([]), 0), "{point}");
        armed.store(false, Ordering::Relaxed);
        back_up(&bed, "whole").await;
        bed.close().await;
    }
}

#[tokio::test]
async fn a_restore_that_fails_leaves_nothing() {
    for point in ["roles", "fill", "staged", "open"] {
        let (bed, armed) = failing(point).await;
        furnished(&bed, "whole", "schema").await;
        let backup = back_up(&bed, "whole").await;
        if point == "staged" {
            let more = "ALTER TABLE clients ADD COLUMN number bigserial UNIQUE";
            assert_eq!(apply(&bed, &with(&bed, &[("0090_more", more)]), json!({})).await["state"], "succeeded");
        }
        armed.store(true, Ordering::Relaxed);
        for isolation in ["shared", "schema", "database"] {
            let body = json!({"slug": "again", "isolation": isolation});
            let (status, made) = bed.call(Method::POST, &format!("/backups/{backup}/restore"), Some(body)).await;
            let id = made["id"].as_str().expect("an id").to_owned();
            let failed = ended(&bed, (status, made)).await;
            assert_eq!(failed["state"], "failed", "{point}: {failed:#}");
            assert_eq!(bed.traces(&id).await, Vec::<String>::new(), "{point} {isolation}");
            assert_eq!(strays(&bed).await, Vec::<String>::new(), "{point} {isolation}");
        }
        armed.store(false, Ordering::Relaxed);
        restore(&bed, &backup, "again", "shared").await;
        assert_eq!(strays(&bed).await, Vec::<String>::new(), "{point}");
        bed.close().await;
    }
}

#[tokio::test]
async fn a_trial_that_fails_leaves_nothing_and_says_nothing_of_the_backup() {
    let (bed, armed) = failing("trial").await;
    furnished(&bed, "whole", "database").await;
    let backup = back_up(&bed, "whole").await;
    armed.store(true, Ordering::Relaxed);
    let begun = bed.call(Method::POST, &format!("/backups/{backup}/verify"), None).await;
    assert_eq!(ended(&bed, begun).await["state"], "failed");
    assert_eq!(strays(&bed).await, Vec::<String>::new());
    armed.store(false, Ordering::Relaxed);
    let begun = bed.call(Method::POST, &format!("/backups/{backup}/verify"), None).await;
    succeeded(&bed, begun).await;
    assert_eq!(strays(&bed).await, Vec::<String>::new());
    bed.close().await;
}

#[tokio::test]
async fn what_fails_in_the_middle_of_a_replacement_leaves_the_tenant_with_what_it_had() {
    for (point, isolation) in
        [("replace", "schema"), ("replace", "shared"), ("staged", "database"), ("staged", "shared")]
    {
        let (bed, armed) = failing(point).await;
        let made = furnished(&bed, "held", isolation).await;
        let backup = back_up(&bed, "held").await;
        if point == "staged" {
            let more = "ALTER TABLE clients ADD COLUMN number bigserial UNIQUE";
            assert_eq!(apply(&bed, &with(&bed, &[("0090_more", more)]), json!({})).await["state"], "succeeded");
        }
        enter(&made).await.batch_execute("DELETE FROM clients WHERE id > 3").await.expect("deleted");
        let before = everything(&enter(&made).await).await;
        armed.store(true, Ordering::Relaxed);
        let body: Option<Value> = Some(json!({"backup": backup}));
        let begun = bed.call(Method::POST, "/tenants/held/restore", body.clone()).await;
        let failed = ended(&bed, begun).await;
        assert_eq!(failed["state"], "failed", "{point}: {failed:#}");
        is_open(&made).await;
        assert_eq!(everything(&enter(&made).await).await, before, "{point} {isolation}");
        assert_eq!(strays(&bed).await, Vec::<String>::new(), "{point} {isolation}");
        armed.store(false, Ordering::Relaxed);
        let begun = bed.call(Method::POST, "/tenants/held/restore", body).await;
        succeeded(&bed, begun).await;
        is_open(&made).await;
        assert_eq!(one(&enter(&made).await, "SELECT count(*) > 400 FROM clients").await, "t");
        bed.close().await;
    }
}

#[tokio::test]
async fn a_store_that_takes_nothing_leaves_no_backup_and_keeps_nobody_waiting() {
    let bed = Bed::make().await;
    furnished(&bed, "whole", "shared").await;
    // Nothing can be written where a file stands in place of the app's folder.
    std::fs::write(bed.store().join(bed.app.as_str()), "in the way").expect("written");
    let begun = bed.call(Method::POST, "/tenants/whole/backups", None).await;
    let failed = ended(&bed, begun).await;
    assert_eq!(failed["state"], "failed", "{failed:#}");
    assert!(failed["error"].as_str().expect("why").contains("the object store failed at"), "{failed:#}");
    let (_, listed) = bed.call(Method::GET, "/backups", None).await;
    assert_eq!(listed["items"][0]["state"], "removing", "{listed:#}");
    std::fs::remove_file(bed.store().join(bed.app.as_str())).expect("removed");
    bed.lifecycle().expire_backups().await.expect("expired");
    let (_, listed) = bed.call(Method::GET, "/backups", None).await;
    assert_eq!(listed["items"], json!([]), "{listed:#}");
    back_up(&bed, "whole").await;
    bed.close().await;
}

#[tokio::test]
async fn what_is_not_there_is_said() {
    let bed = Bed::make().await;
    let made = bed.tenant("whole", "shared").await;
    let (status, answer) =
        bed.call(Method::GET, &format!("/backups/{}", made["id"].as_str().expect("an id")), None).await;
    assert_eq!((status, &answer["code"]), (StatusCode::NOT_FOUND, &json!("BACKUP_NOT_FOUND")));
    let (status, answer) = bed.call(Method::GET, "/backups/no-id", None).await;
    assert_eq!((status, &answer["code"]), (StatusCode::NOT_FOUND, &json!("BACKUP_NOT_FOUND")));
    let backup = back_up(&bed, "whole").await;
    let (status, answer) = bed.call(Method::GET, &format!("/backups/{backup}/tables/nothing"), None).await;
    assert_eq!((status, &answer["code"]), (StatusCode::NOT_FOUND, &json!("TABLE_NOT_FOUND")));
    let (status, answer) = bed.call(Method::GET, &format!("/backups/{backup}/tables/clients?format=xls"), None).await;
    assert_eq!((status, &answer["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("INVALID_FIELD")));
    bed.close().await;
}
