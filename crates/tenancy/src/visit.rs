//! One client's stay: what it does, and what an operator wants of it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use domain::Slug;

use crate::tally::Tally;
use crate::totals::Totals;

/// What a client is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Stance {
    /// It has no server connection and wants none.
    Idle,
    /// It waits for a server connection.
    Waiting,
    /// It has a transaction.
    Active,
    /// It keeps a server connection between two transactions.
    Keeping,
}

impl Stance {
    /// As operators read it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Waiting => "waiting",
            Self::Active => "active",
            Self::Keeping => "keeping",
        }
    }

    const fn of(byte: u8) -> Self {
        match byte {
            1 => Self::Waiting,
            2 => Self::Active,
            3 => Self::Keeping,
            _ => Self::Idle,
        }
    }
}

/// Who came, as far as the door knows.
#[derive(Debug, Clone)]
pub struct Guest {
    /// Where from.
    pub peer: SocketAddr,
    /// `application_name`, if it gave one.
    pub application: Option<Box<str>>,
    /// How it is pooled: `transaction` or `session`.
    pub pool_mode: &'static str,
}

/// What an operator wants of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// It is to leave between two transactions, if it keeps a server connection. May be wanted again after
    /// [`Visit::stay`].
    Yield,
    /// It is to leave at once.
    End,
}

/// Nothing is wanted of the client.
const NOTHING: u8 = 0;
/// It is to leave between two transactions, if it keeps a server connection.
const YIELD: u8 = 1;
/// It is to leave.
const END: u8 = 2;

/// One client's stay. Written to by its session alone, a few times in each transaction, and read by operators.
#[derive(Debug)]
pub struct Visit {
    number: u64,
    slug: Slug,
    began: Instant,
    guest: OnceLock<Guest>,
    stance: AtomicU8,
    /// Milliseconds from the beginning of the visit to that of its stance.
    since: AtomicU64,
    transactions: AtomicU64,
    queries: AtomicU64,
    errors: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
    wanted: AtomicU8,
    /// Who waits for that: the client's session, and nobody beside it.
    session: Mutex<Option<Waker>>,
    totals: Arc<Totals>,
    all_errors: Tally,
}

impl Visit {
    pub(crate) fn new(number: u64, slug: Slug, totals: Arc<Totals>, all_errors: Tally) -> Self {
        totals.clients.fetch_add(1, Ordering::Relaxed);
        Self {
            number,
            slug,
            began: Instant::now(),
            guest: OnceLock::new(),
            stance: AtomicU8::new(NOTHING),
            since: AtomicU64::new(0),
            transactions: AtomicU64::new(0),
            queries: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            wanted: AtomicU8::new(NOTHING),
            session: Mutex::new(None),
            totals,
            all_errors,
        }
    }

    /// The visit of nobody, which is counted nowhere: for a session that is not a tenant's.
    #[must_use]
    pub fn unlisted(slug: Slug) -> Self {
        Self::new(0, slug, Arc::default(), Tally::of_error_classes())
    }

    /// A number that no other visit of this process has.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The tenant's short name.
    #[must_use]
    pub fn slug(&self) -> &Slug {
        &self.slug
    }

    /// Notes who came. The first word counts.
    pub fn introduce(&self, guest: Guest) {
        let _first = self.guest.set(guest);
    }

