//! What tests stand on: two PostgreSQL servers for the whole run, and a síndico of its own for each test.
//!
//! `devdb run` hands the servers over by environment. Without it each test starts its own, which is slower and just as
//! clean.

use std::sync::Arc;
use std::time::Duration;

use api::{AdminToken, GatewayAddress};
use catalog::{AppFile, Catalog, MasterKey};
use devdb::Scratch;
use domain::{AppName, PoolMode};
use gateway::GatewaySettings;
use lifecycle::{AddApp, AddCluster, BackupSettings, Language, LetterSettings, Probe, WarmPool};
use mail::{Mailer, Route};
use objects::{Store, StorePlace};
use pool::PoolSettings;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use server::{House, HouseSettings};
use tenantize::Manifest;
use tokio::net::TcpListener;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// The control database that tests copy.
const TEMPLATE: &str = "control_template";
pub(crate) const TOKEN: &str = "the operators' token, which is long enough";

/// The servers: handed over by the test run, or started by this test.
struct Servers {
    dsns: [String; 2],
    _own: Vec<Scratch>,
}

/// A síndico with the pet shop, on two clusters, with all doors open.
pub(crate) struct Bed {
    house: Option<House>,
    servers: Servers,
    pub(crate) app: AppName,
    pub(crate) api: String,
    pub(crate) gateway_port: u16,
    http: reqwest::Client,
    control: String,
    master: MasterKey,
    store: tempfile::TempDir,
    mail: tempfile::TempDir,
}

/// What differs between tests.
pub(crate) struct Options {
    pub(crate) probe: Probe,
    pub(crate) connections_per_tenant: usize,
    pub(crate) pool: PoolSettings,
    pub(crate) dedicated_capacity: i32,
    pub(crate) gateway: GatewaySettings,
    /// The test's own folder, if not given.
    pub(crate) store: Option<StorePlace>,
    pub(crate) without_store: bool,
    pub(crate) warm_pool: WarmPool,
    pub(crate) letters: Letters,
}

/// Which way letters go.
pub(crate) enum Letters {
    /// Into [`Bed::letters`].
    Folder,
    /// To a server on this port.
    Server(u16),
    Nowhere,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            probe: Probe::default(),
            connections_per_tenant: 100,
            pool: PoolSettings { max_per_cluster: 20, ..PoolSettings::default() },
            dedicated_capacity: 100,
            gateway: GatewaySettings::default(),
            store: None,
            without_store: false,
            warm_pool: WarmPool::NONE,
            letters: Letters::Folder,
        }
    }
}

impl Options {
    /// With a server connection for each client from login to logout.
    pub(crate) fn by_session() -> Self {
        Self {
            gateway: GatewaySettings { pool_mode: PoolMode::Session, ..GatewaySettings::default() },
            ..Self::default()
        }
    }
}

impl Bed {
    pub(crate) async fn make() -> Self {
        Self::with(Options::default()).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        let bed = Self::bare(options).await;
        bed.lifecycle().add_app(pet_shop(&bed.app)).await.expect("the pet shop registers");
        bed
    }

    /// Without an app.
    pub(crate) async fn bare(options: Options) -> Self {
        let servers = Servers::find().await;
        let unique = uuid::Uuid::new_v4().simple().to_string();
        let control = format!("control_{}", &unique[..12]);
        servers.copy_control(&control).await;
        let master = MasterKey::generate().expect("random bytes");
        let app = format!("p{}", &unique[..10]).parse().expect("an app name");
        let [store, mail] = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
        let http = reqwest::Client::builder().no_proxy().build().expect("an HTTP client");
        let mut bed =
            Self { house: None, servers, app, api: String::new(), gateway_port: 0, http, control, master, store, mail };
        Box::pin(bed.open(options, true)).await;
        bed
    }

    /// Stops and starts again over the same control database, as a restarted process would.
    pub(crate) async fn restart(&mut self, options: Options) {
        self.house.take().expect("open").leave().await;
        Box::pin(self.open(options, false)).await;
    }

    /// Another process over the same control database, without doors.
    pub(crate) async fn another(&self) -> House {
        self.another_keeping(Options::default()).await
    }

    /// The same with other options.
    pub(crate) async fn another_keeping(&self, options: Options) -> House {
        self.enter(options).await.0
    }

