//! Carries messages between a client and its server connection until one of them leaves.
//!
//! Two [`pump::Pump`]s run side by side in one task, each either reading or writing, so that a full socket in one direction
//! never holds up the other. In front of each writing end stands a stage that sees every message's header before its bytes
//! pass: [`upstream`] and [`downstream`]. Between them they keep a [`ledger`] of what the server still owes, which says
//! at the end whether the connection is fit for another client. Where a tenant's isolation has rules for statements, a
//! [`Clerk`] stands in both: what it changes in a statement it takes back in the answer.

mod downstream;
mod ledger;
mod pump;
#[cfg(test)]
mod tests;
mod upstream;

use std::io;
use std::pin::pin;
use std::sync::Arc;
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
use crate::statement::{Clerk, Dialect};

/// How long a client's last statements may take after it has left without waiting for their answers.
const LINGER: Duration = Duration::from_secs(2);

/// How long it may take a client to be told why its session ends.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// In what state a server connection was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// Idle, outside of a transaction, nothing sent since and nothing owed.
    Clean,
    /// At work on a statement, or possibly so.
    Working,
    /// Anything else: fit for nothing but being closed.
    Spoilt,
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

/// How a session came to its end.
#[derive(Debug)]
enum End {
    /// The client has left.
    ClientGone,
    /// The server has closed the connection; if without a word, the client is told.
    ServerGone(Option<Fault>),
    /// We end it, and say why.
    Told(Fault),
}

/// Relays until the session ends, and tells the client why unless it was the client that ended it. `pipelined` is what
/// the client has sent already, `clerk` who reads its statements, if anybody has to.
pub(crate) async fn relay(
    client: &mut TcpStream,
    pipelined: &[u8],
    server: &mut TcpStream,
    clerk: Option<Arc<Clerk>>,
    watch: Watch<'_, impl Future<Output = Fault>>,
) -> Left {
    let dialect = clerk.as_ref().map_or_else(|| Dialect::of([]), |clerk| clerk.dialect());
    let up = Upstream::new(pipelined, clerk.clone());
    let mut relay = Relay { up, down: Downstream::new(clerk), ledger: Ledger::new(), dialect, draining: false };
    let end = relay.run(client, server, watch).await;
    let left = match end {
        End::ServerGone(_) => Left::Spoilt,
        _ if relay.ledger.may_be_working() => Left::Working,
        End::ClientGone if relay.is_at_rest() && relay.ledger.is_clean() => Left::Clean,
        End::ClientGone | End::Told(_) => Left::Spoilt,
    };
    if let End::Told(fault) | End::ServerGone(Some(fault)) = end {
        tracing::info!(sqlstate = %fault.sqlstate, %fault, "session ended");
        if !matches!(timeout(LAST_WORDS, relay.tell(client, server, &fault)).await, Ok(Ok(()))) {
            tracing::debug!("the client left before it was told why");
        }
    }
    left
}

#[derive(Debug)]
struct Relay {
    up: Upstream,
    down: Downstream,
    ledger: Ledger,
    /// How the server reads statements, kept up to date for the clerk.
    dialect: Dialect,
    /// The process is shutting down, so the session ends as soon as it is at rest.
    draining: bool,
}

impl Relay {
    async fn run(
        &mut self,
        client: &mut TcpStream,
        server: &mut TcpStream,
        watch: Watch<'_, impl Future<Output = Fault>>,
    ) -> End {
        let (mut client_reads, mut client_writes) = client.split();
        let (mut server_reads, mut server_writes) = server.split();
        let mut revoked = pin!(watch.revoked);
        let mut deadline: Option<(Instant, End)> = None;
        loop {
            if let Some(end) = self.judge() {
                return end;
            }
            if self.up.has_left() {
                earlier(&mut deadline, LINGER, End::ClientGone);
            }
            let due = deadline.as_ref().map(|(due, _)| *due);
            tokio::select! {
                step = self.up.step(&mut client_reads, &mut server_writes) => match step {
                    Ok(Step::Moved) => {}
                    Ok(Step::SourceGone) => self.up.leave(),
                    Ok(Step::SinkGone) => {
                        // The server may have said why; that is still to be read.
                        self.up.abandon();
                        deadline = Some((Instant::now() + LINGER, End::ServerGone(Some(Fault::server_lost()))));
                    }
                    Err(fault) => return End::Told(fault),
                },
                step = self.down.pump.step(&mut server_reads, &mut client_writes) => match step {
                    Step::Moved => {}
                    Step::SourceGone if self.down.has_said_goodbye() => return End::ServerGone(None),
                    Step::SourceGone => return End::ServerGone(Some(Fault::server_lost())),
                    Step::SinkGone => return End::ClientGone,
                },
                fault = &mut revoked => return End::Told(fault),
                () = watch.shutdown.cancelled(), if !self.draining => {
                    self.draining = true;
                    earlier(&mut deadline, watch.grace, End::Told(Fault::shutdown()));
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    return deadline.map_or(End::ClientGone, |(_, end)| end);
                }
            }
        }
    }

    /// Lets what has arrived pass, and says whether that is the end.
    fn judge(&mut self) -> Option<End> {
        let Self { up, down, ledger, dialect, .. } = self;
        if let Err(fault) = up.inspect(ledger, *dialect).and_then(|()| down.inspect(ledger, dialect)) {
            return Some(End::Told(fault));
        }
        // An answer is worth waiting for unless its question was cut off in the middle.
        let awaits_answer = ledger.is_owed() && up.is_drained();
        if up.has_left() && !awaits_answer && !up.pump.has_passed() && !down.pump.has_passed() {
            return Some(End::ClientGone);
        }
        (self.draining && self.is_at_rest()).then(|| End::Told(Fault::shutdown()))
    }

    /// Whether both sides have everything that the other sent, and neither waits for more. An error that no statement asked
    /// for is a server's last word.
    fn is_at_rest(&self) -> bool {
        let quiet = self.up.is_drained() && self.down.is_drained();
        quiet && self.ledger.is_quiet() && !self.down.has_said_goodbye()
    }

    /// Says why the session ends, after the end of the message that the client is reading.
    async fn tell(&mut self, client: &mut TcpStream, server: &mut TcpStream, fault: &Fault) -> io::Result<()> {
        self.down.pump.finish_message(server, client).await?;
        let mut out = BytesMut::new();
        fault.write(&mut out);
        client.write_all(&out).await
    }
}

/// Sets a deadline unless an earlier one stands.
fn earlier(deadline: &mut Option<(Instant, End)>, within: Duration, end: End) {
    let due = Instant::now() + within;
    if deadline.as_ref().is_none_or(|(standing, _)| due < *standing) {
        *deadline = Some((due, end));
    }
}
