//! Interrupting a statement from a second connection.

use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Command;
use tokio::time::{sleep, timeout};
use tokio_postgres::{Client, NoTls};

use super::session::settled;
use crate::bed::{Bed, Options, dsn, enter, rows, sqlstate};
use crate::socket::{Login, Socket, errors, query, startup, values};

/// Waits until this many sessions of a tenant are asleep.
async fn asleep(operator: &Client, role: &str, count: usize) {
    let sql = format!("SELECT count(*) FROM pg_stat_activity WHERE usename = '{role}' AND wait_event = 'PgSleep'");
    let wait = async {
        while rows(operator, &sql).await != [count.to_string()] {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(10), wait).await.expect("asleep in time");
}

#[tokio::test]
async fn drivers_and_psql_cancel_what_is_theirs() {
    let bed = Bed::make().await;
    let made = bed.tenant("paws", "shared").await;
    let operator = bed.superuser(0, "postgres").await;
    let client = enter(&made).await;
    let role = rows(&client, "SELECT session_user").await.remove(0);

    let token = client.cancel_token();
    let (code, ()) = tokio::join!(sqlstate(&client, "SELECT pg_sleep(30)"), async {
        asleep(&operator, &role, 1).await;
        token.cancel_query(NoTls).await.expect("asked");
    });
    assert_eq!(code, "57014");
    assert_eq!(rows(&client, "SELECT 1").await, ["1"], "the session goes on");
    token.cancel_query(NoTls).await.expect("asked");
    assert_eq!(rows(&client, "SELECT 1").await, ["1"], "nothing to cancel");

    let psql = Command::new("psql")
        .args([dsn(&made), "-XAtc", "SELECT pg_sleep(30)", "-c", "SELECT 'after'"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("psql");
    asleep(&operator, &role, 1).await;
    let pid = i32::try_from(psql.id().expect("running")).expect("a process id");
    kill(Pid::from_raw(pid), Signal::SIGINT).expect("interrupted");
    let output = timeout(Duration::from_secs(5), psql.wait_with_output()).await.expect("in time").expect("psql ends");
    assert!(String::from_utf8_lossy(&output.stderr).contains("canceling statement"), "{output:?}");
    bed.close().await;
}

#[tokio::test]
async fn keys_that_are_wrong_or_over_cancel_nothing() {
    let bed = Bed::with(Options::by_session()).await;
    let made = bed.tenant("paws", "shared").await;
    let operator = bed.superuser(0, "postgres").await;
    let login = Login::of(&made);

    let mut victim = Socket::open(&bed).await;
    victim.send(&login.startup(&[])).await;
    let said = victim.prove(&login.key).await.expect("in");
    let key = said.into_iter().find(|(tag, _)| *tag == b'K').expect("a cancel key").1;
    let inside = values(&victim.query("SELECT session_user, pg_backend_pid()").await).remove(0);
    let (role, backend) = inside.split_once(',').expect("two values");
    let backend: u32 = backend.parse().expect("a process id");
    assert_ne!(key[..4], backend.to_be_bytes(), "the server's own key stays inside");

    victim.send(&query("SELECT pg_sleep(1)")).await;
    asleep(&operator, role, 1).await;
    let mut guesses: Vec<Vec<u8>> = (0..32).map(|bit| flipped(&key, 32 + bit)).collect();
    guesses.push([&backend.to_be_bytes(), &key[4..]].concat());
    guesses.push([&key[..4], &[0; 4]].concat());
    for guess in guesses {
        cancel(&bed, &guess).await;
    }
    assert_eq!(errors(&victim.until_ready().await), Vec::<String>::new(), "a guess hit");

    victim.send(&query("SELECT pg_sleep(30)")).await;
    asleep(&operator, role, 1).await;
    cancel(&bed, &key).await;
    assert_eq!(errors(&victim.until_ready().await), ["57014"], "the right one does");

    // The server connection lives on, with another client of the tenant; the key of the first does not.
    victim.send(b"X\0\0\0\x04").await;
    victim.until_closed().await;
    settled(&bed, &backend.to_string()).await;
    let mut next = Socket::enter(&bed, &made).await;
    let same = values(&next.query("SELECT pg_backend_pid()").await);
    assert_eq!(same, [backend.to_string()], "the same server connection");
    next.send(&query("SELECT pg_sleep(0.5)")).await;
    asleep(&operator, role, 1).await;
    cancel(&bed, &key).await;
    assert_eq!(errors(&next.until_ready().await), Vec::<String>::new(), "a late cancel hit the next client");
    bed.close().await;
}

#[tokio::test]
async fn keys_of_protocol_3_2_are_longer_and_count_as_a_whole() {
    let bed = Bed::make().await;
    let made = bed.tenant("paws", "schema").await;
    let operator = bed.superuser(0, "postgres").await;
    let login = Login::of(&made);
    let mut victim = Socket::open(&bed).await;
    victim.send(&startup(0x0003_0002, [("user", login.user.as_str()), ("database", &login.app)])).await;
    let said = victim.prove(&login.key).await.expect("in");
    let key = said.into_iter().find(|(tag, _)| *tag == b'K').expect("a cancel key").1;
    assert_eq!(key.len(), 4 + 32);
    let role = values(&victim.query("SELECT session_user").await).remove(0);

    victim.send(&query("SELECT pg_sleep(1)")).await;
    asleep(&operator, &role, 1).await;
    let longer = [&key[..], &[0]].concat();
    for guess in [&key[..8], &key[..35], &longer, &flipped(&key, 8 * 35)] {
        cancel(&bed, guess).await;
    }
    assert_eq!(errors(&victim.until_ready().await), Vec::<String>::new(), "a part of it hit");
    victim.send(&query("SELECT pg_sleep(30)")).await;
    asleep(&operator, &role, 1).await;
    cancel(&bed, &key).await;
    assert_eq!(errors(&victim.until_ready().await), ["57014"]);
    bed.close().await;
}

fn flipped(key: &[u8], bit: usize) -> Vec<u8> {
    let mut guess = key.to_vec();
    guess[bit / 8] ^= 1 << (bit % 8);
    guess
}

/// Asks for it, and waits until the gateway has done with it; it says nothing either way.
async fn cancel(bed: &Bed, key: &[u8]) {
    let length = u32::try_from(8 + key.len()).expect("a short key");
    let mut socket = Socket::open(bed).await;
    socket.send(&[&length.to_be_bytes()[..], &[4, 210, 22, 46], key].concat()).await;
    assert_eq!(socket.hear_byte().await, None);
}
