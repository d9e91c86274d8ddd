//! What a start refuses, and that it says so before it makes anything.

use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt};

use devdb::{ClusterError, LockError, PortChoice, Unreachable};

use crate::place::{Keeper, Place, query};

#[tokio::test]
async fn a_taken_port_is_named() {
    let place = Place::new();
    let stranger = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = stranger.local_addr().unwrap().port();
    let mut config = place.fast();
    config.port = PortChoice::Fixed(taken);
    let error = place.start(config.clone()).await.unwrap_err();
    assert!(matches!(error, ClusterError::PortTaken { port, .. } if port == taken), "{error}");
    assert!(error.to_string().contains(&taken.to_string()), "{error}");
    assert!(!place.data().exists());

    drop(stranger);
    let cluster = place.start(config).await.unwrap();
    assert_eq!(cluster.port(), taken);
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn a_directory_that_the_servers_user_cannot_reach_is_refused_before_anything_is_made() {
    let place = Place::new();
    let closed = place.root().canonicalize().unwrap().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    let mut config = place.fast();
    config.dir = closed.join("cluster");
    let started = place.start(config).await;

    if nix::unistd::geteuid().is_root() {
        let error = started.unwrap_err();
        assert!(
            matches!(&error, ClusterError::Unreachable(Unreachable::Closed { closed: at, .. }) if *at == closed),
            "{error}"
        );
        assert!(error.to_string().contains(&format!("chmod o+x {}", closed.display())), "{error}");
        assert_eq!(fs::read_dir(&closed).unwrap().count(), 0);
    } else {
        // Nothing is dropped, so our own private directory is as good as any.
        let cluster = started.unwrap();
        assert_eq!(query(&cluster.dsn("postgres"), "SELECT 1").await.unwrap().as_deref(), Some("1"));
        cluster.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_directory_that_another_process_has_is_refused() {
    let place = Place::new();
    let keeper = Keeper::start(&place);
    let error = place.start(place.plain()).await.unwrap_err();
    let holder = keeper.pid();
    assert!(
        matches!(&error, ClusterError::Lock(LockError::Held { holder: Some(pid), .. }) if *pid == holder),
        "{error}"
    );
    assert!(error.to_string().contains(&format!("(pid {holder})")), "{error}");
    // The server of the other process goes on undisturbed.
    assert_eq!(query(&keeper.dsn, "SELECT 1").await.unwrap().as_deref(), Some("1"));
    keeper.kill();
    place.start(place.plain()).await.unwrap().stop().await.unwrap();
}

#[tokio::test]
async fn data_of_another_major_version_is_refused() {
    let place = Place::new();
    place.start(place.fast()).await.unwrap().stop().await.unwrap();
    fs::write(place.data().join("PG_VERSION"), "9.6\n").unwrap();
    let error = place.start(place.fast()).await.unwrap_err();
    assert!(matches!(&error, ClusterError::OtherMajor { made_by, .. } if made_by == "9.6"), "{error}");
    assert!(error.to_string().contains("pg_upgrade"), "{error}");
}

#[tokio::test]
async fn settings_that_are_ours_are_refused() {
    let place = Place::new();
    let mut config = place.fast();
    config.settings.push(("listen_addresses".into(), "*".into()));
    let error = place.start(config).await.unwrap_err();
    assert!(matches!(&error, ClusterError::ReservedSetting { name } if name == "listen_addresses"), "{error}");
    assert!(!place.dir().exists());
}
