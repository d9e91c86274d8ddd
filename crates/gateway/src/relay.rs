//! Carries messages between a client and server connections until one of them leaves.
//!
//! Two [`pump::Pump`]s run side by side in one task, each either reading or writing, so that a full socket in one direction
//! never holds up the other. In front of each writing end stands a stage that sees every message's header before its bytes
//! pass: [`upstream`] and [`downstream`]. Between them they keep a [`ledger`] of what the server still owes, which says
//! whether the connection is fit for another client. Where a tenant's isolation has rules for statements, a
//! [`crate::statement::Clerk`] stands in both: what it changes in a statement it takes back in the answer.
//!
//! A session that is [`Pooled`] has a server connection while it has a transaction, or for as long as its session holds
//! something that no other connection has. Otherwise it has one from beginning to end.

mod bodies;
mod conversation;
mod downstream;
mod holding;
mod ledger;
mod limits;
mod lost;
mod meter;
mod pooled;
mod pump;
mod replies;
mod servers;
mod signals;
mod slow;
#[cfg(test)]
mod tests;
mod upstream;

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;
use std::{io, mem};

use bytes::BytesMut;
use domain::Slug;
use tenancy::Refusal;
use tls::Stream;
use tokio::io::AsyncWriteExt as _;
use tokio::time::{Instant, sleep_until, timeout};

pub(crate) use self::conversation::Conversation;
use self::downstream::Downstream;
use self::ledger::Ledger;
pub use self::limits::SessionLimits;
use self::limits::{Clock, Overdue};
use self::lost::Mourning;
use self::meter::Meter;
pub(crate) use self::pooled::Pooled;
use self::pump::Step;
pub(crate) use self::servers::{Left, Moved, Need, Question, Servers, Settled};
use self::signals::Word;
pub(crate) use self::signals::{Signals, Watch};
use self::slow::Slow;
use self::upstream::Upstream;
use crate::fault::Fault;
use crate::statement::Dialect;

/// How long a client's last statements may take after it has left without waiting for their answers.
const LINGER: Duration = Duration::from_secs(2);

/// How long it may take a client to be told why its session ends.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// How a session came to its end.
#[derive(Debug)]
enum End {
    /// The client has left.
    ClientGone,
    /// The server has closed the connection; if without a word, the client is told.
    ServerGone(Option<Fault>),
    /// The same, and the client does not have the server's last word yet.
    ServerSaid(BytesMut),
    /// We end it, and say why.
    Told(Fault),
}

/// A session's messages, between its client and its server connections, while it works.
#[derive(Debug)]
struct Relay {
    up: Upstream,
    down: Downstream,
    ledger: Ledger,
    meter: Meter,
    slow: Slow,
    /// How the server reads statements, kept up to date for the clerk.
    dialect: Dialect,
    pooled: Option<Box<Pooled>>,
    /// The client has lost a transaction, and is still to be told.
    mourning: Option<Box<Mourning>>,
    clock: Clock,
    leaving: Leaving,
    /// What the client is told once it is at rest, if it keeps its server connection even then.
    parting: Option<Box<Fault>>,
}

/// Why a session ends as soon as it is at rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leaving {
    /// It does not.
    No,
    /// The client's right to be served has ended.
    Lapsed,
    /// The process is shutting down.
    Stopping,
}

/// When to give up waiting, and what that means.
type Deadline = Option<(Instant, End)>;

impl Relay {
    /// Of a session that works again.
    fn new(conversation: &mut Conversation) -> Self {
        let Conversation { arrived, clerk, dialect, pooled, visit, dials } = conversation;
        let (arrived, clerk, pooled) = (mem::take(arrived), clerk.take(), pooled.take());
        let slow = Slow::new(dials.clone());
        Self {
            up: Upstream::new(arrived, clerk.clone(), pooled.is_some(), slow.is_on()),
            down: Downstream::new(clerk, pooled.is_some(), Arc::clone(visit)),
            ledger: Ledger::new(),
            meter: Meter::new(Arc::clone(visit)),
            slow,
            dialect: *dialect,
            pooled,
            mourning: None,
            clock: Clock::new(dials.clone()),
            leaving: Leaving::No,
            parting: None,
        }
    }

