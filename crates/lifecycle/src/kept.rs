//! Administrative sessions that are kept for the next tenant: to log in anew costs more than most of what is done in one.

use std::collections::HashMap;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::server::{Builder, Session, builder_name};
use crate::{Lifecycle, LifecycleError};

/// So many are kept for each database; each is a process on the server.
const MOST: usize = 4;

/// For how long.
const IDLE: Duration = Duration::from_mins(1);

/// A server that does not answer in this time has lost the session.
const ANSWERS: Duration = Duration::from_secs(5);

/// A cluster, and a database there unless it is the one that the DSN names.
type Place = (Uuid, Option<String>);

/// All that whoever had a session may have left in it. Prepared statements stay: the driver has some of its own.
const FORGET: &str =
    "ROLLBACK; RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL; CLOSE ALL; UNLISTEN *; DISCARD TEMP;
    SELECT pg_advisory_unlock_all()";

/// A session, and since when nobody is at it.
type Resting = (Arc<Session>, Instant);

/// Sessions that nobody is at, newest last.
#[derive(Default)]
pub(crate) struct Kept(Mutex<HashMap<Place, Vec<Resting>>>);

/// A session that is kept when whoever has it is done.
pub(crate) struct Borrowed {
    session: Arc<Session>,
    place: Place,
    kept: Arc<Kept>,
    tasks: TaskTracker,
}

impl Kept {
    fn take(&self, place: &Place) -> Option<Arc<Session>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let there = all.get_mut(place)?;
        while let Some((session, since)) = there.pop() {
            if since.elapsed() < IDLE && !session.is_closed() {
                return Some(session);
            }
        }
        None
    }

    fn give(&self, place: Place, session: Arc<Session>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let there = all.entry(place).or_default();
        if there.len() < MOST {
            there.push((session, Instant::now()));
        }
    }

    /// Ends those that nobody has asked for lately.
    pub(crate) fn tidy(&self) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, there| {
            there.retain(|(session, since)| since.elapsed() < IDLE && !session.is_closed());
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

impl Deref for Borrowed {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

impl Drop for Borrowed {
    /// What was done in it, its locks among them, is forgotten before anybody else gets it.
    fn drop(&mut self) {
        let (session, place, kept) = (Arc::clone(&self.session), self.place.clone(), Arc::clone(&self.kept));
        self.tasks.spawn(async move {
            if matches!(timeout(ANSWERS, session.run(FORGET)).await, Ok(Ok(()))) {
                kept.give(place, session);
            }
        });
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
        // Not at login: what a session is called then comes back when it is reset, and it would be ended with whoever undoes the work.
        let name = format!("SET application_name = '{}'", builder_name(by.tenant));
        let place = (cluster, database.map(str::to_owned));
        let session = if let Some(session) = self.kept_session(&place, &name).await {
            session
        } else {
            let session = self.admin(cluster, database).await?;
            session.run(&name).await?;
            Arc::new(session)
        };
        let borrowed = Borrowed { session, place, kept: Arc::clone(&self.kept), tasks: self.running.clone() };
        by.still_may().await?;
        Ok(borrowed)
    }

    /// One that still answers, and has run this.
    async fn kept_session(&self, place: &Place, first: &str) -> Option<Arc<Session>> {
        while let Some(session) = self.kept.take(place) {
            if matches!(timeout(ANSWERS, session.run(first)).await, Ok(Ok(()))) {
                return Some(session);
            }
        }
        None
    }
}
