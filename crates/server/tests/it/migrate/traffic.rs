//! Clients work while their tenants are migrated.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_meets_an_error_while_tenants_are_migrated_or_made() {
    let bed = Arc::new(Bed::make().await);
    let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut working = Vec::new();
    for nth in 0..12 {
        let isolation = ["shared", "schema", "database"][nth % 3];
        let made = bed.tenant(&format!("paws-{nth}"), isolation).await;
        let (client, stop, count) = (enter(&made).await, Arc::clone(&stop), Arc::clone(&count));
        working.push(tokio::spawn(async move {
            let insert =
                client.prepare("INSERT INTO clients (name, phone) VALUES ($1, '1234567')").await.expect("prepared");
            while !stop.load(Ordering::Relaxed) {
                client.execute(&insert, &[&"Bia"]).await.expect("written");
                client.query("SELECT id, name FROM clients ORDER BY id DESC LIMIT 5", &[]).await.expect("read");
                client
                    .batch_execute("BEGIN; UPDATE clients SET notes = 'x' WHERE id = 1; COMMIT")
                    .await
                    .expect("changed");
                count.fetch_add(1, Ordering::Relaxed);
            }
            rows(&client, "SELECT count(*) - count(number) FROM clients").await
        }));
    }
    // Tenants are made all the while, of whichever version.
    let (maker, ending) = (Arc::clone(&bed), Arc::clone(&stop));
    let making = tokio::spawn(async move {
        let mut made = 0;
        while !ending.load(Ordering::Relaxed) {
            maker.tenant(&format!("new-{made}"), ["shared", "schema", "database"][made % 3]).await;
            made += 1;
        }
        made
    });
    let app = with(&bed, &[("0005_loyalty", LOYALTY), ("0006_points", POINTS)]);
    let done = apply(&bed, &app, json!({"lock_timeout_ms": 500, "lock_retries": 100})).await;
    assert_eq!(done["state"], "succeeded", "{done:#}");
    let before = count.load(Ordering::Relaxed);
    while count.load(Ordering::Relaxed) < before + 50 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    stop.store(true, Ordering::Relaxed);
    for client in working {
        assert_eq!(client.await.expect("no client met an error"), ["0"], "every row has its number");
    }
    let made = making.await.expect("every tenant was made");
    let told = status(&bed).await;
    assert_eq!(told["versions"], json!([{"version": 6, "name": "0006_points", "tenants": 12 + made}]), "{told:#}");
    let (_, begun) = bed.call(Method::POST, &format!("/apps/{}/migrations/verify", bed.app), None).await;
    assert_eq!(ended(&bed, &begun).await["steps"][0]["output"]["drifted"], json!([]));
    Arc::into_inner(bed).expect("nobody else has it").close().await;
}
