//! What goes wrong while tenants are migrated.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;

const STRICT: &str = "ALTER TABLE clients ADD CONSTRAINT named CHECK (name <> 'Nobody');";

fn item<'a>(status: &'a Value, slug: &str) -> &'a Value {
    let items = status["items"].as_array().expect("items");
    items.iter().find(|item| item["slug"] == slug).unwrap_or_else(|| panic!("{slug}: {status:#}"))
}

#[tokio::test]
async fn whoever_fails_keeps_the_old_version_and_follows_after_the_cause_is_gone() {
    let bed = Bed::make().await;
    let mut bad = None;
    for nth in 0..6 {
        let made = bed.tenant(&format!("paws-{nth}"), "schema").await;
        if nth == 3 {
            let client = enter(&made).await;
            client.batch_execute("INSERT INTO clients (name, phone) VALUES ('Nobody', '1234567')").await.expect("used");
            bad = Some(client);
        }
    }
    let client = bad.expect("made");
    let app = with(&bed, &[("0005_first", "CREATE TABLE first (id int)"), ("0006_strict", STRICT)]);
    let halted = apply(&bed, &app, json!({"parallel": 1})).await;
    assert_eq!(halted["state"], "failed", "{halted:#}");
    let error = halted["error"].to_string();
    assert!(error.contains("paws-3") && error.contains("0006_strict.sql:1") && error.contains("named"), "{error}");
    let told = status(&bed).await;
    // A migration that went well before the one that failed stays; the one that failed left nothing.
    assert_eq!(item(&told, "paws-3")["version"], 4, "the ledger is not ahead of what was told: {told:#}");
    assert!(item(&told, "paws-3")["error"].to_string().contains("violated by some row"), "{told:#}");
    assert_eq!(item(&told, "paws-0")["version"], 6);
    assert_eq!(item(&told, "paws-5")["version"], 4, "none is begun after that");
    assert_eq!(rows(&client, "SELECT count(*) FROM first").await, ["0"]);
    client.batch_execute("INSERT INTO clients (name, phone) VALUES ('Nobody', '1234567')").await.expect("as before");

    // More may fail: the others go on.
    let some = apply(&bed, &app, json!({"max_failures": 3, "canary_count": 0})).await;
    assert_eq!(some["state"], "failed", "{some:#}");
    let told = status(&bed).await;
    assert_eq!((&item(&told, "paws-5")["version"], &told["failed"]), (&json!(6), &json!(1)), "{told:#}");

    client.batch_execute("UPDATE clients SET name = 'Somebody' WHERE name = 'Nobody'").await.expect("mended");
    let done = apply(&bed, &app, json!({})).await;
    assert_eq!(done["state"], "succeeded", "{done:#}");
    let told = status(&bed).await;
    assert_eq!((&item(&told, "paws-3")["version"], &told["failed"]), (&json!(6), &json!(0)), "{told:#}");
    bed.close().await;
}

#[tokio::test]
async fn shared_tables_go_together_or_not_at_all() {
    let bed = Bed::make().await;
    let mut clients = Vec::new();
    for nth in 0..3 {
        clients.push(enter(&bed.tenant(&format!("paws-{nth}"), "shared").await).await);
    }
    clients[1].batch_execute("INSERT INTO clients (name, phone) VALUES ('Nobody', '1')").await.expect_err("a check");
    clients[1].batch_execute("INSERT INTO clients (name, phone) VALUES ('Nobody', '1234567')").await.expect("used");
    let app = with(
        &bed,
        &[("0005_more", "ALTER TABLE clients ADD COLUMN more int; UPDATE clients SET more = 1 / (length(name) - 6);")],
    );
    let halted = apply(&bed, &app, json!({})).await;
    assert!(halted["error"].to_string().contains("division by zero"), "{halted:#}");
    for client in &clients {
        assert!(client.simple_query("SELECT more FROM clients").await.is_err(), "nobody has the column");
    }
    assert_eq!(status(&bed).await["versions"], json!([{"version": 4, "name": "0004_reminders", "tenants": 3}]));
    clients[1].batch_execute("DELETE FROM clients WHERE name = 'Nobody'").await.expect("mended");
    assert_eq!(apply(&bed, &app, json!({})).await["state"], "succeeded");
    for client in &clients {
        assert_eq!(rows(client, "SELECT more FROM clients").await, ["0"]);
    }
    bed.close().await;
}

