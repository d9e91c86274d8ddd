//! What a síndico that was killed, or a stranger, left in the directory.

use std::{fs, time::Duration};

use devdb::{ClusterError, PortChoice, Programs};
use nix::sys::signal::Signal;

use crate::place::{Keeper, Place, is_running, query, send, wait_until};

#[tokio::test]
async fn the_server_of_a_killed_owner_is_taken_over() {
    let place = Place::new();
    let (server, dsn) = Keeper::start(&place).kill();
    assert!(is_running(server));
    query(&dsn, "CREATE TABLE kept ()").await.unwrap();

    let cluster = place.start(place.plain()).await.unwrap();
    assert!(cluster.adopted());
    assert_eq!(cluster.pid(), server);
    assert_eq!(cluster.dsn("postgres"), dsn);

    // An adopted server's end is noticed, and it stops like one of our own.
    let died = cluster.died();
    cluster.stop().await.unwrap();
    assert_eq!(tokio::time::timeout(Duration::from_secs(5), died).await.unwrap().pid(), server);
    assert!(!is_running(server));
    let again = place.start(place.plain()).await.unwrap();
    assert!(!again.adopted());
    query(&again.dsn("postgres"), "SELECT FROM kept").await.unwrap();
    again.stop().await.unwrap();
}

#[tokio::test]
async fn other_settings_or_another_port_replace_the_server() {
    let place = Place::new();
    let (server, dsn) = Keeper::start(&place).kill();
    query(&dsn, "CREATE TABLE kept ()").await.unwrap();
    let mut config = place.plain();
    config.settings.push(("max_connections".into(), "23".into()));
    let cluster = place.start(config).await.unwrap();
    assert!(!cluster.adopted());
    assert!(!is_running(server));
    assert_eq!(query(&cluster.dsn("postgres"), "SHOW max_connections").await.unwrap().as_deref(), Some("23"));
    query(&cluster.dsn("postgres"), "SELECT FROM kept").await.unwrap();
    let port = cluster.port();
    cluster.stop().await.unwrap();

    let (server, _) = Keeper::start(&place).kill();
    let mut config = place.plain();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    assert_ne!(free, port);
    config.port = PortChoice::Fixed(free);
    let cluster = place.start(config).await.unwrap();
    assert!(!is_running(server));
    assert_eq!(cluster.port(), free);
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_replaced() {
    let place = Place::new();
    let (server, dsn) = Keeper::start(&place).kill();
    query(&dsn, "CREATE TABLE kept ()").await.unwrap();
    send(server, Signal::SIGSTOP);
    let mut config = place.plain();
    config.stop_timeout = Duration::from_millis(100);
    let cluster = place.start(config).await.unwrap();
    assert!(!cluster.adopted());
    assert_ne!(cluster.pid(), server);
    assert!(!is_running(server));
    query(&cluster.dsn("postgres"), "SELECT FROM kept").await.unwrap();
    cluster.stop().await.unwrap();
}

/// A session of a server that was killed: frozen, it cannot notice that its server is gone.
async fn frozen_remnant(place: &Place) -> u32 {
    let cluster = place.start(place.fast()).await.unwrap();
    let (client, connection) = tokio_postgres::connect(&cluster.dsn("postgres"), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let session: i32 = client.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    let session = session.try_into().unwrap();
    send(session, Signal::SIGSTOP);
    let died = cluster.died();
    send(cluster.pid(), Signal::SIGKILL);
    died.await;
    drop(cluster);
    assert!(is_running(session));
    session
}

#[tokio::test]
async fn a_session_that_outlives_its_killed_server_is_ended_before_the_next_start() {
    let place = Place::new();
    let session = frozen_remnant(&place).await;
    assert!(place.dir().join("running.json").exists());

    let again = place.start(place.fast()).await.unwrap();
    assert!(!is_running(session));
    again.stop().await.unwrap();
    assert!(!place.dir().join("running.json").exists());
}

#[tokio::test]
async fn a_stale_pid_file_stays_while_a_session_without_a_record_may_use_the_data() {
    let place = Place::new();
    let session = frozen_remnant(&place).await;
    fs::remove_file(place.dir().join("running.json")).unwrap();
    let mut other = place.as_server_user("sleep").arg("600").spawn().unwrap();
    let file = place.data().join("postmaster.pid");
    let text = fs::read_to_string(&file).unwrap();
    let (_, rest) = text.split_once('\n').unwrap();
    fs::write(&file, format!("{}\n{rest}", other.id())).unwrap();

    let refused = place.start(place.fast()).await;
    other.kill().unwrap();
    other.wait().unwrap();
    let survived = is_running(session);
    send(session, Signal::SIGKILL);
    match refused.unwrap_err() {
        ClusterError::Foreign { pid, .. } => assert_eq!(pid, session),
        // Without the right to see where another user's process works, another test's session is as suspicious.
        ClusterError::Unseen { .. } => {}
        other => panic!("{other}"),
    }
    assert!(survived && file.exists());
    wait_until("the session is gone", || !is_running(session));
    place.start(place.fast()).await.unwrap().stop().await.unwrap();
}

#[tokio::test]
async fn a_wrong_password_on_file_is_named_and_the_right_one_mends_it() {
    let place = Place::new();
    let (server, _) = Keeper::start(&place).kill();
    let password = place.dir().join("password");
    let right = fs::read_to_string(&password).unwrap();
    fs::write(&password, "wrong").unwrap();
    let error = place.start(place.plain()).await.unwrap_err();
    assert!(
        matches!(&error, ClusterError::PasswordRefused { file, .. } if file.ends_with("cluster/password")),
        "{error}"
    );
    assert!(!error.to_string().contains("wrong"), "{error}");
    assert!(!is_running(server));
    fs::write(&password, right).unwrap();
    place.start(place.plain()).await.unwrap().stop().await.unwrap();
}

#[tokio::test]
async fn a_server_that_we_did_not_start_is_refused_and_left_alone() {
    let place = Place::new();
    place.start(place.fast()).await.unwrap().stop().await.unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut command = place.as_server_user(Programs::find().unwrap().bin().join("postgres"));
    command.arg("-D").arg(place.data()).args(["-c", "unix_socket_directories=", "-c", &format!("port={free}")]);
    let mut stranger = command.spawn().unwrap();
    wait_until("the stranger has the data", || place.data().join("postmaster.pid").exists());

    let error = place.start(place.fast()).await.unwrap_err();
    assert!(matches!(error, ClusterError::Foreign { pid, .. } if pid == stranger.id()), "{error}");
    assert!(error.to_string().contains("pg_ctl stop -D"), "{error}");
    assert!(is_running(stranger.id()));

    send(stranger.id(), Signal::SIGINT);
    stranger.wait().unwrap();
    place.start(place.fast()).await.unwrap().stop().await.unwrap();
}

#[tokio::test]
async fn a_pid_file_whose_number_passed_to_another_program_is_no_obstacle() {
    let place = Place::new();
    place.start(place.fast()).await.unwrap().stop().await.unwrap();
    // The same user's, since PostgreSQL itself only minds those.
    let mut other = place.as_server_user("sleep").arg("600").spawn().unwrap();
    let stale = format!("{}\n{}\n1700000000\n5432\n\n127.0.0.1\n", other.id(), place.data().display());
    fs::write(place.data().join("postmaster.pid"), stale).unwrap();

    let cluster = place.start(place.fast()).await;
    assert!(is_running(other.id()));
    other.kill().unwrap();
    other.wait().unwrap();
    cluster.unwrap().stop().await.unwrap();
}

#[tokio::test]
async fn an_interrupted_initialisation_leaves_nothing_half_made() {
    let place = Place::new();
    let mut keeper = Keeper::spawn(&place);
    wait_until("initdb works", || place.dir().join("init/data/global").exists());
    keeper.kill().unwrap();
    keeper.wait().unwrap();
    assert!(!place.data().exists());
    let cluster = place.start(place.fast()).await.unwrap();
    assert!(!place.dir().join("init").exists());
    cluster.stop().await.unwrap();
}
