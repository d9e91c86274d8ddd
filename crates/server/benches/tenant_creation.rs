//! How long a tenant takes to make, in each isolation, beside a peer in the same run: the statements that somebody would
//! send by hand over an open superuser's session, without reservation, seed as the tenant, or reading back.
//!
//! `cargo bench --package server --bench tenant_creation`; needs PostgreSQL's programs, leaves nothing behind.

use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::{Value, json};
use tokio_postgres::NoTls;

type Outcome<T> = Result<T, Box<dyn Error>>;

const ROUNDS: usize = 21;
const START: Duration = Duration::from_mins(1);

/// A síndico of its own, in a folder of its own; dropping it stops it.
struct Instance {
    process: Child,
    dir: tempfile::TempDir,
}

impl Instance {
    async fn start() -> Outcome<(Self, Value)> {
        let dir = tempfile::Builder::new().prefix("sindico-bench-").tempdir()?;
        // PostgreSQL's user has to pass.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o711);
        std::fs::set_permissions(dir.path(), open)?;
        let mut up = Command::new(env!("CARGO_BIN_EXE_sindico"));
        // What is made ahead would be what is measured.
        up.args(["up", "--gateway-port", "0", "--api-port", "0", "--warm-pool", "0", "--dir"]).arg(dir.path());
        let instance = Self { process: up.stdout(Stdio::null()).spawn()?, dir };
        let since = Instant::now();
        while since.elapsed() < START {
            if let Ok(text) = std::fs::read_to_string(instance.dir.path().join("endpoints.json")) {
                return Ok((instance, serde_json::from_str(&text)?));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err("síndico did not start".into())
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let pid = nix::unistd::Pid::from_raw(self.process.id().cast_signed());
        let _told = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ended = self.process.wait();
    }
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let (instance, endpoints) = Instance::start().await?;
    let api = endpoints["api"].as_str().ok_or("no address")?;
    let token = endpoints["admin_token"].as_str().ok_or("no token")?;
    let http = Client::builder().no_proxy().build()?;
    let by_hand = superuser(instance.dir.path()).await?;
    let schema = plain_schema()?;

    let mut out = std::io::stdout();
    writeln!(out, "{ROUNDS} rounds each, milliseconds: minimum, median, maximum; ratio of medians")?;
    for isolation in ["shared", "schema", "database"] {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            let started = Instant::now();
            let body = json!({"slug": format!("{isolation}-{round}"), "isolation": isolation});
            let answer = http.post(format!("{api}/api/v1/tenants")).bearer_auth(token).json(&body).send().await?;
            if answer.status() != 201 {
                return Err(answer.text().await?.into());
            }
            ours.push(started.elapsed());

            let name = format!("hand_{isolation}_{round}");
            let started = Instant::now();
            for statement in statements(isolation, &name, &schema) {
                by_hand.batch_execute(&statement).await?;
            }
            theirs.push(started.elapsed());
        }
        let ratio = median(&mut ours) / median(&mut theirs);
        writeln!(out, "{isolation:9} síndico {}   by hand {}   ratio {ratio:.2}", figures(&ours), figures(&theirs))?;
    }
    Ok(())
}

/// What each isolation costs at the least, one transaction a line.
fn statements(isolation: &str, name: &str, schema: &str) -> Vec<String> {
    let roles = format!("CREATE ROLE {name} LOGIN; CREATE ROLE {name}_ro LOGIN;");
    match isolation {
        "schema" => vec![format!(
            "BEGIN; {roles} CREATE SCHEMA {name}; SET LOCAL search_path = {name}, global; {schema}; COMMIT"
        )],
        "database" => vec![roles, format!("CREATE DATABASE {name} TEMPLATE tpl_petshop IS_TEMPLATE false")],
        _ => vec![format!("BEGIN; {roles} COMMIT")],
    }
}

/// The pet shop's own migrations, those of the platform's tables left out.
fn plain_schema() -> Outcome<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../apps/petshop/migrations");
    let mut files: Vec<_> = std::fs::read_dir(folder)?.collect::<Result<_, _>>()?;
    files.sort_by_key(std::fs::DirEntry::file_name);
    let mut all = String::new();
    for file in files {
        let text = std::fs::read_to_string(file.path())?;
        if !text.contains("sindico: global") {
            all.push_str(&text);
        }
    }
    Ok(all)
}

async fn superuser(dir: &Path) -> Outcome<tokio_postgres::Client> {
    let cluster = dir.join("clusters/main");
    let password = std::fs::read_to_string(cluster.join("password"))?;
    let port = std::fs::read_to_string(cluster.join("port"))?;
    let dsn =
        format!("host=127.0.0.1 port={} user=sindico password={} dbname=app_petshop", port.trim(), password.trim());
    let (client, connection) = tokio_postgres::connect(&dsn, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

fn median(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64()
}

/// Of sorted times.
fn figures(times: &[Duration]) -> String {
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    format!("{:6.1} {:6.1} {:6.1}", ms(times[0]), ms(times[times.len() / 2]), ms(times[times.len() - 1]))
}
