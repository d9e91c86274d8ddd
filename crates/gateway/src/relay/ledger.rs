//! What the server still owes the client (PostgreSQL manual, 55.2).
//!
//! Each Query, Sync and `FunctionCall` is answered by one `ReadyForQuery`, except those that the server skips after an error
//! or while it takes COPY data, which headers alone cannot always tell apart. A client may aim at that difference, so that
//! answers pay for other questions than their own. What counts is therefore the sum: every question is either owed or
//! thought skipped until an answer pays for one of them, so none can be open when both counts are zero. Where they are not,
//! the connection may have more to say, and is closed rather than lent again.

use wire::backend::TransactionStatus;

/// The state of a session, as far as message headers tell.
#[derive(Debug)]
pub(super) struct Ledger {
    owed: u64,
    /// Syncs that the server most likely skipped, because it was taking COPY data.
    skipped: u64,
    /// Messages of the extended protocol have gone out that no Sync has followed yet.
    unsynced: bool,
    /// The last statement was a Query, and not an Execute.
    simple: bool,
    /// The server takes COPY data.
    copying: bool,
    status: TransactionStatus,
    /// How many `ReadyForQuery` have come.
    answered: u64,
    copy: CopyIn,
}

/// What was sent since nothing was owed, as far as it tells which Syncs a COPY has skipped.
#[derive(Debug, Clone, Copy)]
struct CopyIn {
    /// Statements; a Query counts as many.
    statements: u8,
    /// Syncs behind the first Execute, and before the end of any COPY data.
    syncs: u64,
    /// That end has been sent.
    done: bool,
    /// The server takes the Execute's data, and has not said what came of it.
    begun: bool,
}

impl CopyIn {
    const NONE: Self = Self { statements: 0, syncs: 0, done: false, begun: false };

    fn sent(&mut self, tag: u8) {
        match tag {
            b'E' => self.statements = self.statements.saturating_add(1),
            b'Q' | b'F' => self.statements = u8::MAX,
            b'S' if self.statements > 0 && !self.done => self.syncs += 1,
            b'c' | b'f' => self.done = true,
            _ => {}
        }
    }

    /// How many Syncs a COPY is known to have skipped, now that it has succeeded: it would have failed had it met anything but
    /// data, Flush and Sync before the end of the data.
    fn succeeded(&mut self) -> u64 {
        let known = std::mem::take(&mut self.begun) && self.statements == 1;
        if known { std::mem::take(&mut self.syncs) } else { 0 }
    }
}

impl Ledger {
    /// Of a session that has just been told that the server is ready.
    pub(super) const fn new() -> Self {
        Self {
            owed: 0,
            skipped: 0,
            unsynced: false,
            simple: true,
            copying: false,
            status: TransactionStatus::Idle,
            answered: 0,
            copy: CopyIn::NONE,
        }
    }

    /// Notes a message of the client's.
    pub(super) fn sent(&mut self, tag: u8) {
        if !self.may_be_working() {
            self.copy = CopyIn::NONE;
        }
        self.copy.sent(tag);
        match tag {
            b'S' if self.copying => self.skipped += 1,
            b'Q' | b'S' | b'F' => {
                self.owed += 1;
                self.unsynced = false;
            }
            b'P' | b'B' | b'D' | b'E' | b'C' | b'H' => self.unsynced = true,
            // Outside of COPY the server skips them without a word.
            b'c' | b'f' => self.copying = false,
            _ => {}
        }
        match tag {
            b'Q' => self.simple = true,
            b'E' => self.simple = false,
            _ => {}
        }
    }

    /// Notes a message of the server's other than `ReadyForQuery`.
    pub(super) fn received(&mut self, tag: u8) {
        match tag {
            // CopyInResponse. Everything before the statement has been answered, so what is owed now came after it. Some
            // drivers send a Sync along with the Execute and another one after the data; the former is skipped.
            b'G' => {
                self.copying = true;
                if !self.simple {
                    self.copy.begun = true;
                    self.skipped += self.owed;
                    self.owed = 0;
                    self.unsynced = true;
                }
            }
            b'C' => self.skipped = self.skipped.saturating_sub(self.copy.succeeded()),
            // A COPY may fail before it has read the first Sync, which is answered then.
            b'E' => (self.copying, self.copy.begun) = (false, false),
            _ => {}
        }
    }

    /// Notes a `ReadyForQuery`; `false` when nothing can have asked for it.
    pub(super) fn ready(&mut self, status: TransactionStatus) -> bool {
        self.status = status;
        self.answered += 1;
        self.copying = false;
        let asked = if self.owed > 0 { &mut self.owed } else { &mut self.skipped };
        let possible = *asked > 0;
        *asked = asked.saturating_sub(1);
        possible
    }

    /// The transaction's state, as the server told it last.
    pub(super) const fn status(&self) -> TransactionStatus {
        self.status
    }

    /// How often the server has become ready.
    pub(super) const fn answered(&self) -> u64 {
        self.answered
    }

    /// Whether the server will most likely say more.
    pub(super) const fn is_owed(&self) -> bool {
        self.owed > 0
    }

    /// Whether the client most likely waits for the server, or is about to.
    pub(super) const fn is_asked(&self) -> bool {
        self.owed > 0 || self.unsynced
    }

