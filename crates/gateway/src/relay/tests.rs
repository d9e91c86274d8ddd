//! Sessions between a client and a server that are both played by the test.

mod ahead;
mod statements;

use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use pool::Residue;
use tenancy::Visit;
use tls::Stream;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use wire::report::ServerError;

use super::{Conversation, LINGER, Left, Moved, Need, Question, Servers, Settled, Signals, Watch};
use crate::dials::Dials;
use crate::fault::Fault;
use crate::statement::Clerk;

const QUERY: &[u8] = b"Q\0\0\0\x0dSELECT 1\0";
const READY: &[u8] = b"Z\0\0\0\x05I";
const IN_TRANSACTION: &[u8] = b"Z\0\0\0\x05T";

struct Stage {
    client: TcpStream,
    server: TcpStream,
    revoke: oneshot::Sender<()>,
    shutdown: CancellationToken,
    left: JoinHandle<Left>,
}

/// One server connection from beginning to end.
struct Only(Stream);

impl Servers for Only {
    fn stream(&mut self) -> Option<&mut Stream> {
        Some(&mut self.0)
    }

    fn residue(&mut self) -> Option<&mut Residue> {
        None
    }

    fn interrupt(&mut self) {}

    async fn lose(&mut self) {}

    fn attach_now(&mut self, _need: &Need) -> bool {
        true
    }

    async fn attach(&mut self, _need: &Need) -> Result<(), Fault> {
        Ok(())
    }

    async fn move_home(&mut self, _need: &Need, _beginning: &str) -> Result<(), Fault> {
        Ok(())
    }

    fn moved(&mut self) -> Option<Moved> {
        None
    }

    async fn settle(&mut self, _question: Question<'_>) -> Result<Settled, Fault> {
        Ok(Settled::default())
    }

    async fn release(&mut self, _client: u64) {}
}

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
    (near.expect("connected"), far.expect("accepted").0)
}

async fn stage(pipelined: &'static [u8]) -> Stage {
    stage_with(pipelined, Duration::from_millis(200)).await
}

async fn stage_for(pipelined: &'static [u8], clerk: Option<Arc<Clerk>>) -> Stage {
    enact(pipelined, clerk, Duration::from_millis(200)).await
}

async fn stage_with(pipelined: &'static [u8], grace: Duration) -> Stage {
    enact(pipelined, None, grace).await
}

async fn enact(pipelined: &'static [u8], clerk: Option<Arc<Clerk>>, grace: Duration) -> Stage {
    let ((client, client_far), (server, server_far)) = (pair().await, pair().await);
    let (revoke, revoked) = oneshot::channel::<()>();
    let shutdown = CancellationToken::new();
    let watched = shutdown.clone();
    let left = tokio::spawn(async move {
        let revoked = async {
            if revoked.await.is_err() {
                pending::<()>().await;
            }
            Fault::new("57P01", "closed", "")
        };
        let visit = Arc::new(Visit::unlisted("paws".parse().expect("a slug")));
        let mut conversation = Conversation::new(pipelined, clerk, None, &visit, Dials::default());
        let watch = Watch { revoked: pin!(revoked), lapse: None, shutdown: &watched, grace };
        let mut signals = Signals::new(watch, &visit);
        let (mut client, mut servers) = (Stream::Plain(client_far), Only(Stream::Plain(server_far)));
        conversation.serve(&mut client, &mut servers, &mut signals).await
    });
    Stage { client, server, revoke, shutdown, left }
}

async fn hear(from: &mut TcpStream, expected: &[u8]) {
    let mut heard = vec![0; expected.len()];
    from.read_exact(&mut heard).await.expect("as many bytes");
    assert_eq!(heard, expected);
}

async fn say(to: &mut TcpStream, words: &[u8]) {
    to.write_all(words).await.expect("sent");
}

/// The SQLSTATE of the error that is the rest of what a client is told.
async fn last_words(client: &mut TcpStream) -> String {
    let mut rest = BytesMut::new();
    while client.read_buf(&mut rest).await.expect("an orderly end") > 0 {}
    assert_eq!(rest.first(), Some(&b'E'), "{rest:?}");
    ServerError::parse(&rest[wire::frame::HEADER_LEN..]).expect("one error and nothing else").sqlstate
}

#[tokio::test]
async fn goodbyes_are_kept_from_the_server() {
    let mut stage = stage(QUERY).await;
    hear(&mut stage.server, QUERY).await;
    say(&mut stage.server, READY).await;
    hear(&mut stage.client, READY).await;
    say(&mut stage.client, b"X\0\0\0\x04garbage that nobody reads").await;
    assert_eq!(stage.left.await.expect("no panic"), Left::Clean);
    assert_eq!(stage.server.read(&mut [0]).await.expect("closed by the test's own end"), 0);
}

#[tokio::test]
async fn an_answer_is_awaited_after_the_goodbye() {
    let mut stage = stage(b"").await;
    say(&mut stage.client, QUERY).await;
    say(&mut stage.client, b"X\0\0\0\x04").await;
    hear(&mut stage.server, QUERY).await;
    say(&mut stage.server, READY).await;
    assert_eq!(stage.left.await.expect("no panic"), Left::Clean);
}

