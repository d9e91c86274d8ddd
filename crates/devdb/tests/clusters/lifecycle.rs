//! A cluster from its making to its end, and again.

use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt, time::Duration};

use devdb::PortChoice;
use nix::sys::signal::Signal;

use crate::place::{Place, is_running, query, send};

#[tokio::test]
async fn starts_stops_and_finds_its_data_and_its_port_again() {
    let place = Place::new();
    let cluster = place.start(place.fast()).await.unwrap();
    let (pid, port) = (cluster.pid(), cluster.port());
    assert!(!cluster.adopted());
    query(&cluster.dsn("postgres"), "CREATE TABLE kept AS SELECT 42 AS answer").await.unwrap();
    cluster.stop().await.unwrap();
    assert!(!is_running(pid));
    assert!(!place.dir().join("running.json").exists());
    assert!(!place.data().join("postmaster.pid").exists());

    let again = place.start(place.fast()).await.unwrap();
    assert_eq!(again.port(), port);
    assert_ne!(again.pid(), pid);
    let answer = query(&again.dsn("postgres"), "SELECT answer FROM kept").await.unwrap();
    assert_eq!(answer.as_deref(), Some("42"));
    again.stop().await.unwrap();
}

#[tokio::test]
async fn is_private_and_made_as_promised() {
    let place = Place::new();
    let mut config = place.fast();
    config.settings.push(("max_connections".into(), "37".into()));
    let cluster = place.start(config).await.unwrap();
    let show = |sql| query_owned(cluster.dsn("postgres"), sql);
    assert_eq!(show("SELECT current_user").await, "sindico");
    assert_eq!(show("SHOW server_encoding").await, "UTF8");
    assert_eq!(show("SHOW password_encryption").await, "scram-sha-256");
    assert_eq!(show("SHOW listen_addresses").await, "127.0.0.1");
    assert_eq!(show("SHOW unix_socket_directories").await, "");
    assert_eq!(show("SHOW max_connections").await, "37");
    assert_eq!(show("SHOW fsync").await, "off");
    assert_eq!(show("SHOW full_page_writes").await, "on");
    assert_eq!(show("SELECT count(*) FROM pg_hba_file_rules WHERE auth_method <> 'scram-sha-256'").await, "0");
    for private in ["password", "server.log", "running.json"] {
        let mode = fs::metadata(place.dir().join(private)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{private}");
    }
    cluster.stop().await.unwrap();
}

async fn query_owned(dsn: String, sql: &'static str) -> String {
    query(&dsn, sql).await.unwrap().unwrap()
}

#[tokio::test]
async fn takes_another_port_when_the_previous_one_is_gone() {
    let place = Place::new();
    let cluster = place.start(place.fast()).await.unwrap();
    let port = cluster.port();
    cluster.stop().await.unwrap();
    let _stranger = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let again = place.start(place.fast()).await.unwrap();
    assert_ne!(again.port(), port);
    again.stop().await.unwrap();
}

#[tokio::test]
async fn a_killed_server_is_noticed_and_can_be_started_again() {
    let place = Place::new();
    let cluster = place.start(place.plain()).await.unwrap();
    let pid = cluster.pid();
    query(&cluster.dsn("postgres"), "CREATE TABLE kept (); INSERT INTO kept DEFAULT VALUES").await.unwrap();
    let died = cluster.died();
    send(pid, Signal::SIGKILL);
    let death = tokio::time::timeout(Duration::from_secs(5), died).await.unwrap();
    assert_eq!(death.pid(), pid);
    assert!(death.to_string().contains("signal: 9"), "{death}");
    assert!(death.log().contains("ready to accept connections"), "{death}");
    drop(cluster);
    // Its children may have survived it, and the next start must know them.
    assert!(place.dir().join("running.json").exists());

    let again = place.start(place.plain()).await.unwrap();
    assert!(!again.adopted());
    let rows = query(&again.dsn("postgres"), "SELECT count(*) FROM kept").await.unwrap();
    assert_eq!(rows.as_deref(), Some("1"));
    again.stop().await.unwrap();
}

#[tokio::test]
async fn dropping_stops_the_server_at_once() {
    let place = Place::new();
    let cluster = place.start(place.fast()).await.unwrap();
    let pid = cluster.pid();
    drop(cluster);
    assert!(!is_running(pid));
    assert!(!place.dir().join("running.json").exists());
}

#[tokio::test]
async fn a_session_that_stays_does_not_hold_up_the_stop() {
    let place = Place::new();
    let cluster = place.start(place.fast()).await.unwrap();
    let dsn = cluster.dsn("postgres");
    let busy = tokio::spawn(async move { query(&dsn, "SELECT pg_sleep(600)").await });
    let seen = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)'";
    while query(&cluster.dsn("postgres"), seen).await.unwrap().as_deref() != Some("1") {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::timeout(Duration::from_secs(5), cluster.stop()).await.unwrap().unwrap();
    assert!(busy.await.unwrap().is_err());
}

#[tokio::test]
async fn a_server_that_cannot_start_says_why() {
    let place = Place::new();
    let mut config = place.fast();
    config.settings.push(("max_connections".into(), "many".into()));
    let error = place.start(config).await.unwrap_err().to_string();
    assert!(error.contains("max_connections") && error.contains("many"), "{error}");
    assert!(!place.dir().join("running.json").exists());
    // The cluster itself is whole.
    let mut config = place.fast();
    config.port = PortChoice::Any;
    place.start(config).await.unwrap().stop().await.unwrap();
}
