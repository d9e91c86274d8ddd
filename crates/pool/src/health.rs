//! Whether a cluster takes connections, and who finds out.
//!
//! While it does, so many logins run at once that it can answer. Once one has met a server that is not there, all wait
//! except one, which tries again and again, at growing intervals; when it gets through, all do.

use std::pin::pin;
use std::sync::atomic::AtomicUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::rand;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep_until};

/// Logins to one cluster at once. Each takes the server a few milliseconds of a core, for a process and a proof.
pub(crate) const LOGINS: usize = 16;

/// From the first failure to the next attempt.
const FIRST: Duration = Duration::from_millis(50);

/// Between two attempts, at most: what the recovery of a server is noticed late by.
const LONGEST: Duration = Duration::from_secs(1);

/// What is known of a cluster.
#[derive(Debug)]
pub(crate) struct Health {
    state: Mutex<State>,
    /// Tells of every change.
    changed: Notify,
    logins: Semaphore,
    /// The number of the server that took the last connection, of several.
    pub(crate) preferred: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    /// Attempts in a row that have failed.
    failures: u32,
    /// Before then nobody tries.
    not_before: Option<Instant>,
    /// Somebody is trying, for all.
    probing: bool,
}

/// What somebody who wants to log in is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// Go ahead.
    Up,
    /// Try, for all.
    Probe,
    /// Wait for news, until then at most.
    Wait(Option<Instant>),
}

impl State {
    fn look(&mut self, now: Instant) -> Look {
        if self.failures == 0 {
            Look::Up
        } else if self.probing {
            Look::Wait(None)
        } else if self.not_before.is_none_or(|due| due <= now) {
            self.probing = true;
            Look::Probe
        } else {
            Look::Wait(self.not_before)
        }
    }

    /// Notes that an attempt has failed, and says whether this is news.
    fn failed(&mut self, probe: bool, now: Instant) -> bool {
        if !probe && self.failures > 0 {
            return false;
        }
        self.failures = self.failures.saturating_add(1);
        let pause = FIRST.saturating_mul(1 << (self.failures - 1).min(8)).min(LONGEST);
        self.not_before = Some(now + jittered(pause));
        self.failures == 1
    }
}

impl Default for Health {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            changed: Notify::new(),
            logins: Semaphore::new(LOGINS),
            preferred: AtomicUsize::new(0),
        }
    }
}

/// The right to try. A guard: dropping it without a verdict lets somebody else try.
#[derive(Debug)]
pub(crate) struct Attempt<'h> {
    health: &'h Health,
    probe: bool,
    _login: Option<SemaphorePermit<'h>>,
}

impl Health {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the last that was heard of it was good.
    pub(crate) fn is_up(&self) -> bool {
        self.state().failures == 0
    }

    /// Waits until a login may be tried. May be abandoned.
    pub(crate) async fn attempt(&self) -> Attempt<'_> {
        loop {
            let mut changed = pin!(self.changed.notified());
            // Before the look, so that no change is missed.
            changed.as_mut().enable();
            let look = self.state().look(Instant::now());
            match look {
                Look::Up => {
                    let login = self.logins.acquire().await.ok();
                    // Much may have happened while others logged in.
                    if self.is_up() {
                        return Attempt { health: self, probe: false, _login: login };
                    }
                }
                Look::Probe => return Attempt { health: self, probe: true, _login: None },
                Look::Wait(None) => changed.await,
                Look::Wait(Some(due)) => tokio::select! {
                    () = changed => {}
                    () = sleep_until(due) => {}
                },
            }
        }
    }
}

impl Attempt<'_> {
    /// The server has answered, whatever it said.
    pub(crate) fn answered(self) {
        let mut state = self.health.state();
        // A login that began before the trouble says nothing of what came after.
        if self.probe {
            *state = State::default();
        }
    }

    /// The server is not there, or takes nobody. Says whether this is news.
    pub(crate) fn failed(self) -> bool {
        self.health.state().failed(self.probe, Instant::now())
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if self.probe {
            self.health.state().probing = false;
            self.health.changed.notify_waiters();
        }
    }
}

/// Half of it to all of it, so that processes that lost a server together do not return together.
pub(crate) fn jittered(pause: Duration) -> Duration {
    let mut byte = [0];
    // Without randomness the whole pause is as good as any.
    let part = if rand::fill(&mut byte).is_ok() { 0.5 + f64::from(byte[0]) / 510.0 } else { 1.0 };
    pause.mul_f64(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_tries_while_all_others_wait() {
        let (mut state, now) = (State::default(), Instant::now());
        assert_eq!(state.look(now), Look::Up);
        assert!(state.failed(false, now), "news");
        assert!(!state.failed(false, now), "a login that was under way as well");
        assert!(matches!(state.look(now), Look::Wait(Some(due)) if due > now && due <= now + FIRST));
        assert_eq!(state.look(now + FIRST), Look::Probe);
        assert_eq!(state.look(now + LONGEST * 10), Look::Wait(None), "somebody tries");
    }

    #[test]
    fn attempts_become_rarer_but_not_rare() {
        let (mut state, mut now) = (State::default(), Instant::now());
        let start = now;
        state.failed(false, now);
        for _ in 0..100 {
            now = state.not_before.expect("a pause");
            assert_eq!(state.look(now), Look::Probe);
            assert!(!state.failed(true, now), "no news");
            state.probing = false;
        }
        let took = now - start;
        assert!(took > Duration::from_secs(45) && took < Duration::from_secs(101), "{took:?}");
    }

    #[tokio::test]
    async fn when_the_one_gets_through_all_do() {
        let health = Health::default();
        assert!(health.attempt().await.failed());
        let probe = health.attempt().await;
        assert!(probe.probe && !health.is_up());
        let mut another = pin!(health.attempt());
        tokio::select! {
            biased;
            _ = &mut another => panic!("two at once"),
            () = std::future::ready(()) => {}
        }
        probe.answered();
        another.await.answered();
        assert!(health.is_up());
    }

    #[tokio::test]
    async fn who_gives_up_trying_leaves_it_to_another() {
        let health = Health::default();
        health.attempt().await.failed();
        drop(health.attempt().await);
        let again = health.attempt().await;
        assert!(again.probe);
        again.answered();
        assert!(health.is_up());
    }

    #[tokio::test]
    async fn so_many_log_in_at_once_and_no_more() {
        let health = Health::default();
        let mut running = Vec::new();
        for _ in 0..LOGINS {
            running.push(health.attempt().await);
        }
        let mut late = pin!(health.attempt());
        tokio::select! {
            biased;
            _ = &mut late => panic!("one too many"),
            () = std::future::ready(()) => {}
        }
        running.pop().expect("one").answered();
        late.await.answered();
    }
}
