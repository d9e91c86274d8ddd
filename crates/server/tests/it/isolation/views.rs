//! Views of one tenant's rows, for tools that cannot log in as the tenant.

use catalog::AppFile;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use tokio_postgres::Client;

use crate::bed::{Bed, Options, app, connect, enter, rows, sqlstate};

/// A tenant's views, made.
async fn views(bed: &Bed, slug: &str) -> Value {
    let (status, made) = bed.call(Method::PUT, &format!("/tenants/{slug}/views"), None).await;
    assert_eq!(status, StatusCode::OK, "{made:#}");
    made
}

/// An operator's login that may read views.
struct Reader {
    name: String,
    client: Client,
}

impl Reader {
    async fn enter(bed: &Bed, made: &Value) -> Self {
        let [readers, database] = ["readers", "database"].map(|field| made[field].as_str().expect("a name"));
        let name = format!("reporting_{}", bed.app);
        let create = format!("CREATE ROLE {name} LOGIN PASSWORD 'secret' IN ROLE {readers}");
        bed.superuser(0, "postgres").await.batch_execute(&create).await.expect("a login");
        let dsn = bed.server_dsn(0, database);
        let (_, address) = dsn.split_once('@').expect("a user");
        let client = connect(&format!("postgresql://{name}:secret@{address}")).await.expect("it may connect");
        Self { name, client }
    }

    async fn leave(self, bed: &Bed) {
        drop(self.client);
        let drop = format!("DROP ROLE {}", self.name);
        bed.superuser(0, "postgres").await.batch_execute(&drop).await.expect("no session and no object is left");
    }
}

fn names(made: &Value) -> Vec<&str> {
    made["views"].as_array().expect("a list").iter().map(|name| name.as_str().expect("a name")).collect()
}

#[tokio::test]
async fn show_what_the_tenant_sees_whatever_the_app() {
    for folder in ["petshop", "vms", "camara"] {
        let bed = Bed::bare(Options::default()).await;
        bed.lifecycle().add_app(app(folder, &bed.app)).await.expect("the app registers");
        let tenants = [bed.tenant("one", "shared").await, bed.tenant("two", "shared").await];
        let mut reader = None;
        for tenant in &tenants {
            let made = views(&bed, tenant["slug"].as_str().expect("a slug")).await;
            assert_eq!(made["left_out"], serde_json::json!([]), "{folder}");
            let reader = match &reader {
                Some(reader) => reader,
                None => reader.insert(Reader::enter(&bed, &made).await),
            };
            let session = enter(tenant).await;
            let known =
                rows(&session, "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'").await;
            for name in names(&made) {
                assert!(known.iter().any(|known| known == name), "{folder} has no {name}");
                let own = rows(&session, &format!("SELECT x::text FROM {name} x ORDER BY 1")).await;
                let schema = made["schema"].as_str().expect("a schema");
                let seen = rows(&reader.client, &format!("SELECT x::text FROM {schema}.{name} x ORDER BY 1")).await;
                assert_eq!(seen, own, "{folder}: {name}");
            }
        }
        reader.expect("a reader").leave(&bed).await;
        bed.close().await;
    }
}

