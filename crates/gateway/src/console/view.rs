//! What the console shows. Columns are called as in `PgBouncer` where they mean the same.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use tenancy::{Attendance, DurationCounts, TenantReport, Threshold, TotalCounts, VisitReport};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    Help,
    Pools,
    Clients,
    Servers,
    Tenants,
    Stats,
    Config,
    Version,
    Clusters,
}

/// Names, columns, and what each is about.
const VIEWS: [(View, &str, &[&str], &str); 9] = [
    (View::Help, "HELP", &["command", "description"], "this list"),
    (
        View::Pools,
        "POOLS",
        &["database", "user", "cl_active", "cl_waiting", "cl_idle", "cl_keeping", "maxwait", "maxwait_us", "paused"],
        "clients of each tenant that has any, and who waits for how long",
    ),
    (
        View::Clients,
        "CLIENTS",
        &[
            "type",
            "id",
            "user",
            "state",
            "state_seconds",
            "addr",
            "port",
            "connect_time",
            "application_name",
            "pool_mode",
            "xact_count",
            "query_count",
            "error_count",
            "bytes_received",
            "bytes_sent",
        ],
        "each client",
    ),
    (
        View::Servers,
        "SERVERS",
        &["type", "cluster", "user", "database", "state", "remote_pid"],
        "each server connection",
    ),
    (
        View::Tenants,
        "TENANTS",
        &["name", "id", "app", "isolation", "cluster", "database", "status", "current_connections", "paused"],
        "each tenant, and where its data is",
    ),
    (
        View::Stats,
        "STATS",
        &[
            "user",
            "total_client_count",
            "total_xact_count",
            "total_query_count",
            "total_error_count",
            "total_received",
            "total_sent",
            "total_xact_time",
            "total_query_time",
            "total_wait_time",
            "wait_count",
        ],
        "what each tenant has done since it was first served; times in microseconds",
    ),
    (View::Config, "CONFIG", &["key", "value", "changeable"], "the settings in force, and which RELOAD changes"),
    (View::Version, "VERSION", &["version"], "the version of síndico"),
    (
        View::Clusters,
        "CLUSTERS",
        &["name", "addr", "sv_open", "sv_active", "sv_idle", "cl_waiting"],
        "clusters in use, and their connections",
    ),
];

/// The commands that are no `SHOW`.
const OTHERS: [(&str, &str); 5] = [
    ("PAUSE tenant", "new transactions of the tenant wait; answers when none runs, or says who keeps a connection"),
    ("PAUSE tenant FORCE", "the same, and those who keep connections are disconnected"),
    ("RESUME [tenant]", "transactions go on, at the tenant's newest placement"),
    ("KILL tenant", "disconnects all clients of the tenant"),
    ("RELOAD", "reads the configuration again and disconnects nobody"),
];

/// A row; `None` is NULL.
pub(super) type Row = Vec<Option<String>>;

/// A setting in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigEntry {
    /// Its name, as in the configuration file.
    pub key: String,
    /// Its value, which is no secret.
    pub value: String,
    /// Whether reading the configuration again changes it.
    pub changeable: bool,
}

impl View {
    pub(super) fn named(name: &str) -> Option<Self> {
        VIEWS.into_iter().find(|(_, known, ..)| known.eq_ignore_ascii_case(name)).map(|(view, ..)| view)
    }

    pub(super) fn columns(self) -> &'static [&'static str] {
        VIEWS.into_iter().find(|(view, ..)| *view == self).map_or(&[], |(_, _, columns, _)| columns)
    }

    /// The rows, as of now.
    pub(super) fn rows(self, threshold: &Threshold, config: impl FnOnce() -> Vec<ConfigEntry>) -> Vec<Row> {
        let all = || threshold.attendance();
        match self {
            Self::Help => help(),
            Self::Pools => sorted(all().tenants.iter().filter(|it| it.clients.total() > 0 || it.held).map(pool)),
            Self::Clients => threshold.visits().iter().map(client).collect(),
            Self::Servers => sorted(threshold.servers().into_iter().map(|it| {
                let state = if it.idle { "idle" } else { "active" };
                row([&"S", &threshold.cluster_name(it.cluster), &it.role, &it.database, &state, &it.pid])
            })),
            Self::Tenants => tenants(threshold),
            Self::Stats => stats(&all()),
            Self::Config => {
                let entry = |it: ConfigEntry| row([&it.key, &it.value, &if it.changeable { "yes" } else { "no" }]);
                config().into_iter().map(entry).collect()
            }
            Self::Version => vec![row([&concat!("síndico ", env!("CARGO_PKG_VERSION"))])],
            Self::Clusters => sorted(all().clusters.iter().map(|it| {
                row([&it.name, &it.address, &it.stats.open, &it.stats.in_use, &it.stats.idle, &it.stats.waiting])
            })),
        }
    }
}

