//! What the server still owes the client (PostgreSQL manual, 55.2).
//!
//! Each Query, Sync and `FunctionCall` is answered by one `ReadyForQuery`. The exceptions are messages that the server skips
//! after an error or during COPY; they leave the count too high, and a connection that seems to owe something is closed
//! instead of reused. The count is never too low: a `ReadyForQuery` that nothing asked for is a broken server.

use wire::backend::TransactionStatus;

/// The state of a session, as far as message headers tell.
#[derive(Debug)]
pub(super) struct Ledger {
    owed: u64,
    /// Messages of the extended protocol have gone out that no Sync has followed yet.
    unsynced: bool,
    status: TransactionStatus,
}

impl Ledger {
    /// Of a session that has just been told that the server is ready.
    pub(super) const fn new() -> Self {
        Self { owed: 0, unsynced: false, status: TransactionStatus::Idle }
    }

    /// Notes a message of the client's.
    pub(super) fn sent(&mut self, tag: u8) {
        match tag {
            b'Q' | b'S' | b'F' => {
                self.owed += 1;
                self.unsynced = false;
            }
            b'P' | b'B' | b'D' | b'E' | b'C' | b'H' => self.unsynced = true,
            // COPY data belongs to a statement that is owed already; outside of one the server skips it without a word.
            _ => {}
        }
    }

    /// Notes a `ReadyForQuery`; `false` when nothing had asked for it.
    pub(super) fn ready(&mut self, status: TransactionStatus) -> bool {
        self.status = status;
        match self.owed.checked_sub(1) {
            Some(owed) => {
                self.owed = owed;
                true
            }
            None => false,
        }
    }

    /// Whether the server is still at work, for all we know.
    pub(super) const fn is_owed(&self) -> bool {
        self.owed > 0
    }

    /// Whether the session is at a point where another could begin.
    pub(super) fn is_clean(&self) -> bool {
        self.owed == 0 && !self.unsynced && self.status == TransactionStatus::Idle
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
