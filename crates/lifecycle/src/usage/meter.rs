//! Writing down what this process has counted of tenants' clients.
//!
//! Counters begin at zero with each process, and so does what is written: a process has rows of its own under an id of its own, which
//! it writes whole. Whatever is written twice, or by several, adds up to what has happened.

use std::collections::HashMap;

use catalog::{Counter, Traffic};
use domain::TenantId;
use tenancy::{TenantReport, TotalCounts};
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::{Lifecycle, LifecycleError};

/// What this process has written.
#[derive(Debug, Default)]
pub(crate) struct Meter(Mutex<Written>);

#[derive(Debug, Default)]
struct Written {
    /// Under which id, once anything was.
    process: Option<Uuid>,
    tenants: HashMap<TenantId, Line>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Line {
    /// What counts under an earlier id of this process.
    before: Traffic,
    /// What was counted, and how many clients there were, when that was last written.
    counted: Traffic,
    clients: i64,
}

impl Lifecycle {
    /// Writes down what this process has counted since it began.
    pub(crate) async fn report_usage(&self) -> Result<(), LifecycleError> {
        // One at a time: of two, the one that is older could be the last to be written.
        let mut written = self.meter.0.lock().await;
        loop {
            let process = if let Some(process) = written.process {
                process
            } else {
                let process = Uuid::now_v7();
                self.catalog.begin_counting(process).await?;
                *written.process.insert(process)
            };
            let news = written.news(&self.threshold.attendance().tenants);
            let rows: Vec<Counter> = news.iter().map(|(tenant, line)| line.row(*tenant)).collect();
            if self.catalog.put_counters(process, &rows).await? {
                written.tenants.extend(news);
                return Ok(());
            }
            // It was silent for so long that others have taken it for dead.
            written.begin_anew();
        }
    }
}

impl Written {
    /// Tenants whose numbers are not those that were written.
    fn news(&mut self, present: &[TenantReport]) -> Vec<(TenantId, Line)> {
        // A tenant that is no more has no numbers either.
        self.tenants.retain(|tenant, _| present.iter().any(|it| it.id == *tenant));
        let line = |report: &TenantReport| {
            let known = self.tenants.get(&report.id).copied();
            let last = known.unwrap_or_default();
            let (counted, clients) = (traffic(&report.totals), whole(report.clients.total()));
            let changed = counted != last.counted || clients != last.clients;
            changed.then_some((report.id, Line { counted, clients, ..last }))
        };
        present.iter().filter_map(line).collect()
    }

    fn begin_anew(&mut self) {
        self.process = None;
        for line in self.tenants.values_mut() {
            // Nothing has been written under the next id, so the clients that are there are news.
            *line = Line { before: line.counted, clients: 0, ..*line };
        }
    }
}

impl Line {
    fn row(&self, tenant: TenantId) -> Counter {
        let Self { before, counted, clients } = self;
        let traffic = Traffic {
            transactions: counted.transactions.saturating_sub(before.transactions),
            queries: counted.queries.saturating_sub(before.queries),
            errors: counted.errors.saturating_sub(before.errors),
            received: counted.received.saturating_sub(before.received),
            sent: counted.sent.saturating_sub(before.sent),
        };
        Counter { tenant, clients: *clients, traffic }
    }
}

fn traffic(totals: &TotalCounts) -> Traffic {
    Traffic {
        transactions: whole(totals.transactions.count()),
        queries: whole(totals.queries.count()),
        errors: whole(totals.errors),
        received: whole(totals.received),
        sent: whole(totals.sent),
    }
}

fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use tenancy::ClientCounts;

    use super::*;

    fn report(errors: u64, idle: u64) -> TenantReport {
        TenantReport {
            id: "0192f0c1-2345-7abc-8def-0123456789ab".parse().expect("an id"),
            slug: None,
            app: None,
            held: false,
            clients: ClientCounts { idle, ..ClientCounts::default() },
            longest_wait: std::time::Duration::ZERO,
            totals: TotalCounts { errors, ..TotalCounts::default() },
        }
    }

    fn written(written: &mut Written, report: TenantReport) -> Option<(i64, i64)> {
        let news = written.news(&[report]);
        written.tenants.extend(news.iter().copied());
        news.first().map(|(tenant, line)| line.row(*tenant)).map(|row| (row.traffic.errors, row.clients))
    }

    #[test]
    fn only_news_is_written_and_each_time_whole() {
        let mut state = Written::default();
        assert_eq!(written(&mut state, report(0, 0)), None);
        assert_eq!(written(&mut state, report(3, 1)), Some((3, 1)));
        assert_eq!(written(&mut state, report(3, 1)), None);
        assert_eq!(written(&mut state, report(5, 1)), Some((5, 1)));
        assert_eq!(written(&mut state, report(5, 0)), Some((5, 0)));
    }

    #[test]
    fn what_counts_under_an_earlier_id_does_not_under_the_next() {
        let mut state = Written::default();
        assert_eq!(written(&mut state, report(5, 2)), Some((5, 2)));
        state.begin_anew();
        assert_eq!(written(&mut state, report(5, 2)), Some((0, 2)), "the clients are still there");
        assert_eq!(written(&mut state, report(7, 2)), Some((2, 2)));
        state.begin_anew();
        assert_eq!(written(&mut state, report(8, 0)), Some((1, 0)));
    }
}
