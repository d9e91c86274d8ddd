//! What was changed by hand is found, although tables that nobody has changed are not looked at closely.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::bed::{Bed, one, rows};
use crate::migrate::{apply, body, ended, status, with};

const FIRST: &str = "
    CREATE TABLE cards (id bigserial PRIMARY KEY, client_id bigint NOT NULL REFERENCES clients ON DELETE CASCADE, points int DEFAULT 0);
    CREATE TYPE mood AS ENUM ('calm', 'wild');
    CREATE DOMAIN score AS int CHECK (VALUE >= 0);
    CREATE VIEW rich WITH (security_invoker) AS SELECT client_id FROM cards WHERE points > 15;
    CREATE FUNCTION tiers() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM clients';
    CREATE FUNCTION touched() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER touched BEFORE UPDATE ON cards FOR EACH ROW EXECUTE FUNCTION touched();
    CREATE STATISTICS cards_both ON client_id, points FROM cards;";

const SECOND: &str =
    "ALTER TABLE clients ADD COLUMN tier text NOT NULL DEFAULT 'plain'; CREATE INDEX ON clients (tier);";

/// What somebody may do to a tenant's tables by hand, one each.
const CHANGES: [&str; 22] = [
    "ALTER TABLE cards ADD COLUMN note text",
    "ALTER TABLE cards DROP COLUMN points CASCADE",
    "ALTER TABLE cards ALTER COLUMN points SET DEFAULT 5",
    "ALTER TABLE cards ALTER COLUMN points DROP DEFAULT",
    "ALTER TABLE cards ALTER COLUMN points SET NOT NULL",
    "ALTER TABLE cards RENAME COLUMN points TO balance",
    "ALTER TABLE cards ADD CHECK (points < 1000)",
    "ALTER TABLE cards DROP CONSTRAINT cards_client_id_fkey",
    "ALTER TABLE cards DISABLE TRIGGER touched",
    "ALTER TABLE cards ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY mine ON cards USING (true)",
    "CREATE INDEX ON cards (points)",
    "DROP INDEX clients_by_name",
    "ALTER INDEX clients_by_name RENAME TO clients_by_other_name",
    "CREATE TABLE strange (id int)",
    "DROP VIEW rich",
    "CREATE OR REPLACE VIEW rich WITH (security_invoker) AS SELECT client_id FROM cards WHERE points > 16",
    "CREATE OR REPLACE FUNCTION tiers() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT 1::bigint'",
    "ALTER TYPE mood ADD VALUE 'shy'",
    "ALTER DOMAIN score ADD CHECK (VALUE < 100)",
    "DROP STATISTICS cards_both",
    "ALTER SEQUENCE cards_id_seq INCREMENT 2",
];

async fn inside(bed: &Bed, made: &Value) -> (Client, String) {
    let place = &made["placement"];
    let word = |field: &str| place[field].as_str().expect("a name").to_owned();
    let client = bed.superuser(0, &word("database")).await;
    client.batch_execute(&format!("SET search_path = {}", word("schema"))).await.expect("its tables");
    (client, word("schema"))
}

/// The mark beside the tables.
async fn mark(client: &Client, made: &Value) -> Option<String> {
    let stamped =
        if made["isolation"] == "schema" { made["placement"]["schema"].as_str().expect("a name") } else { "sindico" };
    let comment = format!("SELECT obj_description('{stamped}'::regnamespace, 'pg_namespace')");
    let comment = one(client, &comment).await;
    comment.strip_prefix("sindico version ").and_then(|words| words.split_once(' ')).map(|(_, mark)| mark.to_owned())
}

