//! An audit from its first canary to its report.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use catalog::{Catalog, ChangeLock, TenantRef};
use domain::{AppName, ClusterName, Isolation};
use lifecycle::Lifecycle;
use serde::Serialize;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::attack::{Attack, Deed, Door};
use crate::canary::{Ground, make_pair, sweep};
use crate::desk::Desk;
use crate::judge::Weight;
use crate::report::{Incident, NotRun, Report, Tally};
use crate::scene::Scene;
use crate::trial::{Attacker, Outcome, attempt};
use crate::{AuditError, compare, inspect, suite};

/// Carries out audits. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Auditor {
    pub(crate) ground: Ground,
    pub(crate) desk: Desk,
    pub(crate) tasks: TaskTracker,
    lifecycle: Lifecycle,
    shutdown: CancellationToken,
}

/// What to audit: everything by default.
#[derive(Debug, Clone, Default)]
pub struct Target {
    /// Only the app, the isolation and the cluster of this tenant, which is itself left alone.
    pub tenant: Option<TenantRef>,
    /// Only attacks of these families; all when empty.
    pub families: Vec<u8>,
}

/// How far it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// Attacks that have been tried.
    pub done: usize,
    /// Attacks that will be.
    pub of: usize,
}

/// One pair of canaries to make.
#[derive(Debug, Clone)]
struct Pair {
    app: AppName,
    isolation: Isolation,
    cluster: Option<ClusterName>,
}

impl Auditor {
    /// Knows where attacks go: the gateway and the control API as this process reaches them. Audits in the background end
    /// early when síndico is to stop, and `tasks` waits for them.
    #[must_use]
    pub fn new(
        catalog: Catalog,
        lifecycle: Lifecycle,
        gateway: SocketAddr,
        api: Option<SocketAddr>,
        shutdown: CancellationToken,
        tasks: TaskTracker,
    ) -> Self {
        let reach = |at: SocketAddr| (near(at).ip().to_string(), at.port());
        let ground = Ground { catalog, gateway: reach(gateway), api: api.map(reach) };
        Self { ground, desk: Desk::default(), tasks, lifecycle, shutdown }
    }

    /// Makes canaries, lets them attack each other, inspects the catalogs, and removes the canaries whatever happened.
    pub(crate) async fn run_under(
        &self,
        lock: ChangeLock,
        target: &Target,
        progress: watch::Sender<Progress>,
    ) -> Result<Report, AuditError> {
        let begun = Instant::now();
        let outcome = self.run_locked(target, progress).await;
        let swept = sweep(&self.lifecycle, &self.ground.catalog).await;
        lock.release().await;
        let mut report = outcome?;
        if let Err(error) = swept {
            report.not_run.push(NotRun { part: "removal of the canaries".to_owned(), reason: error.to_string() });
        }
        report.seconds = begun.elapsed().as_secs_f64();
        let (incidents, findings) = (report.incidents.len(), report.findings.len());
        info!(seconds = report.seconds, incidents, findings, "audit ended");
        Ok(report)
    }

    async fn run_locked(&self, target: &Target, progress: watch::Sender<Progress>) -> Result<Report, AuditError> {
        let catalog = &self.ground.catalog;
        let wanted = |attack: &Attack| target.families.is_empty() || target.families.contains(&attack.family);
        let attacks: Arc<[Attack]> = suite()?.into_iter().filter(wanted).collect();
        let left_over = sweep(&self.lifecycle, catalog).await?;
        if left_over > 0 {
            warn!(left_over, "canaries of an audit that was cut off were removed");
        }
        let pairs = self.pairs(target).await?;
        let doors = |pair: &Pair| Door::ALL.into_iter().filter(|door| has_door(*door, pair.isolation)).count();
        let of = pairs.iter().map(|pair| doors(pair) * attacks.len()).sum();
        progress.send_replace(Progress { done: 0, of });
        let progress = Arc::new(progress);
        let mut parts = JoinSet::new();
        for pair in pairs.clone() {
            let (auditor, attacks, progress) = (self.clone(), Arc::clone(&attacks), Arc::clone(&progress));
            parts.spawn(async move {
                let done = auditor.audit_pair(&pair, &attacks, &progress).await;
                (pair, done)
            });
        }
        let mut report = Report::default();
        while let Some(joined) = parts.join_next().await {
            let Ok((pair, done)) = joined else {
                report
                    .not_run
                    .push(NotRun { part: "attacks".to_owned(), reason: "síndico failed; see its log".to_owned() });
                continue;
            };
            match done {
                Ok(part) => {
                    report.tallies.extend(part.tallies);
                    report.incidents.extend(part.incidents);
                    report.not_run.extend(part.not_run);
                }
                Err(AuditError::Stopping) => return Err(AuditError::Stopping),
                Err(error) => {
                    let part = format!("attacks on {} of app {}", pair.isolation, pair.app);
                    report.not_run.push(NotRun { part, reason: error.to_string() });
                }
            }
        }
        let apps: Vec<AppName> = pairs.iter().map(|pair| pair.app.clone()).collect();
        let inspected = inspect::installation(catalog, &apps).await?;
        report.findings = inspected.findings;
        report.not_run.extend(inspected.not_run);
        report.incidents.sort_by(|a, b| {
            (a.family, a.isolation.as_str(), a.door, &a.attack).cmp(&(
                b.family,
                b.isolation.as_str(),
                b.door,
                &b.attack,
            ))
        });
        report.tallies.sort_by_key(|tally| (tally.app.clone(), tally.family, tally.isolation.as_str(), tally.door));
        Ok(report)
    }

