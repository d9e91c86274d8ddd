//! Servers that do not play by the rules (attack-vectors: hostile server). Each test is one trick and what it meets.

#![expect(clippy::expect_used, clippy::panic, reason = "a test's helpers fail the test")]

use std::time::Duration;

use bytes::BytesMut;
use domain::Servers;
use pool::{Pool, PoolError, PoolSettings, Route, Secret, Serves, SessionParams};
use tls::{Demand, Trust};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use uuid::Uuid;
use wire::backend;

/// Lets a script answer one login, and says what the pool makes of it.
async fn meet(script: impl AsyncFnOnce(&mut TcpStream)) -> PoolError {
    meet_asking(Trust::plain(), script).await
}

/// The same with a pool that asks this of its server.
async fn meet_asking(trust: Trust, script: impl AsyncFnOnce(&mut TcpStream)) -> PoolError {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let route = Route {
        cluster: Uuid::nil(),
        servers: Servers::one("127.0.0.1", listener.local_addr().expect("an address").port()),
        trust,
        database: "postgres".to_owned(),
        role: "t_0".to_owned(),
        serves: Serves::One,
        password: Secret::new("secret"),
        search_path: "public".to_owned(),
    };
    let pool = Pool::new(PoolSettings {
        connect_timeout: Duration::from_millis(500),
        wait_timeout: Duration::ZERO,
        ..PoolSettings::default()
    });
    let (params, share) = (SessionParams::default(), pool.share_of(Uuid::nil(), None));
    let (met, ()) = tokio::join!(pool.checkout(&route, &params, share), async {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        hear(&mut stream).await;
        script(&mut stream).await;
        // Keeps the connection open until the pool has had enough of it.
        let _end = stream.read(&mut [0; 1024]).await;
    });
    assert_eq!(pool.stats()[0].1.open, 0);
    met.expect_err("no connection should come of this")
}

async fn hear(stream: &mut TcpStream) -> Vec<u8> {
    let mut heard = vec![0; 1024];
    let len = stream.read(&mut heard).await.expect("something to hear");
    heard.truncate(len);
    heard
}

async fn say(stream: &mut TcpStream, write: impl FnOnce(&mut BytesMut)) {
    let mut out = BytesMut::new();
    write(&mut out);
    // The pool may have hung up already, which is what is being tested.
    let _sent = stream.write_all(&out).await;
}

fn protocol_fault(met: &PoolError) -> &'static str {
    match met {
        PoolError::Protocol(fault) => fault,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn going_on_in_the_clear() {
    // It refuses, reports an error, acts as if a login had begun, or has more to say behind its consent.
    for answer in [&b"N"[..], b"E", b"R\0\0\0\x08\0\0\0\0", b"SR\0\0\0\x08\0\0\0\0"] {
        let trust = Trust::new(Demand::Require, None).expect("what needs no certificates");
        let met = meet_asking(trust, async |stream| {
            say(stream, |out| out.extend_from_slice(answer)).await;
            // Neither a name nor a proof follows: nothing, or the first record of a handshake.
            let mut heard = [0; 1024];
            let len = stream.read(&mut heard).await.unwrap_or(0);
            assert!(len == 0 || heard.starts_with(&[22, 3]), "{answer:?}: {:?}", &heard[..len]);
        });
        let met = met.await;
        assert!(matches!(met, PoolError::Untrusted), "{answer:?}: {met:?}");
    }
}

#[tokio::test]
async fn asking_for_the_password_itself() {
    for kind in [3_u8, 5] {
        let met =
            meet(async |stream| say(stream, |out| out.extend_from_slice(&[b'R', 0, 0, 0, 8, 0, 0, 0, kind])).await);
        assert!(protocol_fault(&met.await).contains("in the clear or as MD5"));
    }
}

#[tokio::test]
async fn keeping_the_client_computing() {
    let met = meet(async |stream| {
        say(stream, |out| backend::authentication_sasl(out, false)).await;
        let heard = hear(stream).await;
        let nonce = String::from_utf8_lossy(&heard).split("r=").nth(1).expect("a nonce").to_owned();
        let challenge = format!("r={nonce}x,s=c2FsdA==,i=4294967295");
        say(stream, |out| backend::authentication_sasl_continue(out, challenge.as_bytes())).await;
    });
    assert!(protocol_fault(&met.await).contains("iterations"));
}

#[tokio::test]
async fn leaving_out_its_own_proof() {
    let met = meet(async |stream| {
        say(stream, |out| backend::authentication_sasl(out, false)).await;
        let heard = hear(stream).await;
        let nonce = String::from_utf8_lossy(&heard).split("r=").nth(1).expect("a nonce").to_owned();
        let challenge = format!("r={nonce}x,s=c2FsdA==,i=4096");
        say(stream, |out| backend::authentication_sasl_continue(out, challenge.as_bytes())).await;
        hear(stream).await;
        say(stream, backend::authentication_ok).await;
    });
    assert!(protocol_fault(&met.await).contains("out of order"));
}

#[tokio::test]
async fn settings_before_the_login_is_done() {
    let met = meet(async |stream| say(stream, |out| backend::parameter_status(out, "a", "b")).await);
    assert!(protocol_fault(&met.await).contains("does not belong"));
}

#[tokio::test]
async fn a_login_without_end() {
    let met = meet(async |stream| {
        say(stream, |out| {
            backend::authentication_ok(out);
            for _ in 0..10_000 {
                backend::parameter_status(out, "a", "b");
            }
        })
        .await;
    });
    assert!(protocol_fault(&met.await).contains("does not come to an end"));
}

#[tokio::test]
async fn a_message_without_end() {
    let met = meet(async |stream| say(stream, |out| out.extend_from_slice(b"N\x3f\xff\xff\xff")).await);
    assert!(protocol_fault(&met.await).contains("far longer"));
    let met = meet(async |stream| say(stream, |out| out.extend_from_slice(b"N\xff\xff\xff\xff")).await);
    assert!(matches!(met.await, PoolError::Framing(_)));
}

#[tokio::test]
async fn saying_more_than_it_was_asked() {
    let met = meet(async |stream| {
        say(stream, |out| {
            backend::authentication_ok(out);
            backend::backend_key_data(out, &wire::startup::CancelKey { pid: 1, secret: [2; 4].into() });
            backend::ready_for_query(out, backend::TransactionStatus::Idle);
            backend::parameter_status(out, "a", "b");
        })
        .await;
    });
    assert!(protocol_fault(&met.await).contains("not idle"));
}

#[tokio::test]
async fn silence() {
    let met = meet(async |_| {}).await;
    assert_eq!(met.sqlstate(), "08006");
    assert!(!met.to_string().contains("127.0.0.1"), "{met}");
}
