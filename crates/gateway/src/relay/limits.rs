//! How long a session may take over what it is at, by the gateway's own clock.
//!
//! A session notes what it is at whenever it goes to wait, which reads the clock only if that has changed. The timer is
//! left alone while it would ring early, and set anew when it has. Limits that an operator changes count for what is begun
//! from then on.

use std::future::pending;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};
use wire::backend::TransactionStatus;

use super::ledger::Ledger;
use crate::dials::Dials;
use crate::fault::Fault;

/// How long sessions may take; `None` for as long as they like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SessionLimits {
    /// From a client's statement to the end of its answer. Then the statement is cancelled.
    pub statement: Option<Duration>,
    /// Between two statements of a transaction. Then the session ends.
    pub idle_in_transaction: Option<Duration>,
    /// Between two transactions. Then the session ends.
    pub idle: Option<Duration>,
}

/// From the cancelling of a statement to the end of a session whose server does not heed it.
const HEED: Duration = Duration::from_secs(5);

/// What a session is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle,
    InTransaction,
    Working,
    /// Its statement has been cancelled.
    Cancelled,
}

/// What has to be done about it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Overdue {
    /// Cancel the statement.
    Cancel,
    /// End the session.
    End(Fault),
}

/// A session's clock.
#[derive(Debug)]
pub(super) struct Clock {
    dials: Dials,
    phase: Phase,
    /// How much had been answered when the phase began: the next statement has its own time.
    answered: u64,
    due: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Clock {
    /// Of a session that begins to wait for its client.
    pub(super) fn new(dials: Dials) -> Self {
        let due = dials.read().session_limits.idle.map(|limit| Instant::now() + limit);
        Self { dials, phase: Phase::Idle, answered: 0, due, timer: None }
    }

    /// Notes what the session is at.
    pub(super) fn note(&mut self, ledger: &Ledger) {
        let phase = if ledger.may_be_working() {
            Phase::Working
        } else if ledger.status() == TransactionStatus::Idle {
            Phase::Idle
        } else {
            Phase::InTransaction
        };
        let same = phase == self.phase || phase == Phase::Working && self.phase == Phase::Cancelled;
        if !same || phase != Phase::Idle && self.answered != ledger.answered() {
            self.answered = ledger.answered();
            self.begin(phase);
        }
    }

    fn begin(&mut self, phase: Phase) {
        self.phase = phase;
        let limits = self.dials.read().session_limits;
        let limit = match phase {
            Phase::Idle => limits.idle,
            Phase::InTransaction => limits.idle_in_transaction,
            Phase::Working => limits.statement,
            Phase::Cancelled => Some(HEED),
        };
        self.due = limit.map(|limit| Instant::now() + limit);
        if let (Some(due), Some(timer)) = (self.due, &mut self.timer)
            && timer.deadline() > due
        {
            timer.as_mut().reset(due);
        }
    }

    /// Waits until the session has taken too long. May be abandoned.
    pub(super) async fn rings(&mut self) -> Overdue {
        loop {
            let Some(due) = self.due else { return pending().await };
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
            timer.as_mut().await;
            if Instant::now() >= due {
                return self.overdue();
            }
            timer.as_mut().reset(due);
        }
    }

    fn overdue(&mut self) -> Overdue {
        self.timer = None;
        self.due = None;
        match self.phase {
            Phase::Working => {
                self.begin(Phase::Cancelled);
                Overdue::Cancel
            }
            Phase::Cancelled => Overdue::End(Fault::new(
                "57014",
                "the statement took longer than a statement may, and could not be cancelled",
                "Reconnect; ask the operator for a longer gateway.statement_seconds if it has to take its time.",
            )),
            Phase::InTransaction => Overdue::End(Fault::new(
                "25P03",
                "the session ends because it was idle in a transaction for longer than it may",
                "Reconnect; what was not committed has been rolled back.",
            )),
            Phase::Idle => Overdue::End(idle_for_too_long()),
        }
    }
}

/// Why a session ends that has no transaction and says nothing.
pub(super) fn idle_for_too_long() -> Fault {
    Fault::new(
        "57P05",
        "the session ends because it was idle for longer than it may",
        "Reconnect, or ask the operator for a longer gateway.idle_session_seconds.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dials::DialSettings;

    const SHORT: Option<Duration> = Some(Duration::from_millis(1));
    const LONG: Option<Duration> = Some(Duration::from_hours(1));

    fn with(session_limits: SessionLimits) -> Clock {
        Clock::new(Dials::new(DialSettings { session_limits, ..DialSettings::default() }))
    }

    fn working() -> Ledger {
        let mut ledger = Ledger::new();
        ledger.sent(b'Q');
        ledger
    }

    #[tokio::test]
    async fn each_phase_has_its_own_end() {
        let mut clock = with(SessionLimits { statement: LONG, idle_in_transaction: LONG, idle: SHORT });
        assert!(matches!(clock.rings().await, Overdue::End(fault) if fault.sqlstate == "57P05"));

        let mut clock = with(SessionLimits { statement: LONG, idle_in_transaction: SHORT, idle: LONG });
        let mut ledger = working();
        assert!(ledger.ready(TransactionStatus::Open));
        clock.note(&ledger);
        assert!(matches!(clock.rings().await, Overdue::End(fault) if fault.sqlstate == "25P03"));

        let mut clock = with(SessionLimits { statement: SHORT, idle_in_transaction: LONG, idle: LONG });
        clock.note(&working());
        assert_eq!(clock.rings().await, Overdue::Cancel);
        clock.note(&working());
        assert_eq!(clock.phase, Phase::Cancelled, "the same statement is not cancelled twice");
    }

    #[tokio::test]
    async fn every_statement_has_its_own_time() {
        let mut clock = with(SessionLimits { statement: LONG, ..SessionLimits::default() });
        let mut ledger = working();
        ledger.sent(b'Q');
        clock.note(&ledger);
        let first = clock.due.expect("a limit");
        clock.note(&ledger);
        assert_eq!(clock.due, Some(first), "the clock is read once");
        assert!(ledger.ready(TransactionStatus::Idle));
        clock.note(&ledger);
        assert!(clock.due.expect("a limit") > first, "the next statement, although the session never rested");
        assert!(ledger.ready(TransactionStatus::Idle));
        clock.note(&ledger);
        assert_eq!(clock.due, None, "idle sessions have no limit here");
    }

    #[tokio::test]
    async fn a_timer_that_would_ring_too_late_is_set_anew() {
        let mut clock = with(SessionLimits { statement: SHORT, idle: LONG, ..SessionLimits::default() });
        tokio::select! {
            biased;
            _ = clock.rings() => panic!("an hour has passed"),
            () = std::future::ready(()) => {}
        }
        clock.note(&working());
        assert_eq!(clock.rings().await, Overdue::Cancel);
    }
}
