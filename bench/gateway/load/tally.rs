//! What was seen while measuring.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::connection::LoadError;

/// Counts and times of one measurement.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    latencies: Vec<Duration>,
    /// By SQLSTATE, with one message each.
    errors: BTreeMap<String, (u32, String)>,
    opened: u32,
}

impl Tally {
    pub(crate) fn done(&mut self, took: Duration) {
        self.latencies.push(took);
    }

    pub(crate) fn failed(&mut self, error: &LoadError) {
        let (count, _) = self.errors.entry(error.code().to_owned()).or_insert_with(|| (0, error.to_string()));
        *count += 1;
    }

    /// A connection had to be opened, which is nothing that a transaction of a pooler's client should wait for.
    pub(crate) fn opened(&mut self) {
        self.opened += 1;
    }

    /// The sum of it after `elapsed`; times in milliseconds.
    pub(crate) fn sum_up(mut self, elapsed: Duration, connections: usize) -> Value {
        self.latencies.sort_unstable();
        let transactions = u32::try_from(self.latencies.len()).unwrap_or(u32::MAX);
        let at = |percent: usize| {
            let rank = (self.latencies.len() * percent).div_ceil(100).max(1);
            self.latencies.get(rank - 1).map(|took| took.as_secs_f64() * 1e3)
        };
        json!({
            "transactions": transactions,
            "tps": f64::from(transactions) / elapsed.as_secs_f64(),
            "p50": at(50), "p95": at(95), "p99": at(99), "max": at(100),
            "errors": self.errors.values().map(|(count, _)| count).sum::<u32>(),
            "codes": self.errors,
            "opened": self.opened,
            "connections": connections,
        })
    }
}
