//! The control database goes away while everything is under way, again and again, and what was begun comes to its end all the same.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tokio_postgres::Client;

use crate::bed::{Bed, enter, one, rows, run};
use crate::migrate::{ALL, body, with};

/// Leases end after 10 s, and what was put off comes again within a minute.
const PATIENCE: Duration = Duration::from_mins(3);

/// Ends every session of the control database, as a server does that restarts.
async fn cut_off(server: &Client, control: &str) {
    let end = format!("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{control}'");
    run(server, &end).await;
}

/// Waits until nothing is under way.
async fn settled(bed: &Bed) {
    let left = "SELECT kind || ' ' || title || ' ' || state || ' ' || coalesce(error, '') FROM sindico.operations WHERE ended_at IS NULL";
    let until = Instant::now() + PATIENCE;
    loop {
        let left = rows(&bed.control().await, left).await;
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < until, "still under way: {left:#?}");
        sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn operations_end_though_the_control_database_goes_away_in_the_middle() {
    let bed = Bed::make().await;
    let mut dsns: BTreeMap<String, Value> = BTreeMap::new();
    for isolation in ALL {
        for word in ["stays", "goes"] {
            let slug = format!("{word}-{isolation}");
            dsns.insert(slug.clone(), bed.tenant(&slug, isolation).await);
        }
    }
    let server = bed.superuser(0, "postgres").await;
    let control = bed.control_database().to_owned();
    let app = body(&with(&bed, &[("0100_k", "ALTER TABLE clients ADD COLUMN k bigserial;")]), &json!({}));
    let backups = format!("/apps/{}/backups", bed.app);
    let migrations = format!("/apps/{}/migrations", bed.app);
    let asking = async {
        // Nobody knows what comes of a request whose answer is lost.
        let made = join_all(ALL.into_iter().flat_map(|isolation| [1, 2].map(|nth| (isolation, nth))).map(
            async |(isolation, nth)| {
                let wanted = json!({"slug": format!("new-{nth}-{isolation}"), "isolation": isolation});
                bed.call(Method::POST, "/tenants", Some(wanted)).await
            },
        ));
        let gone = join_all(ALL.map(async |isolation| {
            let slug = format!("goes-{isolation}");
            bed.call(Method::DELETE, &format!("/tenants/{slug}?confirm={slug}"), None).await
        }));
        let saved = bed.call(Method::POST, &backups, None);
        let migrated = bed.call(Method::POST, &migrations, Some(app.clone()));
        tokio::join!(made, gone, saved, migrated)
    };
    let cutting = async {
        for pause in [150, 400, 300, 900, 50, 700] {
            sleep(Duration::from_millis(pause)).await;
            cut_off(&server, &control).await;
        }
        run(&server, &format!("ALTER DATABASE {control} ALLOW_CONNECTIONS false")).await;
        cut_off(&server, &control).await;
        sleep(Duration::from_secs(3)).await;
        run(&server, &format!("ALTER DATABASE {control} ALLOW_CONNECTIONS true")).await;
    };
    let ((made, gone, ..), ()) = tokio::join!(asking, cutting);
    settled(&bed).await;

    // Whoever was told that it is so finds it so; everybody else is there whole or not at all.
    let (status, page) = bed.call(Method::GET, "/tenants?limit=100", None).await;
    assert_eq!(status, StatusCode::OK, "{page:#}");
    let there: BTreeMap<&str, &str> = page["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|it| (it["slug"].as_str().expect("a slug"), it["status"].as_str().expect("a status")))
        .collect();
    assert!(there.values().all(|status| *status == "active"), "{there:#?}");
    for (status, tenant) in &made {
        if *status == StatusCode::CREATED {
            assert!(there.contains_key(tenant["slug"].as_str().expect("a slug")), "{tenant:#}");
            assert_eq!(one(&enter(tenant).await, "SELECT count(*)::text FROM clients").await, "1", "{tenant:#}");
        }
    }
    for (isolation, (status, _)) in ALL.into_iter().zip(&gone) {
        if *status == StatusCode::NO_CONTENT {
            assert!(!there.contains_key(format!("goes-{isolation}").as_str()));
        }
    }
    // The migration is gone on with by whoever asks again, if nobody has finished it.
    let (status, told) = bed.call(Method::POST, &migrations, Some(app.clone())).await;
    assert!(status.is_success(), "{told:#}");
    settled(&bed).await;
    let (_, seen) = bed.call(Method::GET, &format!("{migrations}?all=true&limit=100"), None).await;
    let versions: Vec<&Value> = seen["items"].as_array().expect("items").iter().map(|it| &it["version"]).collect();
    assert!(versions.iter().all(|version| *version == versions[0]), "{seen:#}");
    for isolation in ALL {
        let client = enter(&dsns[&format!("stays-{isolation}")]).await;
        assert_eq!(one(&client, "SELECT string_agg(k::text, ',') FROM clients").await, "1", "{isolation}");
        let late = bed.tenant(&format!("late-{isolation}"), isolation).await;
        assert_eq!(one(&enter(&late).await, "SELECT max(k)::text FROM clients").await, "1", "{isolation}");
    }
    assert_eq!(bed.orphans().await, Vec::<String>::new());
    bed.close().await;
}
