//! What a tenant's clients have done in this process, in numbers. Atomics without order among each other: whoever reads them
//! sees each as of some moment, not all as of the same.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the histograms' buckets, in microseconds; one more bucket is for what is longer.
pub const BUCKETS: [u64; 15] = [
    250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 5_000_000, 15_000_000,
    60_000_000,
];

/// Durations, by how long they were.
#[derive(Debug, Default)]
pub(crate) struct Durations {
    counts: [AtomicU64; BUCKETS.len() + 1],
    micros: AtomicU64,
}

/// Durations as they were counted at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DurationCounts {
    /// How many were no longer than the bound in [`BUCKETS`] and longer than the one before; the last, how many were longer
    /// than all of them.
    pub counts: [u64; BUCKETS.len() + 1],
    /// All of them together, in microseconds.
    pub micros: u64,
}

impl Durations {
    pub(crate) fn add(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKETS.partition_point(|bound| *bound < micros);
        if let Some(count) = self.counts.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    fn read(&self) -> DurationCounts {
        let counts = self.counts.each_ref().map(|count| count.load(Ordering::Relaxed));
        DurationCounts { counts, micros: self.micros.load(Ordering::Relaxed) }
    }
}

impl DurationCounts {
    /// How many there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// What has been added to an earlier reading.
    fn since(&self, earlier: &Self) -> Self {
        let mut since = *self;
        for (count, before) in since.counts.iter_mut().zip(earlier.counts) {
            *count = count.saturating_sub(before);
        }
        since.micros = since.micros.saturating_sub(earlier.micros);
        since
    }

    fn add(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        self.micros += other.micros;
    }
}

/// One tenant's totals since it was first served.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) clients: AtomicU64,
    pub(crate) transactions: Durations,
    pub(crate) queries: Durations,
    pub(crate) waits: Durations,
    pub(crate) errors: AtomicU64,
    pub(crate) received: AtomicU64,
    pub(crate) sent: AtomicU64,
}

/// A tenant's totals as they were at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TotalCounts {
    /// Clients that were let in.
    pub clients: u64,
    /// Transactions, from the first statement to the last answer.
    pub transactions: DurationCounts,
    /// What clients sent until they waited for answers, until these were there; several pipelined statements count as one.
    pub queries: DurationCounts,
    /// How long clients waited for a server connection, where there was none at hand.
    pub waits: DurationCounts,
    /// Errors that servers answered with.
    pub errors: u64,
    /// Bytes from clients.
    pub received: u64,
    /// Bytes to clients.
    pub sent: u64,
}

impl Totals {
    pub(crate) fn read(&self) -> TotalCounts {
        TotalCounts {
            clients: self.clients.load(Ordering::Relaxed),
            transactions: self.transactions.read(),
            queries: self.queries.read(),
            waits: self.waits.read(),
            errors: self.errors.load(Ordering::Relaxed),
            received: self.received.load(Ordering::Relaxed),
            sent: self.sent.load(Ordering::Relaxed),
        }
    }
}

impl TotalCounts {
    /// What has been added to an earlier reading.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            clients: self.clients.saturating_sub(earlier.clients),
            transactions: self.transactions.since(&earlier.transactions),
            queries: self.queries.since(&earlier.queries),
            waits: self.waits.since(&earlier.waits),
            errors: self.errors.saturating_sub(earlier.errors),
            received: self.received.saturating_sub(earlier.received),
            sent: self.sent.saturating_sub(earlier.sent),
        }
    }

    /// Adds another tenant's.
    pub fn add(&mut self, other: &Self) {
        self.clients += other.clients;
        self.transactions.add(&other.transactions);
        self.queries.add(&other.queries);
        self.waits.add(&other.waits);
        self.errors += other.errors;
        self.received += other.received;
        self.sent += other.sent;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_in_the_first_bucket_that_is_not_too_short() {
        let durations = Durations::default();
        for micros in [0, 250, 251, 60_000_000, 60_000_001] {
            durations.add(Duration::from_micros(micros));
        }
        let mut read = durations.read();
        assert_eq!((read.counts[0], read.counts[1], read.counts[14], read.counts[15]), (2, 1, 1, 1));
        assert_eq!((read.count(), read.micros), (5, 120_000_502));
        read.add(&durations.read());
        assert_eq!((read.count(), read.micros), (10, 240_001_004));
    }
}
