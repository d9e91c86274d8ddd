//! Tenants see their own rows and nothing else, whatever they ask.

mod hardening;
mod loading;
mod locks;
mod sequences;
mod truncate;
mod views;

use serde_json::Value;

use crate::bed::{Bed, connect, dsn, enter, rows, sqlstate};

const ALL: [&str; 4] = ["shared", "schema", "database", "cluster"];

/// Two tenants in each isolation, each with a client that only it knows.
async fn eight(bed: &Bed) -> Vec<Value> {
    let mut made = Vec::new();
    for isolation in ALL {
        for which in ["one", "two"] {
            let tenant = bed.tenant(&format!("{isolation}-{which}"), isolation).await;
            let client = enter(&tenant).await;
            let insert =
                format!("INSERT INTO clients (name, email) VALUES ('{isolation}-{which}', 'same@example.org')");
            client.batch_execute(&insert).await.expect("the same e-mail in every tenant");
            made.push(tenant);
        }
    }
    made
}

#[tokio::test]
async fn each_tenant_sees_only_its_own_rows() {
    let bed = Bed::make().await;
    let tenants = eight(&bed).await;
    for tenant in &tenants {
        let (slug, client) = (tenant["slug"].as_str().expect("a slug"), enter(tenant).await);
        assert_eq!(rows(&client, "SELECT name FROM clients ORDER BY name").await, ["Ana Souza", slug]);
        // By id: no other tenant's id leads anywhere, and none of ours is seen through another's.
        let ids = rows(&client, "SELECT id FROM clients WHERE name <> 'Ana Souza'").await;
        for other in tenants.iter().filter(|other| other["id"] != tenant["id"]) {
            let other = enter(other).await;
            let by_id = format!("SELECT name FROM clients WHERE id = {} AND name = '{slug}'", ids[0]);
            assert!(rows(&other, &by_id).await.is_empty(), "{slug} is seen by id");
            let update = format!("UPDATE clients SET notes = 'mine' WHERE name = '{slug}' RETURNING id");
            assert!(rows(&other, &update).await.is_empty(), "{slug} is changed");
            let delete = format!("DELETE FROM clients WHERE name = '{slug}' RETURNING id");
            assert!(rows(&other, &delete).await.is_empty(), "{slug} is deleted");
        }
    }
    bed.close().await;
}

#[tokio::test]
async fn schema_qualified_names_lead_nowhere() {
    let bed = Bed::make().await;
    let tenants = eight(&bed).await;
    for tenant in &tenants {
        let client = enter(tenant).await;
        for other in tenants.iter().filter(|other| other["id"] != tenant["id"]) {
            let schema = other["placement"]["schema"].as_str().expect("a schema");
            let slug = other["slug"].as_str().expect("a slug");
            let by_schema = format!("SELECT count(*) FROM {schema}.clients WHERE name = '{slug}'");
            let seen = client.simple_query(&by_schema).await;
            if seen.is_ok() {
                // `public` means a tenant's own tables, or shared ones whose policies answer instead of privileges.
                assert_eq!(rows(&client, &by_schema).await, ["0"], "{slug} is seen by schema");
            }
            if other["isolation"] == "schema" {
                assert!(seen.is_err(), "{} reaches schema {schema} of {slug}", tenant["slug"]);
            }
        }
    }
    bed.close().await;
}

#[tokio::test]
async fn a_tenant_cannot_write_for_another() {
    let bed = Bed::make().await;
    let one = bed.tenant("one", "shared").await;
    let two = bed.tenant("two", "shared").await;
    let (client, victim) = (enter(&one).await, two["id"].as_str().expect("an id"));
    let insert = format!("INSERT INTO clients (name, email, tenant_id) VALUES ('x', 'x@x.org', '{victim}')");
    assert_eq!(sqlstate(&client, &insert).await, "42501");
    assert_eq!(sqlstate(&client, &format!("UPDATE clients SET tenant_id = '{victim}'")).await, "42501");
    // A child of another tenant's parent: the key leads with the tenant, so there is no such parent.
    let more = "INSERT INTO clients (name, phone) VALUES ('Second', '123456') RETURNING id";
    let foreign = rows(&enter(&two).await, more).await[0].clone();
    let child = format!("INSERT INTO animals (client_id, species_id, name) VALUES ({foreign}, 1, 'Stray')");
    assert_eq!(sqlstate(&client, &child).await, "23503");
    bed.close().await;
}