    async fn enter(&self, options: Options) -> (House, GatewaySettings, i32) {
        let house = House::enter(HouseSettings {
            control_dsn: self.servers.dsn(0, &self.control),
            control_connections: 32,
            master: self.master.clone(),
            connections_per_tenant: options.connections_per_tenant,
            changes_at_once: 8,
            pool: options.pool,
            metric_tenants: 2,
            backups: BackupSettings {
                store: (!options.without_store).then(|| {
                    Store::open(&options.store.clone().unwrap_or_else(|| self.store_place())).expect("a store")
                }),
                keep_days: Some(30),
                objective: Duration::from_hours(24),
            },
            usage_days: 90,
            warm_pool: options.warm_pool,
            letters: self.letter_settings(&options.letters),
            probe: options.probe,
        })
        .await
        .expect("the control database opens");
        (house, options.gateway, options.dedicated_capacity)
    }

    async fn open(&mut self, options: Options, first: bool) {
        let (house, gateway_settings, dedicated_capacity) = self.enter(options).await;
        if first {
            for (index, name) in ["main", "dedicated"].into_iter().enumerate() {
                let cluster = AddCluster {
                    name: name.parse().expect("a cluster name"),
                    dsn: self.servers.dsn(index, "postgres"),
                    dedicated: index == 1,
                    capacity: (index == 1).then_some(dedicated_capacity),
                    // Other tests use the same servers.
                    exclusive: false,
                };
                house.lifecycle.add_cluster(cluster).await.expect("the cluster registers");
            }
        }
        house.lifecycle.recover().await.expect("recovery");
        let gateway = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let api = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        self.gateway_port = gateway.local_addr().expect("bound").port();
        self.api = format!("http://{}", api.local_addr().expect("bound"));
        let public = GatewayAddress { host: "127.0.0.1".to_owned(), port: self.gateway_port, tls: false };
        let console = gateway::Console::new(TOKEN, Arc::new(|| Err("nothing to read".to_owned())), Arc::new(Vec::new));
        let settings = GatewaySettings { console, ..gateway_settings };
        house.open_doors(gateway, settings, api, AdminToken::new(TOKEN), public).expect("open doors");
        self.house = Some(house);
    }

    pub(crate) fn lifecycle(&self) -> &lifecycle::Lifecycle {
        &self.house.as_ref().expect("open").lifecycle
    }

    pub(crate) fn catalog(&self) -> &Catalog {
        &self.house.as_ref().expect("open").catalog
    }

    /// The way of tenants' requests.
    pub(crate) fn threshold(&self) -> &tenancy::Threshold {
        &self.house.as_ref().expect("open").threshold
    }

    /// What the control database is called.
    pub(crate) fn control_database(&self) -> &str {
        &self.control
    }

    /// A superuser's session in the control database.
    pub(crate) async fn control(&self) -> Client {
        self.servers.connect(0, &self.control).await
    }

    /// What `sindico audit` runs.
    pub(crate) fn auditor(&self) -> audit::Auditor {
        let house = self.house.as_ref().expect("open");
        let [gateway, api] = [format!("127.0.0.1:{}", self.gateway_port), self.api.replace("http://", "")]
            .map(|address| address.parse().expect("an address"));
        let shutdown = tokio_util::sync::CancellationToken::new();
        audit::Auditor::new(
            house.catalog.clone(),
            house.lifecycle.clone(),
            gateway,
            Some(api),
            shutdown,
            tokio_util::task::TaskTracker::new(),
        )
    }

    /// Closes everything and removes the test's databases.
    pub(crate) async fn close(mut self) {
        self.house.take().expect("open").leave().await;
        for index in 0..2 {
            let server = self.servers.connect(index, "postgres").await;
            let mine = server
                .query(
                    "SELECT datname::text, datistemplate FROM pg_database WHERE datname ~ $1 OR datname = $2",
                    &[&format!("^(app|tpl|building_app|building_tpl)_{}(_|$)", self.app), &self.control],
                )
                .await
                .expect("databases");
            for row in mine {
                let name: String = row.get(0);
                if row.get(1) {
                    server.batch_execute(&format!("ALTER DATABASE {name} IS_TEMPLATE false")).await.expect("altered");
                }
                server.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await.expect("dropped");
            }
        }
    }