#[tokio::test]
async fn a_client_that_vanishes_spoils_its_transaction() {
    let mut stage = stage(QUERY).await;
    hear(&mut stage.server, QUERY).await;
    say(&mut stage.server, IN_TRANSACTION).await;
    hear(&mut stage.client, IN_TRANSACTION).await;
    drop(stage.client);
    assert_eq!(stage.left.await.expect("no panic"), Left::Spoilt);
}

#[tokio::test]
async fn statements_that_no_sync_has_followed_count_as_work() {
    let unsynced: &[u8] = b"E\0\0\0\x09\0\0\0\0\0H\0\0\0\x04";
    let mut stage = stage(unsynced).await;
    hear(&mut stage.server, unsynced).await;
    drop(stage.client);
    assert_eq!(stage.left.await.expect("no panic"), Left::Working);
}

#[tokio::test]
async fn half_a_message_spoils_the_connection() {
    for half in [&b"Q\0\0"[..], b"P\0\0\0\xff\0SELECT", b"P\0\0\0\x0a\0\0\0\0\0\0"] {
        let mut stage = stage(b"").await;
        say(&mut stage.client, half).await;
        drop(stage.client);
        let left = stage.left.await.expect("no panic");
        // Half a header has not reached the server; whatever more has come has.
        assert_eq!(left == Left::Clean, half.len() < wire::frame::HEADER_LEN, "{half:?}");
    }
}

#[tokio::test]
async fn revocation_waits_for_the_end_of_a_message_only() {
    let mut stage = stage(QUERY).await;
    hear(&mut stage.server, QUERY).await;
    say(&mut stage.server, b"D\0\0\0\x0aabc").await;
    hear(&mut stage.client, b"D\0\0\0\x0aabc").await;
    stage.revoke.send(()).expect("watched");
    say(&mut stage.server, b"defD\0\0\0\x0aabcdef").await;
    hear(&mut stage.client, b"def").await;
    // The second row may have been on its way already.
    let mut next = [0];
    stage.client.peek(&mut next).await.expect("more");
    if next == *b"D" {
        hear(&mut stage.client, b"D\0\0\0\x0aabcdef").await;
    }
    assert_eq!(last_words(&mut stage.client).await, "57P01");
    assert_eq!(stage.left.await.expect("no panic"), Left::Working);
}

#[tokio::test]
async fn clients_that_break_the_protocol_are_told() {
    for bad in [&b"Z\0\0\0\x05I"[..], b"Q\0\0\0\x03", b"Q\xff\xff\xff\xff", b"p\0\0\0\x08abcd"] {
        let mut stage = stage(b"").await;
        say(&mut stage.client, bad).await;
        assert_eq!(last_words(&mut stage.client).await, "08P01", "{bad:?}");
        assert_eq!(stage.left.await.expect("no panic"), Left::Spoilt);
    }
}

#[tokio::test]
async fn servers_that_break_the_protocol_are_left() {
    for bad in [READY, b"Z\0\0\0\x05X", b"R\0\0\0\x08\0\0\0\x03", b"R\0\0\0\x08\0", b"Q\0\0\0\x04", b"D\0\0\0\0"] {
        let mut stage = stage(b"").await;
        say(&mut stage.server, bad).await;
        assert_eq!(last_words(&mut stage.client).await, "08006", "{bad:?}");
        assert_eq!(stage.left.await.expect("no panic"), Left::Spoilt);
    }
}

#[tokio::test]
async fn a_server_that_goes_is_reported_unless_it_said_so_itself() {
    let mut abrupt = stage(b"").await;
    drop(abrupt.server);
    assert_eq!(last_words(&mut abrupt.client).await, "08006");
    assert_eq!(abrupt.left.await.expect("no panic"), Left::Spoilt);

    let mut polite = stage(b"").await;
    say(&mut polite.server, b"E\0\0\0\x11C57P01\0Mbye\0\0").await;
    drop(polite.server);
    assert_eq!(last_words(&mut polite.client).await, "57P01");
    assert_eq!(polite.left.await.expect("no panic"), Left::Spoilt);
}

#[tokio::test]
async fn shutdown_ends_idle_sessions_now_and_others_after_the_grace() {
    let mut idle = stage(b"").await;
    idle.shutdown.cancel();
    assert_eq!(last_words(&mut idle.client).await, "57P01");

    let mut busy = stage(QUERY).await;
    hear(&mut busy.server, QUERY).await;
    busy.shutdown.cancel();
    say(&mut busy.server, b"D\0\0\0\x04").await;
    say(&mut busy.server, READY).await;
    hear(&mut busy.client, b"D\0\0\0\x04").await;
    hear(&mut busy.client, READY).await;
    assert_eq!(last_words(&mut busy.client).await, "57P01");

    let mut endless = stage(QUERY).await;
    hear(&mut endless.server, QUERY).await;
    endless.shutdown.cancel();
    assert_eq!(last_words(&mut endless.client).await, "57P01");
    assert_eq!(endless.left.await.expect("no panic"), Left::Working);
}

#[tokio::test]
async fn a_client_that_leaves_during_shutdown_is_not_given_the_grace() {
    let mut stage = stage_with(QUERY, Duration::from_hours(1)).await;
    hear(&mut stage.server, QUERY).await;
    stage.shutdown.cancel();
    drop(stage.client);
    let left = timeout(LINGER * 3, stage.left).await.expect("not after the grace");
    assert_eq!(left.expect("no panic"), Left::Working);
}
