//! What tenants use, in every isolation, by PostgreSQL's statistics and by what their clients do.

use catalog::{Counter, TenantRef, Traffic};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::api::operator;
use crate::bed::{Bed, Options, connect, dsn, enter, one, rows, run};
use crate::migrate::{ALL, ended};

async fn collect(bed: &Bed, tenant: &str) -> Value {
    let collected = operator(bed, Method::POST, &format!("/tenants/{tenant}/resources"), None).await;
    assert_eq!(collected.status, 200, "{collected:#?}");
    collected.body
}

async fn history(bed: &Bed, tenant: &str, filter: &str) -> Value {
    let page = operator(bed, Method::GET, &format!("/tenants/{tenant}/usage?{filter}"), None).await;
    assert_eq!(page.status, 200, "{page:#?}");
    page.body
}

fn number(value: &Value, pointer: &str) -> i64 {
    value.pointer(pointer).and_then(Value::as_i64).unwrap_or_else(|| panic!("no {pointer} in {value:#}"))
}

fn table<'a>(usage: &'a Value, name: &str) -> &'a Value {
    let tables = usage["tables"].as_array().expect("tables");
    tables.iter().find(|table| table["name"] == name).unwrap_or_else(|| panic!("no {name} in {usage:#}"))
}

fn near(got: i64, expected: i64, by: i64) {
    assert!((got - expected).abs() <= by, "{got}, and not {expected} give or take {by}");
}

/// A tenant with so many clients beside the one of the seed.
async fn with_clients(bed: &Bed, slug: &str, isolation: &str, clients: usize) -> Value {
    let made = bed.tenant(slug, isolation).await;
    let insert = format!(
        "INSERT INTO clients (name, phone, notes) SELECT 'Bia', '1234567', repeat('x', 100) FROM generate_series(1, {clients})"
    );
    run(&enter(&made).await, &insert).await;
    made
}

/// Where a tenant's tables are, as their superuser.
async fn at(bed: &Bed, made: &Value) -> tokio_postgres::Client {
    let server = usize::from(made["isolation"] == "cluster");
    bed.superuser(server, made["placement"]["database"].as_str().expect("a database")).await
}

#[tokio::test]
async fn each_isolation_tells_tenants_of_different_sizes_apart() {
    let bed = Bed::make().await;
    for isolation in ALL {
        let [large, small] = [format!("large-{isolation}"), format!("small-{isolation}")];
        let made = with_clients(&bed, &large, isolation, 1499).await;
        let other = with_clients(&bed, &small, isolation, 299).await;
        for tenant in [&made, &other] {
            run(&at(&bed, tenant).await, "ANALYZE").await;
        }
        let (large, small) = (collect(&bed, &large).await, collect(&bed, &small).await);
        for (usage, clients) in [(&large, 1500), (&small, 300)] {
            assert_eq!(usage["isolation"], isolation);
            let found = table(usage, "clients");
            near(number(found, "/rows"), clients, 15);
            assert!(found["as_of"].is_string() && usage["rows"]["as_of"].is_string(), "{usage:#}");
            assert_eq!(usage["rows"]["estimated"], true);
            assert_eq!(usage["bytes"]["estimated"], isolation == "shared");
            let of_tables = |field: &str| -> i64 {
                usage["tables"].as_array().expect("tables").iter().filter_map(|it| it[field].as_i64()).sum()
            };
            assert_eq!(number(usage, "/rows/count"), of_tables("rows"));
            assert_eq!(number(usage, "/bytes/count"), of_tables("bytes"));
            let names: Vec<&str> =
                usage["tables"].as_array().expect("tables").iter().filter_map(|it| it["name"].as_str()).collect();
            assert!(!names.contains(&"species"), "what is the same for all is nobody's: {names:?}");
        }
        let sizes = [&large, &small].map(|usage| number(table(usage, "clients"), "/bytes"));
        assert!(sizes[0] > 2 * sizes[1] && sizes[1] > 0, "{isolation}: {sizes:?}");
        let schema = made["placement"]["schema"].as_str().expect("a schema");
        let size = format!("SELECT pg_total_relation_size('{schema}.clients')");
        let whole: i64 = one(&at(&bed, &made).await, &size).await.parse().expect("a size");
        if isolation == "shared" {
            // Both together have all of it, five parts to one.
            near(sizes[0] + sizes[1], whole, whole / 50);
            near(sizes[0], 5 * sizes[1], whole / 50);
        } else {
            assert_eq!(sizes[0], whole, "{isolation}: a file's size is exact");
        }
    }
    bed.close().await;
}

