//! Makes clients' statements mean the same in every isolation, by `tenantize`'s rules.
//!
//! Nothing keeps tenants apart here; row-level security and privileges do. A [`Clerk`] serves one session and looks at
//! its `Query` and `Parse` messages alone (public for the benchmark's sake). Most pass after a scan of their bytes; for the others it says what goes to
//! the server in their place, from the [`cache`] where the text has come before.

mod cache;
mod reading;
mod refuse;
mod share;

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use domain::{AppName, Isolation};
use tenancy::ClientRules;
use tenantize::client::{Rules, Slots, Verdict};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use wire::frame::HEADER_LEN;
use wire::frontend::{self, Statement};

use self::cache::Cache;
pub use self::reading::Dialect;
use self::reading::{Reading, Strings};

pub(crate) use self::refuse::refusal;
pub(crate) use self::share::Room;
use self::share::{Share, Shares};
use crate::fault::Fault;

/// Bytes of the longest text whose verdict is kept.
const LONGEST_KEPT: usize = 64 * 1024;

/// Bytes of a message from which on its reading, which takes about 0.3 µs for each, is not to hold up other sessions.
pub(crate) const LONG: usize = 16 * 1024;

/// Long texts that are read at once, each of another tenant; one takes many times its length in memory while it is.
const LONG_AT_ONCE: usize = 2;

/// How long a long statement waits for room.
const ROOM_PATIENCE: Duration = Duration::from_secs(30);

/// SQLSTATE `program_limit_exceeded`.
const TOO_LONG: &str = "54000";

/// What clerks share: what has been worked out about texts, per app and isolation. Cheap to clone; all clones are the same.
#[derive(Debug, Clone)]
pub struct Clerks {
    desks: Arc<Mutex<Desks>>,
    shares: Arc<Shares>,
    long: Arc<Semaphore>,
    cache_bytes: usize,
    limit: usize,
}

type Desks = HashMap<(AppName, i32, Isolation), Arc<Desk>>;

/// The rules of an app in one isolation, and what came of them so far.
#[derive(Debug)]
struct Desk {
    rules: Arc<Rules>,
    cache: Cache,
}

/// Reads one session's statements.
pub struct Clerk {
    desk: Arc<Desk>,
    share: Arc<Share>,
    long: Arc<Semaphore>,
    limit: usize,
    schema: String,
    sequences: String,
    channel_prefix: String,
    dialect: Dialect,
}

/// Something that a long statement waits for, and may be abandoned at any time.
pub(crate) type Pending<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl Clerks {
    /// `cache_bytes` bounds what is kept per app and isolation, `limit` the bytes of a message that is read, `share` the
    /// bytes that a tenant's long messages take up at once.
    #[must_use]
    pub fn new(cache_bytes: usize, limit: usize, share: usize) -> Self {
        let (shares, long) = (Arc::new(Shares::new(share)), Arc::new(Semaphore::new(LONG_AT_ONCE)));
        Self { desks: Arc::default(), shares, long, cache_bytes, limit }
    }

    /// A clerk for a session, which starts with the settings that its server has `reported`. A tenant's sessions have the
    /// same one as long as nothing differs.
    #[must_use]
    pub fn serve<'s>(&self, client: ClientRules, reported: impl IntoIterator<Item = (&'s str, &'s str)>) -> Arc<Clerk> {
        let ClientRules { tenant, app, isolation, version, rules, schema, sequences, channel_prefix } = client;
        let mut desks = self.desks.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || Arc::new(Desk { rules: Arc::clone(&rules), cache: Cache::new(self.cache_bytes, LONGEST_KEPT) });
        let place = (app, version, isolation);
        if !desks.contains_key(&place) {
            // Those of versions that no tenant has any more.
            desks.retain(|_, desk| Arc::strong_count(desk) > 1);
        }
        let desk = desks.entry(place).or_insert_with(fresh);
        // Verdicts hold for the rules that gave them and no others.
        if !Arc::ptr_eq(&desk.rules, &rules) {
            *desk = fresh();
        }
        let desk = Arc::clone(desk);
        drop(desks);
        let (share, long, limit) = (self.shares.of(tenant), Arc::clone(&self.long), self.limit);
        let dialect = Dialect::of(reported);
        Arc::clone(&share).served_by(Clerk { desk, share, long, limit, schema, sequences, channel_prefix, dialect })
    }
}

