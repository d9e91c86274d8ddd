//! Listing tenants: filters, bounds and pages.

use reqwest::Method;
use serde_json::{Value, json};

use crate::api::operator;
use crate::bed::Bed;

fn slugs(page: &Value) -> Vec<&str> {
    let items = page["items"].as_array().expect("items");
    items.iter().map(|item| item["slug"].as_str().expect("a slug")).collect()
}

#[tokio::test]
async fn pages_show_every_tenant_once_and_filters_only_those_asked_for() {
    let bed = Bed::make().await;
    let mut made = Vec::new();
    for (index, isolation) in
        ["shared", "schema", "shared", "database", "cluster", "schema", "shared"].into_iter().enumerate()
    {
        made.push(bed.tenant(&format!("t{index}"), isolation).await);
    }
    let all = ["t0", "t1", "t2", "t3", "t4", "t5", "t6"];
    for limit in 1..=8 {
        let (mut seen, mut after, mut pages) = (Vec::new(), String::new(), 0);
        loop {
            let page = operator(&bed, Method::GET, &format!("/tenants?limit={limit}{after}"), None).await;
            assert_eq!(page.status, 200, "{page:#?}");
            let here = slugs(&page.body);
            assert!(here.len() <= limit, "{page:#?}");
            seen.extend(here.into_iter().map(ToOwned::to_owned));
            pages += 1;
            let Some(next) = page.body["next"].as_str() else {
                assert!(page.body["next"].is_null());
                break;
            };
            after = format!("&after={next}");
        }
        assert_eq!(seen, all, "pages of {limit}");
        assert_eq!(pages, 7_usize.div_ceil(limit), "no empty page at the end");
    }

    bed.call(Method::PATCH, "/tenants/t2", Some(json!({"status": "suspended"}))).await;
    let app = bed.app.as_str();
    for (query, expected) in [
        (String::new(), all.to_vec()),
        (format!("?app={app}"), all.to_vec()),
        ("?app=another".to_owned(), vec![]),
        ("?isolation=schema".to_owned(), vec!["t1", "t5"]),
        ("?isolation=cluster".to_owned(), vec!["t4"]),
        ("?status=suspended".to_owned(), vec!["t2"]),
        ("?status=active&isolation=shared".to_owned(), vec!["t0", "t6"]),
        ("?status=deleting".to_owned(), vec![]),
        ("?isolation=shared&limit=2".to_owned(), vec!["t0", "t2"]),
        (format!("?isolation=shared&limit=2&after={}", made[2]["id"].as_str().expect("an id")), vec!["t6"]),
        // The tenant that a page ended with may be gone by the time of the next.
        ("?after=00000000-0000-0000-0000-000000000000".to_owned(), all.to_vec()),
        ("?after=ffffffff-ffff-ffff-ffff-ffffffffffff".to_owned(), vec![]),
        ("?limit=1000".to_owned(), all.to_vec()),
    ] {
        let page = operator(&bed, Method::GET, &format!("/tenants{query}"), None).await;
        assert_eq!(slugs(&page.body), expected, "{query}");
    }
    bed.close().await;
}

#[tokio::test]
async fn a_query_that_makes_no_sense_is_refused() {
    let bed = Bed::make().await;
    for (limit, code) in [
        ("0", "INVALID_FIELD"),
        ("1001", "INVALID_FIELD"),
        ("-1", "INVALID_FIELD"),
        ("9223372036854775807", "INVALID_FIELD"),
        ("9223372036854775808", "INVALID_QUERY"),
        ("ten", "INVALID_QUERY"),
        ("", "INVALID_QUERY"),
    ] {
        operator(&bed, Method::GET, &format!("/tenants?limit={limit}"), None).await.is_problem(422, code).says("limit");
    }
    for (query, named) in [
        ("after=t0", "after"),
        ("status=open", "status"),
        ("isolation=SHARED", "isolation"),
        ("app=Not%20An%20App", "app"),
        ("page=2", "page"),
        ("limit=1&limit=2", "limit"),
        ("app=%ff", "app"),
        ("app=%00", "app"),
    ] {
        operator(&bed, Method::GET, &format!("/tenants?{query}"), None)
            .await
            .is_problem(422, "INVALID_QUERY")
            .says(named);
    }
    bed.close().await;
}
