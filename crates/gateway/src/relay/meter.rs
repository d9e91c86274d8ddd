//! How much a session works, and how long that takes: noted once the server has answered everything, not for each message.

use std::sync::Arc;
use std::time::Instant;

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

    /// The same, for when this is over.
    pub(super) fn into_visit(self) -> Arc<Visit> {
        self.visit
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

    /// Looks at the session between two steps.
    pub(super) fn note(&mut self, attached: bool, ledger: &Ledger, up: &mut Pump, down: &mut Pump) {
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
            return;
        }
        let now = Instant::now();
        if asks {
            self.asked = self.asked.or(Some(now));
        } else if let Some(asked) = self.asked.take() {
            self.visit.answered(now.saturating_duration_since(asked));
        }
        if works {
            self.begun = self.begun.or(Some(now));
        } else if let Some(begun) = self.begun.take() {
            self.visit.completed(now.saturating_duration_since(begun));
            self.weigh(up, down);
        }
        self.take(stance, now);
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