    /// Notes what the client is at.
    pub fn take(&self, stance: Stance, now: Instant) {
        self.stance.store(stance as u8, Ordering::Relaxed);
        let since = now.saturating_duration_since(self.began).as_millis();
        self.since.store(u64::try_from(since).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// What the client is at.
    #[must_use]
    pub fn stance(&self) -> Stance {
        Stance::of(self.stance.load(Ordering::Relaxed))
    }

    /// Notes that a server connection was had after a while.
    pub fn waited(&self, time: Duration) {
        self.totals.waits.add(time);
    }

    /// Notes that the server has answered everything.
    pub fn answered(&self, time: Duration) {
        grow(&self.queries, 1);
        self.totals.queries.add(time);
    }

    /// How many statements have been answered; several at once count as one.
    #[must_use]
    pub fn statements(&self) -> u64 {
        self.queries.load(Ordering::Relaxed)
    }

    /// Notes the end of a transaction.
    pub fn completed(&self, time: Duration) {
        grow(&self.transactions, 1);
        self.totals.transactions.add(time);
    }

    /// Notes an error of the server's.
    pub fn failed(&self, sqlstate: Option<&[u8]>) {
        grow(&self.errors, 1);
        self.totals.errors.fetch_add(1, Ordering::Relaxed);
        self.all_errors.add(sqlstate.and_then(|sqlstate| sqlstate.get(..2)).unwrap_or_default());
    }

    /// Notes bytes that came from the client, and that went to it.
    pub fn moved(&self, received: u64, sent: u64) {
        grow(&self.received, received);
        grow(&self.sent, sent);
        self.totals.received.fetch_add(received, Ordering::Relaxed);
        self.totals.sent.fetch_add(sent, Ordering::Relaxed);
    }

    /// What is wanted of the client; whoever asked last is woken when something is. Thousands of sessions wait for it, so
    /// it is no future of its own.
    pub fn poll_wanted(&self, cx: &Context<'_>) -> Poll<Wanted> {
        // Before the look, so that no word is missed.
        self.session().replace(cx.waker().clone());
        match self.wanted.load(Ordering::Relaxed) {
            NOTHING => Poll::Pending,
            YIELD => Poll::Ready(Wanted::Yield),
            _ => Poll::Ready(Wanted::End),
        }
    }

    /// The client kept nothing when it was asked to leave, so it stays.
    pub fn stay(&self) {
        let _unless_ended = self.wanted.compare_exchange(YIELD, NOTHING, Ordering::Relaxed, Ordering::Relaxed);
    }

    pub(crate) fn ask_to_yield(&self) {
        self.want(YIELD);
    }

    pub(crate) fn end(&self) {
        self.want(END);
    }

    fn want(&self, wanted: u8) {
        self.wanted.fetch_max(wanted, Ordering::Relaxed);
        let session = self.session().take();
        if let Some(session) = session {
            session.wake();
        }
    }

    fn session(&self) -> MutexGuard<'_, Option<Waker>> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The visit as operators see it.
    #[must_use]
    pub fn report(&self) -> VisitReport {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let age = self.began.elapsed();
        VisitReport {
            number: self.number,
            slug: self.slug.clone(),
            guest: self.guest.get().cloned(),
            stance: self.stance(),
            stance_age: age.saturating_sub(Duration::from_millis(read(&self.since))),
            age,
            transactions: read(&self.transactions),
            queries: read(&self.queries),
            errors: read(&self.errors),
            received: read(&self.received),
            sent: read(&self.sent),
        }
    }
}

/// A client as operators see it.
#[derive(Debug, Clone)]
pub struct VisitReport {
    /// See [`Visit::number`].
    pub number: u64,
    /// The tenant's short name.
    pub slug: Slug,
    /// Who it is; `None` for a client of another door than the PostgreSQL one.
    pub guest: Option<Guest>,
    /// What it is at.
    pub stance: Stance,
    /// For how long.
    pub stance_age: Duration,
    /// How long it has been here.
    pub age: Duration,
    /// Transactions that have ended.
    pub transactions: u64,
    /// See [`crate::TotalCounts::queries`].
    pub queries: u64,
    /// Errors of the server's.
    pub errors: u64,
    /// Bytes from the client.
    pub received: u64,
    /// Bytes to the client.
    pub sent: u64,
}

impl VisitReport {
    /// One line in the log with all that the client has done.
    pub fn log_end(&self, peer: SocketAddr) {
        let Self { number, slug, age, transactions, queries, errors, received, sent, .. } = self;
        let application = self.guest.as_ref().and_then(|guest| guest.application.as_deref());
        tracing::debug!(
            %peer, tenant = %slug, session = number, application, seconds = age.as_secs_f64(), transactions, queries,
            errors, received_bytes = received, sent_bytes = sent, "session ended"
        );
    }
}

/// Adds to what one session alone writes to.
fn grow(count: &AtomicU64, by: u64) {
    count.store(count.load(Ordering::Relaxed).wrapping_add(by), Ordering::Relaxed);
}