#[tokio::test]
async fn whatever_somebody_has_changed_is_found() {
    let bed = Bed::make().await;
    let first = [("0005_first", FIRST)];
    let done = apply(&bed, &with(&bed, &first), json!({})).await;
    assert_eq!(done["state"], "succeeded", "{done:#}");
    let mut changed = Vec::new();
    for (number, change) in CHANGES.iter().enumerate() {
        let slug = format!("changed-{number}");
        let made = bed.tenant(&slug, "schema").await;
        let (client, _) = inside(&bed, &made).await;
        assert!(mark(&client, &made).await.is_some(), "a tenant that is made has one");
        client.batch_execute(change).await.unwrap_or_else(|error| panic!("{change}: {error}"));
        changed.push(slug);
    }
    let mut left = Vec::new();
    for (number, isolation) in ["schema", "schema", "database"].into_iter().enumerate() {
        let made = bed.tenant(&format!("left-{number}"), isolation).await;
        let (client, schema) = inside(&bed, &made).await;
        // Whatever is done with rows, or to keep tables in order, leaves them as they are.
        client
            .batch_execute("INSERT INTO clients (name, phone) SELECT n, '1234567' FROM generate_series(1, 2000) n")
            .await
            .expect("rows");
        for order in ["VACUUM (ANALYZE, FREEZE) clients", "DELETE FROM clients WHERE id > 10", "VACUUM ANALYZE"] {
            client.batch_execute(order).await.expect("in order");
        }
        left.push((made, client, schema));
    }
    let both = [("0005_first", FIRST), ("0006_second", SECOND)];
    let options = json!({"max_failures": 100, "canaries": ["left-0"]});
    let done = apply(&bed, &with(&bed, &both), options).await;
    assert_eq!(done["state"], "failed", "{done:#}");
    for tenant in status(&bed).await["items"].as_array().expect("tenants") {
        let slug = tenant["slug"].as_str().expect("a slug");
        let expected = if slug.starts_with("changed") { 5 } else { 6 };
        assert_eq!(tenant["version"], expected, "{tenant:#}");
        if expected == 5 {
            assert!(tenant["error"].as_str().is_some_and(|it| it.contains("would not be those")), "{tenant:#}");
        }
    }
    // Where a tenant has a database of its own, its tables are always compared.
    for (made, client, schema) in left.iter().filter(|(made, ..)| made["isolation"] == "schema") {
        let again = mark(client, made).await.expect("a mark");
        // It is that of the tables as they are: the next migration knows them by it.
        let counted = format!("SELECT count(*) FROM pg_class WHERE relnamespace = '{schema}'::regnamespace");
        assert!(
            again.split(':').next().expect("a number").parse::<u64>().expect("a number")
                > one(client, &counted).await.parse().expect("a number")
        );
    }
    for (_, client, _) in &left {
        client.batch_execute("DROP INDEX clients_tier_idx").await.expect("dropped");
    }
    let third = [both[0], both[1], ("0007_third", "ALTER TABLE clients ADD COLUMN more int;")];
    let done = apply(&bed, &with(&bed, &third), json!({"max_failures": 100, "canary_count": 0})).await;
    assert_eq!(done["state"], "failed", "{done:#}");
    for tenant in status(&bed).await["items"].as_array().expect("tenants") {
        assert!(tenant["version"].as_i64().is_some_and(|version| version < 7), "{tenant:#}");
    }
    bed.close().await;
}

