//! Carries messages between a client and server connections until one of them leaves.
//!
//! Two [`pump::Pump`]s run side by side in one task, each either reading or writing, so that a full socket in one direction
//! never holds up the other. In front of each writing end stands a stage that sees every message's header before its bytes
//! pass: [`upstream`] and [`downstream`]. Between them they keep a [`ledger`] of what the server still owes, which says
//! whether the connection is fit for another client. Where a tenant's isolation has rules for statements, a
//! [`Clerk`] stands in both: what it changes in a statement it takes back in the answer.
//!
//! A session that is [`Pooled`] has a server connection while it has a transaction, or for as long as its session holds
//! something that no other connection has. Otherwise it has one from beginning to end.

mod conversation;
mod downstream;
mod ledger;
mod limits;
mod lost;
mod meter;
mod pooled;
mod pump;
mod replies;
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
use pool::{Residue, Settings};
use tenancy::Refusal;
use tls::Stream;
use tokio::io::AsyncWriteExt as _;
use tokio::time::{Instant, sleep_until, timeout};
use wire::backend::TransactionStatus;
use wire::frame::HEADER_LEN;
use wire::report::ServerError;

pub(crate) use self::conversation::Conversation;
use self::downstream::Downstream;
use self::ledger::Ledger;
pub use self::limits::SessionLimits;
use self::limits::{Clock, Overdue};
use self::lost::Mourning;
use self::meter::Meter;
pub(crate) use self::pooled::Pooled;
use self::pump::Step;
use self::signals::Word;
pub(crate) use self::signals::{Signals, Watch};
use self::slow::Slow;
use self::upstream::{Upstream, Wish};
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

/// Where a session's server connections come from, and go.
pub(crate) trait Servers: Send {
    /// The one that it has.
    fn stream(&mut self) -> Option<&mut Stream>;

    /// What clients have left on it on purpose; `None` if there is none, or nobody but this client uses it.
    fn residue(&mut self) -> Option<&mut Residue>;

    /// Takes one that is at hand and as [`Servers::attach`] would have it.
    fn attach_now(&mut self, need: &Need) -> bool;

    /// Gets one. May be abandoned.
    fn attach(&mut self, need: &Need) -> impl Future<Output = Result<(), Fault>> + Send;

    /// Exchanges the one it has, on which nothing has happened but the beginning of a transaction, for one of the tenant's
    /// own login, on which `beginning` is said again.
    fn move_home(&mut self, need: &Need, beginning: &str) -> impl Future<Output = Result<(), Fault>> + Send;

    /// Where the tenant has moved with the last attachment, if it has.
    fn moved(&mut self) -> Option<Moved>;

    /// Finds out what has become of the one it has, between two transactions.
    fn settle(&mut self, question: Question<'_>) -> impl Future<Output = Result<Settled, Fault>> + Send;

    /// Has the server interrupt what it is doing, without waiting for it.
    fn interrupt(&mut self);

    /// Closes it: it is lost.
    fn lose(&mut self) -> impl Future<Output = ()> + Send;

    /// Gives it back, between two transactions, noting whose it was.
    fn release(&mut self, client: u64) -> impl Future<Output = ()> + Send;
}

/// What a transaction needs its connection to be.
#[derive(Debug, Clone, Default)]
pub(crate) struct Need {
    /// The settings of its session.
    pub(crate) settings: Settings,
    /// The client, by its number, if the session must not know what another has drawn from sequences.
    pub(crate) draws: Option<u64>,
    /// It has to be one of the tenant's own login.
    pub(crate) own: bool,
}

/// What to find out of a session and to do about it.
#[derive(Debug)]
pub(crate) struct Question<'q> {
    /// Settings of the app's own making.
    pub(crate) names: &'q [String],
    /// The server is to forget its prepared statements.
    pub(crate) forget: bool,
    /// The session is to be asked what it keeps.
    pub(crate) ask: bool,
}

/// A tenant is somewhere else than before.
#[derive(Debug)]
pub(crate) struct Moved {
    /// Who reads statements from now on, if anybody has to.
    pub(crate) clerk: Option<Arc<Clerk>>,
    /// Statements mean something else there.
    pub(crate) to_another_isolation: bool,
}