#[tokio::test]
async fn tables_that_somebody_has_changed_are_never_taken_for_good() {
    let bed = Bed::make().await;
    let made = bed.tenant("paws", "schema").await;
    bed.tenant("other", "schema").await;
    let hex = made["id"].as_str().expect("an id").replace('-', "");
    let inside = bed.superuser(0, &format!("app_{}", bed.app)).await;
    inside.batch_execute(&format!("CREATE INDEX strange ON t_{hex}.clients (city)")).await.expect("changed");

    let path = format!("/apps/{}/migrations/verify", bed.app);
    let (_, begun) = bed.call(Method::POST, &path, None).await;
    let seen = ended(&bed, &begun).await;
    assert_eq!(seen["steps"][0]["output"]["drifted"], json!(["paws"]), "{seen:#}");
    let told = status(&bed).await;
    assert_eq!(item(&told, "paws")["drift"], "+ index CREATE INDEX strange ON clients USING btree (city)", "{told:#}");

    let app = with(&bed, &[("0005_more", "CREATE TABLE more (id int)")]);
    let halted = apply(&bed, &app, json!({"canaries": ["other"]})).await;
    assert!(halted["error"].to_string().contains("+ index CREATE INDEX strange"), "{halted:#}");
    let told = status(&bed).await;
    assert_eq!((&item(&told, "paws")["version"], &item(&told, "other")["version"]), (&json!(4), &json!(5)));

    inside.batch_execute(&format!("DROP INDEX t_{hex}.strange")).await.expect("mended");
    assert_eq!(apply(&bed, &app, json!({})).await["state"], "succeeded");
    let (_, begun) = bed.call(Method::POST, &path, None).await;
    assert_eq!(ended(&bed, &begun).await["steps"][0]["output"], json!({"tenants": 2, "drifted": []}));
    assert_eq!(status(&bed).await["drifted"], 0);
    bed.close().await;
}

#[tokio::test]
async fn a_lock_that_a_client_holds_is_waited_for_and_does_not_hold_up_others_for_long() {
    let bed = Bed::make().await;
    for isolation in ["shared", "schema"] {
        let client = enter(&bed.tenant(&format!("paws-{isolation}"), isolation).await).await;
        client.batch_execute("BEGIN; SELECT * FROM clients").await.expect("reading");
        let name = format!("000{}_column", if isolation == "shared" { 5 } else { 6 });
        let sql = format!("ALTER TABLE clients ADD COLUMN c_{isolation} int");
        let mut more = vec![("0005_column", "ALTER TABLE clients ADD COLUMN c_shared int")];
        if isolation == "schema" {
            more.push((&name, &sql));
        }
        let app = with(&bed, &more);
        let path = format!("/apps/{}/migrations", bed.app);
        let options = json!({"lock_timeout_ms": 50, "lock_retries": 1000});
        let (_, begun) = bed.call(Method::POST, &path, Some(body(&app, &options))).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        let (_, operation) =
            bed.call(Method::GET, &format!("/operations/{}", begun["id"].as_str().expect("id")), None).await;
        assert_eq!(operation["state"], "running", "{isolation}: {operation:#}");
        client.batch_execute("COMMIT").await.expect("done");
        assert_eq!(ended(&bed, &begun).await["state"], "succeeded", "{isolation}");
        assert_eq!(rows(&client, &format!("SELECT count(c_{isolation}) FROM clients")).await, ["0"]);
    }
    bed.close().await;
}