    /// Whether nothing is left that would have to be remembered.
    fn rests(&self, servers: &mut impl Servers) -> bool {
        servers.stream().is_none()
            && self.up.is_drained()
            && self.down.is_drained()
            && self.mourning.is_none()
            && !self.up.has_left()
            && self.leaving == Leaving::No
    }

    /// Gives back what is left of a session that rests.
    fn rests_from_now_on(self, conversation: &mut Conversation) {
        let Self { up, dialect, mut pooled, .. } = self;
        if let Some(pooled) = &mut pooled {
            pooled.shrink();
        }
        (conversation.clerk, conversation.dialect, conversation.pooled) = (up.into_clerk(), dialect, pooled);
    }

    /// What is left to do when a session has come to its end.
    async fn finish(&mut self, end: End, client: &mut Stream, servers: &mut impl Servers) -> Left {
        self.meter.weigh(&mut self.up.pump, &mut self.down.pump);
        let left = match end {
            End::ServerGone(_) | End::ServerSaid(_) => Left::Spoilt,
            _ if self.ledger.may_be_working() => Left::Working,
            End::ClientGone if self.is_at_rest() && self.ledger.is_clean() => Left::Clean,
            End::ClientGone | End::Told(_) => Left::Spoilt,
        };
        let words = match end {
            End::Told(fault) | End::ServerGone(Some(fault)) => {
                let (tenant, session, statement) = self.under_way();
                tracing::info!(%tenant, session, statement, sqlstate = %fault.sqlstate, %fault, "session is ended");
                let mut words = BytesMut::new();
                fault.write(&mut words);
                words
            }
            End::ServerSaid(words) => words,
            End::ClientGone | End::ServerGone(None) => return left,
        };
        let told = timeout(LAST_WORDS, self.tell(client, servers, &words)).await;
        if !matches!(told, Ok(Ok(()))) {
            tracing::debug!("the client left before it was told why");
        }
        left
    }

    /// Relays until the session rests or ends, and says how if it does.
    async fn run<R: Future<Output = Fault>>(
        &mut self,
        client: &mut Stream,
        servers: &mut impl Servers,
        signals: &mut Signals<'_, R>,
    ) -> Option<End> {
        let mut deadline: Deadline = None;
        loop {
            match self.attend(servers, signals, &mut deadline).await {
                Ok(true) => {}
                Ok(false) => continue,
                Err(end) => return Some(end),
            }
            let attached = servers.stream().is_some();
            if let Some(time) = self.meter.note(attached, &self.ledger, &mut self.up.pump, &mut self.down.pump) {
                self.slow.answered(time, self.meter.visit());
            }
            if self.up.has_left() {
                earlier(&mut deadline, LINGER, End::ClientGone);
            }
            self.clock.note(&self.ledger);
            if deadline.is_none() && self.rests(servers) {
                return None;
            }
            let due = deadline.as_ref().map(|(due, _)| *due);
            // Whoever does not take its answers is not read either.
            let heeded = servers.stream().is_some() || !self.down.pump.has_passed();
            let (mut client_reads, mut client_writes) = client.split();
            let (mut server_reads, mut server_writes) = servers.stream().map(Stream::split).unzip();
            tokio::select! {
                step = self.up.step(&mut client_reads, server_writes.as_mut()), if heeded => match step {
                    Ok(Step::Moved) => {}
                    Ok(Step::SourceGone) => self.up.leave(),
                    Ok(Step::SinkGone) if self.outlives_server() => self.lose(servers).await,
                    Ok(Step::SinkGone) => {
                        // The server may have said why; that is still to be read.
                        self.up.abandon();
                        deadline = Some((Instant::now() + LINGER, End::ServerGone(Some(Fault::server_lost()))));
                    }
                    Err(fault) => return Some(End::Told(fault)),
                },
                step = self.down.pump.step(server_reads.as_mut(), Some(&mut client_writes)) => match step {
                    Step::Moved => {}
                    Step::SourceGone if self.outlives_server() => self.lose(servers).await,
                    Step::SourceGone if let Some(words) = self.down.take_goodbye() => return Some(End::ServerSaid(words)),
                    Step::SourceGone if self.down.has_said_goodbye() => return Some(End::ServerGone(None)),
                    Step::SourceGone => return Some(End::ServerGone(Some(Fault::server_lost()))),
                    Step::SinkGone => return Some(End::ClientGone),
                },
                overdue = self.clock.rings() => match overdue {
                    Overdue::Cancel => servers.interrupt(),
                    Overdue::End(fault) => return Some(End::Told(fault)),
                },
                word = signals.next() => {
                    let attached = servers.stream().is_some();
                    if let Some(end) = self.heed(word, attached, signals.grace, &mut deadline) {
                        return Some(end);
                    }
                }
                () = past(due) => {
                    return Some(deadline.map_or(End::ClientGone, |(_, end)| end));
                }
            }
        }
    }

