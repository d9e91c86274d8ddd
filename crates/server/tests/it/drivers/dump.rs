//! `pg_dump` and `pg_restore`, which want a session: what a tenant takes away, and what it brings.

use std::process::Output;

use tokio::process::Command;
use tokio_postgres::NoTls;

use crate::bed::{Bed, enter, rows};
use crate::drivers::{Door, make_bed};

/// Everything that the pet shop has been told, `tenant_id` aside.
const TOLD: &str = "
    SELECT c.name, c.email, a.name, a.weight_kg, s.code, p.starts_at, p.notes
    FROM clients c JOIN animals a ON a.client_id = c.id JOIN appointments p ON p.animal_id = a.id
        JOIN services s ON s.id = p.service_id
    ORDER BY 1, 3, 5";

async fn tool(program: &str, words: &[&str], door: &Door) -> Output {
    let mut command = Command::new(program);
    door.lead(&mut command);
    command.args(words).output().await.unwrap_or_else(|error| panic!("{program}: {error}"))
}

fn complaints(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn a_database_of_ones_own_is_dumped_and_loads_anywhere() {
    let bed = make_bed().await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("dump").to_str().expect("a path").to_owned();
    for isolation in ["database", "cluster"] {
        let made = bed.tenant(&format!("in-{isolation}"), isolation).await;
        let door = Door::of(&bed, &made, "session", "own");
        let told = rows(&enter(&made).await, TOLD).await;
        assert!(!told.is_empty(), "a new pet shop has an appointment");

        let whole = tool("pg_dump", &["--file", "/dev/null"], &door).await;
        assert!(whole.status.success(), "{isolation}: {}", complaints(&whole));
        let words = ["--format=custom", "--schema=public", "--schema=global", "--file", &file];
        let dumped = tool("pg_dump", &words, &door).await;
        assert!(dumped.status.success(), "{isolation}: {}", complaints(&dumped));

        let elsewhere = format!("elsewhere_{}", bed.app);
        let server = bed.superuser(0, "postgres").await;
        let create = format!("CREATE DATABASE {elsewhere} TEMPLATE template0 ENCODING 'UTF8'");
        server.batch_execute(&create).await.expect("a database");
        let target = bed.server_dsn(0, &elsewhere);
        // Schema public is there already, in any database.
        let words = ["--no-owner", "--no-acl", "--clean", "--if-exists", "--dbname", &target, &file];
        let restored = Command::new("pg_restore").args(words).output().await.expect("pg_restore");
        assert!(restored.status.success(), "{isolation}: {}", complaints(&restored));
        let (inside, connection) = tokio_postgres::connect(&target, NoTls).await.expect("in");
        tokio::spawn(connection);
        inside.batch_execute("SET search_path = public, global").await.expect("set");
        assert_eq!(rows(&inside, TOLD).await, told, "{isolation}");
        server.batch_execute(&format!("DROP DATABASE {elsewhere} WITH (FORCE)")).await.expect("dropped");
    }
    bed.close().await;
}

#[tokio::test]
async fn rows_of_a_dump_load_in_every_isolation() {
    let bed = make_bed().await;
    let source = bed.tenant("source", "database").await;
    enter(&source)
        .await
        .batch_execute("UPDATE clients SET name = 'Moved', notes = E'a\\tb\\\\c\\n' WHERE email LIKE 'ana%'")
        .await
        .expect("changed");
    let told = rows(&enter(&source).await, TOLD).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("rows").to_str().expect("a path").to_owned();
    let words = ["--format=custom", "--data-only", "--schema=public", "--file", &file];
    let dumped = tool("pg_dump", &words, &Door::of(&bed, &source, "session", "own")).await;
    assert!(dumped.status.success(), "{}", complaints(&dumped));

    for isolation in ["shared", "schema", "database", "cluster"] {
        let made = bed.tenant(&format!("in-{isolation}"), isolation).await;
        let client = enter(&made).await;
        client
            .batch_execute("DELETE FROM appointments; DELETE FROM clients; DELETE FROM services")
            .await
            .expect("empty");
        let door = Door::of(&bed, &made, "session", "own");
        let restored = tool("pg_restore", &["--data-only", "--dbname", &door.database, &file], &door).await;
        assert!(restored.status.success(), "{isolation}: {}", complaints(&restored));
        assert_eq!(rows(&client, TOLD).await, told, "{isolation}");
    }
    refused_where_others_are(&bed).await;
    bed.close().await;
}

/// It would tell of other tenants, and says so.
async fn refused_where_others_are(bed: &Bed) {
    for isolation in ["shared", "schema"] {
        let made = bed.tenant(&format!("dumped-{isolation}"), isolation).await;
        let dumped = tool("pg_dump", &[], &Door::of(bed, &made, "session", "own")).await;
        assert!(!dumped.status.success() && complaints(&dumped).contains("pg_class"), "{}", complaints(&dumped));
    }
}
