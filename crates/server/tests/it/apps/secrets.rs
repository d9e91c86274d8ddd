//! What log lines and error texts must not hold.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use catalog::NewCluster;
use lifecycle::AddCluster;
use reqwest::Method;
use serde_json::json;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::api::operator;
use crate::apps::body;
use crate::bed::{Bed, TOKEN, dsn, enter, refusal, rows, sqlstate};

/// Log lines in memory.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("not poisoned")).into_owned()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("not poisoned").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// A tenant's row, keys, passwords and the operators' token pass through a síndico that logs all it can.
///
/// The runtime has one thread, so that thread's subscriber sees every task.
#[tokio::test]
async fn log_lines_hold_neither_secrets_nor_rows() {
    const ROW: &str = "Diagnosis-7391";
    let lines = Lines::default();
    let loud = "debug,sqlx=debug,api=trace,catalog=trace,gateway=trace,lifecycle=trace,pool=trace,tenancy=trace,server=trace,\
                tower_http=trace";
    let subscriber =
        tracing_subscriber::fmt().with_env_filter(EnvFilter::new(loud)).with_ansi(false).with_writer(lines.clone());
    let _here = tracing::subscriber::set_default(subscriber.finish());

    let bed = Bed::make().await;
    let mut secrets = vec![TOKEN.to_owned(), ROW.to_owned()];
    for isolation in ["shared", "schema", "database", "cluster"] {
        let slug = format!("quiet-{isolation}");
        let made = bed.tenant(&slug, isolation).await;
        secrets.push(made["key"].as_str().expect("a key").to_owned());
        let client = enter(&made).await;
        let insert =
            format!("INSERT INTO clients (id, name, email) OVERRIDING SYSTEM VALUE VALUES (900, '{ROW}', 'q@q.org')");
        client.batch_execute(&insert).await.expect("a row");
        assert_eq!(sqlstate(&client, &insert).await, "23505", "an error whose text holds a value");
        let (_, key) = bed.call(Method::POST, &format!("/tenants/{slug}/keys"), Some(json!({"label": "k"}))).await;
        secrets.push(key["key"].as_str().expect("a key").to_owned());
        let wrong = dsn(&made).replacen("sk_", "sk_wrong", 1);
        refusal(&wrong).await;
        secrets.push("sk_wrong".to_owned());
        operator(&bed, Method::POST, "/tenants", Some(json!({"slug": slug}))).await.is_problem(409, "SLUG_TAKEN");
        let tenant = bed.raw(Method::GET, "/api/v1/tenant").header("x-tenant-id", &slug);
        let asked = tenant.bearer_auth(made["key"].as_str().expect("a key")).send().await.expect("an answer");
        assert_eq!(asked.status(), 200);
        bed.call(Method::DELETE, &format!("/tenants/{slug}"), None).await;
    }
    let failing = body(&bed.app, &[("migrations/1.sql", "CREATE TABLE x (id int);")]);
    operator(&bed, Method::POST, "/apps", Some(failing)).await.is_problem(409, "APP_TAKEN");
    let password = "pa55word-of-nobody";
    let unreachable = json!({"name": "third", "dsn": format!("postgresql://postgres:{password}@127.0.0.1:1/postgres")});
    operator(&bed, Method::POST, "/clusters", Some(unreachable)).await.is_problem(502, "CLUSTER_FAILED");
    secrets.push(password.to_owned());
    let server = bed.server_dsn(0, "postgres");
    let password = server.split_once('@').and_then(|(login, _)| login.rsplit_once(':')).expect("a password").1;
    secrets.push(password.to_owned());
    assert_eq!(rows(&bed.superuser(0, "postgres").await, "SELECT 1").await, ["1"]);
    bed.close().await;

    let text = lines.text();
    for told in ["tenant created", "tenant deleted", "app registered", "a cluster failed"] {
        assert!(text.contains(told), "the lines were captured: {told}");
    }
    for secret in secrets {
        let line = text.lines().find(|line| line.contains(&secret));
        assert_eq!(line, None, "a secret in the log");
    }
}

#[test]
fn the_debug_form_of_a_cluster_hides_its_dsn() {
    let dsn = "postgresql://postgres:pa55word@db/postgres";
    let name = "main".parse().expect("a name");
    let recorded = NewCluster {
        name: &name,
        dsn,
        servers: &domain::Servers::one("db", 5432),
        server_version: 150_000,
        dedicated: false,
        capacity: None,
        system_identifier: 1,
    };
    let wanted =
        AddCluster { name: name.clone(), dsn: dsn.to_owned(), dedicated: false, capacity: None, exclusive: false };
    for text in [format!("{recorded:?}"), format!("{wanted:?}")] {
        assert!(text.contains("main") && !text.contains("pa55word"), "{text}");
    }
}
