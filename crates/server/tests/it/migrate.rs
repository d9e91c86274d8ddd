//! An app in use comes to newer migrations, in every isolation, and whoever fails keeps what it has.

use catalog::AppFile;
use lifecycle::{AddApp, Probe};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::bed::{Bed, Options, enter, pet_shop, rows};

mod boundary;
mod faults;
mod growth;
mod marks;
mod traffic;

pub(crate) const ALL: [&str; 4] = ["shared", "schema", "database", "cluster"];

/// Columns whose values are computed for each row, a table, rows of it, and what is the same for all.
const LOYALTY: &str = "
    CREATE TABLE cards (
        id bigserial PRIMARY KEY,
        client_id bigint NOT NULL UNIQUE REFERENCES clients ON DELETE CASCADE,
        points integer NOT NULL DEFAULT 0 CHECK (points >= 0)
    );
    ALTER TABLE clients ADD COLUMN number bigserial UNIQUE;
    ALTER TABLE clients ADD COLUMN joined_at timestamptz NOT NULL DEFAULT clock_timestamp();
    ALTER TABLE clients ADD COLUMN tier text NOT NULL DEFAULT 'plain';
    CREATE INDEX ON clients (tier, name);
    INSERT INTO cards (client_id) SELECT id FROM clients;
    ALTER TABLE species ADD COLUMN latin text;
    CREATE TYPE mood AS ENUM ('calm', 'wild');
    ALTER TABLE animals ADD COLUMN mood mood NOT NULL DEFAULT 'calm';
    CREATE FUNCTION tiers() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(DISTINCT tier) FROM clients';";

/// Rows and nothing else.
const POINTS: &str = "UPDATE cards SET points = 10 + length((SELECT name FROM clients WHERE clients.id = client_id));";

/// Some of it goes again.
const TIDY: &str = "
    ALTER TYPE mood ADD VALUE 'shy' AFTER 'calm';
    ALTER TABLE clients DROP COLUMN referred_by;
    ALTER TABLE cards RENAME COLUMN points TO balance;
    CREATE VIEW rich WITH (security_invoker) AS SELECT client_id FROM cards WHERE balance > 15;
    DROP INDEX clients_by_name;";

/// The pet shop with more migrations.
pub(crate) fn with(bed: &Bed, more: &[(&str, &str)]) -> AddApp {
    let mut app = pet_shop(&bed.app);
    app.files.extend(
        more.iter().map(|(name, text)| AppFile { path: format!("migrations/{name}.sql"), content: (*text).to_owned() }),
    );
    app
}

pub(crate) fn body(app: &AddApp, options: &Value) -> Value {
    let manifest = format!("name = \"{}\"", app.manifest.name);
    json!({"manifest": manifest, "files": app.files, "options": options})
}

