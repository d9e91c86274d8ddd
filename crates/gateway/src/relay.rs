//! Carries messages between a client and its server connection until one of them leaves.
//!
//! Two [`pump::Pump`]s run side by side in one task, each either reading or writing, so that a full socket in one direction
//! never holds up the other. In front of each writing end stands a stage that sees every message's header before its bytes
//! pass: [`upstream`] and [`downstream`]. Between them they keep a [`ledger`] of what the server still owes, which says
//! at the end whether the connection is fit for another client.

mod downstream;
mod ledger;
mod pump;
mod upstream;

use std::time::Duration;

use bytes::BytesMut;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use self::downstream::Downstream;
use self::ledger::Ledger;
use self::pump::Step;
use self::upstream::Upstream;
use crate::fault::Fault;

/// How long a client's last statements may take after it has left without waiting for their answers.
const LINGER: Duration = Duration::from_secs(2);

/// How long it may take a client to be told why its session ends.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// In what state a server connection was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// Idle, outside of a transaction, nothing sent since and nothing owed.
    Clean,
    /// Waiting for its client in the middle of something.
    Waiting,
    /// At work on a statement.
    Working,
}

/// What ends a session besides its two sides.
pub(crate) struct Watch<'w, R> {
    /// Resolves when the tenant or its key may no longer be served.
    pub(crate) revoked: R,
    /// This process is to end.
    pub(crate) shutdown: &'w CancellationToken,
    /// How long sessions that are in the middle of something may go on then.
    pub(crate) grace: Duration,
}

enum End {
    /// Nobody is there to be told, or both sides know already.
    Silent,
    Told(Fault),
}

/// Relays until the session ends, and tells the client why unless it was the client that ended it. `pipelined` is what
/// the client has sent already.
pub(crate) async fn relay(
    client: &mut TcpStream,
    pipelined: &[u8],
    server: &mut TcpStream,
    watch: Watch<'_, impl Future<Output = Fault>>,
) -> Left {
    let (mut client_reads, mut client_writes) = client.split();
    let (mut server_reads, mut server_writes) = server.split();
    let mut up = Upstream::new(pipelined);
    let mut down = Downstream::new();
    let mut ledger = Ledger::new();
    let mut deadline: Option<(Instant, End)> = None;
    let mut draining = false;
    let mut revoked = std::pin::pin!(watch.revoked);

    let end = loop {
        if let Err(fault) = up.inspect(&mut ledger).and_then(|()| down.inspect(&mut ledger)) {
            break End::Told(fault);
        }
        // An answer is worth waiting for unless its question was cut off in the middle.
        if up.has_left() && up.has_sent_all() && !(ledger.is_owed() && up.is_drained()) {
            break End::Silent;
        }
        if draining && up.is_drained() && down.is_drained() && ledger.is_clean() {
            break End::Told(Fault::shutdown());
        }
        if up.has_left() && deadline.is_none() {
            deadline = Some((Instant::now() + LINGER, End::Silent));
        }
        let due = deadline.as_ref().map(|(due, _)| *due);
        tokio::select! {
            step = up.pump.step(&mut client_reads, &mut server_writes) => match step {
                Step::Moved => {}
                Step::SourceGone => up.leave(),
                Step::SinkGone => {
                    // The server may have said why; that is still to be read.
                    up.abandon();
                    deadline.get_or_insert((Instant::now() + LINGER, End::Told(Fault::server_lost())));
                }
            },
            step = down.pump.step(&mut server_reads, &mut client_writes) => match step {
                Step::Moved => {}
                Step::SourceGone if down.has_said_goodbye() => break End::Silent,
                Step::SourceGone => break End::Told(Fault::server_lost()),
                Step::SinkGone => break End::Silent,
            },
            fault = &mut revoked => break End::Told(fault),
            () = watch.shutdown.cancelled(), if !draining => {
                draining = true;
                deadline.get_or_insert((Instant::now() + watch.grace, End::Told(Fault::shutdown())));
            }
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                break deadline.map_or(End::Silent, |(_, end)| end);
            }
        }
    };

    if let End::Told(fault) = end {
        tracing::info!(sqlstate = %fault.sqlstate, %fault, "session ended");
        let last_words = async {
            down.pump.finish_message(&mut server_reads, &mut client_writes).await?;
            let mut out = BytesMut::new();
            fault.write(&mut out);
            client_writes.write_all(&out).await
        };
        if !matches!(timeout(LAST_WORDS, last_words).await, Ok(Ok(()))) {
            tracing::debug!("the client left before it was told why");
        }
        return if ledger.is_owed() { Left::Working } else { Left::Waiting };
    }
    if up.is_drained() && down.is_drained() && ledger.is_clean() {
        Left::Clean
    } else if ledger.is_owed() {
        Left::Working
    } else {
        Left::Waiting
    }
}
