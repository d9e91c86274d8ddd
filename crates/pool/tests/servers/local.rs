//! The pool and a server that is reached at a Unix socket.

use std::time::Duration;

use bytes::BytesMut;
use domain::Servers;
use pool::{Lease, Pool, PoolSettings, SessionParams};
use tls::{Demand, Stream, Trust};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use crate::place::{Place, route, share};

const PATIENCE: Duration = Duration::from_secs(20);

/// What the server answers, up to where it is ready or gone.
async fn ask(lease: &mut Lease, sql: &str) -> String {
    let mut out = BytesMut::new();
    wire::frontend::query(&mut out, sql);
    lease.stream().write_all(&out).await.expect("sent");
    let mut heard = Vec::new();
    let answered = timeout(PATIENCE, async {
        while !heard.ends_with(b"Z\0\0\0\x05I") {
            if lease.stream().read_buf(&mut heard).await.expect("read") == 0 {
                break;
            }
        }
    });
    answered.await.expect("an answer");
    String::from_utf8_lossy(&heard).into_owned()
}

#[tokio::test]
async fn a_server_at_a_unix_socket_is_used_interrupted_and_waited_for() {
    let mut place = Place::find();
    let folder = place.with_socket();
    let cluster = place.start().await;
    let mut route = route(&cluster.dsn("postgres"));
    route.servers = Servers::one(folder, cluster.port());
    // As with libpq, nothing is encrypted here, whatever the connection string says.
    route.trust = Trust::new(Demand::Require, None).expect("what needs no certificates");
    let settings = PoolSettings { max_per_cluster: 1, wait_timeout: Duration::from_mins(1), ..PoolSettings::default() };
    let (pool, params) = (Pool::new(settings), SessionParams::default());
    let mut lease = pool.checkout(&route, &params, share()).await.expect("a connection");
    assert!(matches!(lease.stream(), Stream::Local(_)));
    let told = ask(&mut lease, "SELECT coalesce(inet_server_addr()::text, 'no network')").await;
    assert!(told.contains("no network"), "{told}");

    let target = lease.cancel_target();
    let (told, sent) = tokio::join!(ask(&mut lease, "SELECT pg_sleep(60)"), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        target.send().await
    });
    assert!(told.contains("57014") && sent.is_ok(), "{told}: {sent:?}");
    let before = lease.pid();
    lease.give_back().await;

    cluster.stop().await.expect("the server stops");
    // One that has rested for a moment only is lent without a look.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let (asked, cluster) = tokio::join!(pool.checkout(&route, &params, share()), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        place.start().await
    });
    let mut lease = asked.expect("served after the restart");
    assert_ne!(lease.pid(), before);
    assert!(ask(&mut lease, "SELECT 'still here'").await.contains("still here"));
    drop((lease, pool));
    cluster.stop().await.expect("the server stops");
}