/// Applies it over HTTP and waits for the end.
pub(crate) async fn apply(bed: &Bed, app: &AddApp, options: Value) -> Value {
    let path = format!("/apps/{}/migrations", bed.app);
    let (status, begun) = bed.call(Method::POST, &path, Some(body(app, &options))).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{begun:#}");
    ended(bed, &begun).await
}

pub(crate) async fn ended(bed: &Bed, begun: &Value) -> Value {
    let path = format!("/operations/{}", begun["id"].as_str().expect("an id"));
    for _ in 0..600 {
        let (_, operation) = bed.call(Method::GET, &path, None).await;
        if !operation["ended_at"].is_null() {
            return operation;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("the operation does not end: {begun:#}");
}

pub(crate) async fn status(bed: &Bed) -> Value {
    let (code, status) = bed.call(Method::GET, &format!("/apps/{}/migrations?all=true", bed.app), None).await;
    assert_eq!(code, StatusCode::OK, "{status:#}");
    status
}

/// Which clusters a rehearsal was made on.
fn tried(operation: &Value) -> &Value {
    &operation["steps"][0]["output"]["clusters"]
}

#[tokio::test]
async fn what_was_rehearsed_is_not_tried_again() {
    let bed = Bed::make().await;
    bed.tenant("a", "shared").await;
    bed.tenant("b", "schema").await;
    let path = format!("/apps/{}/migrations/rehearse", bed.app);
    let rehearse = async |app: &AddApp| {
        let mut body = body(app, &json!({}));
        body.as_object_mut().expect("an object").remove("options");
        bed.call(Method::POST, &path, Some(body)).await
    };
    let one = with(&bed, &[("0005_loyalty", LOYALTY)]);
    let (code, begun) = rehearse(&one).await;
    assert_eq!(code, StatusCode::ACCEPTED, "{begun:#}");
    let rehearsed = ended(&bed, &begun).await;
    assert_eq!((&rehearsed["state"], &rehearsed["kind"]), (&json!("succeeded"), &json!("rehearse")));
    assert_ne!(tried(&rehearsed), &json!([]));
    let versions = |status: &Value| -> Vec<Value> {
        status["items"].as_array().expect("tenants").iter().map(|it| it["version"].clone()).collect()
    };
    assert_eq!(versions(&status(&bed).await), [4, 4], "nobody has been touched");
    assert_eq!(rehearse(&one).await, (StatusCode::OK, json!({"rehearsed": true})));
    let done = apply(&bed, &one, json!({})).await;
    assert_eq!((&done["state"], tried(&done)), (&json!("succeeded"), &json!([])));
    assert_eq!(versions(&status(&bed).await), [5, 5]);
    assert_eq!(rehearse(&one).await, (StatusCode::OK, json!({"rehearsed": true})), "there is nothing to try");

    // Other files have come between: these are a release of their own.
    let two = with(&bed, &[("0005_loyalty", LOYALTY), ("0006_points", POINTS)]);
    let three = with(&bed, &[("0005_loyalty", LOYALTY), ("0006_points", POINTS), ("0007_tidy", TIDY)]);
    let (_, begun) = rehearse(&three).await;
    assert_eq!(ended(&bed, &begun).await["state"], "succeeded");
    assert_eq!(apply(&bed, &two, json!({})).await["state"], "succeeded");
    let (_, begun) = rehearse(&three).await;
    assert_eq!(tried(&ended(&bed, &begun).await).as_array().map(Vec::len), Some(1), "of one version of PostgreSQL");
    // Good on the clusters where it was tried, and on no other.
    let forget =
        "UPDATE sindico.app_releases SET rehearsed_from = rehearsed_from[1:1] WHERE rehearsed_from IS NOT NULL";
    bed.control().await.batch_execute(forget).await.expect("forgotten");
    assert_eq!(status(&bed).await["version"], 6, "what is only tried is nobody's newest");
    let done = apply(&bed, &three, json!({})).await;
    assert_eq!((&done["state"], tried(&done).as_array().map(Vec::len)), (&json!("succeeded"), Some(1)));
    bed.close().await;
}

#[tokio::test]
async fn what_a_rehearsal_refuses_touches_nobody() {
    let bed = Bed::make().await;
    bed.tenant("a", "schema").await;
    let bad = with(&bed, &[("0005_bad", "ALTER TABLE clients ADD COLUMN n int CHECK (n > 0) DEFAULT 0")]);
    let mut body = body(&bad, &json!({}));
    body.as_object_mut().expect("an object").remove("options");
    let (code, begun) = bed.call(Method::POST, &format!("/apps/{}/migrations/rehearse", bed.app), Some(body)).await;
    assert_eq!(code, StatusCode::ACCEPTED, "{begun:#}");
    let refused = ended(&bed, &begun).await;
    assert_eq!(refused["state"], "failed", "{refused:#}");
    assert!(refused["error"].to_string().contains("violates check constraint"), "{refused:#}");
    let status = status(&bed).await;
    assert_eq!((&status["version"], &status["items"][0]["version"]), (&json!(4), &json!(4)));
    // It is tried again, and refused again.
    let halted = apply(&bed, &bad, json!({})).await;
    assert!(halted["error"].to_string().contains("violates check constraint"), "{halted:#}");
    // First rows are tried as well, where nothing else is new.
    let mut seeded = pet_shop(&bed.app);
    let seed = AppFile { path: "seed/9999.sql".into(), content: "INSERT INTO clients (name) VALUES (NULL)".into() };
    seeded.files.push(seed);
    let mut body = self::body(&seeded, &json!({}));
    body.as_object_mut().expect("an object").remove("options");
    let (code, begun) = bed.call(Method::POST, &format!("/apps/{}/migrations/rehearse", bed.app), Some(body)).await;
    assert_eq!(code, StatusCode::ACCEPTED, "{begun:#}");
    assert_eq!(ended(&bed, &begun).await["state"], "failed");
    bed.close().await;
}

#[tokio::test]
async fn every_isolation_comes_to_the_same_tables_and_rows() {
    let bed = Bed::make().await;
    let mut clients = Vec::new();
    for isolation in ALL {
        let made = bed.tenant(&format!("old-{isolation}"), isolation).await;
        let client = enter(&made).await;
        client.batch_execute("INSERT INTO clients (name, phone) VALUES ('Bia', '1234567')").await.expect("used");
        clients.push((isolation, client));
    }
    bed.tenant("other-shared", "shared").await;

    let more = [("0005_loyalty", LOYALTY), ("0006_points", POINTS), ("0007_tidy", TIDY)];
    let app = with(&bed, &more);
    let done = apply(&bed, &app, json!({})).await;
    assert_eq!(done["state"], "succeeded", "{done:#}");

    let fresh = async |isolation: &str| enter(&bed.tenant(&format!("new-{isolation}"), isolation).await).await;
    for (isolation, client) in &clients {
        // The sessions have been there all along.
        let card =
            "SELECT c.number, c.tier, c.joined_at IS NOT NULL, balance FROM clients c JOIN cards ON client_id = c.id
                    ORDER BY c.id";
        assert_eq!(rows(client, card).await.len(), 2, "{isolation}");
        let numbers = rows(client, "SELECT number FROM clients ORDER BY number").await;
        assert_eq!(numbers, ["1", "2"], "{isolation}: each tenant counts for itself");
        assert_eq!(rows(client, "SELECT balance FROM cards ORDER BY client_id").await, ["19", "13"], "{isolation}");
        client
            .batch_execute(
                "INSERT INTO clients (name, phone) VALUES ('Caio', '1234567'); UPDATE animals SET mood = 'shy'",
            )
            .await
            .expect(isolation);
        assert_eq!(rows(client, "SELECT max(number) FROM clients").await, ["3"], "{isolation}");
        assert_eq!(rows(client, "SELECT tiers()").await, ["1"], "{isolation}");
        // What the gateway rewrites, it does by the new tables.
        client
            .batch_execute("INSERT INTO cards (client_id, balance) VALUES (1, 5) ON CONFLICT (client_id) DO UPDATE SET balance = 99")
            .await
            .expect(isolation);
        assert_eq!(rows(client, "SELECT balance FROM cards WHERE client_id = 1").await, ["99"], "{isolation}");
        let new = fresh(isolation).await;
        new.batch_execute("INSERT INTO cards (client_id) VALUES (1)").await.expect("a new tenant has the table");
        assert_eq!(rows(&new, "SELECT number FROM clients").await, ["1"], "{isolation}");
    }
    let status = status(&bed).await;
    let versions: Vec<_> = status["versions"].as_array().expect("versions").iter().map(|it| &it["version"]).collect();
    assert_eq!(versions, [7], "{status:#}");
    assert_eq!(status["version_name"], "0007_tidy");

    // Once more: nothing to do, and nothing recorded.
    let path = format!("/apps/{}/migrations", bed.app);
    let (code, current) = bed.call(Method::POST, &path, Some(body(&app, &json!({})))).await;
    assert_eq!((code, &current["current"]), (StatusCode::OK, &json!(true)), "{current:#}");

    let (code, begun) = bed.call(Method::POST, &format!("{path}/verify"), None).await;
    assert_eq!(code, StatusCode::ACCEPTED, "{begun:#}");
    let verified = ended(&bed, &begun).await;
    assert_eq!(verified["steps"][0]["output"], json!({"tenants": 9, "drifted": []}), "{verified:#}");
    bed.close().await;
}

#[tokio::test]
async fn what_tenants_have_cannot_be_changed_and_bad_requests_are_told_why() {
    let bed = Bed::make().await;
    bed.tenant("acme", "shared").await;
    let path = format!("/apps/{}/migrations", bed.app);
    let refused = async |app: &AddApp, options: Value| {
        let (status, problem) = bed.call(Method::POST, &path, Some(body(app, &options))).await;
        (status, problem["code"].as_str().unwrap_or_default().to_owned(), problem["detail"].to_string())
    };
    let mut changed = pet_shop(&bed.app);
    changed.files.iter_mut().find(|file| file.path.contains("0002")).expect("a file").content.push_str("\n-- more");
    let (status, code, detail) = refused(&changed, json!({})).await;
    assert_eq!((status, code.as_str()), (StatusCode::UNPROCESSABLE_ENTITY, "INVALID_APP"));
    assert!(detail.contains("0002_clients.sql has been changed"), "{detail}");

    let early = with(&bed, &[("0001_a", "CREATE TABLE a (id int)")]);
    assert!(refused(&early, json!({})).await.2.contains("0001_a.sql would run before"));

    let bad = with(&bed, &[("0005_bad", "CREATE MATERIALIZED VIEW v AS SELECT 1")]);
    let (status, code, _) = refused(&bad, json!({})).await;
    assert_eq!((status, code.as_str()), (StatusCode::UNPROCESSABLE_ENTITY, "SQL_REFUSED"));

    let global = with(&bed, &[("0005_drop", "DROP TABLE breeds CASCADE")]);
    assert_eq!(refused(&global, json!({})).await.1, "SQL_REFUSED");

    let good = with(&bed, &[("0005_good", "CREATE TABLE good (id int)")]);
    for (options, word) in [
        (json!({"canaries": ["acme"]}), "shares its tables"),
        (json!({"canaries": ["nobody"]}), "no tenant"),
        (json!({"parallel": 0}), "give 1 to 64"),
        (json!({"lock_timeout_ms": 0}), "give 1 or more"),
    ] {
        let (_, _, detail) = refused(&good, options.clone()).await;
        assert!(detail.contains(word), "{options}: {detail}");
    }
    let (status, problem) = bed.call(Method::GET, "/apps/nobody/migrations", None).await;
    assert_eq!((status, problem["code"].as_str()), (StatusCode::NOT_FOUND, Some("APP_NOT_FOUND")));
    let other = json!({"manifest": "name = \"other\"", "files": good.files});
    let (status, _) = bed.call(Method::POST, &path, Some(other)).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    // Nothing of all that is left.
    assert_eq!(status_versions(&bed).await, [4]);
    bed.close().await;
}

async fn status_versions(bed: &Bed) -> Vec<i64> {
    let status = status(bed).await;
    status["versions"].as_array().expect("versions").iter().filter_map(|it| it["version"].as_i64()).collect()
}

#[tokio::test]
async fn a_plan_tells_what_runs_where_and_changes_nothing() {
    let bed = Bed::make().await;
    for isolation in ALL {
        bed.tenant(&format!("paws-{isolation}"), isolation).await;
    }
    let app = with(&bed, &[("0005_loyalty", LOYALTY), ("0006_points", POINTS)]);
    let asked = json!({"manifest": format!("name = \"{}\"", bed.app), "files": app.files});
    let (status, plan) = bed.call(Method::POST, &format!("/apps/{}/migrations/plan", bed.app), Some(asked)).await;
    assert_eq!(status, StatusCode::OK, "{plan:#}");
    assert_eq!((&plan["version"], &plan["behind"], &plan["tenants"]), (&json!(6), &json!(4), &json!(4)));
    let part = |nth: usize, place: &str| {
        let parts = plan["migrations"][nth]["parts"].as_array().expect("parts");
        parts.iter().find(|part| part["place"] == place).unwrap_or_else(|| panic!("{place}: {plan:#}")).clone()
    };
    assert_eq!(part(0, "global")["locks"][0]["table"], "species");
    assert_eq!((&part(0, "schema")["times"], &part(0, "database")["times"]), (&json!(1), &json!(2)));
    let shared = part(0, "shared");
    let said = shared.to_string();
    assert!(
        said.contains("ADD COLUMN number") && said.contains(r#"UPDATE \"clients\" SET \"number\" = DEFAULT"#),
        "{said}"
    );
    let locks = shared["locks"].as_array().expect("locks");
    let lock = |table: &str, mode: &str| locks.iter().any(|lock| lock["table"] == table && lock["lock"] == mode);
    assert!(lock("clients", "ACCESS EXCLUSIVE") && lock("clients", "SHARE") && !lock("cards", "SHARE"), "{shared:#}");
    assert!(!shared["warnings"].as_array().expect("warnings").is_empty(), "{shared:#}");
    assert_eq!(status_versions(&bed).await, [4]);
    bed.close().await;
}