    /// A request to the control API as an operator.
    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let request = self.http.request(method, format!("{}/api/v1{path}", self.api)).bearer_auth(TOKEN);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        answer(request).await
    }

    /// Where backups go.
    pub(crate) fn store(&self) -> &std::path::Path {
        self.store.path()
    }

    /// Where letters go.
    pub(crate) fn letters(&self) -> std::path::PathBuf {
        self.mail.path().join("letters")
    }

    fn letter_settings(&self, letters: &Letters) -> Option<LetterSettings> {
        let route = match letters {
            Letters::Folder => Route::Folder(self.letters()),
            Letters::Server(port) => Route::Smtp { url: format!("smtp://127.0.0.1:{port}"), password: None },
            Letters::Nowhere => return None,
        };
        Some(LetterSettings {
            mailer: Mailer::new("Paws <no-reply@example.com>", &route).expect("a mailer"),
            confirm_url: "https://{slug}.example.com/confirm?token={token}".to_owned(),
            dashboard_url: Some("https://{slug}.example.com/".to_owned()),
            language: Language::PtBr,
        })
    }

    fn store_place(&self) -> StorePlace {
        StorePlace::Folder(self.store.path().to_owned())
    }

    /// A request that is built by hand.
    pub(crate) fn raw(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.api))
    }

    /// Makes a tenant and returns the answer of the control API.
    pub(crate) async fn tenant(&self, slug: &str, isolation: &str) -> Value {
        let body = json!({"slug": slug, "isolation": isolation});
        let (status, made) = self.call(Method::POST, "/tenants", Some(body)).await;
        assert_eq!(status, StatusCode::CREATED, "{made:#}");
        made
    }

    /// A superuser's session on the main (0) or dedicated (1) server.
    pub(crate) async fn superuser(&self, server: usize, database: &str) -> Client {
        self.servers.connect(server, database).await
    }

    pub(crate) fn server_dsn(&self, server: usize, database: &str) -> String {
        self.servers.dsn(server, database)
    }

    /// Everything on both servers whose name carries a tenant's id: roles, schemas and databases, and how many shared
    /// rows there are.
    pub(crate) async fn traces(&self, id: &str) -> Vec<String> {
        let hex = id.replace('-', "");
        let mut found = Vec::new();
        for index in 0..2 {
            let server = self.superuser(index, "postgres").await;
            let sql = "SELECT 'role ' || rolname FROM pg_roles WHERE rolname LIKE '%' || $1
                       UNION ALL SELECT 'database ' || datname FROM pg_database WHERE datname LIKE '%' || $1";
            found.extend(server.query(sql, &[&hex]).await.expect("roles").iter().map(|row| row.get::<_, String>(0)));
        }
        let app = format!("app_{}", self.app);
        let inside = self.superuser(0, &app).await;
        let schemas = "SELECT 'schema ' || nspname FROM pg_namespace WHERE nspname LIKE '%' || $1";
        found.extend(inside.query(schemas, &[&hex]).await.expect("schemas").iter().map(|row| row.get::<_, String>(0)));
        let tables = "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
                      WHERE a.attname = 'tenant_id' AND c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace";
        for table in inside.query(tables, &[]).await.expect("tables") {
            let table: String = table.get(0);
            let rows = format!("SELECT count(*) FROM {table} WHERE tenant_id::text = $1");
            let count: i64 = inside.query_one(&rows, &[&id]).await.expect("rows").get(0);
            if count > 0 {
                found.push(format!("{count} rows of {table}"));
            }
        }
        found
    }
}

impl Bed {
    /// What `sindico sweep` finds.
    pub(crate) async fn orphans(&self) -> Vec<String> {
        let (status, report) = self.call(Method::GET, "/orphans", None).await;
        assert_eq!(status, StatusCode::OK, "{report:#}");
        let unseen = report["unseen"].as_array().expect("a list");
        assert!(unseen.iter().all(|it| it["busy"] == true), "{report:#}");
        let word = |item: &Value, field: &str| item[field].as_str().unwrap_or_default().to_owned();
        let items = report["items"].as_array().expect("a list").iter();
        items.map(|it| format!("{} {} {}", word(it, "cluster"), word(it, "kind"), word(it, "name"))).collect()
    }
}

impl Servers {
    async fn find() -> Self {
        let given = ["SINDICO_TEST_DSN_1", "SINDICO_TEST_DSN_2"].map(|name| std::env::var(name).ok());
        if let [Some(main), Some(dedicated)] = given {
            return Self { dsns: [main, dedicated], _own: Vec::new() };
        }
        let (main, dedicated) = tokio::join!(Scratch::start(), Scratch::start());
        let own = [main.expect("a server"), dedicated.expect("another server")];
        Self { dsns: own.each_ref().map(|server| server.dsn("postgres")), _own: own.into() }
    }

    fn dsn(&self, index: usize, database: &str) -> String {
        let (server, _postgres) = self.dsns[index].rsplit_once('/').expect("a DSN with a database");
        format!("{server}/{database}")
    }