/// What was found out.
#[derive(Debug)]
pub(crate) struct Settled {
    /// The session's settings, and whether it keeps anything else; `None` if it was not asked.
    pub(crate) found: Option<(Settings, bool)>,
    /// What the server said meanwhile, for the client.
    pub(crate) overheard: BytesMut,
}

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

    /// Lets what has arrived pass, and sees to the server connection: one is had when the client has something to say, and
    /// given back when it has all been answered. `false` asks to be called again.
    async fn attend<R: Future<Output = Fault>>(
        &mut self,
        servers: &mut impl Servers,
        signals: &mut Signals<'_, R>,
        deadline: &mut Deadline,
    ) -> Result<bool, End> {
        if servers.stream().is_some() {
            self.judge(servers)?;
            if self.may_change_home() {
                return self.change_home(servers).await.map(|()| false);
            }
            let judged = if self.may_release() { self.let_go(servers).await? } else { true };
            return if servers.stream().is_none() {
                self.parting = None;
                Ok(judged)
            } else if judged && self.is_at_rest() {
                self.parting.take().map_or(Ok(true), |fault| Err(End::Told(*fault)))
            } else {
                Ok(judged)
            };
        }
        if self.leaving != Leaving::No && !self.down.pump.has_passed() {
            return Err(End::Told(self.farewell()));
        }
        if self.up.has_left() {
            return if self.down.pump.has_passed() { Ok(true) } else { Err(End::ClientGone) };
        }
        if let Some(mourning) = &mut self.mourning {
            let (answers, over) = mourning.read(&mut self.up).map_err(End::Told)?;
            self.down.pump.replace(0, &answers);
            if over {
                self.mourning = None;
            }
            return Ok(!over);
        }
        match self.up.wish().map_err(End::Told)? {
            Wish::Nothing => return Ok(true),
            Wish::Leave => {
                self.up.leave();
                return Ok(false);
            }
            // Whoever does not take its answers need not be given more.
            Wish::Server if self.down.pump.has_passed() => return Ok(true),
            Wish::Server => {}
        }
        let Some(pooled) = &mut self.pooled else { return Err(End::ServerGone(Some(Fault::server_lost()))) };
        let need = pooled.needs(self.up.upcoming());
        if servers.attach_now(&need) {
            return Ok(false);
        }
        let due = deadline.as_ref().map(|(due, _)| *due);
        let waiting = self.meter.waits();
        // Apart, since most transactions do without, and resting sessions need not keep room for it.
        let attaching = Box::pin(servers.attach(&need));
        tokio::select! {
            attached = attaching => {
                match attached {
                    Ok(()) => {
                        self.meter.has_waited(waiting);
                        self.follow(servers)?;
                    }
                    // It costs the client its transaction, not its session.
                    Err(fault) => self.mourning = Some(Box::new(Mourning::new(fault))),
                }
                Ok(false)
            }
            word = signals.next() => {
                let end = self.heed(word, false, signals.grace, deadline);
                match self.leaving {
                    // What waits has not begun.
                    Leaving::Lapsed => Err(End::Told(self.farewell())),
                    Leaving::Stopping | Leaving::No => end.map_or(Ok(false), Err),
                }
            }
            () = past(due) => {
                Err(deadline.take().map_or(End::ClientGone, |(_, end)| end))
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

    /// Whether the session can go on without the server that it has.
    fn outlives_server(&self) -> bool {
        let whole = self.up.may_start_over() && self.down.may_start_over();
        whole && self.leaving == Leaving::No && self.pooled.as_deref().is_some_and(Pooled::outlives_server)
    }

    /// Goes on without the server.
    async fn lose(&mut self, servers: &mut impl Servers) {
        let Some(pooled) = &mut self.pooled else { return };
        servers.lose().await;
        let visit = self.meter.visit();
        let said = self.down.take_goodbye();
        let fault = said.as_deref().and_then(|said| ServerError::parse(said.get(HEADER_LEN..)?));
        let fault = fault.map_or_else(Fault::transaction_lost, Fault::server_ended);
        let (tenant, session, statement) = (visit.slug(), visit.number(), self.meter.statement());
        tracing::info!(
            %tenant, session, statement, sqlstate = %fault.sqlstate, %fault, "a server was lost, and its session goes on"
        );
        self.slow.forget();
        let loss = pooled.lose_server(fault, self.ledger.status());
        self.up.start_over();
        self.down.start_over(&loss.answers);
        self.ledger = Ledger::new();
        self.mourning = loss.mourning.map(Box::new);
    }

    /// Whether a message waits for a connection of the tenant's own login, and the other has nothing more to say.
    fn may_change_home(&self) -> bool {
        self.pooled.as_ref().is_some_and(|pooled| pooled.waits && pooled.is_answered())
            && !self.ledger.is_asked()
            && !self.up.pump.has_passed()
            && self.down.is_judged()
    }

    /// Gives back the connection that serves many, for one of the tenant's own login, before a transaction has done
    /// anything; later on, what waits is refused.
    async fn change_home(&mut self, servers: &mut impl Servers) -> Result<(), End> {
        if self.ledger.is_clean() {
            self.let_go(servers).await?;
        }
        let Some(pooled) = &mut self.pooled else { return Ok(()) };
        match pooled.beginning().map(str::to_owned) {
            _ if servers.stream().is_none() => pooled.waits = false,
            // A transaction that has failed is told so by its server, and what a session keeps does not move.
            Some(beginning)
                if self.ledger.status() == TransactionStatus::Open
                    && !self.ledger.may_be_working()
                    && !pooled.keeps_something() =>
            {
                let need = Need { own: true, ..pooled.needs(self.up.upcoming()) };
                Box::pin(servers.move_home(&need, &beginning)).await.map_err(End::Told)?;
                pooled.waits = false;
            }
            _ => pooled.refuse_what_waits(),
        }
        Ok(())
    }

    /// Goes on where the tenant is now.
    fn follow(&mut self, servers: &mut impl Servers) -> Result<(), End> {
        let Some(Moved { clerk, to_another_isolation }) = servers.moved() else { return Ok(()) };
        if let Some(pooled) = &mut self.pooled {
            let before = self.up.clerk();
            let prefix = before.map(Clerk::channel_prefix);
            let stays = clerk.as_ref().is_some_and(|clerk| Some(clerk.channel_prefix()) == prefix);
            pooled.moves(to_another_isolation, prefix.filter(|_| !stays)).map_err(End::Told)?;
        }
        self.up.read_by(clerk.clone());
        self.down.read_by(clerk);
        Ok(())
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

    /// Whether the server connection may be another's, as far as messages tell.
    fn may_release(&self) -> bool {
        self.pooled.as_ref().is_some_and(|pooled| {
            (pooled.ask || pooled.forget || !(pooled.kept || pooled.stays()))
                && pooled.is_answered()
                && self.ledger.is_clean()
                && self.up.is_drained()
                && self.down.is_judged()
                && !self.down.has_said_goodbye()
        })
    }

    /// Gives the server connection back, unless its session keeps something. `false` if there is more to judge.
    async fn let_go(&mut self, servers: &mut impl Servers) -> Result<bool, End> {
        let Some(pooled) = &mut self.pooled else { return Ok(true) };
        pooled.rests();
        if pooled.ask || pooled.forget {
            let question = Question { names: &pooled.names, forget: pooled.forget, ask: pooled.ask };
            let settled = Box::pin(servers.settle(question)).await.map_err(|fault| End::ServerGone(Some(fault)))?;
            (pooled.ask, pooled.forget) = (false, false);
            if let Some((settings, more)) = settled.found {
                pooled.settings = settings;
                pooled.kept = more;
            }
            self.down.pump.feed(&settled.overheard);
        }
        let judged = self.down.is_judged();
        if judged && !pooled.kept && !pooled.stays() {
            servers.release(pooled.client).await;
        }
        Ok(judged)
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
