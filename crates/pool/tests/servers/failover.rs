//! The pool over several servers that hold the same data.

use std::time::Duration;

use domain::{Server, Servers, TargetSession};
use pool::{Lease, Pool, PoolError, PoolSettings, Route, SessionParams};
use tokio_postgres::NoTls;

use crate::place::{Place, route, share};

fn pool() -> Pool {
    Pool::new(PoolSettings { wait_timeout: Duration::from_mins(1), ..PoolSettings::default() })
}

/// The same way in, to several servers.
fn of(route: &Route, ports: [u16; 2], target: TargetSession) -> Route {
    let servers = ports.map(|port| Server { host: "127.0.0.1".to_owned(), port });
    Route { servers: Servers::of(servers, target).expect("two"), ..route.clone() }
}

async fn lease(pool: &Pool, route: &Route) -> Result<Lease, PoolError> {
    pool.checkout(route, &SessionParams::default(), share()).await
}

/// Whether the server behind a connection is a standby.
fn is_standby(lease: &Lease) -> bool {
    lease.parameters().any(|setting| setting == ("in_hot_standby", "on"))
}

#[tokio::test]
async fn a_standby_that_is_promoted_takes_over() {
    let mut place = Place::find();
    place.start().await.stop().await.expect("the server stops");
    let mut other = place.standby();
    let (primary, standby) = (place.start().await, other.start().await);
    // The standby is tried first, and is not what is asked for.
    let ports = [standby.port(), primary.port()];
    let route = route(&primary.dsn("postgres"));

    for (target, standby) in [
        (TargetSession::Any, true),
        (TargetSession::Primary, false),
        (TargetSession::Standby, true),
        (TargetSession::PreferStandby, true),
    ] {
        let lease = lease(&pool(), &of(&route, ports, target)).await.expect("a connection");
        assert_eq!(is_standby(&lease), standby, "{target}");
    }

    let (writing, reading) = (pool(), pool());
    let writers = of(&route, ports, TargetSession::Primary);
    let readers = of(&route, ports, TargetSession::PreferStandby);
    let held = lease(&writing, &writers).await.expect("a connection");
    let before = held.pid();
    primary.stop().await.expect("the server stops");
    drop(held);
    let (client, connection) = tokio_postgres::connect(&standby.dsn("postgres"), NoTls).await.expect("a session");
    tokio::spawn(connection);
    let promised = {
        let (writing, writers) = (writing.clone(), writers.clone());
        tokio::spawn(async move { lease(&writing, &writers).await })
    };
    while writing.stats()[0].1.up {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    client.batch_execute("SELECT pg_promote()").await.expect("promoted");
    let after = promised.await.expect("no panic").expect("a connection to the new primary");
    assert!(!is_standby(&after) && after.pid() != before);
    let reads = lease(&reading, &readers).await.expect("for want of a standby, the primary");
    assert!(!is_standby(&reads));
    drop((after, reads, writing, reading, client));
    standby.stop().await.expect("the server stops");
}

#[tokio::test]
async fn of_two_servers_one_is_enough() {
    let mut place = Place::find();
    let server = place.start().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let nobody = listener.local_addr().expect("bound").port();
    drop(listener);
    let route = route(&server.dsn("postgres"));
    for ports in [[server.port(), nobody], [nobody, server.port()]] {
        for target in [TargetSession::Any, TargetSession::Primary, TargetSession::PreferStandby] {
            let pool = pool();
            lease(&pool, &of(&route, ports, target)).await.expect("the one that is there");
            assert!(pool.stats()[0].1.up);
        }
    }
    server.stop().await.expect("the server stops");
}
