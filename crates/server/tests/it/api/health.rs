//! What load balancers ask.

use reqwest::Method;
use serde_json::json;

use crate::api::send;
use crate::bed::Bed;

#[tokio::test]
async fn health_is_open_to_everybody_and_counts_tenants() {
    let bed = Bed::make().await;
    for (count, slug) in [(0, "one"), (1, "two")] {
        for path in ["/health", "/api/v1/health"] {
            let reply = send(bed.raw(Method::GET, path)).await;
            let expected =
                json!({"status": "ok", "database": "ok", "tenants_count": count, "version": env!("CARGO_PKG_VERSION")});
            assert_eq!((reply.status, &reply.body), (200, &expected));
            let head = send(bed.raw(Method::HEAD, path)).await;
            assert_eq!((head.status, head.body.is_null()), (200, true));
        }
        bed.tenant(slug, "shared").await;
    }
    bed.close().await;
}
