//! Interrupting a session from a second connection (PostgreSQL manual, 55.2.8).
//!
//! A client never learns the key of a server process: it is given a random one that means its session here. So a key is
//! worth nothing at the server, and goes out with the session although the server connection lives on.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::{constant_time, rand};
use pool::CancelTarget;
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
    secret: u32,
    aim: Arc<tokio::sync::Mutex<Aim>>,
}

/// Locked for as long as a request is on its way, which is what the end of the session waits for.
#[derive(Debug)]
struct Aim {
    /// Taken out at the end of the session.
    target: Option<CancelTarget>,
    /// A request may have got through without its end having been seen.
    uncertain: bool,
}

/// A session's place in the registry. A guard: dropping it takes the session out.
#[derive(Debug)]
pub(crate) struct Registration {
    cancels: Cancels,
    key: CancelKey,
    aim: Arc<tokio::sync::Mutex<Aim>>,
}

impl Cancels {
    /// Enters a session under a key that nobody can guess.
    pub(crate) fn register(&self, target: CancelTarget) -> Result<Registration, Fault> {
        let aim = Arc::new(tokio::sync::Mutex::new(Aim { target: Some(target), uncertain: false }));
        let mut sessions = self.sessions();
        loop {
            let key = random_key()?;
            // Zero is what drivers take for "none", and a process id is a positive number.
            if key.secret == 0 || key.pid == 0 || sessions.contains_key(&key.pid) {
                continue;
            }
            sessions.insert(key.pid, Session { secret: key.secret, aim: Arc::clone(&aim) });
            return Ok(Registration { cancels: self.clone(), key, aim });
        }
    }

    /// Interrupts the session that was given this key, if there is one. Whoever asks is told nothing either way.
    pub(crate) async fn cancel(&self, key: CancelKey) {
        let aim = self.sessions().get(&key.pid).and_then(|session| {
            let same = constant_time::verify_slices_are_equal(&session.secret.to_ne_bytes(), &key.secret.to_ne_bytes());
            same.is_ok().then(|| Arc::clone(&session.aim))
        });
        let Some(aim) = aim else { return };
        let mut aim = aim.lock().await;
        if let Some(target) = aim.target.clone()
            && let Err(error) = aim.watch(target.send()).await
        {
            tracing::warn!(%error, "a cancel request did not get through to the server");
        }
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<u32, Session>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Aim {
    /// Sees a request through. That one ends well says nothing of an earlier one, whose signal may still be on its way.
    async fn watch<E>(&mut self, request: impl Future<Output = Result<(), E>>) -> Result<(), E> {
        // Set first: a request that is itself interrupted has not been seen to end.
        let before = mem::replace(&mut self.uncertain, true);
        request.await?;
        self.uncertain = before;
        Ok(())
    }
}

impl Registration {
    /// What to tell the client.
    pub(crate) fn key(&self) -> CancelKey {
        self.key
    }

    /// Takes the session out and waits for requests that are on their way. Says whether none can arrive any more, so that
    /// the server connection may be used by another.
    pub(crate) async fn close(self) -> bool {
        let aim = Arc::clone(&self.aim);
        drop(self);
        let mut aim = aim.lock().await;
        aim.target = None;
        !aim.uncertain
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.cancels.sessions().remove(&self.key.pid);
    }
}

fn random_key() -> Result<CancelKey, Fault> {
    let mut bytes = [0; 8];
    rand::fill(&mut bytes).map_err(|_| no_randomness())?;
    let [a, b, c, d, secret @ ..] = bytes;
    Ok(CancelKey { pid: u32::from_be_bytes([a, b, c, d]) >> 1, secret: u32::from_be_bytes(secret) })
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_request_that_ends_well_does_not_vouch_for_an_earlier_one() {
        let mut aim = Aim { target: None, uncertain: false };
        assert_eq!(aim.watch(ready(Ok::<_, ()>(()))).await, Ok(()));
        assert!(!aim.uncertain);
        assert_eq!(aim.watch(ready(Err(()))).await, Err(()));
        assert!(aim.uncertain);
        assert_eq!(aim.watch(ready(Ok::<_, ()>(()))).await, Ok(()));
        assert!(aim.uncertain);

        let mut interrupted = Aim { target: None, uncertain: false };
        let given_up = timeout(Duration::from_millis(1), interrupted.watch(pending::<Result<(), ()>>())).await;
        assert!(given_up.is_err() && interrupted.uncertain);
    }
}