#[tokio::test]
async fn identity_cannot_be_changed_by_sql() {
    let bed = Bed::make().await;
    for isolation in ALL {
        let one = bed.tenant(&format!("{isolation}-a"), isolation).await;
        let two = bed.tenant(&format!("{isolation}-b"), isolation).await;
        let victim = format!("t_{}", two["id"].as_str().expect("an id").replace('-', ""));
        let client = enter(&one).await;
        for attempt in [
            format!("SET ROLE {victim}"),
            format!("SET SESSION AUTHORIZATION {victim}"),
            "SET ROLE sindico".to_owned(),
            format!("SET ROLE app_{}_owner", bed.app),
            format!("ALTER ROLE {victim} PASSWORD 'x'"),
            format!("GRANT {victim} TO CURRENT_USER"),
            "ALTER ROLE CURRENT_USER SUPERUSER".to_owned(),
            "ALTER TABLE clients DISABLE ROW LEVEL SECURITY".to_owned(),
            "ALTER TABLE clients NO FORCE ROW LEVEL SECURITY".to_owned(),
            "DROP TABLE clients CASCADE".to_owned(),
            "CREATE TABLE mine (id int)".to_owned(),
            "CREATE TABLE global.mine (id int)".to_owned(),
            "CREATE SCHEMA mine".to_owned(),
            "UPDATE global.species SET name = 'x'".to_owned(),
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'".to_owned(),
            "CREATE EXTENSION dblink".to_owned(),
            "COPY clients TO PROGRAM 'cat'".to_owned(),
            "SELECT pg_read_file('/etc/passwd')".to_owned(),
        ] {
            let code = sqlstate(&client, &attempt).await;
            assert!(["42501", "42704"].contains(&code.as_str()), "{isolation}: {attempt}: {code}");
        }
        assert_eq!(rows(&client, "SELECT count(*) FROM clients").await, ["1"], "{isolation}");
    }
    bed.close().await;
}

#[tokio::test]
async fn a_read_only_key_reads_and_changes_nothing() {
    let bed = Bed::make().await;
    for isolation in ALL {
        let tenant = bed.tenant(&format!("{isolation}-r"), isolation).await;
        let path = format!("/tenants/{isolation}-r/keys");
        let body = serde_json::json!({"label": "reader", "access": "read_only"});
        let (_, key) = bed.call(reqwest::Method::POST, &path, Some(body)).await;
        let reader = enter(&key).await;
        assert_eq!(rows(&reader, "SELECT name FROM clients").await, ["Ana Souza"], "{isolation}");
        assert_eq!(rows(&reader, "SELECT count(*) > 3 FROM species").await, ["t"], "{isolation}");
        for write in [
            "INSERT INTO clients (name, email) VALUES ('x', 'x@x.org')",
            "UPDATE clients SET notes = 'x'",
            "DELETE FROM clients",
            "SELECT nextval('clients_id_seq')",
        ] {
            assert_eq!(sqlstate(&reader, write).await, "42501", "{isolation}: {write}");
        }
        drop(tenant);
    }
    bed.close().await;
}

/// The database's own boundary: the same roles, without the gateway in between.
#[tokio::test]
async fn roles_reach_only_their_own_database() {
    let bed = Bed::make().await;
    let tenants = eight(&bed).await;
    for tenant in &tenants {
        let hex = tenant["id"].as_str().expect("an id").replace('-', "");
        let server = usize::from(tenant["isolation"] == "cluster");
        // A password that we know, as a tenant may set it itself.
        bed.superuser(server, "postgres")
            .await
            .batch_execute(&format!("ALTER ROLE t_{hex} PASSWORD 'known'"))
            .await
            .expect("altered");
        for database in tenants.iter().map(|other| other["placement"]["database"].as_str().expect("a database")) {
            let (_, address) = bed
                .server_dsn(server, database)
                .split_once('@')
                .map(|(a, b)| (a.to_owned(), b.to_owned()))
                .expect("a DSN");
            let reached = connect(&format!("postgresql://t_{hex}:known@{address}")).await.is_ok();
            let own = tenant["placement"]["database"] == database;
            assert_eq!(reached, own, "{} and database {database}", tenant["slug"]);
        }
    }
    bed.close().await;
}

#[tokio::test]
async fn a_tenant_that_changes_its_password_locks_nobody_out() {
    let bed = Bed::make().await;
    let tenant = bed.tenant("self-harm", "shared").await;
    let client = enter(&tenant).await;
    let role = rows(&client, "SELECT session_user").await[0].clone();
    client.batch_execute(&format!("ALTER ROLE {role} PASSWORD 'lost'")).await.expect("its own password");
    client.batch_execute(&format!("ALTER ROLE {role} SET statement_timeout = 1")).await.expect("its own setting");
    // A second session needs a new server connection while the first holds its own.
    let again = connect(dsn(&tenant)).await.expect("the role is restored");
    assert_eq!(rows(&again, "SELECT count(*) FROM clients").await, ["1"]);
    bed.close().await;
}
