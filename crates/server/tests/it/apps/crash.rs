//! A registration that is cut off. A panic in the middle leaves what a process that died there would leave.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lifecycle::Probe;
use reqwest::Method;
use serde_json::json;

use crate::api::operator;
use crate::apps::{body, remains};
use crate::bed::{Bed, Options, enter, rows};

#[tokio::test]
async fn what_an_interrupted_registration_left_is_cleaned_by_the_next() {
    for step in ["roles", "storage", "seed", "verify"] {
        let armed = Arc::new(AtomicBool::new(true));
        let trigger = Arc::clone(&armed);
        let probe = Probe::new(move |at| {
            assert!(at != step || !trigger.load(Ordering::SeqCst), "cut off at {step}, as the test wants");
            false
        });
        let mut bed = Bed::bare(Options { probe, ..Options::default() }).await;
        let first = body(&bed.app, &[("migrations/1.sql", "CREATE TABLE first (id int PRIMARY KEY);")]);
        let cut = operator(&bed, Method::POST, "/apps", Some(first)).await;
        cut.is_problem(500, "INTERNAL");
        assert!(!remains(&bed).await.is_empty(), "{step}: databases are left");
        armed.store(false, Ordering::SeqCst);

        let half = operator(&bed, Method::GET, "/apps", None).await;
        assert_eq!(half.body["items"][0]["ready"], false, "{step}: {half:#?}");
        let none = operator(&bed, Method::POST, "/tenants", Some(json!({"slug": "eager"}))).await;
        none.is_problem(409, "APP_NOT_READY");

        // The next process, another author, other files: nothing of the first attempt is in the way.
        bed.restart(Options::default()).await;
        let second = body(&bed.app, &[("migrations/1.sql", "CREATE TABLE second (id int PRIMARY KEY);")]);
        let made = operator(&bed, Method::POST, "/apps", Some(second)).await;
        assert_eq!((made.status, &made.body["ready"]), (201, &json!(true)), "{step}: {made:#?}");
        for isolation in ["shared", "schema", "database", "cluster"] {
            let client = enter(&bed.tenant(&format!("t-{isolation}"), isolation).await).await;
            let tables = rows(&client, "SELECT to_regclass('first') IS NULL, to_regclass('second') IS NOT NULL").await;
            assert_eq!(tables, ["t,t"], "{step}, {isolation}");
        }
        bed.close().await;
    }
}

/// The rehearsal's roles carry the id of a tenant that no record knows, so only the cluster can tell of them.
#[tokio::test]
async fn a_cut_off_rehearsal_leaves_no_login() {
    let armed = Arc::new(AtomicBool::new(true));
    let trigger = Arc::clone(&armed);
    let probe = Probe::new(move |at| {
        assert!(at != "seed" || !trigger.load(Ordering::SeqCst), "cut off, as the test wants");
        false
    });
    let bed = Bed::bare(Options { probe, ..Options::default() }).await;
    let files = [("migrations/1.sql", "CREATE TABLE notes (id int PRIMARY KEY);")];
    operator(&bed, Method::POST, "/apps", Some(body(&bed.app, &files))).await.is_problem(500, "INTERNAL");
    let members = format!(
        "SELECT DISTINCT m.member::regrole::text FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
         WHERE g.rolname LIKE 'app\\_{}\\_%' AND m.member::regrole::text ~ '^[tr]_'",
        bed.app
    );
    let server = bed.superuser(0, "postgres").await;
    let left = rows(&server, &members).await;
    assert_eq!(left.len(), 2, "both logins of the rehearsed tenant: {left:?}");
    armed.store(false, Ordering::SeqCst);
    assert_eq!(operator(&bed, Method::POST, "/apps", Some(body(&bed.app, &files))).await.status, 201);
    for role in left {
        let known = rows(&server, &format!("SELECT 1 FROM pg_roles WHERE rolname = '{role}'")).await;
        assert_eq!(known, Vec::<String>::new(), "{role} can still log in");
    }
    bed.close().await;
}
