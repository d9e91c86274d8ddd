//! How much a session works, and how long that takes: noted once the server has answered everything, not for each message.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tenancy::{Stance, Visit};

use super::ledger::Ledger;
use super::pump::Pump;

/// Bytes after which they are noted even if the server has not answered everything.
const MANY: u64 = 1 << 20;

/// What is to be noted of a session.
#[derive(Debug)]
pub(super) struct Meter {
    visit: Arc<Visit>,
    stance: Stance,
    /// Since when the server has something to answer.
    asked: Option<Instant>,
    /// Since when there is a transaction.
    begun: Option<Instant>,
}

impl Meter {
    pub(super) fn new(visit: Arc<Visit>) -> Self {
        // What it is at is noted as soon as it is anything else.
        Self { stance: visit.stance(), visit, asked: None, begun: None }
    }

    /// Where it is noted.
    pub(super) const fn visit(&self) -> &Arc<Visit> {
        &self.visit
    }

    /// The session waits for a server connection.
    pub(super) fn waits(&mut self) -> Instant {
        let now = Instant::now();
        self.take(Stance::Waiting, now);
        now
    }

    /// It has one.
    pub(super) fn has_waited(&self, since: Instant) {
        self.visit.waited(since.elapsed());
    }

    /// The number of the statement that is being answered, or else of the one that was answered last.
    pub(super) fn statement(&self) -> u64 {
        self.visit.statements() + u64::from(self.asked.is_some())
    }

    /// Looks at the session between two steps. Gives the time of a statement that has been answered.
    pub(super) fn note(&mut self, attached: bool, ledger: &Ledger, up: &mut Pump, down: &mut Pump) -> Option<Duration> {
        let asks = attached && ledger.is_asked();
        let works = asks || attached && !ledger.is_quiet();
        let stance = match (works, attached) {
            (true, _) => Stance::Active,
            (false, true) => Stance::Keeping,
            (false, false) => Stance::Idle,
        };
        if asks == self.asked.is_some() && works == self.begun.is_some() && stance == self.stance {
            if up.read() + down.read() >= MANY {
                self.weigh(up, down);
            }
            return None;
        }
        let (now, mut answered) = (Instant::now(), None);
        if asks {
            self.asked = self.asked.or(Some(now));
        } else if let Some(asked) = self.asked.take() {
            let time = now.saturating_duration_since(asked);
            self.visit.answered(time);
            answered = Some(time);
        }
        if works {
            self.begun = self.begun.or(Some(now));
        } else if let Some(begun) = self.begun.take() {
            self.visit.completed(now.saturating_duration_since(begun));
            self.weigh(up, down);
        }
        self.take(stance, now);
        answered
    }

    /// Notes the bytes that have come since this was done last.
    pub(super) fn weigh(&self, up: &mut Pump, down: &mut Pump) {
        self.visit.moved(up.take_read(), down.take_read());
    }

    fn take(&mut self, stance: Stance, now: Instant) {
        if self.stance != stance {
            self.stance = stance;
            self.visit.take(stance, now);
        }
    }
}
