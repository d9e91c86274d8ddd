//! The pool while its server goes away and comes back.

use std::time::Duration;

use pool::{Pool, PoolError, PoolSettings, SessionParams};
use tokio::time::{sleep, timeout};

use crate::place::{Place, route, share};

/// Waits for something that happens in its own time.
async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let tried = timeout(Duration::from_secs(20), async {
        while !holds() {
            sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(tried.await.is_ok(), "{what}");
}

#[tokio::test]
async fn whoever_waits_for_a_server_that_restarts_is_served() {
    let mut place = Place::find();
    let cluster = place.start().await;
    let route = route(&cluster.dsn("postgres"));
    let settings = PoolSettings { max_per_cluster: 6, wait_timeout: Duration::from_mins(1), ..PoolSettings::default() };
    let (pool, params) = (Pool::new(settings), SessionParams::default());
    let mut leases = Vec::new();
    for _ in 0..5 {
        leases.push(pool.checkout(&route, &params, share()).await.expect("a connection"));
    }
    let before: Vec<u32> = leases.iter().map(pool::Lease::pid).collect();
    let [lent, lost] = [(); 2].map(|()| leases.pop().expect("one that stays lent"));
    for lease in leases {
        lease.give_back().await;
    }
    cluster.stop().await.expect("the server stops");
    // Whoever uses one finds that it is gone, and from then on nobody is lent another unseen.
    drop(lost);

    // More than the budget: some wait for the server and the others for them.
    let clients: Vec<_> = (0..20)
        .map(|_| {
            let (pool, route, params) = (pool.clone(), route.clone(), params.clone());
            tokio::spawn(async move {
                let lease = pool.checkout(&route, &params, share()).await?;
                let pid = lease.pid();
                lease.give_back().await;
                Ok::<u32, PoolError>(pid)
            })
        })
        .collect();
    eventually("the trouble is noticed", || !pool.stats()[0].1.up).await;
    eventually("the rest queue", || pool.stats()[0].1.waiting == 15).await;
    drop(lent);
    eventually("another tries", || pool.stats()[0].1.waiting == 14).await;

    let cluster = place.start().await;
    for client in clients {
        let pid = client.await.expect("a client").expect("served after the restart");
        assert!(!before.contains(&pid), "a process of the server that was stopped");
    }
    let stats = pool.stats()[0].1;
    assert!(stats.up && stats.waiting == 0 && stats.in_use == 0, "{stats:?}");
    drop(pool);
    cluster.stop().await.expect("the server stops");
}

#[tokio::test]
async fn whoever_waits_for_a_server_that_stays_away_is_told_so() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    drop(listener);
    let route = route(&format!("postgresql://t:t@127.0.0.1:{port}/postgres"));
    let settings =
        PoolSettings { max_per_cluster: 2, wait_timeout: Duration::from_millis(300), ..PoolSettings::default() };
    let pool = Pool::new(settings);
    let clients: Vec<_> = (0..6)
        .map(|_| {
            let (pool, route) = (pool.clone(), route.clone());
            tokio::spawn(async move { pool.checkout(&route, &SessionParams::default(), share()).await })
        })
        .collect();
    for client in clients {
        let refused = client.await.expect("a client").expect_err("nobody is there");
        assert!(matches!(refused, PoolError::Unreachable { .. }), "{refused:?}");
    }
    assert_eq!((pool.stats()[0].1.open, pool.stats()[0].1.up), (0, false));
}