/// Whatever the text of an app's view, what is made of it for one tenant reads that tenant's rows.
const TRICKY: &str = "
    CREATE TABLE v (id serial PRIMARY KEY, name text NOT NULL, \"a WHERE b\" int, facts json);
    CREATE TABLE \"two  spaces\" (id serial PRIMARY KEY, v_id int REFERENCES v, \"ação\" text);
    CREATE TABLE logs (id int NOT NULL, day date NOT NULL, note text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
    CREATE TABLE logs_2024 PARTITION OF logs FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
    CREATE VIEW named_alike AS WITH v AS (SELECT id, name FROM v WHERE id > 0) SELECT * FROM v;
    CREATE VIEW named_public AS WITH v AS (SELECT id, name FROM public.v) SELECT * FROM v;
    CREATE VIEW of_partition AS SELECT id, note FROM logs_2024;
    CREATE VIEW of_all AS SELECT id, note FROM logs;
    CREATE VIEW first_view AS SELECT id, name FROM v;
    CREATE VIEW second_view AS SELECT id, name FROM v;
    CREATE OR REPLACE VIEW first_view AS SELECT id, name FROM second_view;
    CREATE VIEW outer_joined AS SELECT v.name, t.\"ação\" FROM v FULL JOIN \"two  spaces\" t ON t.v_id = v.id;
    CREATE VIEW grouped AS SELECT v.id, v.name, count(t.id) FROM v LEFT JOIN \"two  spaces\" t ON t.v_id = v.id GROUP BY v.id;
    CREATE VIEW counted AS SELECT DISTINCT ON (name) name, rank() OVER (ORDER BY name) FROM v ORDER BY name, id;
    CREATE VIEW united AS SELECT name FROM v UNION SELECT note FROM logs EXCEPT SELECT 'x';
    CREATE VIEW descended AS WITH RECURSIVE r AS (SELECT id, name, 1 AS depth FROM v UNION ALL
        SELECT v.id, v.name, depth + 1 FROM r JOIN v USING (id) WHERE depth < 2) SELECT * FROM r;
    CREATE VIEW beside AS SELECT v.name, l.note FROM v, LATERAL (SELECT note FROM logs WHERE logs.id = v.id) l;
    CREATE VIEW sets AS SELECT name, count(*) FROM v GROUP BY GROUPING SETS ((name), ());
    CREATE VIEW asking AS SELECT (SELECT max(note) FROM logs), EXISTS (SELECT FROM v WHERE name = 'two') FROM v;";

#[tokio::test]
async fn read_one_tenant_whatever_an_apps_view_says() {
    let bed = Bed::bare(Options::default()).await;
    let mut tricky = app("petshop", &bed.app);
    tricky.files = vec![AppFile { path: "migrations/1.sql".to_owned(), content: TRICKY.to_owned() }];
    bed.lifecycle().add_app(tricky).await.expect("the app registers");
    let tenants = [bed.tenant("one", "shared").await, bed.tenant("two", "shared").await];
    for tenant in &tenants {
        let slug = tenant["slug"].as_str().expect("a slug");
        let insert = format!(
            "INSERT INTO v (name) VALUES ('{slug}'); INSERT INTO \"two  spaces\" (v_id, \"ação\") VALUES (1, 'a {slug}');
             INSERT INTO logs VALUES (1, '2024-05-05', 'log {slug}')"
        );
        enter(tenant).await.batch_execute(&insert).await.expect("rows");
    }
    let made = views(&bed, "one").await;
    assert_eq!(made["left_out"], serde_json::json!([]));
    assert_eq!(names(&made).len(), 18, "{made:#}");
    let reader = Reader::enter(&bed, &made).await;
    let (session, schema) = (enter(&tenants[0]).await, made["schema"].as_str().expect("a schema"));
    for name in names(&made) {
        let own = rows(&session, &format!("SELECT x::text FROM \"{name}\" x ORDER BY 1")).await;
        let seen = rows(&reader.client, &format!("SELECT x::text FROM {schema}.\"{name}\" x ORDER BY 1")).await;
        assert_eq!(seen, own, "{name}");
        assert!(!seen.is_empty() && seen.iter().all(|row| !row.contains("two")), "{name}: {seen:?}");
    }
    let findings = bed.auditor().inspect().await.expect("an inspection");
    assert!(findings.is_empty(), "{findings:#?}");
    reader.leave(&bed).await;
    bed.close().await;
}

#[tokio::test]
async fn let_nobody_see_or_do_more() {
    let bed = Bed::make().await;
    let [one, two] = [bed.tenant("one", "shared").await, bed.tenant("two", "shared").await];
    let made = views(&bed, "one").await;
    let schema = made["schema"].as_str().expect("a schema");
    let hidden = "INSERT INTO clients (name, email) VALUES ('hidden', 'h@example.org')";
    enter(&two).await.batch_execute(hidden).await.expect("a row");
    let reader = Reader::enter(&bed, &made).await;

    for sql in [
        "SELECT * FROM public.clients",
        "SELECT * FROM {v}.clients, public.clients c",
        "INSERT INTO {v}.clients (name, email) VALUES ('x', 'x@example.org')",
        "UPDATE {v}.clients SET name = 'x'",
        "DELETE FROM {v}.clients",
        "CREATE VIEW {v}.mine AS SELECT 1",
        "CREATE TEMP TABLE t (a int)",
        "SELECT sindico.current_tenant()",
        "SET ROLE app_{app}_views",
    ] {
        let sql = sql.replace("{v}", schema).replace("{app}", bed.app.as_str());
        assert_eq!(sqlstate(&reader.client, &sql).await, "42501", "{sql}");
    }
    // What would fail on a row of another tenant's is never asked about one.
    let probe = format!("SELECT count(*) FROM {schema}.clients WHERE 1 / (length(name) - length('hidden')) < 2");
    assert_eq!(rows(&reader.client, &probe).await, ["1"]);

    for (tenant, which) in [(&one, "one"), (&two, "two")] {
        let session = enter(tenant).await;
        assert_eq!(sqlstate(&session, &format!("SELECT * FROM {schema}.clients")).await, "42501", "{which}");
    }
    let findings = bed.auditor().inspect().await.expect("an inspection");
    assert!(findings.is_empty(), "{findings:#?}");
    reader.leave(&bed).await;
    bed.close().await;
}

#[tokio::test]
async fn come_and_go_as_operators_say() {
    let bed = Bed::make().await;
    let one = bed.tenant("one", "shared").await;
    bed.tenant("own", "schema").await;
    let code = async |method: Method, slug: &str| {
        let (status, answer) = bed.call(method, &format!("/tenants/{slug}/views"), None).await;
        (status.as_u16(), answer["code"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(code(Method::GET, "one").await, (404, "VIEWS_NOT_FOUND".to_owned()));
    assert_eq!(code(Method::DELETE, "one").await, (404, "VIEWS_NOT_FOUND".to_owned()));
    assert_eq!(code(Method::PUT, "own").await, (409, "WRONG_ISOLATION".to_owned()));
    assert_eq!(code(Method::PUT, "nobody").await.0, 404);

    let made = views(&bed, "one").await;
    assert_eq!(views(&bed, "one").await, made, "again");
    let (_, shown) = bed.call(Method::GET, "/tenants/one/views", None).await;
    assert_eq!(shown, made);

    // Somebody's work on them is neither lost nor in the way of other tenants.
    let inside = bed.superuser(0, made["database"].as_str().expect("a name")).await;
    let schema = made["schema"].as_str().expect("a name");
    let theirs = format!("CREATE SCHEMA theirs; CREATE VIEW theirs.names AS SELECT name FROM {schema}.clients");
    inside.batch_execute(&theirs).await.expect("a view over a view");
    assert_eq!(code(Method::PUT, "one").await, (409, "VIEWS_IN_USE".to_owned()));
    assert_eq!(code(Method::DELETE, "one").await, (409, "VIEWS_IN_USE".to_owned()));
    assert_eq!(rows(&inside, "SELECT * FROM theirs.names").await.len(), 1);
    inside.batch_execute("DROP SCHEMA theirs CASCADE").await.expect("dropped");

    // What the operator has shown somebody else stays shown, and what the operator keeps there stays.
    let group = format!("board_{}", bed.app);
    let show = format!(
        "CREATE ROLE {group}; GRANT USAGE ON SCHEMA {schema} TO {group}; GRANT SELECT ON {schema}.clients TO {group};
         CREATE VIEW {schema}.theirs AS SELECT 1 AS one"
    );
    inside.batch_execute(&show).await.expect("shown");
    assert_eq!(views(&bed, "one").await, made);
    let shown = format!(
        "SELECT has_table_privilege('{group}', '{schema}.clients', 'SELECT'), (SELECT one FROM {schema}.theirs)"
    );
    assert_eq!(rows(&inside, &shown).await, ["t,1"]);
    assert_eq!(code(Method::DELETE, "one").await, (409, "VIEWS_IN_USE".to_owned()));
    let clear = format!("DROP VIEW {schema}.theirs; DROP OWNED BY {group}; DROP ROLE {group}");
    inside.batch_execute(&clear).await.expect("cleared");

    // A reader that never ends its transaction is waited for, and told of; a deletion ends it.
    let two = bed.tenant("two", "shared").await;
    let seen = views(&bed, "two").await;
    let reader = Reader::enter(&bed, &seen).await;
    let held = format!("BEGIN; SELECT FROM {}.clients", seen["schema"].as_str().expect("a schema"));
    reader.client.batch_execute(&held).await.expect("read");
    assert_eq!(code(Method::PUT, "two").await, (409, "VIEWS_IN_USE".to_owned()));
    let (status, answer) = bed.call(Method::DELETE, "/tenants/two", None).await;
    assert_eq!(status, StatusCode::NO_CONTENT, "{answer}");
    assert!(reader.client.batch_execute("SELECT 1").await.is_err(), "its session has ended");
    assert_eq!(bed.traces(two["id"].as_str().expect("an id")).await, Vec::<String>::new());
    reader.leave(&bed).await;

    assert_eq!(code(Method::DELETE, "one").await.0, 204);
    assert_eq!(code(Method::GET, "one").await.0, 404);
    views(&bed, "one").await;
    let (status, _) = bed.call(Method::DELETE, "/tenants/one", None).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(bed.traces(one["id"].as_str().expect("an id")).await, Vec::<String>::new());
    bed.close().await;
}
