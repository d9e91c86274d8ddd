//! What ends a session besides its two sides, or is wanted of it.
//!
//! Each of these is shared by many sessions and hardly ever happens, while sessions wake up for every message. So they are
//! looked at only when one of them has rung.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tenancy::{Lapse, Refusal, Visit, Wanted};
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

use crate::fault::Fault;

/// What ends a session besides its two sides.
pub(crate) struct Watch<'w, R> {
    /// Resolves when the tenant or its key may no longer be served.
    pub(crate) revoked: Pin<&'w mut R>,
    /// When the client's right to be served ends by itself, if it does.
    pub(crate) lapse: Option<Lapse>,
    /// This process is to end.
    pub(crate) shutdown: &'w CancellationToken,
    /// How long sessions that are in the middle of something may go on then.
    pub(crate) grace: Duration,
}

/// What has happened.
#[derive(Debug)]
pub(super) enum Word {
    /// The session ends at once.
    Revoked(Fault),
    /// The client's right to be served has ended; what it is in the middle of may take so long. Said once.
    Lapsed(Duration),
    /// An operator wants the client to leave, if it keeps a server connection.
    Yield,
    /// This process is to end. Said once.
    Shutdown,
}

/// Waits for all of it.
pub(crate) struct Signals<'s, R> {
    revoked: Pin<&'s mut R>,
    /// When the client's right ends, and how long it may go on then.
    lapse: Option<(Pin<Box<Sleep>>, Duration)>,
    shutdown: Option<Pin<Box<WaitForCancellationFuture<'s>>>>,
    visit: &'s Visit,
    pub(super) grace: Duration,
    bell: Arc<Bell>,
    /// Rings the bell.
    ringer: Waker,
    /// Whom the bell wakes, as far as it has been told.
    task: Option<Waker>,
}

/// Rung by whatever has happened.
#[derive(Debug)]
struct Bell {
    rung: AtomicBool,
    task: Mutex<Option<Waker>>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        if let Some(task) = &*self.task.lock().unwrap_or_else(PoisonError::into_inner) {
            task.wake_by_ref();
        }
    }
}

impl<'s, R: Future<Output = Fault>> Signals<'s, R> {
    pub(crate) fn new(watch: Watch<'s, R>, visit: &'s Visit) -> Self {
        let Watch { revoked, lapse, shutdown, grace } = watch;
        // It has not been looked at yet.
        let bell = Arc::new(Bell { rung: AtomicBool::new(true), task: Mutex::new(None) });
        Self {
            revoked,
            lapse: lapse.map(|lapse| (Box::pin(sleep_until(Instant::from_std(lapse.at))), lapse.grace)),
            shutdown: Some(Box::pin(shutdown.cancelled())),
            visit,
            grace,
            ringer: Waker::from(Arc::clone(&bell)),
            bell,
            task: None,
        }
    }

    /// Waits until something has happened. May be abandoned without losing it.
    pub(super) async fn next(&mut self) -> Word {
        poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &Context<'_>) -> Poll<Word> {
        if !self.task.as_ref().is_some_and(|task| task.will_wake(cx.waker())) {
            self.task = Some(cx.waker().clone());
            // Before the look, so that no ringing is missed.
            *self.bell.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(cx.waker().clone());
        }
        if !self.bell.rung.swap(false, Ordering::AcqRel) {
            return Poll::Pending;
        }
        let word = self.look();
        if word.is_ready() {
            // There may be more.
            self.bell.rung.store(true, Ordering::Release);
        }
        word
    }

    fn look(&mut self) -> Poll<Word> {
        let mut cx = Context::from_waker(&self.ringer);
        if let Poll::Ready(fault) = self.revoked.as_mut().poll(&mut cx) {
            return Poll::Ready(Word::Revoked(fault));
        }
        if let Some((lapses, grace)) = &mut self.lapse
            && lapses.as_mut().poll(&mut cx).is_ready()
        {
            let grace = *grace;
            self.lapse = None;
            return Poll::Ready(Word::Lapsed(grace));
        }
        if let Some(shutdown) = &mut self.shutdown
            && shutdown.as_mut().poll(&mut cx).is_ready()
        {
            self.shutdown = None;
            return Poll::Ready(Word::Shutdown);
        }
        match self.visit.poll_wanted(&cx) {
            Poll::Ready(Wanted::End) => {
                Poll::Ready(Word::Revoked(Fault::revoked(&Refusal::Ended(self.visit.slug().clone()))))
            }
            Poll::Ready(Wanted::Yield) => {
                // It has been told, and may be told again.
                self.visit.stay();
                Poll::Ready(Word::Yield)
            }
            Poll::Pending => Poll::Pending,
        }
    }
}
