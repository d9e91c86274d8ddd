//! Drivers and tools as people use them: what a client sees in any isolation is what it sees in a plain database.
//!
//! Each has a script in its own language in `tests/drivers` (`scripts/install-drivers` brings what they need), or a
//! module here if that is Rust. It connects by the environment that libpq reads, does what applications do, and prints a
//! line for each thing it has tried. Nothing else is asked of it than that all lines are those of the plain database.

mod diesel;
mod dump;
mod plain;
mod sqlx;
mod tokio_postgres;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use domain::Pooling;
use gateway::GatewaySettings;
use pool::PoolSettings;
use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;

use crate::bed::{Bed, Options};
use crate::drivers::plain::Plain;
use crate::socket::Login;

/// The isolations, and on whose connections transactions run.
const WAYS: [(&str, &str); 5] =
    [("shared", "own"), ("schema", "own"), ("database", "own"), ("cluster", "own"), ("shared", "dense")];

/// Server connections of a cluster, fewer than the clients that the scripts have at once.
const CONNECTIONS: usize = 8;

/// What tenants that share a database are told of advisory locks, whose keys would be everybody's (docs/isolation.md).
const ADVISORY: (&str, &str) = ("advisory locks: ", "advisory locks: 42501");

/// A script that takes longer waits for something that does not come.
const PATIENCE: Duration = Duration::from_mins(2);

/// Where a driver connects to.
struct Door {
    port: u16,
    user: String,
    password: String,
    database: String,
    /// As `PGOPTIONS` has it.
    options: String,
}

impl Door {
    /// To a tenant behind the gateway.
    fn of(bed: &Bed, tenant: &Value, mode: &str, pooling: &str) -> Self {
        let Login { user, key, app } = Login::of(tenant);
        let options = format!("-c sindico.pool_mode={mode} -c sindico.pooling={pooling}");
        Self { port: bed.gateway_port, user, password: key, database: app, options }
    }

    /// With the environment that libpq reads.
    fn lead(&self, command: &mut Command) {
        command
            .env("PGHOST", "127.0.0.1")
            .env("PGPORT", self.port.to_string())
            .env("PGUSER", &self.user)
            .env("PGPASSWORD", &self.password)
            .env("PGDATABASE", &self.database)
            .env("PGOPTIONS", &self.options)
            .env("PGTZ", "UTC");
    }

    /// A connection string for drivers that take one.
    fn url(&self) -> String {
        let Self { port, user, password, database, options } = self;
        let options = options.replace(' ', "%20").replace('=', "%3D");
        format!("postgres://{user}:{password}@127.0.0.1:{port}/{database}?options={options}")
    }
}

/// A bed where connections are scarce, and shared by tenants that want them to be.
async fn make_bed() -> Bed {
    let wait_timeout = Duration::from_secs(30);
    let pool = PoolSettings { max_per_cluster: CONNECTIONS, wait_timeout, ..PoolSettings::default() };
    let gateway = GatewaySettings { pooling: Pooling::Dense, ..GatewaySettings::default() };
    Bed::with(Options { pool, gateway, ..Options::default() }).await
}

/// Plays a session in a plain database and in each isolation, and holds what it says against each other.
async fn same_everywhere(session: impl AsyncFn(&Door) -> Result<Vec<String>, String>) {
    same_in(&WAYS, session).await;
}

