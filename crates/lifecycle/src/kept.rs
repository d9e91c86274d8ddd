//! Administrative sessions that are kept for the next tenant: to log in anew costs more than most of what is done in one.

use std::collections::HashMap;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::server::{Builder, Session, builder_name, dsn_to};
use crate::{Lifecycle, LifecycleError};

/// So many are kept on each cluster; each is a process of the server.
const MOST: usize = 8;

/// For how long.
const IDLE: Duration = Duration::from_mins(1);

/// A server that does not answer in this time has lost the session.
const ANSWERS: Duration = Duration::from_secs(5);

/// All that whoever had a session may have left in it. In a transaction that has failed the first word fails, and nobody gets the session.
/// Prepared statements stay: the driver has some of its own.
const FORGET: &str =
    "BEGIN; ROLLBACK; RESET SESSION AUTHORIZATION; RESET ROLE; SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *;
    DISCARD TEMP; RESET ALL";

/// Where a session is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    cluster: Uuid,
    /// SHA-256 of how it is reached: a cluster may come to have another address.
    dsn: Vec<u8>,
    /// None for the one that the DSN names.
    database: Option<String>,
}

/// A session that nobody is at.
struct Resting {
    place: Place,
    session: Arc<Session>,
    since: Instant,
}

/// Those that there are, by cluster, the longest unused first.
#[derive(Default)]
pub(crate) struct Kept(Mutex<HashMap<Uuid, Vec<Resting>>>);

/// A session that may be kept when whoever has it is done. Dropped, it is ended.
pub(crate) struct Borrowed {
    session: Arc<Session>,
    place: Place,
    kept: Arc<Kept>,
    tasks: TaskTracker,
}

impl Kept {
    /// The one that was used last.
    fn take(&self, place: &Place) -> Option<Arc<Session>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let there = all.get_mut(&place.cluster)?;
        there.retain(|it| it.since.elapsed() < IDLE && !it.session.is_closed());
        let nth = there.iter().rposition(|it| it.place == *place)?;
        Some(there.remove(nth).session)
    }

    fn give(&self, place: Place, session: Arc<Session>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let there = all.entry(place.cluster).or_default();
        if there.len() >= MOST {
            there.remove(0);
        }
        there.push(Resting { place, session, since: Instant::now() });
    }

    /// Ends those of a cluster.
    fn forget(&self, cluster: Uuid) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&cluster);
    }

    /// Ends those that nobody has asked for lately.
    pub(crate) fn tidy(&self) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, there| {
            there.retain(|it| it.since.elapsed() < IDLE && !it.session.is_closed());
            !there.is_empty()
        });
    }

    /// Ends all of them.
    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept(…)")
    }
}

impl Borrowed {
    /// For whoever needs one next, once all that was done in it, its locks among them, is forgotten. Only what has gone well is given
    /// back: of anything else nobody knows what runs in it still.
    pub(crate) fn give_back(self) {
        let Self { session, place, kept, tasks } = self;
        tasks.spawn(async move {
            if matches!(timeout(ANSWERS, session.run(FORGET)).await, Ok(Ok(()))) {
                kept.give(place, session);
            }
        });
    }
}

impl Deref for Borrowed {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

impl Lifecycle {
    /// As [`Lifecycle::builder`], with a session that has been used before, if there is one.
    pub(crate) async fn borrow_builder(
        &self,
        by: Builder<'_>,
        cluster: Uuid,
        database: Option<&str>,
    ) -> Result<Borrowed, LifecycleError> {
        let dsn = self.catalog.cluster_dsn(cluster).await?;
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, dsn.as_bytes());
        let place = Place { cluster, dsn: digest.as_ref().to_vec(), database: database.map(str::to_owned) };
        // Not at login: what a session is called then comes back when it is reset, and it would be ended with whoever undoes the work.
        let name = format!("SET application_name = '{}'", builder_name(by.tenant));
        let session = if let Some(session) = self.kept_session(&place, &name).await {
            session
        } else {
            let session = Session::open(cluster, dsn_to(&dsn, database)?).await?;
            session.run(&name).await?;
            Arc::new(session)
        };
        let borrowed = Borrowed { session, place, kept: Arc::clone(&self.kept), tasks: self.running.clone() };
        by.still_may().await?;
        Ok(borrowed)
    }

    /// One that still answers, and has run this. Where one does not, the others there are not asked.
    async fn kept_session(&self, place: &Place, first: &str) -> Option<Arc<Session>> {
        let session = self.kept.take(place)?;
        if matches!(timeout(ANSWERS, session.run(first)).await, Ok(Ok(()))) {
            return Some(session);
        }
        self.kept.forget(place.cluster);
        None
    }
}
