//! What Prometheus collects.

use reqwest::{Method, StatusCode};

use crate::bed::{Bed, Options, TOKEN, enter, refusal, sqlstate};

/// A series: its name, its labels as written, and its value.
type Sample = (String, String, f64);

/// Reads `OpenMetrics`: every line is a series whose family was described before, and the last says that it is.
fn parse(text: &str) -> Vec<Sample> {
    let mut described: Vec<(String, String)> = Vec::new();
    let mut helped = Vec::new();
    let mut samples = Vec::new();
    let body = text.strip_suffix("# EOF\n").expect("an end");
    for line in body.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let [kind, name, rest] = comment.splitn(3, ' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
            match kind {
                "TYPE" => described.push((name.to_owned(), rest.to_owned())),
                "HELP" => helped.push(name.to_owned()),
                "UNIT" => assert!(name.ends_with(&format!("_{rest}")), "{line}"),
                _ => panic!("{line}"),
            }
            continue;
        }
        let (series, value) = line.rsplit_once(' ').expect(line);
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let known = described.iter().any(|(family, kind)| {
            let endings: &[&str] = match kind.as_str() {
                "counter" => &["_total"],
                "histogram" => &["_bucket", "_sum", "_count"],
                _ => &[""],
            };
            endings.iter().any(|ending| name.strip_suffix(ending).is_some_and(|rest| rest == family))
        });
        assert!(known, "{line}");
        let value = value.parse().expect(line);
        samples.push((name.to_owned(), labels.trim_end_matches('}').to_owned(), value));
    }
    assert!(described.iter().all(|(name, _)| helped.contains(name)), "a family without a text");
    samples
}

async fn scrape(bed: &Bed) -> Vec<Sample> {
    let answer = bed.raw(Method::GET, "/metrics").bearer_auth(TOKEN).send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(answer.headers()["content-type"].to_str().expect("text").starts_with("application/openmetrics-text"));
    parse(&answer.text().await.expect("a body"))
}

/// The same once nobody of so many clients is at work: what a session has done is noted after its client has heard the answer.
async fn scrape_at_rest(bed: &Bed, clients: f64) -> Vec<Sample> {
    for _ in 0..100 {
        let samples = scrape(bed).await;
        if (value(&samples, "sindico_clients", "keeping") - clients).abs() < 1e-9 {
            return samples;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("sessions do not come to rest");
}

fn value(samples: &[Sample], name: &str, label: &str) -> f64 {
    let found = samples.iter().find(|(its, labels, _)| its == name && labels.contains(label));
    found.unwrap_or_else(|| panic!("no {name}{{{label}}}")).2
}

#[tokio::test]
async fn metrics_are_collected_and_few_tenants_are_named() {
    let bed = Bed::with(Options::by_session()).await;
    assert_eq!(bed.raw(Method::GET, "/metrics").send().await.expect("an answer").status(), StatusCode::UNAUTHORIZED);
    let mut made = Vec::new();
    for nth in 0..4 {
        made.push(bed.tenant(&format!("paws-{nth}"), "shared").await);
    }
    let mut clients = Vec::new();
    for (nth, tenant) in made.iter().enumerate() {
        let client = enter(tenant).await;
        // The last two work longest, by so much that a busy machine changes nothing about it.
        client.batch_execute(if nth < 2 { "SELECT 1" } else { "SELECT pg_sleep(2)" }).await.expect("slept");
        clients.push(client);
    }
    assert_eq!(sqlstate(&clients[0], "SELECT 1/0").await, "22012");
    let wrong = crate::bed::dsn(&made[0]).replace("sk_", "xx_");
    assert_eq!(refusal(&wrong).await.0, "28P01");

    let samples = scrape_at_rest(&bed, 4.0).await;
    let get = |name, label: &str| value(&samples, name, label);
    let named: Vec<&str> = (2..4).map(|nth| made[nth]["id"].as_str().expect("an id")).collect();
    for id in &named {
        assert!((get("tenant_query_duration_seconds_count", id) - 1.0).abs() < 1e-9);
        assert!(get("tenant_query_duration_seconds_sum", id) >= 1.9);
        assert!(get("sindico_received_bytes_total", id) > 0.0);
    }
    assert!((get("tenant_query_duration_seconds_count", "other") - 3.0).abs() < 1e-9);
    let tenants: std::collections::BTreeSet<_> =
        samples.iter().filter(|it| it.0 == "sindico_tenant_clients").map(|it| it.1.clone()).collect();
    assert_eq!(tenants.len(), 3, "two are named: {tenants:?}");
    assert!((get("sindico_errors_total", "class=\"22\"") - 1.0).abs() < 1e-9);
    assert!((get("sindico_logins_refused_total", "28P01") - 1.0).abs() < 1e-9);
    assert!((get("tenants_active", "") - 4.0).abs() < 1e-9);
    assert!(get("sindico_servers_active", "cluster=\"main\"") >= 4.0);

    // No counter goes back when others become the busiest.
    clients[0].batch_execute("SELECT pg_sleep(4)").await.expect("slept");
    let later = scrape_at_rest(&bed, 4.0).await;
    let sum = |samples: &[Sample]| {
        samples.iter().filter(|it| it.0 == "tenant_query_duration_seconds_count").map(|it| it.2).sum::<f64>()
    };
    assert!((sum(&later) - sum(&samples) - 1.0).abs() < 1e-9);
    let other = |samples: &[Sample]| value(samples, "tenant_query_duration_seconds_count", "other");
    assert!(other(&later) >= other(&samples));
    bed.close().await;
}
