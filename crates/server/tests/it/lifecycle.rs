//! Tenants come, are used, closed, opened and removed; whatever fails leaves nothing.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use lifecycle::Probe;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::bed::{Bed, Options, dsn, enter, one, refusal, rows, sqlstate};
use crate::halt::Halt;

const ALL: [&str; 4] = ["shared", "schema", "database", "cluster"];

#[tokio::test]
async fn create_use_suspend_resume_delete_in_every_isolation() {
    let bed = Bed::make().await;
    for isolation in ALL {
        let slug = format!("paws-{isolation}");
        let made = bed.tenant(&slug, isolation).await;
        let id = made["id"].as_str().expect("an id");
        assert_eq!((made["isolation"].as_str(), made["status"].as_str()), (Some(isolation), Some("active")));
        assert!(!bed.traces(id).await.is_empty(), "{isolation}: a tenant has roles");

        let client = enter(&made).await;
        client
            .batch_execute("INSERT INTO clients (name, email) VALUES ('Bia', 'bia@example.org')")
            .await
            .expect("used");
        assert_eq!(rows(&client, "SELECT name FROM clients ORDER BY id").await, ["Ana Souza", "Bia"]);

        let suspend = json!({"status": "suspended"});
        let (status, edited) = bed.call(Method::PATCH, &format!("/tenants/{slug}"), Some(suspend)).await;
        assert_eq!((status, edited["status"].as_str()), (StatusCode::OK, Some("suspended")));
        tokio::time::timeout(Duration::from_secs(1), async {
            while client.simple_query("SELECT 1").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await
        .unwrap_or_else(|_| panic!("{isolation}: an open connection outlives suspension by a second"));
        let (code, text) = refusal(dsn(&made)).await;
        assert_eq!(code, "28000");
        assert!(text.contains("suspended") && text.contains("resume"), "{text}");

        // By id this time.
        let (status, _) = bed.call(Method::PATCH, &format!("/tenants/{id}"), Some(json!({"status": "active"}))).await;
        assert_eq!(status, StatusCode::OK);
        let client = enter(&made).await;
        assert_eq!(rows(&client, "SELECT count(*) FROM clients").await, ["2"], "{isolation}: data is untouched");

        let (status, _) = bed.call(Method::DELETE, &format!("/tenants/{slug}"), None).await;
        assert_eq!(status, StatusCode::NO_CONTENT, "{isolation}: deleted with a connection open");
        assert_eq!(bed.traces(id).await, Vec::<String>::new(), "{isolation}: something is left");
        let (status, problem) = bed.call(Method::GET, &format!("/tenants/{slug}"), None).await;
        assert_eq!((status, problem["code"].as_str()), (StatusCode::NOT_FOUND, Some("TENANT_NOT_FOUND")));
        assert_eq!(refusal(dsn(&made)).await.0, "28000");
        // The slug is free again.
        bed.tenant(&slug, isolation).await;
    }
    bed.close().await;
}

#[tokio::test]
async fn a_creation_that_fails_at_any_step_leaves_nothing() {
    for step in ["reserve", "roles", "storage", "seed", "verify", "open"] {
        let armed = Arc::new(Mutex::new(false));
        let trigger = Arc::clone(&armed);
        let probe = Probe::new(move |at| at == step && *trigger.lock().expect("not poisoned"));
        let bed = Bed::with(Options { probe, ..Options::default() }).await;
        let before = inventory(&bed).await;
        *armed.lock().expect("not poisoned") = true;
        for isolation in ALL {
            let body = json!({"slug": "unlucky", "isolation": isolation});
            let (status, problem) = bed.call(Method::POST, "/tenants", Some(body)).await;
            assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR, "{isolation} at {step}: {problem}");
            assert!(problem["detail"].as_str().is_some_and(|text| text.contains(step)), "{problem}");
            let (status, _) = bed.call(Method::GET, "/tenants/unlucky", None).await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{isolation} at {step}: the record is left");
        }
        assert_eq!(inventory(&bed).await, before, "at {step}: something is left");
        assert_eq!(bed.orphans().await, Vec::<String>::new(), "at {step}");
        *armed.lock().expect("not poisoned") = false;
        bed.tenant("unlucky", "shared").await;
        bed.close().await;
    }
}

/// Every tenant's role, database and schema, and all rows, of this test's app.
async fn inventory(bed: &Bed) -> Vec<String> {
    let inside = bed.superuser(0, &format!("app_{}", bed.app)).await;
    let mut all = rows(&inside, "SELECT nspname FROM pg_namespace WHERE nspname LIKE 't\\_%' ORDER BY 1").await;
    all.extend(rows(&inside, "SELECT 'clients', count(*) FROM clients").await);
    for server in 0..2 {
        let sql = format!("SELECT datname FROM pg_database WHERE datname LIKE '%{}%' ORDER BY 1", bed.app);
        all.extend(rows(&bed.superuser(server, "postgres").await, &sql).await);
        // Roles carry no app in their name; those that are members of the app's groups do belong to it.
        let sql = format!(
            "SELECT m.member::regrole FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
             WHERE g.rolname LIKE 'app\\_{}\\_%' ORDER BY 1",
            bed.app
        );
        all.extend(rows(&bed.superuser(server, "postgres").await, &sql).await);
    }
    all
}

#[tokio::test]
async fn a_removal_that_fails_is_finished_later() {
    let armed = Arc::new(Mutex::new(true));
    let trigger = Arc::clone(&armed);
    let probe = Probe::new(move |at| at == "forget" && *trigger.lock().expect("not poisoned"));
    let mut bed = Bed::with(Options { probe, ..Options::default() }).await;
    let made = bed.tenant("sticky", "schema").await;
    let (status, _) = bed.call(Method::DELETE, "/tenants/sticky", None).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    let (_, left) = bed.call(Method::GET, "/tenants/sticky", None).await;
    assert_eq!(left["status"], "deleting", "closed, and remembered");
    assert_eq!(refusal(dsn(&made)).await.0, "28000");
    bed.restart(Options::default()).await;
    let (status, _) = bed.call(Method::GET, "/tenants/sticky", None).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "the next start finishes it, and waits for that");
    bed.close().await;
}

