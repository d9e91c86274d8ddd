//! Tenants that are made before anybody asks: whoever asks gets one at once, and it is as good as one made then.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use lifecycle::{Probe, WarmPool};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::bed::{Bed, Options, enter, one, pet_shop, rows, run};
use crate::migrate::{apply, body, with};

const AHEAD: [&str; 3] = ["database", "schema", "shared"];
const DAY: Duration = Duration::from_hours(24);

fn keeping(size: i32) -> Options {
    Options { warm_pool: WarmPool { size, max_age: DAY, idle: 7 * DAY }, ..Options::default() }
}

/// Isolation and id of each that somebody can become.
async fn spares(bed: &Bed) -> BTreeSet<(String, String)> {
    let sql = "SELECT p.isolation, t.id::text FROM sindico.tenants t JOIN sindico.placements p ON p.tenant = t.id
               WHERE t.status = 'spare'";
    let found = bed.control().await.query(sql, &[]).await.expect("spares");
    found.iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// Waits until there are so many of each isolation, and nobody is at work on more.
async fn filled(bed: &Bed, size: usize, isolations: &[&str]) -> BTreeSet<(String, String)> {
    let busy = "SELECT count(*)::text FROM sindico.operations WHERE ended_at IS NULL";
    for _ in 0..600 {
        let there = spares(bed).await;
        let of = |isolation: &str| there.iter().filter(|(its, _)| its == isolation).count();
        if isolations.iter().all(|isolation| of(isolation) == size)
            && there.len() == size * isolations.len()
            && one(&bed.control().await, busy).await == "0"
        {
            return there;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("not {size} of each of {isolations:?}: {:?}", spares(bed).await);
}

async fn everybody(bed: &Bed) -> Vec<String> {
    let (status, page) = bed.call(Method::GET, "/tenants?limit=100", None).await;
    assert_eq!(status, StatusCode::OK, "{page:#}");
    let mut slugs: Vec<String> = page["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|it| it["slug"].as_str().expect("a slug").to_owned())
        .collect();
    slugs.sort();
    slugs
}

async fn steps(bed: &Bed, tenant: &Value) -> Vec<String> {
    let sql = format!(
        "SELECT s.name FROM sindico.operation_steps s JOIN sindico.operations o ON o.id = s.operation
         WHERE o.subject = '{}' AND o.kind = 'provision' AND o.state = 'succeeded' ORDER BY s.number",
        tenant["id"].as_str().expect("an id")
    );
    rows(&bed.control().await, &sql).await
}

fn id(tenant: &Value) -> String {
    tenant["id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn whoever_asks_becomes_a_spare_that_is_as_good_as_a_new_tenant() {
    const SEEN: &str = "SELECT c.name || ' ' || a.name FROM clients c JOIN animals a ON a.client_id = c.id ORDER BY 1";
    let bed = Bed::with(keeping(2)).await;
    let mut cold = Vec::new();
    for isolation in AHEAD {
        cold.push(bed.tenant(&format!("cold-{isolation}"), isolation).await);
    }
    bed.tenant("cold-cluster", "cluster").await;
    let there = filled(&bed, 2, &AHEAD).await;
    let known = ["cold-cluster", "cold-database", "cold-schema", "cold-shared"];
    assert_eq!(everybody(&bed).await, known, "spares are nobody's");
    for (_, spare) in &there {
        let (status, told) = bed.call(Method::GET, &format!("/tenants/{spare}"), None).await;
        assert_eq!((status, &told["code"]), (StatusCode::NOT_FOUND, &json!("TENANT_NOT_FOUND")));
        let slug = format!("spare-{}", spare.replace('-', ""));
        let (status, _) = bed.call(Method::DELETE, &format!("/tenants/{slug}?confirm={slug}"), None).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
    }
    assert_eq!(bed.orphans().await, Vec::<String>::new());

    for (isolation, cold) in AHEAD.into_iter().zip(&cold) {
        let warm = bed.tenant(&format!("warm-{isolation}"), isolation).await;
        assert!(there.contains(&(isolation.to_owned(), id(&warm))), "{isolation}: {warm:#}");
        assert_eq!(steps(&bed, &warm).await, ["spare"], "{isolation}");
        assert_eq!(steps(&bed, cold).await, ["reserve", "roles", "storage", "open"]);
        for field in ["status", "version", "app", "cluster", "pool"] {
            assert_eq!(warm[field], cold[field], "{isolation}: {field}");
        }
        assert!(warm["created_at"].as_str() > cold["created_at"].as_str(), "it was made when it was asked for");
        let (mine, other) = (enter(&warm).await, enter(cold).await);
        assert_eq!(rows(&mine, SEEN).await, rows(&other, SEEN).await, "{isolation}: the same first rows");
        run(&mine, "INSERT INTO clients (name, phone) VALUES ('Only here', '1234567')").await;
        let only = "SELECT count(*)::text FROM clients WHERE name = 'Only here'";
        assert_eq!((one(&mine, only).await, one(&other, only).await), ("1".to_owned(), "0".to_owned()), "{isolation}");
    }
    // What was taken is replaced, and what has been taken is removed as any other.
    let again = filled(&bed, 2, &AHEAD).await;
    assert_eq!(again.intersection(&there).count(), 3);
    for isolation in AHEAD {
        let slug = format!("warm-{isolation}");
        let (_, tenant) = bed.call(Method::GET, &format!("/tenants/{slug}"), None).await;
        let (status, _) = bed.call(Method::DELETE, &format!("/tenants/{slug}?confirm={slug}"), None).await;
        assert_eq!(status, StatusCode::NO_CONTENT);
        assert_eq!(bed.traces(&id(&tenant)).await, Vec::<String>::new());
    }
    assert_eq!(bed.orphans().await, Vec::<String>::new());
    bed.close().await;
}

#[tokio::test]
async fn many_who_ask_at_once_never_become_the_same() {
    let bed = Bed::with(keeping(3)).await;
    for isolation in AHEAD {
        bed.tenant(&format!("first-{isolation}"), isolation).await;
    }
    let there = filled(&bed, 3, &AHEAD).await;
    let asked = AHEAD.iter().flat_map(|isolation| (0..6).map(move |nth| (format!("{isolation}-{nth}"), *isolation)));
    let asked: Vec<(String, &str)> = asked.collect();
    let made = join_all(asked.iter().map(|(slug, isolation)| bed.tenant(slug, isolation))).await;
    let ids: BTreeSet<String> = made.iter().map(id).collect();
    assert_eq!(ids.len(), 18);
    let taken = there.iter().filter(|(_, spare)| ids.contains(spare)).count();
    assert_eq!(taken, 9, "all that there were");
    let name = |tenant: &Value| format!("INSERT INTO clients (name, phone) VALUES ('{}', '1234567')", id(tenant));
    join_all(made.iter().map(async |tenant| run(&enter(tenant).await, &name(tenant)).await)).await;
    for tenant in &made {
        let seen = rows(&enter(tenant).await, "SELECT name FROM clients WHERE length(name) = 36").await;
        assert_eq!(seen, [id(tenant)], "{}", tenant["slug"]);
    }

    // A slug is one tenant's, whether it becomes a spare or is made.
    filled(&bed, 3, &AHEAD).await;
    let body = json!({"slug": "wanted", "isolation": "schema"});
    let asked = join_all((0..6).map(|_| bed.call(Method::POST, "/tenants", Some(body.clone())))).await;
    let statuses: Vec<u16> = asked.iter().map(|(status, _)| status.as_u16()).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
    let others = asked.iter().filter(|(status, _)| *status == StatusCode::CONFLICT);
    assert!(others.clone().all(|(_, told)| told["code"] == "SLUG_TAKEN"), "{asked:#?}");
    assert_eq!(others.count(), 5);
    bed.close().await;
}

#[tokio::test]
async fn a_failure_leaves_a_spare_as_it_was_and_what_cannot_be_made_is_not_tried_again_at_once() {
    let (claiming, storing) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
    let asked = (Arc::clone(&claiming), Arc::clone(&storing));
    let probe = Probe::new(move |step| match step {
        "claim" => asked.0.load(Ordering::SeqCst),
        "storage" => asked.1.load(Ordering::SeqCst),
        _ => false,
    });
    let bed = Bed::with(Options { probe, ..keeping(1) }).await;
    bed.tenant("first", "schema").await;
    let there = filled(&bed, 1, &["schema"]).await;
    let body = json!({"slug": "second", "isolation": "schema"});
    let (status, _) = bed.call(Method::POST, "/tenants", Some(body.clone())).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!((spares(&bed).await, everybody(&bed).await), (there.clone(), vec!["first".to_owned()]));

    claiming.store(false, Ordering::SeqCst);
    storing.store(true, Ordering::SeqCst);
    let (status, second) = bed.call(Method::POST, "/tenants", Some(body)).await;
    assert_eq!(status, StatusCode::CREATED);
    assert!(there.contains(&("schema".to_owned(), id(&second))));
    let attempts =
        "SELECT state || ' ' || count(*) FROM sindico.operations WHERE kind = 'spare' GROUP BY state ORDER BY 1";
    while rows(&bed.control().await, attempts).await != ["failed 1", "succeeded 1"] {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // Each who asks wakes whoever keeps spares.
    for slug in ["third", "fourth"] {
        let body = json!({"slug": slug, "isolation": "schema"});
        assert_ne!(bed.call(Method::POST, "/tenants", Some(body)).await.0, StatusCode::CREATED);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(
        rows(&bed.control().await, attempts).await,
        ["failed 1", "succeeded 1"],
        "it is not tried over and over"
    );
    assert_eq!(bed.orphans().await, Vec::<String>::new());
    // What failed long ago is tried again.
    storing.store(false, Ordering::SeqCst);
    run(&bed.control().await, "UPDATE sindico.operations SET ended_at = ended_at - interval '1 hour'").await;
    bed.tenant("fifth", "schema").await;
    filled(&bed, 1, &["schema"]).await;
    bed.close().await;
}

#[tokio::test]
async fn a_migration_has_nothing_to_do_with_spares_and_new_tenants_are_of_the_newest_release() {
    // Rows that a migration has to write before a constraint holds, and a seed that then writes them itself.
    const MORE: &str = "
        ALTER TABLE clients ADD COLUMN tier text;
        UPDATE clients SET tier = 'plain';
        ALTER TABLE clients ALTER COLUMN tier SET NOT NULL;
        ALTER TABLE clients ALTER COLUMN tier SET DEFAULT 'new';";
    let bed = Bed::with(keeping(2)).await;
    for isolation in AHEAD {
        bed.tenant(&format!("old-{isolation}"), isolation).await;
    }
    let before = filled(&bed, 2, &AHEAD).await;
    // One of them could not be migrated. The rows of those who share tables are there, and have to be.
    let (_, broken) = before.iter().find(|(isolation, _)| isolation == "schema").expect("a spare").clone();
    let inside = bed.superuser(0, &format!("app_{}", bed.app)).await;
    run(&inside, &format!("DROP TABLE t_{}.clients CASCADE", broken.replace('-', ""))).await;
    let ended = apply(&bed, &with(&bed, &[("0009_tiers", MORE)]), json!({})).await;
    assert_eq!(ended["state"], "succeeded", "{ended:#}");
    assert_eq!(ended["steps"][4]["output"]["tenants"], 1, "the canary was the other: {ended:#}");
    let (_, status) = bed.call(Method::GET, &format!("/apps/{}/migrations", bed.app), None).await;
    assert!(!status.to_string().contains("spare-"), "{status:#}");

    let after = loop {
        let there = filled(&bed, 2, &AHEAD).await;
        if there.intersection(&before).count() == 0 {
            break there;
        }
    };
    let failed = "SELECT count(*)::text FROM sindico.operations WHERE kind = 'remove' AND title LIKE 'spare-%'";
    assert_eq!(one(&bed.control().await, failed).await, "6");
    assert_eq!(after.len(), 6, "the seed of the others is of an older release");
    for (_, spare) in &before {
        assert_eq!(bed.traces(spare).await, Vec::<String>::new());
    }
    for isolation in AHEAD {
        let warm = bed.tenant(&format!("new-{isolation}"), isolation).await;
        assert_eq!(steps(&bed, &warm).await, ["spare"]);
        let tiers = rows(&enter(&warm).await, "SELECT DISTINCT tier FROM clients").await;
        assert_eq!(tiers, ["new"], "{isolation}");
    }
    assert_eq!(bed.orphans().await, Vec::<String>::new());
    bed.close().await;
}

#[tokio::test]
async fn what_nobody_should_become_is_removed() {
    let mut bed = Bed::with(keeping(2)).await;
    for isolation in AHEAD {
        bed.tenant(&format!("one-{isolation}"), isolation).await;
    }
    let first = filled(&bed, 2, &AHEAD).await;
    let gone = async |bed: &Bed, these: &BTreeSet<(String, String)>| {
        for (_, spare) in these {
            assert_eq!(bed.traces(spare).await, Vec::<String>::new());
        }
    };
    // Too old.
    run(
        &bed.control().await,
        "UPDATE sindico.tenants SET created_at = created_at - interval '25 hours' WHERE status = 'spare'",
    )
    .await;
    bed.restart(keeping(2)).await;
    let second = loop {
        let there = filled(&bed, 2, &AHEAD).await;
        if there.intersection(&first).count() == 0 {
            break there;
        }
    };
    gone(&bed, &first).await;
    // Too many.
    bed.restart(keeping(1)).await;
    let third = filled(&bed, 1, &AHEAD).await;
    gone(&bed, &second.difference(&third).cloned().collect()).await;
    // Not asked for any more.
    run(
        &bed.control().await,
        "UPDATE sindico.tenants SET created_at = created_at - interval '8 days' WHERE slug = 'one-shared'",
    )
    .await;
    bed.restart(keeping(1)).await;
    let fourth = filled(&bed, 1, &["database", "schema"]).await;
    gone(&bed, &third.difference(&fourth).cloned().collect()).await;
    // The app does not want any.
    let mut app = body(&pet_shop(&bed.app), &json!({}));
    app["manifest"] = json!(format!("name = \"{}\"\nwarm_pool = false", bed.app));
    let (status, told) = bed.call(Method::POST, &format!("/apps/{}/migrations", bed.app), Some(app)).await;
    assert!(status.is_success(), "{told:#}");
    bed.restart(keeping(1)).await;
    assert_eq!(filled(&bed, 0, &[]).await.len(), 0);
    gone(&bed, &fourth).await;
    let made = bed.tenant("two-schema", "schema").await;
    assert_eq!(steps(&bed, &made).await, ["reserve", "roles", "storage", "open"]);
    assert_eq!(bed.orphans().await, Vec::<String>::new());
    bed.close().await;
}

#[tokio::test]
async fn what_is_too_old_or_in_between_releases_is_nobodys() {
    let bed = Bed::with(keeping(1)).await;
    for isolation in AHEAD {
        bed.tenant(&format!("one-{isolation}"), isolation).await;
    }
    let there = filled(&bed, 1, &AHEAD).await;
    let control = bed.control().await;
    let asked = async |slug: &str, isolation: &str| {
        let made = bed.tenant(slug, isolation).await;
        assert!(!there.contains(&(isolation.to_owned(), id(&made))), "{made:#}");
        assert_eq!(steps(&bed, &made).await.first().map(String::as_str), Some("reserve"), "{slug}");
    };
    let age = |isolation: &str, by: &str| {
        format!(
            "UPDATE sindico.tenants t SET created_at = created_at - interval '{by}' FROM sindico.placements p
             WHERE p.tenant = t.id AND p.isolation = '{isolation}' AND t.status = 'spare'"
        )
    };
    // Nobody makes any from here on.
    run(&control, "SELECT pg_advisory_lock(hashtextextended('sindico spares', 0))").await;
    run(&control, &age("schema", "25 hours")).await;
    asked("two-schema", "schema").await;
    // Between two releases whoever asks is told so, spare or not.
    run(&control, "UPDATE sindico.app_clusters SET switching = true").await;
    let body = json!({"slug": "two-shared", "isolation": "shared"});
    let (status, told) = bed.call(Method::POST, "/tenants", Some(body)).await;
    assert_eq!((status, &told["code"]), (StatusCode::CONFLICT, &json!("MIGRATION_HALTED")), "{told:#}");
    run(&control, "UPDATE sindico.app_clusters SET switching = false").await;
    bed.close().await;
}

#[tokio::test]
async fn two_processes_keep_no_more_than_one_would_and_room_is_for_tenants() {
    let bed = Bed::with(keeping(2)).await;
    let other = bed.another_keeping(keeping(2)).await;
    let [mine, theirs] = [bed.lifecycle().clone(), other.lifecycle.clone()];
    let stop = tokio_util::sync::CancellationToken::new();
    let (one_stop, other_stop) = (stop.clone(), stop.clone());
    let more = tokio::spawn(async move { theirs.keep_warm_forever(one_stop).await });
    let third = tokio::spawn(async move { mine.keep_warm_forever(other_stop).await });
    for isolation in AHEAD {
        bed.tenant(&format!("one-{isolation}"), isolation).await;
    }
    filled(&bed, 2, &AHEAD).await;
    let sql = "SELECT count(*)::text FROM sindico.operations WHERE kind IN ('spare', 'remove')";
    assert_eq!(one(&bed.control().await, sql).await, "6", "none was made to be removed");
    stop.cancel();
    more.await.expect("stopped");
    third.await.expect("stopped");
    other.leave().await;
    // Spares take no tenant's place.
    run(&bed.control().await, "UPDATE sindico.clusters SET capacity = 5 WHERE name = 'main'").await;
    bed.tenant("two-schema", "schema").await;
    bed.tenant("three-schema", "schema").await;
    let body = json!({"slug": "four-schema", "isolation": "schema"});
    let (status, told) = bed.call(Method::POST, "/tenants", Some(body)).await;
    assert_eq!(status, StatusCode::CONFLICT, "{told:#}");
    bed.close().await;
}
