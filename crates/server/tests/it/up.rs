//! `sindico up`: from nothing to open doors and back, again and again.

mod copies;
mod crash;
mod full_disk;
mod points;
mod steps;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::instance::{ANY_PORTS, Home, psql, send, text, wait};

const ALL: [&str; 4] = ["shared", "schema", "database", "cluster"];

/// The same key at the gateway's present port.
fn moved(dsn: &str, port: u64) -> String {
    let (before, address) = dsn.rsplit_once(':').expect("a port");
    let (_, database) = address.split_once('/').expect("a database");
    format!("{before}:{port}/{database}")
}

fn slugs(home: &Home) -> Vec<String> {
    let all = home.json(&["tenant", "list"]);
    all.as_array().expect("a list").iter().map(|tenant| text(tenant, "slug").to_owned()).collect()
}

#[test]
fn it_tells_where_it_is_and_keeps_everything_until_the_next_time() {
    let home = Home::new();
    let up = home.up(&ANY_PORTS);
    let first = up.endpoints.clone();
    let file = fs::metadata(home.dir().join("endpoints.json")).expect("there");
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
    let fields = |value: &Value| value.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
    assert_eq!(fields(&first), ["admin_token", "api", "gateway"]);
    assert_eq!(fields(&first["gateway"]), ["host", "port"]);
    assert_eq!(text(&first["gateway"], "host"), "127.0.0.1");
    assert!(text(&first, "api").starts_with("http://127.0.0.1:"), "{first:#}");
    assert!(text(&first, "admin_token").len() >= 32, "{first:#}");

    let held = format!("in use by another síndico (pid {}); stop it or give another --dir", up.pid());
    home.sindico(&[&["up"], ANY_PORTS.as_slice()].concat()).fails(1, &[&held]);
    assert_eq!(home.endpoints().as_ref(), Some(&first), "the second one took nothing from the first");

    let mut keys = Vec::new();
    for isolation in ALL {
        let made = home.json(&["tenant", "create", &format!("kept-{isolation}"), "--isolation", isolation]);
        psql(text(&made, "dsn"), "INSERT INTO clients (name, email) VALUES ('Bia', 'bia@example.org')").ok();
        keys.push(text(&made, "dsn").to_owned());
    }
    assert_eq!(up.end(Signal::SIGTERM).code(), Some(0));
    assert_eq!(home.endpoints(), None, "gone with its síndico");
    assert_eq!(home.remains(), Vec::<i32>::new());
    home.sindico(&["tenant", "list"]).fails(1, &["no síndico runs in", "sindico up", "--dir"]);

    let up = home.up(&ANY_PORTS);
    assert_ne!(up.endpoints["admin_token"], first["admin_token"], "a token is for one run");
    assert_eq!(slugs(&home), ALL.map(|isolation| format!("kept-{isolation}")));
    for dsn in &keys {
        let names = psql(&moved(dsn, up.port()), "SELECT name FROM clients ORDER BY id").ok();
        assert_eq!(names, "Ana Souza\nBia\n", "{dsn}");
    }
    assert_eq!(up.end(Signal::SIGINT).code(), Some(0), "Ctrl-C is an orderly end too");
    assert_eq!(home.endpoints(), None);
    assert_eq!(home.remains(), Vec::<i32>::new());
}

/// Neither is told a port, so whoever comes second moves on.
#[test]
fn two_run_side_by_side() {
    let homes = [Home::new(), Home::new()];
    let [left, right] = std::thread::scope(|scope| {
        homes.each_ref().map(|home| scope.spawn(|| home.up(&[]))).map(|started| started.join().expect("it starts"))
    });
    let ports = [left.port(), right.port()];
    assert_ne!(ports[0], ports[1]);
    assert_ne!(left.endpoints["api"], right.endpoints["api"]);
    for (home, name) in homes.iter().zip(["left", "right"]) {
        let made = home.json(&["tenant", "create", name]);
        assert_eq!(psql(text(&made, "dsn"), "SELECT name FROM clients").ok(), "Ana Souza\n");
        assert_eq!(slugs(home), [name]);
    }
    let token = text(&left.endpoints, "admin_token");
    let mut other = crate::instance::sindico();
    other.args(["tenant", "list"]).env("SINDICO_API", text(&right.endpoints, "api")).env("SINDICO_TOKEN", token);
    crate::instance::run(&mut other).fails(1, &["not the admin token"]);
    assert_eq!(left.end(Signal::SIGTERM).code(), Some(0));
    assert_eq!(slugs(&homes[1]), ["right"], "the other one goes on");
}

/// As below /root: PostgreSQL's user cannot get there, so the data lives in the system's folder.
#[test]
fn a_folder_that_postgresql_cannot_reach_is_linked_to_one_that_it_can() {
    if !nix::unistd::geteuid().is_root() {
        // Everybody else runs PostgreSQL as themselves and reaches what they reach.
        return;
    }
    let home = Home::below(0o700);
    let up = home.up(&ANY_PORTS);
    let elsewhere = home.clusters();
    assert!(elsewhere.starts_with("/var/lib/sindico"), "{}", elsewhere.display());
    assert!(home.dir().join("clusters").is_symlink());
    home.json(&["tenant", "create", "far-away", "--isolation", "database"]);
    assert_eq!(up.end(Signal::SIGTERM).code(), Some(0));
    let up = home.up(&ANY_PORTS);
    assert_eq!(home.clusters(), elsewhere, "the same one again");
    assert_eq!(slugs(&home), ["far-away"]);
    drop(up);
    drop(home);
    assert!(!elsewhere.exists(), "this test cleans up behind itself");
}

#[test]
fn it_can_be_stopped_at_any_moment_of_its_start() {
    let home = Home::new();
    for after in [0, 300, 1_200, 2_600] {
        let mut child = home.spawn(&ANY_PORTS);
        // The earliest moment at which a signal no longer kills it outright is when it has said its first word.
        let until = std::time::Instant::now() + Duration::from_secs(10);
        while !home.spoken().contains("PostgreSQL") && std::time::Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_millis(after));
        send(&child, Signal::SIGTERM);
        let status = wait(&mut child, Duration::from_secs(30)).expect("it ends");
        assert_eq!(status.code(), Some(0), "stopped after {after} ms:\n{}", home.spoken());
        home.is_deserted();
        assert_eq!(home.endpoints(), None);
    }
    let up = home.up(&ANY_PORTS);
    let made = home.json(&["tenant", "create", "patient", "--isolation", "schema"]);
    assert_eq!(psql(text(&made, "dsn"), "SELECT name FROM clients").ok(), "Ana Souza\n");
    drop(up);
}

#[test]
fn without_its_postgresql_it_ends_and_says_why() {
    let home = Home::new();
    let up = home.up(&ANY_PORTS);
    let servers = home.postmasters();
    assert_eq!(servers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["dedicated", "main"]);
    let (_, main) = servers[1];
    kill(Pid::from_raw(main), Signal::SIGKILL).expect("killed");
    assert_eq!(up.ended().code(), Some(1));
    let said = home.spoken();
    assert!(said.contains("cluster main ended unexpectedly"), "{said}");
    assert_eq!(home.endpoints(), None);
    assert_eq!(home.postmasters(), [], "the other server is stopped with it");
    let up = home.up(&ANY_PORTS);
    assert_eq!(home.json(&["app", "list"])[0]["ready"], true, "the next start recovers");
    drop(up);
}