impl Clerk {
    /// Whether it does the same as another of the same tenant.
    fn is_like(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.desk, &other.desk)
            && (&self.schema, &self.sequences) == (&other.schema, &other.sequences)
            && (&self.channel_prefix, self.dialect) == (&other.channel_prefix, other.dialect)
    }

    /// Bytes of the longest message that is read; longer ones get [`Clerk::decline`].
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// What the names of the tenant's channels begin with on the server.
    pub(crate) fn channel_prefix(&self) -> &[u8] {
        self.channel_prefix.as_bytes()
    }

    /// The settings with which the session began.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// What goes to the server in place of a message; `None` for the message itself. `settled` says that the server has
    /// answered everything before it, so that `dialect` is what it will be read by.
    #[must_use]
    pub fn answer(&self, tag: u8, body: &[u8], dialect: Dialect, settled: bool) -> Option<BytesMut> {
        let statement = Statement::parse(tag, body)?;
        if !self.desk.rules.concerns(statement.text) {
            return None;
        }
        let refuse = |sqlstate: &str, message: &str, hint: &str| {
            refusal(sqlstate, message, hint, dialect.is_utf8(settled)).into_bytes()
        };
        let text = match dialect.reading(statement.text, settled) {
            Ok(reading) => {
                let judge = || judge(&self.desk.rules, statement.text, reading);
                match &*self.desk.cache.get_or(statement.text, reading, judge) {
                    Verdict::Unchanged => return None,
                    Verdict::Rewritten(template) => {
                        let Self { schema, sequences, channel_prefix, .. } = self;
                        let slots = Slots { schema, sequences, channel_prefix };
                        reading.letters.write(template.render(&slots))
                    }
                    Verdict::Refused { sqlstate, message, hint } => refuse(sqlstate, message, hint),
                }
            }
            Err(reading::Unreadable) => refuse(
                "0A000",
                "the statement has a backslash that may be half a character in the session's client_encoding",
                "SET client_encoding TO 'UTF8' and await the answer, or pass the value as a parameter.",
            ),
        };
        let mut out = BytesMut::with_capacity(HEADER_LEN + body.len() + text.len());
        statement.write_with(&mut out, &text);
        Some(out)
    }

    /// Room for a long message, to be had before it is taken in. A session that waits does not hear that its client has gone,
    /// so it does not wait for ever.
    pub(crate) fn room(&self, bytes: usize) -> Pending<Result<Room, Fault>> {
        let share = Arc::clone(&self.share);
        Box::pin(async move {
            timeout(ROOM_PATIENCE, share.room(bytes)).await.map_err(|_elapsed| {
                let message = "long statements of the tenant's other sessions left no room for this one";
                Fault::new("53200", message, "Send fewer long statements at a time, or use COPY.")
            })
        })
    }

    /// The same as [`Clerk::answer`] for a long message, apart from the other sessions.
    pub(crate) fn answer_apart(
        self: &Arc<Self>,
        message: BytesMut,
        dialect: Dialect,
        settled: bool,
    ) -> Pending<Result<BytesMut, Fault>> {
        let clerk = Arc::clone(self);
        Box::pin(async move {
            // Most long texts are no rule's concern, and need not wait for those that are.
            let scanned = clerk.apart(message, Clerk::is_concerned).await?;
            let (message, true) = scanned else { return Ok(scanned.0) };
            let turns = (clerk.share.turn().await, Arc::clone(&clerk.long).acquire_owned().await);
            let read = clerk.apart(message, move |clerk, tag, body| {
                let _until_read = turns;
                clerk.answer(tag, body, dialect, settled)
            });
            let (message, answer) = read.await?;
            Ok(answer.unwrap_or(message))
        })
    }

    /// Does something with a message on a thread where it holds up nobody, and gives the message back.
    async fn apart<T: Send + 'static>(
        self: &Arc<Self>,
        message: BytesMut,
        work: impl FnOnce(&Self, u8, &[u8]) -> T + Send + 'static,
    ) -> Result<(BytesMut, T), Fault> {
        let clerk = Arc::clone(self);
        let done = spawn_blocking(move || {
            let tag = message.first().copied().unwrap_or_default();
            let done = work(&clerk, tag, message.get(HEADER_LEN..).unwrap_or_default());
            (message, done)
        });
        done.await.map_err(|error| {
            tracing::error!(%error, "a statement could not be read");
            let hint = "Reconnect; report it if it happens again.";
            Fault::new("XX000", "the gateway failed to read a statement", hint)
        })
    }

    fn is_concerned(&self, tag: u8, body: &[u8]) -> bool {
        Statement::parse(tag, body).is_some_and(|statement| self.desk.rules.concerns(statement.text))
    }

    /// What goes to the server in place of a message that is too long to be read.
    pub(crate) fn decline(&self, tag: u8, body_len: usize) -> BytesMut {
        let message = format!("a statement of {body_len} bytes is longer than the {} that are read here", self.limit);
        let hint = "Send it in parts, or pass large values as parameters; COPY data may be of any length.";
        let text = refusal(TOO_LONG, &message, hint, false);
        let mut out = BytesMut::new();
        // A Parse that fails leaves no statement behind, whatever its name.
        if tag == b'P' {
            frontend::parse(&mut out, &text);
        } else {
            frontend::query(&mut out, &text);
        }
        out
    }
}

/// What a text in the tenants' own words comes to.
fn judge(rules: &Rules, text: &[u8], reading: Reading) -> Verdict {
    let text = reading.letters.read(text);
    let verdict = rules.rewrite(&text, reading.strings != Strings::Escaping);
    if reading.strings == Strings::Unsure {
        // Whoever has not awaited an answer that changes the setting gets no further than whoever has.
        let otherwise = rules.rewrite(&text, false);
        if matches!(otherwise, Verdict::Refused { .. }) {
            return otherwise;
        }
    }
    verdict
}

impl fmt::Debug for Clerk {
    /// Without the channels' prefix, which is a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clerk").field("schema", &self.schema).field("dialect", &self.dialect).finish_non_exhaustive()
    }
}
