//! `GET /metrics`: what Prometheus and its kin collect, in the format `OpenMetrics` 1.0.
//!
//! Numbers of single tenants are given for the busiest of them alone, as many as the operator allows; the others are
//! summed up as tenant `other`. Sums over all tenants are exact.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Mutex, PoisonError};

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::{Status, TenantId};
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;
use prometheus_client::{collector::Collector, encoding::text::encode, registry::Registry};
use tenancy::{Attendance, BUCKETS, DurationCounts, TenantReport, Threshold, TotalCounts};

use crate::Door;

/// Who has series of its own. What a tenant had done while it was one of the others stays with them, so that no counter ever
/// goes back.
#[derive(Debug)]
pub struct Board {
    most: usize,
    past: Mutex<Past>,
}

#[derive(Debug, Default)]
struct Past {
    /// Tenants with series of their own, and what they had done before.
    shown: HashMap<TenantId, TotalCounts>,
    /// Tenants that have been among the others.
    others: HashSet<TenantId>,
}

/// Numbers of one tenant, or of all others.
struct Line {
    label: String,
    clients: u64,
    totals: TotalCounts,
}

impl Board {
    /// For at most so many tenants.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { most, past: Mutex::default() }
    }

    /// One line for each of the tenants that servers have worked longest for, and one for the rest.
    fn lines(&self, all: &Attendance) -> Vec<Line> {
        let mut tenants: Vec<&TenantReport> = all.tenants.iter().collect();
        tenants.sort_unstable_by_key(|it| (std::cmp::Reverse(it.totals.queries.micros), it.id));
        let (own, rest) = tenants.split_at(tenants.len().min(self.most));
        let mut other = Line { label: "other".to_owned(), clients: 0, totals: all.departed };
        for tenant in rest {
            other.clients += tenant.clients.total();
            other.totals.add(&tenant.totals);
        }
        let mut past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
        let Past { shown, others } = &mut *past;
        let staying: HashSet<TenantId> = own.iter().map(|it| it.id).collect();
        shown.retain(|id, _| staying.contains(id));
        others.extend(rest.iter().map(|it| it.id));
        let mut lines: Vec<Line> = own
            .iter()
            .map(|it| {
                let begin = || if others.contains(&it.id) { it.totals } else { TotalCounts::default() };
                let before = *shown.entry(it.id).or_insert_with(begin);
                other.totals.add(&before);
                Line { label: it.id.to_string(), clients: it.clients.total(), totals: it.totals.since(&before) }
            })
            .collect();
        lines.push(other);
        lines
    }
}

/// What all series are read from, once for each request.
struct Scrape {
    all: Attendance,
    lines: Vec<Line>,
    active: usize,
}

impl fmt::Debug for Scrape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scrape").finish_non_exhaustive()
    }
}

impl Scrape {
    fn new(threshold: &Threshold, board: &Board) -> Self {
        let all = threshold.attendance();
        let lines = board.lines(&all);
        let active = threshold.routes().iter().filter(|route| route.status == Status::Active).count();
        Self { all, lines, active }
    }

    fn counters(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        (name, help, unit): (&str, &str, Option<&Unit>),
        of: impl Fn(&TotalCounts) -> u64,
    ) -> fmt::Result {
        let mut family = encoder.encode_descriptor(name, help, unit, MetricType::Counter)?;
        self.lines.iter().try_for_each(|line| counter(&mut family, "tenant_id", &line.label, of(&line.totals)))
    }

    fn durations(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        (name, help): (&str, &str),
        of: impl Fn(&TotalCounts) -> &DurationCounts,
    ) -> fmt::Result {
        let mut family = encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?;
        for line in &self.lines {
            let durations = of(&line.totals);
            let bounds = BUCKETS.iter().map(|micros| seconds(*micros)).chain([f64::MAX]);
            let buckets: Vec<(f64, u64)> = bounds.zip(durations.counts).collect();
            let labels = [("tenant_id", line.label.as_str())];
            let mut series = family.encode_family(&labels)?;
            series.encode_histogram::<NoLabelSet>(seconds(durations.micros), durations.count(), &buckets, None)?;
        }
        Ok(())
    }

    fn clients(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Clients, by what they are at; keeping means a server connection between two transactions";
        let mut family = encoder.encode_descriptor("sindico_clients", help, None, MetricType::Gauge)?;
        let sum = |of: fn(&TenantReport) -> u64| self.all.tenants.iter().map(of).sum::<u64>();
        for (state, clients) in [
            ("idle", sum(|it| it.clients.idle)),
            ("waiting", sum(|it| it.clients.waiting)),
            ("active", sum(|it| it.clients.active)),
            ("keeping", sum(|it| it.clients.keeping)),
        ] {
            gauge(&mut family, "state", state, clients)?;
        }
        let mut family =
            encoder.encode_descriptor("sindico_tenant_clients", "Clients of a tenant", None, MetricType::Gauge)?;
        self.lines.iter().try_for_each(|line| gauge(&mut family, "tenant_id", &line.label, line.clients))?;
        let help = "Tenants that are paused or being moved, in this process";
        let waiting = self.all.tenants.iter().filter(|it| it.held).count();
        single(encoder, "sindico_tenants_held", help, waiting)?;
        single(encoder, "tenants_active", "Tenants that are open", self.active)
    }

