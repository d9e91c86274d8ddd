//! `sindico serve`: configurations that cannot be right, and one that is.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use devdb::Scratch;
use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::instance::{Said, psql, run, send, sindico, text, wait};

const PATIENCE: Duration = Duration::from_mins(1);
const TOKEN: &str = "an operator's token of more than 32 characters";

/// A folder with both secrets and a configuration, whose doors take any port.
pub(super) fn folder(dsn: &str, more: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("master.key"), "ab".repeat(32)).expect("written");
    fs::write(folder.path().join("admin.token"), TOKEN).expect("written");
    configure(folder.path(), dsn, more);
    folder
}

pub(super) fn configure(folder: &Path, dsn: &str, more: &str) {
    let doors = |name: &str| {
        if more.contains(name) { String::new() } else { format!("{name}\nlisten = \"127.0.0.1:0\"\n") }
    };
    let config = format!(
        "[control]\ndsn = \"{dsn}\"\n[secrets]\nmaster_key_file = \"master.key\"\n\
         admin_token_file = \"admin.token\"\n{}{}{more}\n",
        doors("[api]"),
        doors("[gateway]"),
    );
    fs::write(folder.join("sindico.toml"), config).expect("written");
}

/// `sindico serve` with the file that it looks for by itself.
fn serve(folder: &Path) -> Said {
    run(sindico().current_dir(folder).arg("serve"))
}

#[test]
fn what_is_wrong_with_a_configuration_is_named_by_its_key() {
    let unused = "postgresql://nobody:nothing@127.0.0.1:1/nowhere";
    let folder = folder(unused, "");
    for (more, named) in [
        ("[gateway]\nlisten = \"0.0.0.0:6432\"", "gateway.listen"),
        ("[gateway]\nlisten = \"here\"", "gateway.listen"),
        ("[api]\nlisten = \"[::]:6433\"", "api.listen"),
        ("[api]\nport = 1", "port"),
        ("[gateways]", "gateways"),
        ("[pool]\nconnections_per_cluster = 0", "pool.connections_per_cluster"),
        ("[pool]\nwait_seconds = -1", "wait_seconds"),
        ("[lifecycle]\nchanges_at_once = 0", "lifecycle.changes_at_once"),
        ("[log]\nformat = \"xml\"", "log.format"),
        ("[log", "line"),
    ] {
        configure(folder.path(), unused, more);
        serve(folder.path()).fails(2, &["sindico.toml", named]);
    }
    for dsn in ["nonsense", "mysql://a:b@127.0.0.1/x", ""] {
        configure(folder.path(), dsn, "");
        serve(folder.path()).fails(2, &["sindico.toml", "control.dsn"]);
    }
    configure(folder.path(), unused, "");
    for (file, content, key) in [
        ("master.key", Some("xy".repeat(32)), "secrets.master_key_file"),
        ("master.key", Some("ab".repeat(31)), "secrets.master_key_file"),
        ("master.key", None, "secrets.master_key_file"),
        ("admin.token", Some("a-brief-token".to_owned()), "secrets.admin_token_file"),
        ("admin.token", None, "secrets.admin_token_file"),
    ] {
        let path = folder.path().join(file);
        let right = fs::read(&path).expect("read");
        match &content {
            Some(wrong) => fs::write(&path, wrong).expect("written"),
            None => fs::remove_file(&path).expect("removed"),
        }
        let said = serve(folder.path());
        if let Some(wrong) = &content {
            assert!(!said.err.contains(wrong.as_str()), "a secret is not repeated, not even a wrong one: {}", said.err);
        }
        said.fails(2, &["sindico.toml", key]);
        fs::write(&path, right).expect("restored");
    }
    fs::remove_file(folder.path().join("sindico.toml")).expect("removed");
    serve(folder.path()).fails(2, &["cannot read sindico.toml", "docs/configuration.md"]);
    run(sindico().args(["serve", "--config", "/proc/none.toml"])).fails(2, &["/proc/none.toml"]);
    run(sindico().current_dir(folder.path()).args(["serve", "--config", "nowhere/x.toml", "--json"]))
        .fails(2, &["\"detail\"", "nowhere/x.toml"]);
}

/// The configuration is right and the world is not: code 1.
#[test]
fn what_is_not_there_is_named_too() {
    let folder = folder("postgresql://nobody:nothing@127.0.0.1:1/nowhere", "");
    let said = serve(folder.path());
    assert!(!said.err.contains("nothing"), "the password stays out of it: {}", said.err);
    said.fails(1, &["control database"]);
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let listen = format!("listen = \"{}\"", taken.local_addr().expect("bound"));
    for door in ["gateway", "api"] {
        configure(folder.path(), "postgresql://nobody:nothing@127.0.0.1:1/nowhere", &format!("[{door}]\n{listen}"));
        serve(folder.path()).fails(1, &[&format!("{door}.listen: cannot listen on")]);
    }
}

/// A running `sindico serve`. Dropping it ends it.
pub(super) struct Serving {
    child: Child,
    api: String,
    gateway: String,
}

