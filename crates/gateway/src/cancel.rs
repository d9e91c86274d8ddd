//! Interrupting a session from a second connection (PostgreSQL manual, 55.2.8).
//!
//! A client never learns the key of a server process: it is given a random one that means its session here. So a key is
//! worth nothing at the server, and goes out with the session although the server connection lives on. While a session has
//! no server connection there is nothing to interrupt.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::{constant_time, rand};
use pool::CancelTarget;
use tokio::sync::Notify;
use wire::startup::CancelKey;

use crate::fault::Fault;
use crate::login::no_randomness;

/// The sessions that can be interrupted. Cheap to clone; all clones are the same registry.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cancels {
    sessions: Arc<Mutex<HashMap<u32, Session>>>,
}

#[derive(Debug)]
struct Session {
    secret: Arc<[u8]>,
    aim: Arc<Aim>,
}

/// What a session's requests are aimed at.
#[derive(Debug, Default)]
struct Aim {
    state: Mutex<Aimed>,
    /// Tells whoever takes the target out that a request has ended.
    ended: Notify,
}

#[derive(Debug, Default)]
struct Aimed {
    /// The session's server connection, while it has one.
    target: Option<CancelTarget>,
    /// Requests that are on their way to it.
    under_way: usize,
    /// One may have got through without its end having been seen.
    uncertain: bool,
}

/// A request that is on its way. A guard: dropping it before [`Request::ended`] leaves a doubt.
struct Request {
    aim: Arc<Aim>,
    well: bool,
}

/// A session's place in the registry. A guard: dropping it takes the session out.
#[derive(Debug)]
pub(crate) struct Registration {
    cancels: Cancels,
    key: CancelKey,
    aim: Arc<Aim>,
}

impl Cancels {
    /// Enters a session under a key that nobody can guess, with so many bytes of secret.
    pub(crate) fn register(&self, secret_len: usize) -> Result<Registration, Fault> {
        let aim = Arc::new(Aim::default());
        let mut sessions = self.sessions();
        loop {
            let key = random_key(secret_len)?;
            // Zero is what drivers take for "none", and a process id is a positive number.
            if key.secret.iter().all(|&byte| byte == 0) || key.pid == 0 || sessions.contains_key(&key.pid) {
                continue;
            }
            sessions.insert(key.pid, Session { secret: Arc::clone(&key.secret), aim: Arc::clone(&aim) });
            return Ok(Registration { cancels: self.clone(), key, aim });
        }
    }

    /// Interrupts the session that was given this key, if there is one. Whoever asks is told nothing either way.
    pub(crate) async fn cancel(&self, key: CancelKey) {
        let aim = self.sessions().get(&key.pid).and_then(|session| {
            let same = constant_time::verify_slices_are_equal(&session.secret, &key.secret);
            same.is_ok().then(|| Arc::clone(&session.aim))
        });
        if let Some((request, target)) = aim.and_then(Request::begin) {
            request.send(target).await;
        }
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<u32, Session>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Aim {
    fn state(&self) -> MutexGuard<'_, Aimed> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the target out, and says whether nothing that was aimed at it can arrive any more; `None` while something is on
    /// its way.
    fn rests(&self) -> Option<bool> {
        let mut state = self.state();
        state.target = None;
        (state.under_way == 0).then_some(!state.uncertain)
    }
}

impl Request {
    /// Begins a request to what a session has; `None` if it has nothing.
    fn begin(aim: Arc<Aim>) -> Option<(Self, CancelTarget)> {
        let target = {
            let mut state = aim.state();
            let target = state.target.clone()?;
            state.under_way += 1;
            target
        };
        Some((Self { aim, well: false }, target))
    }

    async fn send(self, target: CancelTarget) {
        match target.send().await {
            Ok(()) => self.ended(),
            Err(error) => tracing::warn!(%error, "a cancel request did not get through to the server"),
        }
    }

    /// The server has closed the connection on which it was asked.
    fn ended(mut self) {
        self.well = true;
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        let mut state = self.aim.state();
        state.under_way -= 1;
        // That one ends well says nothing of an earlier one, whose signal may still be on its way.
        state.uncertain |= !self.well;
        drop(state);
        self.aim.ended.notify_waiters();
    }
}

impl Registration {
    /// What to tell the client.
    pub(crate) fn key(&self) -> &CancelKey {
        &self.key
    }

    /// A request of síndico's own to what the session has, if it has anything.
    pub(crate) fn interrupt(&self) -> Option<impl Future<Output = ()> + Send + use<>> {
        Request::begin(Arc::clone(&self.aim)).map(|(request, target)| request.send(target))
    }

    /// Aims the session's requests at the server connection that it has got.
    pub(crate) fn aim(&self, target: CancelTarget) {
        *self.aim.state() = Aimed { target: Some(target), ..Aimed::default() };
    }

    /// Aims them at nothing, and waits for those that are on their way. Says whether none can arrive any more, so that the
    /// server connection may be used by another.
    pub(crate) async fn rest(&self) -> bool {
        if let Some(sure) = self.aim.rests() {
            return sure;
        }
        loop {
            let mut ended = pin!(self.aim.ended.notified());
            // Before the look, so that no end is missed.
            ended.as_mut().enable();
            if let Some(sure) = self.aim.rests() {
                return sure;
            }
            ended.await;
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.cancels.sessions().remove(&self.key.pid);
    }
}

fn random_key(secret_len: usize) -> Result<CancelKey, Fault> {
    let (mut pid, mut secret) = ([0; 4], vec![0; secret_len]);
    for bytes in [&mut pid[..], &mut secret] {
        rand::fill(bytes).map_err(|_| no_randomness())?;
    }
    Ok(CancelKey { pid: u32::from_be_bytes(pid) >> 1, secret: secret.into() })
}

#[cfg(test)]
mod tests {
    use wire::startup::SHORT_SECRET_LEN;

    use super::*;

    #[test]
    fn a_request_that_ends_well_does_not_vouch_for_an_earlier_one() {
        let aim = Arc::new(Aim::default());
        let begin = || {
            aim.state().under_way += 1;
            Request { aim: Arc::clone(&aim), well: false }
        };
        begin().ended();
        assert!(!aim.state().uncertain);
        let (lost, fine) = (begin(), begin());
        assert_eq!(aim.state().under_way, 2);
        drop(lost);
        fine.ended();
        let state = aim.state();
        assert!(state.uncertain && state.under_way == 0);
    }

    #[tokio::test]
    async fn rest_waits_for_what_is_on_its_way() {
        let registration = Cancels::default().register(SHORT_SECRET_LEN).expect("random numbers");
        assert!(registration.rest().await, "nothing was aimed at");
        registration.aim.state().under_way += 1;
        let request = Request { aim: Arc::clone(&registration.aim), well: false };
        let (quiet, ()) = tokio::join!(registration.rest(), async {
            tokio::task::yield_now().await;
            request.ended();
        });
        assert!(quiet);
    }
}