    fn servers(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Server connections of a cluster that are lent out, or being opened or cleaned";
        let of = |it: &pool::ClusterStats| it.in_use;
        self.pools(encoder, ("sindico_servers_active", help), of)?;
        self.pools(encoder, ("sindico_servers_idle", "Server connections of a cluster at rest"), |it| it.idle)?;
        let help = "Server connections of a cluster that are on their way from one tenant to another";
        self.pools(encoder, ("sindico_pool_changing", help), |it| it.changing)?;
        let help = "Server connections of a cluster that may be lent out at a time, as processors allow";
        self.pools(encoder, ("sindico_pool_concurrency_limit", help), |it| it.concurrency_limit)?;
        let help = "Clients that wait for a server connection of a cluster";
        self.pools(encoder, ("sindico_pool_waiting", help), |it| it.waiting)
    }

    fn pools(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        (name, help): (&str, &str),
        of: impl Fn(&pool::ClusterStats) -> usize,
    ) -> fmt::Result {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        self.all.clusters.iter().try_for_each(|it| gauge(&mut family, "cluster", &it.name, whole(of(&it.stats))))
    }

    fn tallies(
        encoder: &mut DescriptorEncoder<'_>,
        (name, help, label): (&str, &str, &str),
        tally: &[(&str, u64)],
    ) -> fmt::Result {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        tally.iter().try_for_each(|(kind, count)| counter(&mut family, label, kind, *count))
    }
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let encoder = &mut encoder;
        self.clients(encoder)?;
        self.servers(encoder)?;
        let logins = ("sindico_logins", "Clients that were let in", None);
        self.counters(encoder, logins, |it| it.clients)?;
        let refused = ("sindico_logins_refused", "Logins that were refused, by SQLSTATE", "sqlstate");
        Self::tallies(encoder, refused, &self.all.refusals)?;
        let errors = ("sindico_errors", "Errors that servers answered with, by class of SQLSTATE", "class");
        Self::tallies(encoder, errors, &self.all.errors)?;
        let errors = ("sindico_tenant_errors", "Errors that servers answered with", None);
        self.counters(encoder, errors, |it| it.errors)?;
        self.counters(encoder, ("sindico_received", "Bytes from clients", Some(&Unit::Bytes)), |it| it.received)?;
        self.counters(encoder, ("sindico_sent", "Bytes to clients", Some(&Unit::Bytes)), |it| it.sent)?;
        let waits = ("sindico_wait", "Waits for a server connection, where none was at hand");
        self.durations(encoder, waits, |it| &it.waits)?;
        let transactions =
            ("sindico_transaction_duration", "Transactions, from the first statement to the last answer");
        self.durations(encoder, transactions, |it| &it.transactions)?;
        let queries = ("tenant_query_duration", "Statements, from being sent to having been answered");
        self.durations(encoder, queries, |it| &it.queries)
    }
}

fn counter(family: &mut MetricEncoder<'_>, label: &str, value: &str, count: u64) -> fmt::Result {
    family.encode_family(&[(label, value)])?.encode_counter::<NoLabelSet, _, u64>(&count, None)
}

fn gauge(family: &mut MetricEncoder<'_>, label: &str, value: &str, count: u64) -> fmt::Result {
    family.encode_family(&[(label, value)])?.encode_gauge(&i64::try_from(count).unwrap_or(i64::MAX))
}

fn single(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, count: usize) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    metric.encode_gauge(&i64::try_from(count).unwrap_or(i64::MAX))
}

fn whole(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a sum of durations is exact for 285 years, and then to the microsecond"
)]
fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

/// Numbers of this process, for Prometheus and its kin.
pub(crate) async fn metrics(State(door): State<Door>) -> Response {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Scrape::new(&door.threshold, &door.board)));
    let mut text = String::new();
    if encode(&mut text, &registry).is_err() {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(nth: u8, micros: u64) -> TenantReport {
        let id = format!("0192f0c1-2345-7abc-8def-0123456789{nth:02x}").parse().expect("an id");
        let mut totals = TotalCounts { clients: 1, ..TotalCounts::default() };
        totals.queries.micros = micros;
        totals.queries.counts[0] = 1;
        TenantReport {
            id,
            slug: None,
            app: None,
            held: false,
            clients: tenancy::ClientCounts { idle: 1, ..tenancy::ClientCounts::default() },
            longest_wait: std::time::Duration::ZERO,
            totals,
        }
    }

    fn attendance(tenants: Vec<TenantReport>) -> Attendance {
        Attendance {
            tenants,
            departed: TotalCounts::default(),
            errors: Vec::new(),
            refusals: Vec::new(),
            clusters: Vec::new(),
        }
    }

    #[test]
    fn the_busiest_have_lines_of_their_own_and_no_sum_goes_back() {
        let board = Board::new(1);
        let sums = |all: &Attendance| {
            let lines = board.lines(all);
            assert!(lines.len() <= 2);
            let sum = lines.iter().map(|line| line.totals.queries.micros).sum::<u64>();
            let label = lines[0].label.clone();
            (label, lines[lines.len() - 1].totals.queries.micros, sum)
        };
        let first = attendance(vec![tenant(1, 100), tenant(2, 30)]);
        let (busiest, other, sum) = sums(&first);
        assert_eq!((busiest, other, sum), (first.tenants[0].id.to_string(), 30, 130));
        let (_, other, sum) = sums(&attendance(vec![tenant(1, 150), tenant(2, 40)]));
        assert_eq!((other, sum), (40, 190));
        let second = attendance(vec![tenant(1, 160), tenant(2, 200)]);
        let (busiest, other, sum) = sums(&second);
        assert_eq!((busiest, other, sum), (second.tenants[1].id.to_string(), 360, 360));
    }
}