impl Serving {
    pub(super) fn start(folder: &Path) -> Self {
        let log = folder.join("log");
        let mut child = sindico()
            .current_dir(folder)
            .arg("serve")
            .stderr(File::create(&log).expect("a file"))
            .spawn()
            .expect("the binary starts");
        let until = Instant::now() + PATIENCE;
        loop {
            let said = fs::read_to_string(&log).expect("a log");
            let ready = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let ready = ready.map(|line| line["fields"].clone()).find(|fields| fields["message"] == "ready");
            if let Some(fields) = ready {
                let api = format!("http://{}", text(&fields, "api"));
                return Self { child, api, gateway: text(&fields, "gateway").to_owned() };
            }
            if let Some(status) = child.try_wait().expect("asked") {
                panic!("`sindico serve` ended with {status}:\n{said}");
            }
            if Instant::now() >= until {
                child.kill().and_then(|()| child.wait()).expect("ended");
                panic!("`sindico serve` is not ready:\n{said}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A client command of an operator, with the server's superuser where a cluster's is asked for.
    pub(super) fn command(&self, cluster_dsn: &str, words: &[&str]) -> Said {
        let mut command = sindico();
        command.args(words).env("SINDICO_API", &self.api).env("SINDICO_TOKEN", TOKEN);
        run(command.env("SINDICO_CLUSTER_DSN", cluster_dsn))
    }

    /// How an operator gets to the console.
    pub(super) fn console(&self) -> String {
        let token = TOKEN.replace(' ', "%20").replace('\'', "%27");
        format!("postgresql://admin:{token}@{}/sindico", self.gateway)
    }

    pub(super) fn end(mut self) {
        send(&self.child, Signal::SIGTERM);
        let status = wait(&mut self.child, PATIENCE).expect("it ends");
        assert_eq!(status.code(), Some(0));
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // After `end` there is nobody to kill.
        let _ended = self.child.kill().and_then(|()| self.child.wait());
    }
}

/// The configuration is read again on request and on SIGHUP, and what cannot be right changes nothing.
fn reloads(serving: &Serving, folder: &Path, control: &str) {
    let console = serving.console();
    let shown = |key: &str| {
        let config = psql(&console, "SHOW CONFIG").ok();
        config.lines().find(|line| line.starts_with(key)).unwrap_or_else(|| panic!("no {key} in {config}")).to_owned()
    };
    assert_eq!(shown("lifecycle.changes_at_once"), "lifecycle.changes_at_once|8|no");
    configure(folder, control, "[log]\nfilter = \"debug\"\n[lifecycle]\nchanges_at_once = 4");
    let changed = psql(&console, "RELOAD").ok();
    assert_eq!(changed, "lifecycle.changes_at_once|4|after a restart\nlog.filter|debug|yes\n");
    assert_eq!(shown("log.filter"), "log.filter|debug|yes");
    assert_eq!(shown("lifecycle.changes_at_once"), "lifecycle.changes_at_once|8|no");
    configure(folder, control, "[gateway]\nmax_clients = 0");
    psql(&console, "RELOAD").fails(1, &["gateway.max_clients"]);
    assert_eq!(shown("gateway.max_clients"), "gateway.max_clients|10000|yes");
    configure(folder, control, "[log]\nfilter = \"info\"");
    send(&serving.child, Signal::SIGHUP);
    let until = Instant::now() + PATIENCE;
    while shown("log.filter") != "log.filter|info|yes" {
        assert!(Instant::now() < until, "SIGHUP has no effect");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A server of its own, because a control database on a shared one would outlive a test that fails.
#[tokio::test(flavor = "multi_thread")]
async fn over_a_server_that_is_there_already() {
    let server = Scratch::start().await.expect("a server");
    psql(&server.dsn("postgres"), "CREATE DATABASE control").ok();
    let folder = folder(&server.dsn("control"), "");
    let dsn = server.dsn("postgres");
    let serving = Serving::start(folder.path());
    let say = |serving: &Serving, words: &[&str]| serving.command(&dsn, words);
    let petshop = concat!(env!("CARGO_MANIFEST_DIR"), "/../../apps/petshop");

    say(&serving, &["cluster", "list"]).ok();
    let empty = say(&serving, &["app", "list"]).ok();
    assert!(empty.contains("sindico app add"), "{empty}");
    say(&serving, &["tenant", "create", "early"]).fails(1, &["no app is registered", "sindico app add"]);
    say(&serving, &["app", "add", petshop]).fails(1, &["no cluster is registered", "sindico cluster add"]);
    // By environment, so that the password is in no process list; and its warnings are beside the result.
    let added = say(&serving, &["cluster", "add", "first", "--json"]);
    assert!(added.err.contains("warning: any role may connect to database \"postgres\""), "{}", added.err);
    assert_eq!(text(&added.json(), "name"), "first");
    say(&serving, &["app", "add", petshop]).ok();
    let made = say(&serving, &["tenant", "create", "happy-paws", "--isolation", "database", "--json"]).json();
    assert_eq!(psql(text(&made, "dsn"), "SELECT name FROM clients").ok(), "Ana Souza\n");
    say(&serving, &["tenant", "create", "alone", "--isolation", "cluster"]).fails(1, &["cluster"]);
    serving.end();

    let log = fs::read_to_string(folder.path().join("log")).expect("a log");
    for secret in [TOKEN, text(&made, "key"), dsn.split([':', '@']).nth(2).expect("a password")] {
        assert!(!log.contains(secret), "a secret is in the log");
    }
    let serving = Serving::start(folder.path());
    assert!(say(&serving, &["tenant", "show", "happy-paws"]).ok().contains("active"), "kept in the control database");
    assert_eq!(say(&serving, &["tenant", "psql", "happy-paws", "--", "-XAtc", "select 1"]).ok(), "1\n");
    reloads(&serving, folder.path(), &server.dsn("control"));
    serving.end();
    server.stop().await.expect("stopped");
}
