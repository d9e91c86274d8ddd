//! A change that stands still in the middle, as a stopped process would: it blocks the thread that makes it and keeps its lease. For
//! tests on several threads.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use lifecycle::Probe;

/// Where the first who comes stands still. Dropped when a test fails, which wakes it up as well.
pub(crate) struct Halt {
    reached: Arc<AtomicBool>,
    wake: mpsc::Sender<()>,
}

impl Halt {
    pub(crate) fn at(step: &'static str) -> (Self, Probe) {
        let reached = Arc::new(AtomicBool::new(false));
        let (wake, waits) = mpsc::channel();
        let (tell, waits) = (Arc::clone(&reached), Mutex::new(waits));
        let probe = Probe::new(move |now| {
            if now == step && !tell.swap(true, Ordering::SeqCst) {
                // What else this thread would do, others do.
                let _woken = tokio::task::block_in_place(|| waits.lock().expect("not poisoned").recv());
            }
            false
        });
        (Self { reached, wake }, probe)
    }

    /// Waits until somebody stands there.
    pub(crate) async fn reached(&self) {
        while !self.reached.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Lets it go on.
    pub(crate) fn wake(self) {
        self.wake.send(()).expect("it waits");
    }
}
