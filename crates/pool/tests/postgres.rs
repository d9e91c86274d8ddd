//! The pool against a real PostgreSQL.

#![expect(clippy::expect_used, clippy::panic, reason = "a test's helpers fail the test")]

use std::time::Duration;

use bytes::BytesMut;
use pool::{Pool, PoolError, PoolSettings, Secret, SessionParams};
use tokio::io::AsyncWriteExt as _;
use tokio::time::{sleep, timeout};
use wire::frontend;

#[path = "support/server.rs"]
mod server;
use server::{Server, ask, no_params, share};

fn pool_of(max_per_cluster: usize) -> Pool {
    Pool::new(PoolSettings { max_per_cluster, wait_timeout: Duration::from_millis(300), ..PoolSettings::default() })
}

/// Waits for something that another process does in its own time.
async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let tried = timeout(Duration::from_secs(10), async {
        while !holds().await {
            sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(tried.await.is_ok(), "{what}");
}

#[tokio::test]
async fn a_connection_comes_back_as_it_was_after_login() {
    let server = Server::start().await;
    let (pool, route) = (pool_of(5), server.route().await);
    let params: SessionParams = [("TimeZone", "America/Sao_Paulo"), ("application_name", "till")].into_iter().collect();

    let mut lease = pool.checkout(&route, &params, share(&route)).await.expect("a connection");
    assert_eq!(lease.parameters().find(|(name, _)| *name == "TimeZone"), Some(("TimeZone", "America/Sao_Paulo")));
    let backend = ask(&mut lease, "SELECT pg_backend_pid()").await.expect("a pid");
    ask(
        &mut lease,
        "SET TimeZone = 'UTC'; SET search_path = pg_catalog; CREATE TEMP TABLE left_over (); LISTEN gossip; \
        PREPARE p AS SELECT 1; SELECT pg_advisory_lock(1)",
    )
    .await
    .expect("a session with a past");
    lease.give_back().await;

    let mut lease = pool.checkout(&route, &params, share(&route)).await.expect("a connection");
    for (question, answer) in [
        ("SELECT pg_backend_pid()", backend.as_str()),
        ("SHOW TimeZone", "America/Sao_Paulo"),
        ("SHOW application_name", "till"),
        ("SHOW client_connection_check_interval", "10s"),
        ("SHOW search_path", "pg_temp, public"),
        ("SELECT to_regclass('pg_temp.left_over') IS NULL", "t"),
        ("SELECT count(*) FROM pg_listening_channels()", "0"),
        ("SELECT count(*) FROM pg_prepared_statements", "0"),
        ("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'", "0"),
    ] {
        assert_eq!(ask(&mut lease, question).await.as_deref(), Ok(answer), "{question}");
    }
    assert_eq!(lease.parameters().find(|(name, _)| *name == "TimeZone"), Some(("TimeZone", "America/Sao_Paulo")));
    ask(&mut lease, "SET TimeZone = 'UTC'; RESET ALL").await.expect("reset");
    assert_eq!(ask(&mut lease, "SHOW TimeZone").await.as_deref(), Ok("America/Sao_Paulo"));
    lease.give_back().await;

    let mut other = pool.checkout(&route, &no_params(), share(&route)).await.expect("a connection");
    assert_ne!(ask(&mut other, "SELECT pg_backend_pid()").await.as_deref(), Ok(backend.as_str()));
}

#[tokio::test]
async fn an_open_transaction_is_never_put_to_rest() {
    let server = Server::start().await;
    let (pool, route) = (pool_of(5), server.route().await);
    for left_behind in ["BEGIN", "BEGIN; SELECT 1/0", "SET statement_timeout = 1; BEGIN"] {
        let mut lease = pool.checkout(&route, &no_params(), share(&route)).await.expect("a connection");
        let _answer = ask(&mut lease, left_behind).await;
        lease.give_back().await;
        assert_eq!(pool.stats()[0].1.open, 0, "{left_behind}");
    }
    let lease = pool.checkout(&route, &no_params(), share(&route)).await.expect("a connection");
    drop(lease);
    eventually("the server process ends", async || server.backends(&route.role).await == 0).await;
}

#[tokio::test]
async fn a_reset_is_not_taken_in_by_one_that_was_left_behind() {
    let server = Server::start().await;
    let (pool, route) = (pool_of(5), server.route().await);
    let mut lease = pool.checkout(&route, &no_params(), share(&route)).await.expect("a connection");
    let mut left_behind = BytesMut::new();
    frontend::query(&mut left_behind, "DISCARD ALL");
    frontend::query(&mut left_behind, "SELECT pg_sleep(0.2)");
    lease.stream().write_all(&left_behind).await.expect("sent");
    lease.give_back().await;
    assert_eq!(pool.stats()[0].1.open, 0);
}

#[tokio::test]
async fn the_budget_holds_and_the_quiet_make_room() {
    let server = Server::start().await;
    let (pool, [a, b]) = (pool_of(1), [server.route().await, server.route().await]);

    pool.checkout(&a, &no_params(), share(&a)).await.expect("a connection").give_back().await;
    assert_eq!(pool.stats()[0].1.idle, 1);
    let of_b = pool.checkout(&b, &no_params(), share(&b)).await.expect("the quiet one makes room");
    eventually("the evicted process ends", async || server.backends(&a.role).await == 0).await;

    let refused = pool.checkout(&a, &no_params(), share(&a)).await.expect_err("the budget is in use");
    assert!(matches!(refused, PoolError::Exhausted), "{refused}");
    assert_eq!(refused.sqlstate(), "53300");

    // First whom the connection fits, then in order of arrival; and the one that gave up above is skipped.
    let patient = Pool::new(PoolSettings { max_per_cluster: 1, ..PoolSettings::default() });
    drop(of_b);
    let first = patient.checkout(&a, &no_params(), share(&a)).await.expect("a connection");
    let (order, mut arrived) = tokio::sync::mpsc::unbounded_channel();
    let mut queue = Vec::new();
    for (place, route) in [(1, b.clone()), (2, a.clone()), (3, b.clone())] {
        let (pool, order) = (patient.clone(), order.clone());
        queue.push(tokio::spawn(async move {
            let lease = pool.checkout(&route, &no_params(), share(&route)).await.expect("a turn");
            order.send(place).expect("counted");
            lease.give_back().await;
        }));
        let waiting = usize::try_from(place).expect("small");
        eventually("it queues", async || patient.stats()[0].1.waiting == waiting).await;
    }
    first.give_back().await;
    for member in queue {
        member.await.expect("served");
    }
    drop(order);
    let mut turns = Vec::new();
    while let Some(place) = arrived.recv().await {
        turns.push(place);
    }
    assert_eq!(turns, [2, 1, 3]);
    assert_eq!((patient.stats()[0].1.open, patient.stats()[0].1.waiting), (1, 0));
}

#[tokio::test]
async fn abandoned_requests_leave_nothing_behind() {
    let server = Server::start().await;
    let (pool, route) = (pool_of(1), server.route().await);
    let held = pool.checkout(&route, &no_params(), share(&route)).await.expect("a connection");
    let abandoned = timeout(Duration::from_millis(50), pool.checkout(&route, &no_params(), share(&route))).await;
    assert!(abandoned.is_err());
    drop(held);
    let abandoned = timeout(Duration::from_micros(1), pool.checkout(&route, &no_params(), share(&route))).await;
    assert!(abandoned.is_err());
    let stats = pool.stats()[0].1;
    assert_eq!((stats.open, stats.waiting), (0, 0));
    pool.checkout(&route, &no_params(), share(&route)).await.expect("a connection").give_back().await;
}

#[tokio::test]
async fn a_connection_that_the_server_closed_is_not_lent() {
    let server = Server::start().await;
    let (pool, route) = (pool_of(2), server.route().await);
    for _ in 0..5 {
        let mut lease = pool.checkout(&route, &no_params(), share(&route)).await.expect("a connection");
        assert_eq!(ask(&mut lease, "SELECT 1").await.as_deref(), Ok("1"));
        lease.give_back().await;
        server
            .admin
            .execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = $1", &[&route.role])
            .await
            .expect("terminated");
        // Its last words are on their way when the process is gone; on a busy machine they take a moment to arrive.
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn closing_a_role_reaches_rest_and_loan() {
    let server = Server::start().await;
    let (pool, [a, b]) = (pool_of(5), [server.route().await, server.route().await]);
    let lent = pool.checkout(&a, &no_params(), share(&a)).await.expect("a connection");
    for route in [&a, &b] {
        pool.checkout(route, &no_params(), share(route)).await.expect("a connection").give_back().await;
    }
    assert_eq!((pool.stats()[0].1.idle, pool.stats()[0].1.in_use), (2, 1));
    pool.close_role(&a.role);
    assert_eq!((pool.stats()[0].1.idle, pool.stats()[0].1.in_use), (1, 1));
    lent.give_back().await;
    assert_eq!((pool.stats()[0].1.idle, pool.stats()[0].1.in_use), (1, 0));
    eventually("both processes end", async || server.backends(&a.role).await == 0).await;

    pool.close_cluster(b.cluster);
    assert_eq!(pool.stats()[0].1.open, 0);
    pool.checkout(&a, &no_params(), share(&a)).await.expect("a new connection");
}

#[tokio::test]
async fn what_rests_too_long_is_closed() {
    let server = Server::start().await;
    let settings = PoolSettings { idle_timeout: Duration::from_millis(200), ..PoolSettings::default() };
    let (pool, route) = (Pool::new(settings), server.route().await);
    pool.checkout(&route, &no_params(), share(&route)).await.expect("a connection").give_back().await;
    assert_eq!(pool.stats()[0].1.idle, 1);
    eventually("it is closed", async || pool.stats()[0].1.open == 0).await;

    let pool = pool_of(5);
    pool.checkout(&route, &no_params(), share(&route)).await.expect("a connection").give_back().await;
    drop(pool);
    eventually("a dropped pool closes", async || server.backends(&route.role).await == 0).await;
}

#[tokio::test]
async fn a_statement_is_cancelled() {
    let server = Server::start().await;
    let (pool, route) = (pool_of(5), server.route().await);
    let mut lease = pool.checkout(&route, &no_params(), share(&route)).await.expect("a connection");
    let target = lease.cancel_target();
    let (slept, cancelled) = tokio::join!(ask(&mut lease, "SELECT pg_sleep(60)"), async {
        eventually("it sleeps", async || {
            let sleeping = "SELECT count(*) FROM pg_stat_activity WHERE usename = $1 AND wait_event = 'PgSleep'";
            server.admin.query_one(sleeping, &[&route.role]).await.expect("a count").get::<_, i64>(0) == 1
        })
        .await;
        target.send().await
    });
    assert_eq!((slept, cancelled.is_ok()), (Err("57014".to_owned()), true));
}

#[tokio::test]
async fn a_wrong_password_is_the_platforms_fault() {
    let server = Server::start().await;
    let mut route = server.route().await;
    route.password = Secret::new("not it");
    let pool = pool_of(5);
    let refused = pool.checkout(&route, &no_params(), share(&route)).await.expect_err("a wrong password");
    assert!(matches!(&refused, PoolError::Rejected { sqlstate, .. } if sqlstate == "28P01"), "{refused:?}");
    assert_eq!(refused.sqlstate(), "08004");
    assert_eq!(pool.stats()[0].1.open, 0, "a failed login gives its permit back");
}