    async fn connect(&self, index: usize, database: &str) -> Client {
        connect(&self.dsn(index, database)).await.expect("a superuser's session")
    }

    /// Copies the migrated control database, making it first if this test is the first of the run.
    async fn copy_control(&self, name: &str) {
        let server = self.connect(0, "postgres").await;
        server.batch_execute("SELECT pg_advisory_lock(1)").await.expect("the lock");
        let known = server.query_opt("SELECT FROM pg_database WHERE datname = $1", &[&TEMPLATE]).await.expect("asked");
        if known.is_none() {
            server.batch_execute("CREATE DATABASE control_template_next").await.expect("made");
            let master = MasterKey::generate().expect("random bytes");
            let catalog = Catalog::open(&self.dsn(0, "control_template_next"), 2, master).await.expect("migrated");
            catalog.close().await;
            // Tests begin what they are about, whatever the hour.
            let next = self.connect(0, "control_template_next").await;
            next.batch_execute("UPDATE sindico.schedules SET enabled = false").await.expect("paused");
            drop(next);
            let rename = format!("ALTER DATABASE control_template_next RENAME TO {TEMPLATE}");
            // The sessions that migrated it take a moment to be gone.
            for _ in 0..100 {
                if server.batch_execute(&rename).await.is_ok() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        server.batch_execute(&format!("CREATE DATABASE {name} TEMPLATE {TEMPLATE}")).await.expect("copied");
    }
}

/// The pet shop under another name: several tests register it on the same servers.
pub(crate) fn pet_shop(name: &AppName) -> AddApp {
    app("petshop", name)
}

/// One of the apps in `apps`, under another name.
pub(crate) fn app(folder: &str, name: &AppName) -> AddApp {
    let folder = format!("{}/../../apps/{folder}", env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for part in ["migrations", "seed"] {
        for entry in std::fs::read_dir(format!("{folder}/{part}")).expect("the app's folder") {
            let path = entry.expect("an entry").path();
            let file = path.file_name().and_then(|name| name.to_str()).expect("a file name");
            let content = std::fs::read_to_string(&path).expect("a file");
            files.push(AppFile { path: format!("{part}/{file}"), content });
        }
    }
    AddApp { manifest: Manifest::parse(&format!("name = \"{name}\"")).expect("a manifest"), files }
}

/// A session with any connection string.
pub(crate) async fn connect(dsn: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(dsn, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// A tenant's session through the gateway.
pub(crate) async fn enter(made: &Value) -> Client {
    connect(dsn(made)).await.expect("the gateway lets the tenant in")
}

pub(crate) fn dsn(made: &Value) -> &str {
    made["dsn"].as_str().expect("a connection string")
}

/// The connection string of a client that asks to be pooled so.
pub(crate) fn pooled(made: &Value, how: &str) -> String {
    format!("{}?options=-c%20sindico.pool_mode%3D{how}", dsn(made))
}

/// What PostgreSQL or the gateway says when it does not let somebody in.
pub(crate) async fn refusal(dsn: &str) -> (String, String) {
    let error = connect(dsn).await.expect_err("a refusal");
    let said = error.as_db_error().unwrap_or_else(|| panic!("an error of the server, not {error:?}"));
    (said.code().code().to_owned(), format!("{} {}", said.message(), said.hint().unwrap_or_default()))
}

/// Runs statements that have to succeed.
pub(crate) async fn run(client: &Client, sql: &str) {
    client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
}

/// The first row of a query, as [`rows`] has it.
pub(crate) async fn one(client: &Client, sql: &str) -> String {
    rows(client, sql).await.remove(0)
}

/// All values of a query, as text, rows joined with commas.
pub(crate) async fn rows(client: &Client, sql: &str) -> Vec<String> {
    let messages = client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let row = |message: SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|i| row.get(i).unwrap_or("NULL").to_owned()).collect::<Vec<_>>().join(","))
        }
        _ => None,
    };
    messages.into_iter().filter_map(row).collect()
}

/// The SQLSTATE with which a statement fails.
pub(crate) async fn sqlstate(client: &Client, sql: &str) -> String {
    match client.simple_query(sql).await {
        Ok(_) => format!("{sql} succeeded"),
        Err(error) => error.code().map_or_else(|| format!("{error:?}"), |code| code.code().to_owned()),
    }
}

pub(crate) async fn answer(request: reqwest::RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.expect("an answer");
    let status = response.status();
    let bytes = response.bytes().await.expect("a body");
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}
