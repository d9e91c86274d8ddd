//! What nobody owns is found and removed, and nothing else is.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use domain::{Access, AppName, Role, TenantId};
use lifecycle::Probe;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::bed::{Bed, Options, enter, one, pet_shop, rows, run};
use crate::halt::Halt;
use crate::migrate::ended;

const ALL: [&str; 4] = ["shared", "schema", "database", "cluster"];

async fn report(bed: &Bed) -> Value {
    let (status, report) = bed.call(Method::GET, "/orphans", None).await;
    assert_eq!(status, StatusCode::OK, "{report:#}");
    report
}

fn names(report: &Value) -> BTreeSet<String> {
    let items = report["items"].as_array().expect("items");
    let word = |item: &Value, field: &str| item[field].as_str().expect("a word").to_owned();
    items.iter().map(|it| format!("{} {} {}", word(it, "cluster"), word(it, "kind"), word(it, "name"))).collect()
}

async fn sweep(bed: &Bed, report: &Value) -> Value {
    let (status, begun) = bed.call(Method::POST, "/orphans/sweep", Some(json!({"digest": report["digest"]}))).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{begun:#}");
    ended(bed, &begun).await
}

async fn cluster(bed: &Bed, name: &str) -> Uuid {
    let clusters = bed.catalog().clusters().await.expect("clusters");
    clusters.iter().find(|cluster| cluster.name.as_str() == name).expect("registered").id
}

fn hex() -> String {
    Uuid::now_v7().simple().to_string()
}

/// A row of a tenant's in a table that tenants share, whoever that is.
fn row_of(tenant: &str) -> String {
    format!(
        "INSERT INTO public.clients (id, name, phone, tenant_id) OVERRIDING SYSTEM VALUE VALUES (1, 'Nobody', '1234567', '{tenant}')"
    )
}

/// What this installation has made.
fn ours(app: &AppName, lost: &AppName, [gone, lone, misplaced]: [&str; 3], verifier: &str, mark: &str) -> Vec<String> {
    vec![
        format!("CREATE ROLE t_{gone} LOGIN IN ROLE app_{app}_shared_rw"),
        format!("CREATE ROLE r_{gone} LOGIN IN ROLE app_{app}_own_ro"),
        format!("CREATE ROLE r_{lone} LOGIN PASSWORD '{verifier}'"),
        format!("CREATE DATABASE app_{app}_{gone}"),
        format!("CREATE DATABASE app_{app}_{misplaced}"),
        format!("CREATE DATABASE building_app_{app}"),
        format!("CREATE DATABASE retired_tpl_{app}"),
        format!("COMMENT ON DATABASE retired_tpl_{app} IS 'sindico app {app} {mark}'"),
        format!("CREATE DATABASE tpl_{lost}"),
        format!("COMMENT ON DATABASE tpl_{lost} IS 'sindico app {lost} {mark}'"),
        format!("ALTER DATABASE tpl_{lost} IS_TEMPLATE true"),
        format!("CREATE ROLE app_{lost}_definer"),
    ]
}

/// What looks like it.
fn others(lost: &AppName, spared: &str, main: Uuid) -> Vec<String> {
    vec![
        // Those of others.
        format!("CREATE ROLE t_{spared} LOGIN PASSWORD 'x'"),
        format!("CREATE ROLE app_f{lost}_shared_rw"),
        format!("CREATE ROLE r_{spared} LOGIN IN ROLE app_f{lost}_shared_rw"),
        format!("CREATE DATABASE app_f{lost}_{spared}"),
        format!("CREATE DATABASE tpl_f{lost}"),
        format!(
            "COMMENT ON DATABASE tpl_f{lost} IS 'sindico app f{lost} of installation 0123456789abcdef on cluster {main}'"
        ),
        format!("CREATE DATABASE building_app_f{lost}"),
    ]
}

fn expected(app: &AppName, lost: &AppName, [gone, lone, sharing, in_schema]: [&str; 4]) -> BTreeSet<String> {
    [
        format!("main role t_{gone}"),
        format!("main role r_{gone}"),
        format!("main role r_{lone}"),
        format!("main database app_{app}_{gone}"),
        format!("main database app_{app}_{in_schema}"),
        format!("main build building_app_{app}"),
        format!("main build retired_tpl_{app}"),
        format!("main app_database tpl_{lost}"),
        format!("main app_role app_{lost}_definer"),
        format!("dedicated role t_{sharing}"),
        format!("main schema t_{gone}"),
        format!("main schema s_{gone}"),
        format!("main schema v_{gone}"),
        format!("main schema t_{sharing}"),
        "main rows clients".to_owned(),
    ]
    .into()
}

#[tokio::test]
async fn every_kind_of_orphan_is_found_and_removed_and_nothing_else_is() {
    let bed = Bed::make().await;
    let app = &bed.app;
    let mut tenants = Vec::new();
    for isolation in ALL {
        tenants.push(bed.tenant(&format!("paws-{isolation}"), isolation).await);
    }
    let views = bed.call(Method::PUT, "/tenants/paws-shared/views", Some(json!({}))).await;
    assert_eq!(views.0, StatusCode::OK, "{:#}", views.1);
    assert_eq!(names(&report(&bed).await), BTreeSet::new());

    let (server, other) = (bed.superuser(0, "postgres").await, bed.superuser(1, "postgres").await);
    let inside = bed.superuser(0, &format!("app_{app}")).await;
    let (gone, lone, spared) = (hex(), hex(), hex());
    let at = |nth: usize| tenants[nth]["id"].as_str().expect("an id").to_owned();
    let of = |nth: usize| at(nth).replace('-', "");
    let main = cluster(&bed, "main").await;
    let master = bed.catalog().master();
    let lone_id: TenantId = lone.parse().expect("an id");
    let verifier = master.role_verifier(main, Role::new(lone_id, Access::ReadOnly)).expect("a verifier");
    let mark = format!("of installation {} on cluster {main}", master.installation());
    let lost: AppName = format!("l{}", &hex()[20..]).parse().expect("a name");
    let mut made = ours(app, &lost, [&gone, &lone, &of(1)], &verifier.to_string(), &mark);
    made.extend(others(&lost, &spared, main));
    for sql in made {
        run(&server, &sql).await;
    }
    run(&other, &format!("CREATE ROLE t_{} LOGIN IN ROLE app_{app}_own_rw", of(0))).await;
    for sql in [
        "SET session_replication_role = replica".to_owned(),
        format!("CREATE SCHEMA t_{gone} CREATE TABLE x (id int)"),
        format!("CREATE SCHEMA s_{gone} CREATE SEQUENCE x"),
        format!("CREATE SCHEMA v_{gone} CREATE VIEW x AS SELECT 1 AS a"),
        format!("CREATE SCHEMA t_{}", of(0)),
        row_of(&Uuid::parse_str(&gone).expect("an id").to_string()),
        // It has a schema of its own.
        row_of(&at(1)),
        "CREATE SCHEMA t_not_a_tenants".to_owned(),
        format!("CREATE SCHEMA x_{gone}"),
    ] {
        run(&inside, &sql).await;
    }
    let found = report(&bed).await;
    let mut expected = expected(app, &lost, [&gone, &lone, &of(0), &of(1)]);
    assert_eq!(names(&found), expected, "{found:#}");
    let items = found["items"].as_array().expect("items");
    assert_eq!(items.iter().filter(|it| it["kind"] == "rows").count(), 2, "{found:#}");
    assert!(items.iter().any(|it| it["why"].as_str().is_some_and(|why| why.contains("paws-schema lives elsewhere"))));
    assert!(
        items.iter().filter(|it| it["kind"] == "database").all(|it| it["bytes"].as_i64() > Some(1000)),
        "{found:#}"
    );

    // Something more is found than was reported, or something less.
    let late = hex();
    run(&inside, &format!("CREATE SCHEMA t_{late}")).await;
    let body = json!({"digest": found["digest"]});
    let (status, refused) = bed.call(Method::POST, "/orphans/sweep", Some(body)).await;
    assert_eq!((status, refused["code"].as_str()), (StatusCode::CONFLICT, Some("ORPHANS_CHANGED")), "{refused:#}");
    assert_eq!(names(&report(&bed).await).len(), expected.len() + 1, "nothing was removed");
    let exclude = format!("/orphans?exclude=t_{late},{}", Uuid::parse_str(&lone).expect("an id"));
    let (_, less) = bed.call(Method::GET, &exclude, None).await;
    expected.remove(&format!("main role r_{lone}"));
    assert_eq!(names(&less), expected);

    let body =
        json!({"digest": less["digest"], "exclude": [format!("t_{late}"), Uuid::parse_str(&lone).expect("an id")]});
    let (status, begun) = bed.call(Method::POST, "/orphans/sweep", Some(body)).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{begun:#}");
    let done = ended(&bed, &begun).await;
    assert_eq!((&done["state"], &done["steps"][0]["output"]["left"]), (&json!("succeeded"), &json!([])), "{done:#}");
    let removed = done["steps"][0]["output"]["removed"].as_array().map(Vec::len);
    assert_eq!(removed, Some(expected.len() + 1), "{done:#}");
    let rest = report(&bed).await;
    assert_eq!(names(&rest), [format!("main schema t_{late}"), format!("main role r_{lone}")].into(), "{rest:#}");
    assert_eq!(sweep(&bed, &rest).await["state"], "succeeded");
    assert_eq!(bed.orphans().await, Vec::<String>::new());

    let kept = format!(
        "SELECT rolname FROM pg_roles WHERE rolname LIKE '%{spared}'
         UNION ALL SELECT datname FROM pg_database WHERE datname LIKE '%f{lost}%' ORDER BY 1"
    );
    assert_eq!(rows(&server, &kept).await.len(), 5, "what is not ours is as it was");
    assert_eq!(
        rows(&inside, &format!("SELECT 1 FROM pg_namespace WHERE nspname IN ('x_{gone}', 't_not_a_tenants')"))
            .await
            .len(),
        2
    );
    for made in &tenants {
        assert_eq!(rows(&enter(made).await, "SELECT name FROM clients").await, ["Ana Souza"], "{made:#}");
    }
    for database in [format!("app_f{lost}_{spared}"), format!("tpl_f{lost}"), format!("building_app_f{lost}")] {
        run(&server, &format!("DROP DATABASE {database}")).await;
    }
    run(&server, &format!("DROP ROLE t_{spared}, r_{spared}, app_f{lost}_shared_rw")).await;
    bed.close().await;
}

/// Many rows of many tenants: those that nobody owns are found between the others.
#[tokio::test]
async fn rows_are_found_tenant_by_tenant() {
    let bed = Bed::make().await;
    let made = bed.tenant("paws", "shared").await;
    let inside = bed.superuser(0, &format!("app_{}", bed.app)).await;
    let many = "INSERT INTO public.clients (id, name, phone, tenant_id) OVERRIDING SYSTEM VALUE
                SELECT nth, 'Nobody', '1234567', tenant
                FROM (SELECT gen_random_uuid() AS tenant FROM generate_series(1, 50)) t, generate_series(1, 20) nth";
    run(&inside, "SET session_replication_role = replica").await;
    run(&inside, many).await;
    let found = report(&bed).await;
    assert_eq!(found["items"].as_array().map(Vec::len), Some(50), "{found:#}");
    let done = sweep(&bed, &found).await;
    assert_eq!(done["steps"][0]["output"]["removed"].as_array().map(Vec::len), Some(50), "{done:#}");
    assert_eq!(one(&inside, "SELECT count(*) FROM public.clients").await, "1");
    assert_eq!(rows(&enter(&made).await, "SELECT name FROM clients").await, ["Ana Souza"]);
    bed.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_is_made_or_removed_meanwhile_is_no_orphan_and_loses_nothing() {
    let bed = Arc::new(Bed::make().await);
    let makers: Vec<_> = (0..3)
        .map(|maker| {
            let bed = Arc::clone(&bed);
            tokio::spawn(async move {
                let mut kept = Vec::new();
                for nth in 0..8 {
                    let slug = format!("paws-{maker}-{nth}");
                    let body = json!({"slug": slug, "isolation": ALL[(maker + nth) % 4], "app": bed.app});
                    let (status, made) = bed.call(Method::POST, "/tenants", Some(body)).await;
                    assert_eq!(status, StatusCode::CREATED, "{made:#}");
                    if nth % 2 == 0 {
                        let (status, problem) = bed.call(Method::DELETE, &format!("/tenants/{slug}"), None).await;
                        assert_eq!(status, StatusCode::NO_CONTENT, "{problem:#}");
                    } else {
                        kept.push(made);
                    }
                }
                kept
            })
        })
        .collect();
    let registering = {
        let bed = Arc::clone(&bed);
        tokio::spawn(async move {
            let name: AppName = format!("q{}", &hex()[20..]).parse().expect("a name");
            bed.lifecycle().add_app(pet_shop(&name)).await.expect("registered");
        })
    };
    let mut looks = 0;
    while makers.iter().any(|maker| !maker.is_finished()) || !registering.is_finished() || looks < 5 {
        let found = report(&bed).await;
        assert_eq!(names(&found), BTreeSet::new(), "{found:#}");
        let done = sweep(&bed, &found).await;
        assert_eq!(done["state"], "succeeded", "{done:#}");
        looks += 1;
    }
    registering.await.expect("registered");
    for maker in makers {
        for made in maker.await.expect("made") {
            assert_eq!(rows(&enter(&made).await, "SELECT name FROM clients").await, ["Ana Souza"]);
        }
    }
    assert_eq!(bed.orphans().await, Vec::<String>::new());
    Arc::into_inner(bed).expect("all tasks ended").close().await;
}

/// What the sweep was told to remove, somebody has come to own before it is its turn.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_somebody_owns_by_now_is_left() {
    let (halt, probe) = Halt::at("sweep");
    let bed = Bed::with(Options { probe, ..Options::default() }).await;
    let made = bed.tenant("paws", "schema").await;
    let (id, tenant) = (made["id"].as_str().expect("an id"), made["id"].as_str().expect("an id").replace('-', ""));
    let control = bed.control().await;
    // As if the control database had been brought back from before the tenant was made.
    run(&control, &format!("CREATE TABLE public.kept AS SELECT * FROM sindico.tenants WHERE id = '{id}'")).await;
    run(&control, &format!("CREATE TABLE public.placed AS SELECT * FROM sindico.placements WHERE tenant = '{id}'"))
        .await;
    run(&control, &format!("DELETE FROM sindico.tenants WHERE id = '{id}'")).await;
    let found = report(&bed).await;
    let all = [format!("main role t_{tenant}"), format!("main role r_{tenant}"), format!("main schema t_{tenant}")];
    assert_eq!(names(&found), all.into(), "{found:#}");
    let body = json!({"digest": found["digest"]});
    let (status, begun) = bed.call(Method::POST, "/orphans/sweep", Some(body)).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{begun:#}");
    halt.reached().await;
    run(&control, "INSERT INTO sindico.tenants SELECT * FROM public.kept; INSERT INTO sindico.placements SELECT * FROM public.placed").await;
    halt.wake();
    let done = ended(&bed, &begun).await;
    let output = &done["steps"][0]["output"];
    assert_eq!((&output["removed"], output["left"].as_array().map(Vec::len)), (&json!([]), Some(3)), "{done:#}");
    assert_eq!(bed.orphans().await, Vec::<String>::new());
    let inside = bed.superuser(0, &format!("app_{}", bed.app)).await;
    assert_eq!(rows(&inside, &format!("SELECT name FROM t_{tenant}.clients")).await, ["Ana Souza"]);
    let logins = format!("SELECT count(*) FROM pg_roles WHERE rolname ~ '^[tr]_{tenant}$' AND rolcanlogin");
    assert_eq!(one(&inside, &logins).await, "2", "it is let in again");
    bed.close().await;
}

/// Whoever is at it dies in the middle; another goes on with the rest.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_sweep_that_is_cut_off_is_gone_on_with() {
    let passed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&passed);
    let probe = Probe::new(move |at| {
        assert!(at != "sweep" || count.fetch_add(1, Ordering::SeqCst) != 2, "dies here");
        false
    });
    let bed = Bed::with(Options { probe, ..Options::default() }).await;
    let inside = bed.superuser(0, &format!("app_{}", bed.app)).await;
    for _ in 0..5 {
        run(&inside, &format!("CREATE SCHEMA t_{}", hex())).await;
    }
    let found = report(&bed).await;
    let begun = sweep_begun(&bed, &found).await;
    while passed.load(Ordering::SeqCst) < 3 {
        tokio::task::yield_now().await;
    }
    let other = bed.another().await;
    let done = loop {
        other.lifecycle.recover().await.expect("recovery");
        let (_, operation) =
            bed.call(Method::GET, &format!("/operations/{}", begun["id"].as_str().expect("an id")), None).await;
        if !operation["ended_at"].is_null() {
            break operation;
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    };
    let output = &done["steps"][0]["output"];
    let count = |field: &str| output[field].as_array().map(Vec::len);
    assert_eq!(
        (&done["state"], count("gone"), count("removed"), count("left")),
        (&json!("succeeded"), Some(2), Some(3), Some(0)),
        "{done:#}"
    );
    assert_eq!(bed.orphans().await, Vec::<String>::new());
    other.leave().await;
    bed.close().await;
}

async fn sweep_begun(bed: &Bed, report: &Value) -> Value {
    let (status, begun) = bed.call(Method::POST, "/orphans/sweep", Some(json!({"digest": report["digest"]}))).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{begun:#}");
    begun
}