fn help() -> Vec<Row> {
    let shows = VIEWS.iter().map(|(_, name, _, about)| row([&format!("SHOW {name}"), about]));
    shows.chain(OTHERS.iter().map(|(command, about)| row([command, about]))).collect()
}

fn pool(tenant: &TenantReport) -> Row {
    let clients = tenant.clients;
    row([
        &tenant.app.as_ref().map(ToString::to_string).unwrap_or_default(),
        &named(tenant),
        &clients.active,
        &clients.waiting,
        &clients.idle,
        &clients.keeping,
        &tenant.longest_wait.as_secs(),
        &tenant.longest_wait.subsec_micros(),
        &yes(tenant.held),
    ])
}

fn client(visit: &VisitReport) -> Row {
    let guest = visit.guest.as_ref();
    let peer = guest.map(|guest| guest.peer);
    let mut row = row([
        &"C",
        &visit.number,
        &visit.slug,
        &visit.stance.as_str(),
        &visit.stance_age.as_secs(),
        &peer.as_ref().map(SocketAddr::ip).map(|ip| ip.to_string()).unwrap_or_default(),
        &peer.as_ref().map(SocketAddr::port).map(|port| port.to_string()).unwrap_or_default(),
        &ago(visit.age),
        &guest.and_then(|guest| guest.application.as_deref()).unwrap_or_default(),
        &guest.map(|guest| guest.pool_mode).unwrap_or_default(),
    ]);
    let counts = [visit.transactions, visit.queries, visit.errors, visit.received, visit.sent];
    row.extend(counts.iter().map(|count| Some(count.to_string())));
    row
}

fn tenants(threshold: &Threshold) -> Vec<Row> {
    let here = threshold.attendance().tenants;
    sorted(threshold.routes().into_iter().map(|route| {
        let here = here.iter().find(|it| it.id == route.id);
        let place = &route.placement;
        row([
            &route.slug,
            &route.id,
            &route.app,
            &place.isolation,
            &threshold.cluster_name(place.cluster),
            &place.database,
            &route.status,
            &here.map_or(0, |it| it.clients.total()),
            &yes(here.is_some_and(|it| it.held)),
        ])
    }))
}

fn stats(all: &Attendance) -> Vec<Row> {
    let mut rows = sorted(all.tenants.iter().map(|tenant| stat(&named(tenant), &tenant.totals)));
    if all.departed.clients > 0 {
        rows.push(stat("(deleted tenants)", &all.departed));
    }
    rows
}

fn stat(name: &str, totals: &TotalCounts) -> Row {
    let TotalCounts { clients, transactions, queries, waits, errors, received, sent } = totals;
    let count = DurationCounts::count;
    row([
        &name,
        clients,
        &count(transactions),
        &count(queries),
        errors,
        received,
        sent,
        &transactions.micros,
        &queries.micros,
        &waits.micros,
        &count(waits),
    ])
}

fn named(tenant: &TenantReport) -> String {
    tenant.slug.as_ref().map_or_else(|| tenant.id.to_string(), ToString::to_string)
}

fn yes(held: bool) -> &'static str {
    if held { "yes" } else { "no" }
}

fn ago(age: Duration) -> String {
    let moment = SystemTime::now().checked_sub(age).map(OffsetDateTime::from);
    let seconds = moment.and_then(|moment| moment.replace_nanosecond(0).ok());
    seconds.and_then(|moment| moment.format(&Rfc3339).ok()).unwrap_or_default()
}

fn row<const N: usize>(values: [&dyn ToString; N]) -> Row {
    values.into_iter().map(|value| Some(value.to_string())).collect()
}

fn sorted(rows: impl Iterator<Item = Row>) -> Vec<Row> {
    let mut rows: Vec<Row> = rows.collect();
    rows.sort();
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_view_is_found_by_its_name_and_listed() {
        let help = help();
        assert_eq!(help.len(), VIEWS.len() + OTHERS.len());
        for (view, name, columns, _) in VIEWS {
            assert_eq!(View::named(&name.to_ascii_lowercase()), Some(view));
            assert_eq!(view.columns(), columns);
            assert!(help.iter().any(|row| row[0].as_deref() == Some(&format!("SHOW {name}"))));
        }
        assert_eq!(View::named("LISTS"), None);
    }
}