    /// Does what is wanted of the session, which may be to end at once.
    fn heed(&mut self, word: Word, attached: bool, grace: Duration, deadline: &mut Deadline) -> Option<End> {
        match word {
            Word::Revoked(fault) => return Some(End::Told(fault)),
            // One that has a connection only now and then gets its next one where the tenant is then.
            Word::Yield if attached => {
                let slug = self.meter.visit().slug().clone();
                self.parting = Some(Box::new(Fault::revoked(&Refusal::Yielded(slug))));
            }
            Word::Yield => {}
            Word::Lapsed(grace) => self.leaves(Leaving::Lapsed, grace, deadline),
            Word::Shutdown => self.leaves(Leaving::Stopping, grace, deadline),
        }
        None
    }

    /// What log lines about a statement begin with: tenant, session and the statement's number in it.
    fn under_way(&self) -> (&Slug, u64, u64) {
        let visit = self.meter.visit();
        (visit.slug(), visit.number(), self.meter.statement())
    }

    /// Has the session end as soon as it is at rest, or after a while.
    fn leaves(&mut self, why: Leaving, grace: Duration, deadline: &mut Deadline) {
        self.leaving = why;
        earlier(deadline, grace, End::Told(self.farewell()));
    }

    /// What the client of a session that ends so is told.
    fn farewell(&self) -> Fault {
        match self.leaving {
            Leaving::Lapsed => Fault::token_expired(self.meter.visit()),
            Leaving::Stopping | Leaving::No => Fault::shutdown(),
        }
    }

    /// Lets what has arrived pass, unless that is the end.
    fn judge(&mut self, servers: &mut impl Servers) -> Result<(), End> {
        let Self { up, down, ledger, dialect, pooled, slow, .. } = self;
        let mut residue = servers.residue();
        let inspected = up
            .inspect(ledger, *dialect, pooled.as_deref_mut().zip(residue.as_deref_mut()), slow)
            .and_then(|()| down.inspect(ledger, dialect, pooled.as_deref_mut().zip(residue)));
        inspected.map_err(End::Told)?;
        // An answer is worth waiting for unless its question was cut off in the middle.
        let awaits_answer = ledger.is_owed() && up.is_drained();
        if up.has_left() && !awaits_answer && !up.pump.has_passed() && !down.pump.has_passed() {
            return Err(End::ClientGone);
        }
        if self.leaving != Leaving::No && self.is_at_rest() { Err(End::Told(self.farewell())) } else { Ok(()) }
    }

    /// Whether both sides have everything that the other sent, and neither waits for more. An error that no statement asked
    /// for is a server's last word.
    fn is_at_rest(&self) -> bool {
        let quiet = self.up.is_drained() && self.down.is_drained();
        quiet && self.ledger.is_quiet() && !self.down.has_said_goodbye()
    }

    /// Says why the session ends, after the end of the message that the client is reading.
    async fn tell(&mut self, client: &mut Stream, servers: &mut impl Servers, words: &[u8]) -> io::Result<()> {
        self.down.pump.finish_message(servers.stream(), client).await?;
        client.write_all(words).await
    }
}

/// Waits for a moment, or for ever.
async fn past(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => pending().await,
    }
}

/// Sets a deadline unless an earlier one stands.
fn earlier(deadline: &mut Deadline, within: Duration, end: End) {
    let due = Instant::now() + within;
    if deadline.as_ref().is_none_or(|(standing, _)| due < *standing) {
        *deadline = Some((due, end));
    }
}