    /// Which pairs a target asks for.
    async fn pairs(&self, target: &Target) -> Result<Vec<Pair>, AuditError> {
        let catalog = &self.ground.catalog;
        if let Some(which) = &target.tenant {
            let name = || match which {
                TenantRef::Id(id) => id.to_string(),
                TenantRef::Slug(slug) => slug.to_string(),
            };
            let tenant = catalog.tenant(which).await?.ok_or_else(|| AuditError::UnknownTenant(name()))?;
            let isolation = tenant.placement.isolation;
            return Ok(vec![Pair { app: tenant.app, isolation, cluster: Some(tenant.cluster) }]);
        }
        let apps = catalog.apps().await?;
        let ready = apps.into_iter().filter(|app| app.ready);
        Ok(ready
            .flat_map(|app| Isolation::ALL.map(|isolation| Pair { app: app.name.clone(), isolation, cluster: None }))
            .collect())
    }

    async fn audit_pair(
        &self,
        pair: &Pair,
        attacks: &[Attack],
        progress: &watch::Sender<Progress>,
    ) -> Result<Report, AuditError> {
        let Pair { app, isolation, cluster } = pair;
        let catalog = &self.ground.catalog;
        let (attacker, victim) = make_pair(&self.lifecycle, catalog, app, *isolation, cluster.as_ref()).await?;
        let scene = Scene::set(self.ground.clone(), attacker, victim).await?;
        let mut report = Report::default();
        for door in Door::ALL.into_iter().filter(|door| has_door(*door, *isolation)) {
            let mut fit = Vec::new();
            for attack in attacks {
                match unfit(attack, &scene, door) {
                    None => fit.push(attack),
                    Some(reason) => {
                        progress.send_modify(|progress| progress.done += 1);
                        record(
                            &mut report,
                            pair,
                            door,
                            attack,
                            Outcome { skipped: Some(reason), ..Outcome::default() },
                        );
                    }
                }
            }
            // Those that watch come first: others leave traces that would be taken for the victim's.
            let (watching, trying): (Vec<&Attack>, Vec<&Attack>) =
                fit.into_iter().partition(|attack| attack.is_comparison());
            let outcomes = compare::watch(&scene, &watching, door).await?;
            for (attack, outcome) in watching.iter().zip(outcomes) {
                progress.send_modify(|progress| progress.done += 1);
                record(&mut report, pair, door, attack, outcome);
            }
            let mut attacker = Attacker::new(&scene, scene.attacker_entry(door), scene.names().clone());
            for attack in trying {
                if self.shutdown.is_cancelled() {
                    return Err(AuditError::Stopping);
                }
                let outcome = attempt(&scene, attack, door, &mut attacker).await;
                progress.send_modify(|progress| progress.done += 1);
                record(&mut report, pair, door, attack, outcome);
            }
        }
        Ok(report)
    }
}

/// Whether a door is open to an isolation.
fn has_door(door: Door, isolation: Isolation) -> bool {
    door.leads_to(isolation)
}

/// Why an attack does not apply.
fn unfit(attack: &Attack, scene: &Scene, door: Door) -> Option<String> {
    if !attack.scope.covers(scene.isolation(), door) {
        return Some("another isolation or door".to_owned());
    }
    attack.steps.iter().find_map(|step| {
        let (Deed::Sql(text)
        | Deed::Second(text)
        | Deed::SecondUnanswered(text)
        | Deed::Victim(text)
        | Deed::Operator(text)
        | Deed::Bytes(text)
        | Deed::Http(text)) = &step.deed
        else {
            return None;
        };
        scene.names().fill(text).err().map(|missing| format!("the app has no {}", missing.0))
    })
}

fn record(report: &mut Report, pair: &Pair, door: Door, attack: &Attack, outcome: Outcome) {
    let Pair { app, isolation, .. } = pair;
    let known = report.tallies.iter_mut().position(|tally| tally.family == attack.family && tally.door == door);
    let index = known.unwrap_or_else(|| {
        let (family, app, isolation) = (attack.family, app.clone(), *isolation);
        let tally =
            Tally { family, app, isolation, door, attacks: 0, attempts: 0, escapes: 0, astray: 0, not_applicable: 0 };
        report.tallies.push(tally);
        report.tallies.len() - 1
    });
    if let Some(tally) = report.tallies.get_mut(index) {
        let any = |weight| usize::from(outcome.faults.iter().any(|fault| fault.weight == weight));
        tally.attacks += usize::from(outcome.skipped.is_none());
        tally.not_applicable += usize::from(outcome.skipped.is_some());
        tally.attempts += outcome.attempts;
        tally.escapes += any(Weight::Escape);
        tally.astray += any(Weight::Astray);
    }
    for fault in outcome.faults {
        report.incidents.push(Incident {
            weight: fault.weight,
            family: attack.family,
            attack: attack.title.clone(),
            source: attack.source.clone(),
            app: app.clone(),
            isolation: *isolation,
            door,
            what: fault.what,
        });
    }
}

/// An address to connect to, from one that is listened on: a listener on every address is reached on loopback.
fn near(at: SocketAddr) -> SocketAddr {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
    match at.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), at.port()),
        IpAddr::V6(ip) if ip.is_unspecified() => SocketAddr::new(Ipv6Addr::LOCALHOST.into(), at.port()),
        _ => at,
    }
}
