//! Holding a tenant's transactions back while its data moves.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

/// Nobody enters.
const HELD: u64 = 1 << 63;

/// What every transaction of a tenant in this process passes on its way in and out: one atomic addition each, as long as
/// nobody holds it.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    /// How many are inside, and [`HELD`].
    state: AtomicU64,
    /// Milliseconds that somebody waits in front of it.
    patience: AtomicU64,
    /// It was opened, or the last one inside has left.
    changed: Notify,
}

impl Gate {
    /// Lets somebody in, unless the gate is held.
    pub(crate) fn try_enter(&self) -> bool {
        // What was published before the gate was opened is seen by whoever enters.
        if self.state.fetch_add(1, Ordering::AcqRel) & HELD == 0 {
            return true;
        }
        self.leave();
        false
    }

    /// Lets somebody in as soon as the gate is open; `false` if that takes longer than the holder has them wait.
    pub(crate) async fn enter(&self) -> bool {
        if self.try_enter() {
            return true;
        }
        let patience = Duration::from_millis(self.patience.load(Ordering::Relaxed));
        // Looks before it tries: a try that fails wakes those who wait.
        timeout(patience, self.until(|| !self.is_held() && self.try_enter())).await.is_ok()
    }

    /// Lets somebody out who was let in.
    pub(crate) fn leave(&self) {
        if self.state.fetch_sub(1, Ordering::AcqRel) == HELD | 1 {
            self.changed.notify_waiters();
        }
    }

    /// Lets nobody in any more; `false` if somebody else does so already.
    pub(crate) fn hold(&self, patience: Duration) -> bool {
        let before = self.state.fetch_or(HELD, Ordering::AcqRel);
        if before & HELD != 0 {
            return false;
        }
        self.patience.store(u64::try_from(patience.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
        true
    }

    /// Opens it again.
    pub(crate) fn open(&self) {
        self.state.fetch_and(!HELD, Ordering::AcqRel);
        self.changed.notify_waiters();
    }

    /// Whether it is held.
    pub(crate) fn is_held(&self) -> bool {
        self.state.load(Ordering::Relaxed) & HELD != 0
    }

    /// Resolves when nobody is inside a gate that is held.
    pub(crate) async fn quiet(&self) {
        self.until(|| self.state.load(Ordering::Acquire) & !HELD == 0).await;
    }

    async fn until(&self, reached: impl Fn() -> bool) {
        loop {
            let changed = self.changed.notified();
            let mut changed = std::pin::pin!(changed);
            // Before the look, so that no change is missed.
            changed.as_mut().enable();
            if reached() {
                return;
            }
            changed.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    use tokio::task::yield_now;

    use super::*;

    const LONG: Duration = Duration::from_hours(1);

    #[tokio::test]
    async fn a_held_gate_lets_out_and_not_in() {
        let gate = Gate::default();
        assert!(gate.try_enter() && gate.try_enter());
        assert!(gate.hold(LONG) && gate.is_held());
        assert!(!gate.hold(LONG), "one holder at a time");
        assert!(!gate.try_enter());
        let left = AtomicBool::new(false);
        tokio::join!(
            async {
                gate.quiet().await;
                assert!(left.load(Ordering::Relaxed), "quiet while somebody was inside");
            },
            async {
                gate.leave();
                yield_now().await;
                left.store(true, Ordering::Relaxed);
                gate.leave();
            }
        );
        let opened = AtomicBool::new(false);
        let (entered, ()) = tokio::join!(
            async {
                let entered = gate.enter().await;
                assert!(opened.load(Ordering::Relaxed));
                entered
            },
            async {
                yield_now().await;
                opened.store(true, Ordering::Relaxed);
                gate.open();
            }
        );
        assert!(entered && !gate.is_held());
        gate.leave();
        assert!(gate.hold(LONG), "it can be held again");
    }

    #[tokio::test]
    async fn nobody_waits_for_ever() {
        let gate = Gate::default();
        assert!(gate.hold(Duration::from_millis(1)));
        assert!(!gate.enter().await);
        gate.quiet().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn nobody_is_inside_between_quiet_and_open() {
        let (gate, inside) = (Arc::new(Gate::default()), Arc::new(AtomicU64::new(0)));
        let clients: Vec<_> = (0..8)
            .map(|_| {
                let (gate, inside) = (Arc::clone(&gate), Arc::clone(&inside));
                tokio::spawn(async move {
                    for _ in 0..2_000 {
                        assert!(gate.enter().await);
                        inside.fetch_add(1, Ordering::SeqCst);
                        yield_now().await;
                        inside.fetch_sub(1, Ordering::SeqCst);
                        gate.leave();
                    }
                })
            })
            .collect();
        for _ in 0..50 {
            assert!(gate.hold(LONG));
            gate.quiet().await;
            for _ in 0..20 {
                assert_eq!(inside.load(Ordering::SeqCst), 0);
                yield_now().await;
            }
            gate.open();
            yield_now().await;
        }
        for client in clients {
            client.await.expect("every client ran to its end");
        }
    }
}