async fn same_in(ways: &[(&str, &str)], session: impl AsyncFn(&Door) -> Result<Vec<String>, String>) {
    let bed = make_bed().await;
    let plain = Plain::make(&bed).await;
    let expected = session(&plain.door).await.expect("the session plays in a plain database");
    assert!(!expected.is_empty(), "the session says nothing");
    let mut complaints = Vec::new();
    for (isolation, pooling) in ways {
        let made = bed.tenant(&format!("{isolation}-{pooling}"), isolation).await;
        match session(&Door::of(&bed, &made, "transaction", pooling)).await {
            Ok(seen) => {
                let expected = documented(isolation, &expected);
                complaints.extend(differences(&expected, &seen).map(|it| format!("{isolation}, {pooling}: {it}")));
            }
            Err(error) => complaints.push(format!("{isolation}, {pooling}: {error}")),
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    plain.close(&bed).await;
    bed.close().await;
}

/// What a session is to see in an isolation where it sees this in a plain database.
fn documented(isolation: &str, lines: &[String]) -> Vec<String> {
    let (beginning, instead) = ADVISORY;
    let withheld = ["shared", "schema"].contains(&isolation);
    let here = |line: &String| if withheld && line.starts_with(beginning) { instead.to_owned() } else { line.clone() };
    lines.iter().map(here).collect()
}

/// Lines that are not the same, as both have them.
fn differences<'l>(expected: &'l [String], seen: &'l [String]) -> impl Iterator<Item = String> {
    let of = |lines: &'l [String], at: usize| lines.get(at).map_or("nothing", String::as_str);
    (0..expected.len().max(seen.len()))
        .map(move |at| (of(expected, at), of(seen, at)))
        .filter(|(there, here)| there != here)
        .map(|(there, here)| format!("{here}; in a plain database: {there}"))
}

/// Where `scripts/install-drivers` puts things.
fn installed(what: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("a target folder");
    let path = target.join("drivers").join(what);
    assert!(path.exists(), "{} is not there; run scripts/install-drivers, as make test does", path.display());
    path
}

/// Runs a script and returns its lines.
async fn run(mut command: Command, door: &Door) -> Result<Vec<String>, String> {
    door.lead(&mut command);
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("{command:?} does not start: {error}"))?;
    let output = timeout(PATIENCE, child.wait_with_output())
        .await
        .map_err(|_| format!("{command:?} took longer than {PATIENCE:?}"))?
        .map_err(|error| error.to_string())?;
    let [said, complained] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    if !output.status.success() {
        return Err(format!("{}: {complained}\nafter:\n{said}", output.status));
    }
    Ok(said.lines().map(str::to_owned).collect())
}

fn script(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/drivers").join(path)
}

async fn python(name: &str, ways: &[(&str, &str)]) {
    let program = installed("python/bin/python");
    same_in(ways, async |door| {
        let mut command = Command::new(&program);
        command.arg(script("python").join(name)).env("PYTHONDONTWRITEBYTECODE", "1");
        run(command, door).await
    })
    .await;
}

async fn node(name: &str) {
    let modules = installed("node/node_modules");
    same_everywhere(async |door| {
        let mut command = Command::new("node");
        command.arg(script("node").join(name)).env("NODE_PATH", &modules);
        run(command, door).await
    })
    .await;
}

async fn shell(name: &str) {
    same_everywhere(async |door| {
        let mut command = Command::new("sh");
        command.arg(script("shell").join(name));
        run(command, door).await
    })
    .await;
}

#[tokio::test]
async fn psql() {
    shell("psql.sh").await;
}

#[tokio::test]
async fn pgbench() {
    shell("pgbench.sh").await;
}

#[tokio::test]
async fn libpq() {
    python("libpq.py", &WAYS).await;
}

#[tokio::test]
async fn psycopg() {
    python("psycopg_3.py", &WAYS).await;
}

#[tokio::test]
async fn asyncpg() {
    python("asyncpg_pool.py", &WAYS).await;
}

#[tokio::test]
async fn sqlalchemy() {
    python("sqlalchemy_orm.py", &WAYS).await;
}

#[tokio::test]
async fn django() {
    python("django_orm.py", &WAYS).await;
}

#[tokio::test]
async fn node_postgres() {
    node("node_postgres.js").await;
}

#[tokio::test]
async fn postgres_js() {
    node("postgres_js.js").await;
}

#[tokio::test]
async fn knex() {
    node("knex_builder.js").await;
}

#[tokio::test]
async fn drizzle() {
    node("drizzle_orm.js").await;
}

#[tokio::test]
async fn jdbc() {
    let jar = installed("java/postgresql.jar");
    same_everywhere(async |door| {
        let mut command = Command::new("java");
        // One short run: compiling it all for speed would take longer than it saves.
        command.args(["-XX:TieredStopAtLevel=1", "-cp"]).arg(&jar).arg(script("java/Jdbc.java"));
        run(command, door).await
    })
    .await;
}