    /// Whether the server cannot be ruled out to be at work: an Execute runs before its Sync has come, and a Sync that was
    /// thought skipped may have been answered in place of a statement.
    pub(super) const fn may_be_working(&self) -> bool {
        self.owed > 0 || self.skipped > 0 || self.unsynced
    }

    /// Whether the session is most likely between two transactions: good enough to end it there, not to begin another.
    pub(super) fn is_quiet(&self) -> bool {
        !self.is_owed() && !self.unsynced && self.status == TransactionStatus::Idle
    }

    /// Whether the session is at a point where another could begin.
    pub(super) fn is_clean(&self) -> bool {
        !self.may_be_working() && self.status == TransactionStatus::Idle
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clean_means_answered_synced_and_outside_of_a_transaction() {
        let mut ledger = Ledger::new();
        assert!(ledger.is_clean());
        ledger.sent(b'Q');
        assert!(ledger.is_owed());
        assert!(ledger.ready(TransactionStatus::Open));
        assert!(!ledger.is_clean() && !ledger.is_owed());
        ledger.sent(b'P');
        ledger.sent(b'S');
        assert!(ledger.ready(TransactionStatus::Idle));
        assert!(ledger.is_clean());
        ledger.sent(b'P');
        assert!(!ledger.is_clean(), "the answer to a Parse is on its way");
    }

    #[test]
    fn copy_skips_the_sync_that_was_sent_with_its_execute() {
        let mut ledger = Ledger::new();
        for tag in *b"BES" {
            ledger.sent(tag);
        }
        ledger.received(b'G');
        assert!(!ledger.is_clean());
        for tag in *b"ddSdcS" {
            ledger.sent(tag);
        }
        assert!(ledger.is_owed());
        assert!(ledger.ready(TransactionStatus::Idle));
        assert!(ledger.is_quiet() && !ledger.is_clean(), "most likely is not enough");

        let mut ledger = Ledger::new();
        ledger.sent(b'Q');
        ledger.received(b'G');
        for tag in *b"dSc" {
            ledger.sent(tag);
        }
        assert!(ledger.is_owed());
        assert!(ledger.ready(TransactionStatus::Idle));
        assert!(ledger.is_quiet() && !ledger.is_clean());
    }

    #[test]
    fn a_copy_that_succeeds_has_skipped_the_sync_ahead_of_its_data() {
        let mut ledger = Ledger::new();
        for tag in *b"PDSBES" {
            ledger.sent(tag);
        }
        assert!(ledger.ready(TransactionStatus::Idle));
        ledger.received(b'G');
        for tag in *b"ddcS" {
            ledger.sent(tag);
        }
        ledger.received(b'C');
        assert!(ledger.ready(TransactionStatus::Idle) && ledger.is_clean());

        // With everything sent at once.
        for tag in *b"BESddcS" {
            ledger.sent(tag);
        }
        for tag in *b"2GC" {
            ledger.received(tag);
        }
        assert!(!ledger.is_clean(), "the last Sync is still to be answered");
        assert!(ledger.ready(TransactionStatus::Idle));
        ledger.sent(b'S');
        assert!(ledger.ready(TransactionStatus::Idle) && ledger.is_clean());

        // Which of several statements it was, headers do not tell.
        for tag in *b"BEcBES" {
            ledger.sent(tag);
        }
        for tag in *b"GC" {
            ledger.received(tag);
        }
        assert!(ledger.may_be_working());
        assert!(ledger.ready(TransactionStatus::Idle), "it was asked for");
    }

    #[test]
    fn answers_that_pay_for_another_question_leave_no_clean_connection() {
        // The server fails at the row, answers the Sync that comes after it, and sleeps in the last Query.
        let mut ledger = Ledger::new();
        ledger.sent(b'Q');
        ledger.received(b'G');
        for tag in *b"dSQ" {
            ledger.sent(tag);
        }
        ledger.received(b'E');
        assert!(ledger.ready(TransactionStatus::Idle) && ledger.ready(TransactionStatus::Idle));
        assert!(!ledger.is_clean() && ledger.may_be_working());
        assert!(ledger.ready(TransactionStatus::Idle), "it wakes up");
        assert!(ledger.is_clean());
    }

    #[test]
    fn a_sync_after_a_failed_copy_is_answered() {
        let mut ledger = Ledger::new();
        for tag in *b"BE" {
            ledger.sent(tag);
        }
        ledger.received(b'G');
        ledger.received(b'E');
        ledger.sent(b'S');
        assert!(ledger.is_owed());
        assert!(ledger.ready(TransactionStatus::Failed));
        assert!(!ledger.is_clean());
    }

    #[test]
    fn pipelined_statements_are_each_owed() {
        let mut ledger = Ledger::new();
        for tag in *b"QQS" {
            ledger.sent(tag);
        }
        assert!(ledger.ready(TransactionStatus::Idle) && ledger.ready(TransactionStatus::Idle));
        assert!(!ledger.is_clean());
        assert!(ledger.ready(TransactionStatus::Idle));
        assert!(ledger.is_clean());
        assert!(!ledger.ready(TransactionStatus::Idle), "nobody asked");
    }
}