#[tokio::test]
async fn what_is_not_known_yet_is_said_to_be_unknown() {
    let bed = Bed::make().await;
    bed.tenant("paws", "shared").await;
    bed.tenant("other", "shared").await;
    let none = operator(&bed, Method::GET, "/tenants/paws/resources", None).await;
    none.is_problem(404, "USAGE_NOT_COLLECTED").says("sindico tenant usage paws --now");
    assert_eq!(history(&bed, "paws", "").await, json!({"items": [], "next": null}));

    let inside = bed.superuser(0, &format!("app_{}", bed.app)).await;
    let never = "SELECT reltuples FROM pg_class WHERE oid = 'clients'::regclass";
    assert_eq!(one(&inside, never).await, "-1", "a table that nobody has analyzed");
    let usage = collect(&bed, "paws").await;
    assert_eq!((&table(&usage, "clients")["rows"], &table(&usage, "clients")["bytes"]), (&Value::Null, &Value::Null));
    assert!(number(&usage, "/rows/unknown_tables") > 0, "{usage:#}");
    run(&inside, "ANALYZE").await;
    let usage = collect(&bed, "paws").await;
    assert_eq!((number(table(&usage, "clients"), "/rows"), number(&usage, "/rows/unknown_tables")), (1, 0));
    let shown = operator(&bed, Method::GET, "/tenants/paws/resources", None).await;
    assert_eq!(shown.body["taken_at"], usage["taken_at"], "the newest is shown");

    // Where a tenant has tables of its own, it is enough to know what was inserted; and an empty schema has nothing.
    let own = with_clients(&bed, "own", "schema", 99).await;
    let inserted = format!(
        "SELECT pg_stat_force_next_flush(); SELECT pg_stat_get_live_tuples('{}.clients'::regclass)",
        own["placement"]["schema"].as_str().expect("a schema")
    );
    while rows(&inside, &inserted).await.last().map(String::as_str) != Some("100") {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let usage = collect(&bed, "own").await;
    assert_eq!((number(table(&usage, "clients"), "/rows"), &table(&usage, "clients")["as_of"]), (100, &Value::Null));
    let drop = operator(&bed, Method::DELETE, "/tenants/own/schema?confirm=own", None).await;
    assert_eq!(drop.status, 204);
    let usage = collect(&bed, "own").await;
    assert_eq!((number(&usage, "/rows/count"), number(&usage, "/bytes/count"), &usage["tables"]), (0, 0, &json!([])));
    operator(&bed, Method::POST, "/tenants/nobody/resources", None).await.is_problem(404, "TENANT_NOT_FOUND");
    bed.close().await;
}

#[tokio::test]
async fn a_locked_table_is_not_waited_for() {
    let bed = Bed::make().await;
    let made = with_clients(&bed, "paws", "schema", 500).await;
    let mut holder = at(&bed, &made).await;
    run(&holder, "VACUUM ANALYZE").await;
    let exact = collect(&bed, "paws").await;
    let schema = made["placement"]["schema"].as_str().expect("a schema");
    let held = holder.transaction().await.expect("a transaction");
    held.batch_execute(&format!("LOCK TABLE {schema}.clients IN ACCESS EXCLUSIVE MODE")).await.expect("locked");
    let usage = collect(&bed, "paws").await;
    assert_eq!((&exact["bytes"]["estimated"], &usage["bytes"]["estimated"]), (&json!(false), &json!(true)));
    assert_eq!(table(&usage, "clients")["rows"], table(&exact, "clients")["rows"]);
    let [estimate, size] = [&usage, &exact].map(|usage| number(table(usage, "clients"), "/bytes"));
    // Without the maps of free space and visibility.
    assert!(estimate <= size && estimate > size / 2, "{estimate} of {size}");
    held.rollback().await.expect("released");
    bed.close().await;
}

#[tokio::test]
async fn requests_add_up_over_restarts_and_are_counted_once() {
    let mut bed = Bed::make().await;
    let made = bed.tenant("paws", "schema").await;
    bed.tenant("quiet", "schema").await;
    let requests = |usage: &Value| -> [i64; 3] {
        ["queries", "transactions", "sent_bytes"].map(|field| number(usage, &format!("/requests/{field}")))
    };
    let client = enter(&made).await;
    for _ in 0..7 {
        run(&client, "SELECT count(*) FROM clients").await;
    }
    run(&client, "BEGIN; SELECT 1; COMMIT").await;
    assert!(client.batch_execute("SELECT 1/0").await.is_err());
    let first = collect(&bed, "paws").await;
    assert_eq!((number(&first, "/connections"), number(&first, "/requests/errors")), (1, 1), "{first:#}");
    assert!(requests(&first)[0] >= 9 && requests(&first)[1] >= 9, "{first:#}");
    assert_eq!(first["requests_since_previous"], Value::Null, "there is none before");
    let second = collect(&bed, "paws").await;
    assert_eq!(requests(&second), requests(&first), "nothing was asked in between");
    for _ in 0..4 {
        run(&client, "SELECT 1").await;
    }
    drop(client);
    // What was counted last is written down by a process that stops.
    let port = bed.gateway_port;
    bed.restart(Options::default()).await;
    let third = collect(&bed, "paws").await;
    assert_eq!(number(&third, "/requests_since_previous/queries"), 4, "{third:#}");
    assert_eq!((requests(&third)[0], number(&third, "/connections")), (requests(&first)[0] + 4, 0));

    let again = dsn(&made).replace(&format!(":{port}/"), &format!(":{}/", bed.gateway_port));
    let client = connect(&again).await.expect("the gateway is back");
    for _ in 0..3 {
        run(&client, "SELECT 1").await;
    }
    let fourth = collect(&bed, "paws").await;
    assert_eq!(number(&fourth, "/requests_since_previous/queries"), 3, "a new process begins at zero: {fourth:#}");
    assert_eq!(requests(&fourth)[0], requests(&first)[0] + 7);
    // Processes that have been silent are added up, and one that was thought dead goes on from there.
    run(&bed.control().await, "UPDATE sindico.usage_processes SET seen_at = now() - interval '3 days'").await;
    assert_eq!(bed.catalog().fold_counters(24).await.expect("added up"), 2);
    run(&client, "SELECT 1").await;
    let fifth = collect(&bed, "paws").await;
    assert_eq!((requests(&fifth)[0], number(&fifth, "/connections")), (requests(&first)[0] + 8, 1));

    let quiet = collect(&bed, "quiet").await;
    assert_eq!(requests(&quiet), [0, 0, 0], "another tenant's are not its own");
    bed.close().await;
}

#[tokio::test]
async fn several_processes_add_up_and_nothing_is_counted_twice() {
    let bed = Bed::make().await;
    let made = bed.tenant("paws", "shared").await;
    let tenant = made["id"].as_str().expect("an id").parse().expect("an id");
    let counter = |queries, clients| Counter { tenant, clients, traffic: Traffic { queries, ..Traffic::default() } };
    let stranger = Counter { tenant: domain::TenantId::from_uuid(Uuid::now_v7()), ..counter(99, 9) };
    let [one, other] = [Uuid::now_v7(), Uuid::now_v7()];
    let catalog = bed.catalog();
    for process in [one, other] {
        assert!(!catalog.put_counters(process, &[counter(1, 1)]).await.expect("asked"), "nobody knows it yet");
        catalog.begin_counting(process).await.expect("begun");
    }
    let base = number(&collect(&bed, "paws").await, "/requests/queries");
    for counted in [[counter(5, 2), stranger], [counter(5, 2), stranger], [counter(8, 3), stranger]] {
        assert!(catalog.put_counters(one, &counted).await.expect("written"), "a tenant that is no more is left out");
    }
    assert!(catalog.put_counters(other, &[counter(10, 4)]).await.expect("written"));
    let usage = collect(&bed, "paws").await;
    assert_eq!((number(&usage, "/requests/queries") - base, number(&usage, "/connections")), (18, 7));
    let control = bed.control().await;
    run(
        &control,
        &format!("UPDATE sindico.usage_processes SET seen_at = now() - interval '2 days' WHERE id = '{one}'"),
    )
    .await;
    let usage = collect(&bed, "paws").await;
    assert_eq!((number(&usage, "/requests/queries") - base, number(&usage, "/connections")), (18, 4), "silent");
    assert_eq!(catalog.fold_counters(24).await.expect("added up"), 1);
    assert!(!catalog.put_counters(one, &[counter(20, 3)]).await.expect("asked"), "it has been taken for dead");
    assert_eq!(catalog.fold_counters(24).await.expect("added up"), 0);
    let usage = collect(&bed, "paws").await;
    assert_eq!(number(&usage, "/requests/queries") - base, 18);
    bed.close().await;
}

#[tokio::test]
async fn the_schedule_collects_from_everybody_and_the_series_is_read_page_by_page() {
    let bed = Bed::make().await;
    for isolation in ALL {
        bed.tenant(&format!("a-{isolation}"), isolation).await;
        bed.tenant(&format!("b-{isolation}"), isolation).await;
    }
    let path = "/schedules/usage";
    let resumed = operator(&bed, Method::PATCH, path, Some(json!({"enabled": true, "cron": "0 0 1 1 *"}))).await;
    assert_eq!(resumed.status, 200, "{resumed:#?}");
    let mut operations = Vec::new();
    for _ in 0..5 {
        // Other than the real clock's, so that the test alone begins it.
        let at = time::OffsetDateTime::now_utc()
            + time::Duration::days(400 * (1 + i64::try_from(operations.len()).expect("few")));
        assert_eq!(bed.lifecycle().begin_due(Some(at)).await.expect("begun"), 1);
        let shown = operator(&bed, Method::GET, path, None).await.body;
        let operation = ended(&bed, &json!({"id": shown["last_operation"]})).await;
        assert_eq!((&operation["state"], &operation["kind"]), (&json!("succeeded"), &json!("usage")), "{operation:#}");
        // One database for all that share one, and one for each of the others.
        assert_eq!(operation["steps"][0]["output"], json!({"tenants": 8, "databases": 5}));
        operations.push(operation["id"].clone());
    }
    let mut moments = Vec::new();
    for isolation in ALL {
        for slug in [format!("a-{isolation}"), format!("b-{isolation}")] {
            let all = history(&bed, &slug, "").await;
            let items = all["items"].as_array().expect("items");
            assert_eq!((items.len(), &all["next"], &items[0]["isolation"]), (5, &Value::Null, &json!(isolation)));
            moments = items.iter().map(|it| it["taken_at"].as_str().expect("a time").to_owned()).collect();
            assert!(items[0]["requests_since_previous"].is_null() && items[1]["requests_since_previous"].is_object());
        }
    }
    let taken = |page: &Value| -> Vec<String> {
        page["items"]
            .as_array()
            .expect("items")
            .iter()
            .map(|it| it["taken_at"].as_str().expect("a time").to_owned())
            .collect()
    };
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = history(&bed, "a-shared", &format!("limit=2{after}")).await;
        seen.extend(taken(&page));
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    assert_eq!(seen, moments);
    let part = history(&bed, "a-shared", &format!("from={}&to={}", moments[1], moments[3])).await;
    assert_eq!(taken(&part), moments[1..3]);
    assert!(part["items"][0]["requests_since_previous"].is_object(), "the one before is not on the page");
    for (filter, pointer) in
        [("from=yesterday", "from"), ("to=2026-01-01", "to"), ("after=x", "after"), ("limit=0", "limit")]
    {
        let refused = operator(&bed, Method::GET, &format!("/tenants/a-shared/usage?{filter}"), None).await;
        refused.is_problem(422, "INVALID_FIELD").points_at(pointer);
    }
    let backwards = format!("/tenants/a-shared/usage?from={}&to={}", moments[3], moments[1]);
    operator(&bed, Method::GET, &backwards, None).await.is_problem(422, "INVALID_FIELD").points_at("to");

    let control = bed.control().await;
    let age = format!(
        "UPDATE sindico.usage_samples SET taken_at = taken_at - interval '91 days' WHERE taken_at < '{}'",
        moments[2]
    );
    run(&control, &age).await;
    assert_eq!(bed.catalog().purge_usage(90).await.expect("forgotten"), 16);
    assert_eq!(taken(&history(&bed, "a-shared", "").await), moments[2..]);

    bed.lifecycle().delete_tenant(TenantRef::Slug("a-shared".parse().expect("a slug"))).await.expect("removed");
    let left = "SELECT (SELECT count(*) FROM sindico.usage_samples s WHERE NOT EXISTS (SELECT FROM sindico.tenants t WHERE t.id = s.tenant)),
                       count(*) FROM sindico.usage_tables";
    assert_eq!(one(&control, left).await, "0,7", "nothing of whoever is no more");
    bed.close().await;
}

#[tokio::test]
async fn a_database_that_is_away_leaves_the_others_to_be_collected() {
    let bed = Bed::make().await;
    let made = bed.tenant("away", "database").await;
    bed.tenant("here", "schema").await;
    let database = made["placement"]["database"].as_str().expect("a database");
    let server = bed.superuser(0, "postgres").await;
    run(&server, &format!("ALTER DATABASE {database} RENAME TO {database}_away")).await;
    let resumed = operator(&bed, Method::PATCH, "/schedules/usage", Some(json!({"enabled": true}))).await;
    assert_eq!(resumed.status, 200, "{resumed:#?}");
    let at = time::OffsetDateTime::now_utc() + time::Duration::hours(2);
    assert_eq!(bed.lifecycle().begin_due(Some(at)).await.expect("begun"), 1);
    let shown = operator(&bed, Method::GET, "/schedules/usage", None).await.body;
    let operation = ended(&bed, &json!({"id": shown["last_operation"]})).await;
    assert_eq!(operation["state"], "failed", "{operation:#}");
    let why = operation["error"].as_str().expect("a reason");
    assert!(why.contains("1 of 2 tenants") && why.contains(database), "{why}");
    assert_eq!(history(&bed, "here", "").await["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(history(&bed, "away", "").await["items"].as_array().map(Vec::len), Some(0));
    let refused = operator(&bed, Method::POST, "/tenants/away/resources", None).await;
    refused.is_problem(502, "CLUSTER_FAILED").says("does not exist");
    run(&server, &format!("ALTER DATABASE {database}_away RENAME TO {database}")).await;
    bed.close().await;
}