#[tokio::test]
async fn cut_off_at_any_point_it_is_gone_on_with() {
    let points =
        ["rehearse", "global", "canaries", "tenant", "switch", "shared version", "template", "release", "wave"];
    let armed = Arc::new(Mutex::new(""));
    let trigger = Arc::clone(&armed);
    let probe = Probe::new(move |at| {
        let mut armed = trigger.lock().expect("not poisoned");
        *armed == at && std::mem::take(&mut *armed) == at
    });
    let bed = Bed::with(Options { probe, ..Options::default() }).await;
    let mut clients = Vec::new();
    for isolation in ["shared", "schema", "schema", "database"] {
        clients.push(enter(&bed.tenant(&format!("paws-{}", clients.len()), isolation).await).await);
    }
    let mut more: Vec<(String, String)> = Vec::new();
    for (nth, point) in points.into_iter().enumerate() {
        let table = format!(
            "CREATE TABLE t{nth} (id bigserial PRIMARY KEY, client_id bigint REFERENCES clients); CREATE INDEX ON t{nth} (client_id);
             ALTER TABLE clients ADD COLUMN c{nth} bigserial; INSERT INTO t{nth} (client_id) SELECT id FROM clients;
             ALTER TABLE species ADD COLUMN s{nth} int;"
        );
        more.push((format!("01{nth}_a"), table));
        more.push((format!("01{nth}_b"), format!("INSERT INTO t{nth} (client_id) SELECT id FROM clients")));
        let app = with(&bed, &more.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect::<Vec<_>>());
        *armed.lock().expect("not poisoned") = point;
        let cut = apply(&bed, &app, json!({})).await;
        assert_eq!(cut["state"], "failed", "{point}: {cut:#}");
        assert_eq!(bed.orphans().await, Vec::<String>::new(), "{point}");
        assert_eq!(*armed.lock().expect("not poisoned"), "", "{point} was not passed");
        let done = apply(&bed, &app, json!({})).await;
        assert_eq!(done["state"], "succeeded", "{point}: {done:#}");
        for client in &clients {
            // Not twice: rows that were written once more would be more.
            assert_eq!(rows(client, &format!("SELECT count(*) FROM t{nth}")).await, ["2"], "{point}");
        }
    }
    let fresh = enter(&bed.tenant("fresh", "database").await).await;
    assert_eq!(rows(&fresh, "SELECT count(c8) FROM clients").await, ["1"]);
    let (_, begun) = bed.call(Method::POST, &format!("/apps/{}/migrations/verify", bed.app), None).await;
    assert_eq!(ended(&bed, &begun).await["steps"][0]["output"]["drifted"], json!([]));
    bed.close().await;
}

#[tokio::test]
async fn cancelled_it_stops_and_can_be_gone_on_with() {
    let bed = Bed::make().await;
    let client = enter(&bed.tenant("paws", "schema").await).await;
    client.batch_execute("BEGIN; SELECT * FROM clients").await.expect("reading");
    let app = with(&bed, &[("0005_column", "ALTER TABLE clients ADD COLUMN c int")]);
    let path = format!("/apps/{}/migrations", bed.app);
    let options = json!({"lock_timeout_ms": 50, "lock_retries": 1000});
    let (_, begun) = bed.call(Method::POST, &path, Some(body(&app, &options))).await;
    let (status, problem) = bed.call(Method::POST, &path, Some(body(&app, &json!({})))).await;
    assert_eq!((status, problem["code"].as_str()), (StatusCode::CONFLICT, Some("CHANGE_IN_PROGRESS")), "{problem:#}");
    let cancel = format!("/operations/{}/cancel", begun["id"].as_str().expect("an id"));
    let (status, _) = bed.call(Method::POST, &cancel, None).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    assert_eq!(ended(&bed, &begun).await["state"], "cancelled");
    client.batch_execute("COMMIT").await.expect("done");
    assert_eq!(apply(&bed, &app, json!({})).await["state"], "succeeded");
    bed.close().await;
}