/// A process stands still in the middle, another takes over and finishes, somebody works with the tenant; then the first wakes up.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_was_thought_dead_changes_nothing() {
    for (at, isolation) in [("storage", "schema"), ("seed", "schema"), ("roles", "shared"), ("verify", "database")] {
        let (halt, probe) = Halt::at(at);
        // The app is tried with tenants of its own before.
        let mut bed = Bed::make().await;
        bed.restart(Options { probe, ..Options::default() }).await;
        let bed = Arc::new(bed);
        let creating = {
            let bed = Arc::clone(&bed);
            tokio::spawn(async move {
                bed.call(Method::POST, "/tenants", Some(json!({"slug": "twice", "isolation": isolation}))).await
            })
        };
        halt.reached().await;
        // Its lease is over.
        let control = bed.control().await;
        let expire =
            "UPDATE sindico.operations SET leased_until = clock_timestamp() - interval '1 s' WHERE ended_at IS NULL";
        assert_eq!(control.execute(expire, &[]).await.expect("expired"), 1);
        let other = bed.another().await;
        // Unless the first has others that look for work.
        other.lifecycle.recover().await.expect("recovered");
        for left in (0..600).rev() {
            let (_, shown) = bed.call(Method::GET, "/tenants/twice", None).await;
            if shown["status"] == "active" {
                break;
            }
            assert!(left > 0, "at {at}: {shown}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let (_, key) = bed.call(Method::POST, "/tenants/twice/keys", Some(json!({"label": "mine"}))).await;
        let client = enter(&key).await;
        client.batch_execute("INSERT INTO clients (name, email) VALUES ('Bia', 'b@example.org')").await.expect("used");
        halt.wake();
        let (status, problem) = creating.await.expect("answered");
        assert_eq!((status, problem["code"].as_str()), (StatusCode::CONFLICT, Some("CHANGE_IN_PROGRESS")), "{problem}");
        assert_eq!(rows(&client, "SELECT name FROM clients ORDER BY id").await, ["Ana Souza", "Bia"], "at {at}");
        assert_eq!(rows(&enter(&key).await, "SELECT count(*) FROM clients").await, ["2"], "at {at}");
        other.leave().await;
        Arc::into_inner(bed).expect("all tasks ended").close().await;
    }
}

#[tokio::test]
async fn fifty_at_once() {
    let bed = Arc::new(Bed::make().await);
    let tasks: Vec<_> = (0..50)
        .map(|index| {
            let bed = Arc::clone(&bed);
            tokio::spawn(async move {
                let made = bed.tenant(&format!("many-{index}"), ALL[index % 4]).await;
                let client = enter(&made).await;
                assert_eq!(rows(&client, "SELECT name FROM clients").await, ["Ana Souza"]);
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("made and used");
    }
    let (_, page) = bed.call(Method::GET, "/tenants?limit=1000", None).await;
    assert_eq!(page["items"].as_array().map(Vec::len), Some(50));
    Arc::into_inner(bed).expect("all tasks ended").close().await;
}

#[tokio::test]
async fn one_slug_is_given_once_even_when_asked_for_at_once() {
    let bed = Arc::new(Bed::make().await);
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let bed = Arc::clone(&bed);
            tokio::spawn(async move { bed.call(Method::POST, "/tenants", Some(json!({"slug": "wanted"}))).await })
        })
        .collect();
    let mut made = 0;
    for task in tasks {
        let (status, answer) = task.await.expect("answered");
        if status == StatusCode::CREATED {
            made += 1;
        } else {
            assert_eq!((status, answer["code"].as_str()), (StatusCode::CONFLICT, Some("SLUG_TAKEN")), "{answer}");
        }
    }
    assert_eq!(made, 1);
    Arc::into_inner(bed).expect("all tasks ended").close().await;
}

#[tokio::test]
async fn a_full_dedicated_cluster_takes_nobody_more() {
    let bed = Bed::with(Options { dedicated_capacity: 1, ..Options::default() }).await;
    let body = |slug: &str| Some(json!({"slug": slug, "isolation": "cluster"}));
    let (one, two) =
        tokio::join!(bed.call(Method::POST, "/tenants", body("one")), bed.call(Method::POST, "/tenants", body("two")));
    let mut statuses = [one.0, two.0];
    statuses.sort();
    assert_eq!(statuses, [StatusCode::CREATED, StatusCode::CONFLICT], "{one:?} {two:?}");
    bed.close().await;
}

#[tokio::test]
async fn a_schema_is_dropped_only_when_told_twice_and_can_be_made_anew() {
    let bed = Bed::make().await;
    let made = bed.tenant("twice", "schema").await;
    let client = enter(&made).await;
    client.batch_execute("INSERT INTO clients (name, phone) VALUES ('Gone', '555 000 111')").await.expect("a row");
    for confirm in ["", "?confirm=", "?confirm=other"] {
        let (status, problem) = bed.call(Method::DELETE, &format!("/tenants/twice/schema{confirm}"), None).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{confirm}: {problem}");
        assert_eq!(problem["code"], "CONFIRMATION_REQUIRED");
    }
    let (status, _) = bed.call(Method::POST, "/tenants/twice/schema", None).await;
    assert_eq!(status, StatusCode::CONFLICT, "it is there");
    let (status, _) = bed.call(Method::DELETE, "/tenants/twice/schema?confirm=twice", None).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(refusal(dsn(&made)).await.0, "3F000");
    let (_, shown) = bed.call(Method::GET, "/tenants/twice", None).await;
    assert!(shown["placement"]["schema"].is_null(), "{shown}");
    let (status, _) = bed.call(Method::DELETE, "/tenants/twice/schema", Some(json!({"confirm": "twice"}))).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "it is gone");
    let (status, _) = bed.call(Method::POST, "/tenants/twice/schema", None).await;
    assert_eq!(status, StatusCode::CREATED);
    assert_eq!(rows(&enter(&made).await, "SELECT name FROM clients").await, ["Ana Souza"], "new, with the seed");

    bed.tenant("other", "shared").await;
    let (status, problem) = bed.call(Method::POST, "/tenants/other/schema", None).await;
    assert_eq!((status, problem["code"].as_str()), (StatusCode::CONFLICT, Some("WRONG_ISOLATION")));
    bed.close().await;
}

/// PostgreSQL drops a database only when every session of the server agrees, and one that waits for COPY data does not.
#[tokio::test]
async fn a_tenant_that_sits_in_a_copy_keeps_no_other_from_being_deleted() {
    let bed = Bed::make().await;
    let silent = bed.tenant("silent", "database").await;
    bed.tenant("leaving", "database").await;
    let client = enter(&silent).await;
    let _copy = client.copy_in::<_, bytes::Bytes>("COPY staff FROM STDIN").await.expect("a COPY that gets no data");
    let deleting = bed.call(Method::DELETE, "/tenants/leaving", None);
    let (status, problem) = tokio::time::timeout(Duration::from_mins(1), deleting).await.expect("deleted in time");
    assert_eq!(status, StatusCode::NO_CONTENT, "{problem}");
    bed.close().await;
}

/// A role that another tenant has granted something cannot be removed before the grant is.
#[tokio::test]
async fn a_gift_from_another_tenant_keeps_nobody_from_being_deleted() {
    let bed = Bed::make().await;
    let giver = bed.tenant("giver", "database").await;
    let giving = format!("t_{}", giver["id"].as_str().expect("an id").replace('-', ""));
    let database = giver["placement"]["database"].as_str().expect("a database");
    let operator = bed.superuser(0, database).await;
    for isolation in ["shared", "database"] {
        let receiver = bed.tenant(&format!("receiver-{isolation}"), isolation).await;
        let id = receiver["id"].as_str().expect("an id");
        let role = format!("t_{}", id.replace('-', ""));
        let client = enter(&giver).await;
        let object = rows(&client, "SELECT lo_create(0)").await[0].clone();
        let gifts = [
            format!("GRANT SELECT ON LARGE OBJECT {object} TO {role}"),
            format!("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {role}"),
        ];
        for gift in &gifts {
            assert_eq!(sqlstate(&client, gift).await, "42501", "{gift}");
        }
        // If there is one all the same, whoever gave it:
        let [grant, defaults] = gifts;
        let defaults = defaults.replace("PRIVILEGES", &format!("PRIVILEGES FOR ROLE {giving}"));
        operator.batch_execute(&format!("{grant}; {defaults}")).await.expect("given");
        let (status, problem) = bed.call(Method::DELETE, &format!("/tenants/receiver-{isolation}"), None).await;
        assert_eq!(status, StatusCode::NO_CONTENT, "{isolation}: {problem}");
        assert_eq!(bed.traces(id).await, Vec::<String>::new(), "{isolation}");
        assert_eq!(rows(&client, &format!("SELECT lo_unlink({object})")).await, ["1"], "the giver keeps its own");
    }
    bed.close().await;
}

#[tokio::test]
async fn a_schema_is_made_anew_for_a_tenant_that_spoilt_its_role() {
    let bed = Bed::make().await;
    let made = bed.tenant("spoilt", "schema").await;
    let client = enter(&made).await;
    let database = made["placement"]["database"].as_str().expect("a database");
    let spoil = format!(
        "ALTER ROLE CURRENT_USER IN DATABASE {database} SET default_transaction_read_only = on;
         ALTER ROLE CURRENT_USER PASSWORD 'lost'"
    );
    client.batch_execute(&spoil).await.expect("its own role");
    drop(client);
    let (status, _) = bed.call(Method::DELETE, "/tenants/spoilt/schema?confirm=spoilt", None).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let (status, problem) = bed.call(Method::POST, "/tenants/spoilt/schema", None).await;
    assert_eq!(status, StatusCode::CREATED, "{problem}");
    let client = enter(&made).await;
    client.batch_execute("INSERT INTO clients (name, phone) VALUES ('Bia', '555 000 111')").await.expect("writable");
    bed.close().await;
}

/// A removal that was cut off leaves a database that takes no change but being dropped.
#[tokio::test]
async fn a_database_whose_removal_was_cut_off_is_removed() {
    let bed = Bed::make().await;
    let made = bed.tenant("cut-off", "database").await;
    let database = made["placement"]["database"].as_str().expect("a database");
    let mark = "UPDATE pg_database SET datconnlimit = -2 WHERE datname = $1";
    let marked = bed.superuser(0, "postgres").await.execute(mark, &[&database]).await.expect("marked");
    assert_eq!(marked, 1);
    let (status, problem) = bed.call(Method::DELETE, "/tenants/cut-off", None).await;
    assert_eq!(status, StatusCode::NO_CONTENT, "{problem}");
    assert_eq!(bed.traces(made["id"].as_str().expect("an id")).await, Vec::<String>::new());
    bed.close().await;
}

#[tokio::test]
async fn a_change_is_followed_by_the_next_at_once() {
    let bed = Bed::make().await;
    for round in 0..5 {
        bed.tenant("again", "schema").await;
        for (method, path, expected) in [
            (Method::DELETE, "/tenants/again/schema?confirm=again", StatusCode::NO_CONTENT),
            (Method::POST, "/tenants/again/schema", StatusCode::CREATED),
            (Method::DELETE, "/tenants/again", StatusCode::NO_CONTENT),
        ] {
            let (status, problem) = bed.call(method, path, None).await;
            assert_eq!(status, expected, "round {round}, {path}: {problem}");
        }
    }
    bed.close().await;
}

/// Logging in anew for each tenant would cost more than what is done then.
#[tokio::test]
async fn administrative_sessions_are_kept_clean_few_and_not_for_long() {
    const RESTING: &str = "SELECT coalesce(datname, '') FROM pg_stat_activity
        WHERE application_name = 'sindico' AND state = 'idle' AND datname = current_database()";
    const NAMED: &str = "SELECT count(*)::text FROM pg_stat_activity
        WHERE application_name LIKE 'sindico %' AND datname = current_database()";
    const LOCKS: &str = "SELECT count(*)::text FROM pg_locks WHERE locktype = 'advisory'
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    let bed = Bed::make().await;
    let inside = bed.superuser(0, &format!("app_{}", bed.app)).await;
    let make = async |slug: String| bed.tenant(&slug, "schema").await;
    futures_util::future::join_all((0..8).map(|nth| make(format!("paws-{nth}")))).await;
    // What is given back is cleaned first, and what is too many is ended.
    let until = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let kept = rows(&inside, RESTING).await.len();
        let (named, locks) = (one(&inside, NAMED).await, one(&inside, LOCKS).await);
        if (1..=8).contains(&kept) && (named.as_str(), locks.as_str()) == ("0", "0") {
            break;
        }
        assert!(tokio::time::Instant::now() < until, "{kept} kept, {named} at work for somebody, {locks} locks");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    // Those that the server has ended meanwhile are not used.
    let end = "SELECT pg_terminate_backend(pid, 5000)::text FROM pg_stat_activity
        WHERE application_name = 'sindico' AND datname = current_database()";
    assert!(!rows(&inside, end).await.is_empty());
    make("late".to_owned()).await;
    assert_eq!(bed.orphans().await, Vec::<String>::new());
    bed.close().await;
}