/// Where nothing was changed, nothing is looked at closely: whatever the fingerprint should be is taken to be it. Unless the migration is
/// about rows, too: what that does to tables may depend on them.
#[tokio::test]
async fn what_nobody_has_changed_is_not_looked_at() {
    let rows = format!("{SECOND} UPDATE clients SET tier = 'gold';");
    let two = [("0005_second", SECOND), ("0006_third", "ALTER TABLE clients ADD COLUMN more int;")];
    for (more, expected) in [(&two[..1], [5, 4]), (&two[..], [6, 4]), (&[("0005_rows", rows.as_str())][..], [4, 4])] {
        let bed = Bed::make().await;
        let mut made = Vec::new();
        for slug in ["one", "two"] {
            let tenant = bed.tenant(slug, "schema").await;
            let (client, _) = inside(&bed, &tenant).await;
            // Rows, and what keeps tables in order, change nothing of it.
            for order in [
                "INSERT INTO clients (name, phone) VALUES ('Bia', '1234567')",
                "VACUUM (ANALYZE, FREEZE) clients",
                "ANALYZE",
            ] {
                client.batch_execute(order).await.expect("in order");
            }
            made.push((mark(&client, &tenant).await.expect("a mark"), tenant, client));
        }
        let there_and_back = "ALTER TABLE clients SET (fillfactor = 100); ALTER TABLE clients RESET (fillfactor)";
        made[1].2.batch_execute(there_and_back).await.expect("as it was");
        // Between the rehearsal and the tenants.
        let spoil = "CREATE FUNCTION public.spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                UPDATE sindico.app_shapes SET fingerprint = 'other' WHERE kind = 'own' AND version > 4; RETURN NEW; END $$;
            CREATE TRIGGER spoil AFTER UPDATE OF release ON sindico.apps FOR EACH ROW EXECUTE FUNCTION public.spoil()";
        bed.control().await.batch_execute(spoil).await.expect("spoilt");
        let done = apply(&bed, &with(&bed, more), json!({"canary_count": 0, "max_failures": 10})).await;
        assert_eq!(done["state"], "failed", "{done:#}");
        let status = status(&bed).await;
        let tenants = status["items"].as_array().expect("tenants").iter();
        let versions: Vec<_> = tenants.map(|it| it["version"].as_i64().expect("a version")).collect();
        assert_eq!(versions, expected, "only who was changed, and back, is looked at: {status:#}");
        let (before, tenant, client) = &made[0];
        assert_eq!(
            mark(client, tenant).await.as_ref() == Some(before),
            expected[0] == 4,
            "a new version has a new mark"
        );
        bed.close().await;
    }
}

/// It is changed between two looks of the same transaction: after it was seen to be as it was known, and before it has been migrated.
#[tokio::test]
async fn what_is_changed_meanwhile_is_found_too() {
    let bed = Bed::make().await;
    let all = [
        "CREATE INDEX ON animals (name)",
        "DROP INDEX animals_microchip",
        "ALTER INDEX animals_microchip RENAME TO other",
        "ALTER TABLE animals RENAME COLUMN weight_kg TO weight",
        // What the migration itself changes: whoever has begun with that is waited for.
        "ALTER TABLE clients SET (fillfactor = 50)",
    ];
    for (number, change) in all.into_iter().enumerate() {
        let made = bed.tenant(&format!("meanwhile-{number}"), "schema").await;
        let (client, schema) = inside(&bed, &made).await;
        let (other, _) = inside(&bed, &made).await;
        let same = change.contains("TABLE clients");
        let first = if same { change } else { "LOCK TABLE clients IN ACCESS SHARE MODE" };
        client.batch_execute(&format!("BEGIN; {first}")).await.expect("locked");
        let name = format!("10{number}_more");
        let files: Vec<(String, String)> = (0..=number)
            .map(|it| (format!("10{it}_more"), format!("ALTER TABLE clients ADD COLUMN more_{it} int;")))
            .collect();
        let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let options = json!({"lock_timeout_ms": 60_000, "lock_retries": 0, "canary_count": 0});
        let path = format!("/apps/{}/migrations", bed.app);
        let (_, begun) = bed.call(Method::POST, &path, Some(body(&with(&bed, &files), &options))).await;
        let waiting = format!(
            "SELECT count(*) FROM pg_locks l WHERE NOT l.granted AND l.relation = '{schema}.clients'::regclass"
        );
        let waits = async {
            while one(&other, &waiting).await == "0" {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), waits).await.expect("it comes there");
        if !same {
            other.batch_execute(change).await.expect(change);
        }
        client.batch_execute("COMMIT").await.expect("given back");
        let done = ended(&bed, &begun).await;
        assert_eq!(done["state"], "failed", "{change} before {name}: {done:#}");
        assert!(done["error"].as_str().is_some_and(|it| it.contains("would not be those")), "{change}: {done:#}");
        assert_eq!(
            rows(
                &client,
                &format!(
                    "SELECT 1 FROM pg_attribute WHERE attrelid = 'clients'::regclass AND attname = 'more_{number}'"
                )
            )
            .await
            .len(),
            0
        );
        bed.call(Method::DELETE, &format!("/tenants/meanwhile-{number}"), None).await;
        // Nobody is behind any more.
        bed.call(Method::POST, &path, Some(body(&with(&bed, &files), &json!({})))).await;
    }
    bed.close().await;
}
