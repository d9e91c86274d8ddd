//! The steps of a migration. None is undone: who has been migrated stays so, and whoever applies the migration again goes on.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use catalog::{Cluster, NewApp, ShapeKind, Standing};
use domain::{AppName, Isolation, Status};
use jobs::{Act, Fault, JobsError, Step, Work};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::fan_out::Fan;
use super::rehearse::Looks;
use super::rehearsed::written;
use super::shared::Commons;
use super::transact::Stop;
use super::{Course, Order};
use crate::prepare::extensions;
use crate::server::Session;
use crate::turn::key;
use crate::{Lifecycle, LifecycleError, stamp};

/// For how long tenants that are just being made are waited for.
const PATIENCE: u32 = 60;

pub(super) struct Rehearse(pub(super) Lifecycle);
pub(super) struct Global(pub(super) Lifecycle);
pub(super) struct Canaries(pub(super) Lifecycle);
pub(super) struct Switch(pub(super) Lifecycle);
pub(super) struct Tenants(pub(super) Lifecycle);

/// The order, and what it leads to.
struct Journey {
    order: Order,
    course: Arc<Course>,
    stands: Vec<(Cluster, Standing)>,
}

impl Lifecycle {
    async fn journey(&self, work: &Work) -> Result<Journey, Fault> {
        let order: Order = work.input()?;
        let unreadable = |_| Fault::Lasting(Box::new(JobsError::Unreadable("operation's input")));
        let app: AppName = order.app.parse().map_err(unreadable)?;
        let course = self.course_of(&app, order.release).await?;
        let stands = self.stands(&app).await?;
        Ok(Journey { order, course, stands })
    }

    /// Where an app stands.
    pub(super) async fn stands(&self, app: &AppName) -> Result<Vec<(Cluster, Standing)>, LifecycleError> {
        let clusters = self.catalog.clusters().await?;
        let standings = self.catalog.standings(app).await?;
        let of = |standing: Standing| {
            let cluster = clusters.iter().find(|cluster| cluster.id == standing.cluster)?;
            Some((cluster.clone(), standing))
        };
        Ok(standings.into_iter().filter_map(of).collect())
    }
}

impl Step for Rehearse {
    fn name(&self) -> &'static str {
        "rehearse"
    }

    /// One cluster of each major version of PostgreSQL does for all of them.
    fn act<'a>(&'a self, work: &'a Work) -> Act<'a, Value> {
        Box::pin(async move {
            let Journey { course, mut stands, .. } = self.0.journey(work).await?;
            if self.0.is_rehearsed(&course, course.release, &stands).await? {
                return Ok(json!({"clusters": []}));
            }
            // Where tables are shared, more can be tried, and what is furthest behind comes by all the others.
            stands.sort_by_key(|(cluster, standing)| (cluster.dedicated, standing.version));
            let mut tried: HashMap<i32, Looks> = HashMap::new();
            let mut names = Vec::new();
            for (cluster, standing) in &stands {
                self.0.probe.pass("rehearse")?;
                work.holds().await?;
                let major = cluster.server_version / 10_000;
                if let Entry::Vacant(place) = tried.entry(major) {
                    place.insert(self.0.rehearse_release(&course, cluster, *standing).await?);
                    names.push(cluster.name.to_string());
                }
                if let Some(looks) = tried.get(&major) {
                    self.0.put_looks(&course, cluster.id, looks).await?;
                }
            }
            let from = stands.iter().map(|it| written(&course, it)).collect::<Result<Vec<_>, _>>()?;
            let told = self.0.catalog.set_rehearsed(&course.app, course.release, &from).await;
            told.map_err(LifecycleError::from)?;
            Ok(json!({"clusters": names}))
        })
    }

    fn undo<'a>(&'a self, _: &'a Work) -> Act<'a, ()> {
        nothing()
    }
}

impl Step for Global {
    fn name(&self) -> &'static str {
        "global"
    }

    fn act<'a>(&'a self, work: &'a Work) -> Act<'a, Value> {
        Box::pin(async move {
            let Journey { order, course, stands } = self.0.journey(work).await?;
            for (cluster, standing) in stands.iter().filter(|(cluster, _)| !cluster.dedicated) {
                self.0.probe.pass("global")?;
                let session = self.0.admin(cluster.id, Some(&course.app.names().database)).await?;
                work.holds().await?;
                let place = Place { cluster, standing: *standing, session: &session, sharing: &[] };
                self.0.global(&course, &order, &place).await?;
            }
            Ok(Value::Null)
        })
    }

    fn undo<'a>(&'a self, _: &'a Work) -> Act<'a, ()> {
        nothing()
    }
}

impl Step for Canaries {
    fn name(&self) -> &'static str {
        "canaries"
    }

    fn act<'a>(&'a self, work: &'a Work) -> Act<'a, Value> {
        Box::pin(async move {
            let Journey { order, course, .. } = self.0.journey(work).await?;
            let named = order.options.named()?;
            let behind = self.0.behind(&course).await?;
            let own = behind.into_iter().filter(|entry| has_own(entry) && entry.present);
            let first: Vec<catalog::Entry> = if named.is_empty() {
                let oldest = own.filter(|entry| entry.status == Status::Active);
                oldest.take(usize::try_from(order.options.canary_count).unwrap_or(usize::MAX)).collect()
            } else {
                own.filter(|entry| named.contains(&entry.slug)).collect()
            };
            let slugs: Vec<String> = first.iter().map(|entry| entry.slug.to_string()).collect();
            if first.is_empty() {
                return Ok(json!({"tenants": slugs}));
            }
            self.0.probe.pass("canaries")?;
            let mut fan = Fan::new(&self.0, &course, &order.options, work);
            // No canary may fail, however many others may.
            fan.may_fail = 0;
            fan.out(first).await?;
            fan.finish()?;
            sleep(order.options.soak()).await;
            Ok(json!({"tenants": slugs}))
        })
    }

    fn undo<'a>(&'a self, _: &'a Work) -> Act<'a, ()> {
        nothing()
    }
}

impl Step for Switch {
    fn name(&self) -> &'static str {
        "switch"
    }

    /// The shared tables, and with them what new tenants are made from: nobody is made meanwhile.
    fn act<'a>(&'a self, work: &'a Work) -> Act<'a, Value> {
        Box::pin(async move {
            let Journey { order, course, stands } = self.0.journey(work).await?;
            let mut stands = stands;
            // One may be registered while others are migrated.
            while let Some((cluster, standing)) = stands.iter().find(|(_, standing)| standing.release != course.release)
            {
                self.0.probe.pass("switch")?;
                self.0.switch(&course, &order, work, cluster, *standing).await?;
                stands = self.0.stands(&course.app).await?;
            }
            self.0.probe.pass("release")?;
            work.holds().await?;
            let Order { title, description, fingerprint, .. } = &order;
            let new = NewApp { name: &course.app, title, description, fingerprint, files: &course.files };
            self.0.catalog.set_release(&new, course.release).await.map_err(LifecycleError::from)?;
            Ok(json!({"version": course.version()}))
        })
    }

    fn undo<'a>(&'a self, _: &'a Work) -> Act<'a, ()> {
        nothing()
    }
}

/// The app's database on a cluster.
struct Place<'a> {
    cluster: &'a Cluster,
    standing: Standing,
    session: &'a Session,
    sharing: &'a [catalog::Entry],
}

impl Lifecycle {
    async fn global(&self, course: &Course, order: &Order, place: &Place<'_>) -> Result<(), Fault> {
        add_extensions(place.session, course, place.cluster).await?;
        self.commons(course, order, place).advance_global().await.map_err(fault)
    }

    fn commons<'a>(&'a self, course: &'a Course, order: &'a Order, place: &'a Place<'_>) -> Commons<'a> {
        Commons {
            session: place.session,
            course,
            options: &order.options,
            known: place.standing.version,
            known_global: place.standing.global_version,
            tenants: place.sharing,
            told: Some((self, place.cluster.id)),
        }
    }

    async fn switch(
        &self,
        course: &Course,
        order: &Order,
        work: &Work,
        cluster: &Cluster,
        standing: Standing,
    ) -> Result<(), Fault> {
        let lock =
            format!("SET lock_timeout = '150s'; SELECT pg_advisory_lock({}); RESET lock_timeout", key(&course.app));
        let server = self.admin(cluster.id, None).await?;
        server.run(&lock).await?;
        work.holds().await?;
        // Until the release is recorded: a tenant made in between would not be of one piece.
        let mut inside = None;
        if cluster.dedicated {
            let told = self.catalog.set_shared_version(&course.app, cluster.id, course.version()).await;
            told.map_err(LifecycleError::from)?;
            self.record_global(course, cluster).await?;
        } else {
            let session = self.admin(cluster.id, Some(&course.app.names().database)).await?;
            session.run(&lock).await?;
            let ledger = self.catalog.ledger(&course.app, None).await.map_err(LifecycleError::from)?;
            let sharing: Vec<catalog::Entry> = ledger
                .into_iter()
                .filter(|it| it.placement.cluster == cluster.id && it.placement.isolation == Isolation::Shared)
                .collect();
            let place = Place { cluster, standing, session: &session, sharing: &sharing };
            self.global(course, order, &place).await?;
            self.share(course, order, &place).await?;
            self.record_global(course, cluster).await?;
            inside = Some(session);
        }
        self.probe.pass("template")?;
        // The locks last as long as the sessions.
        for session in inside.iter().chain([&server]) {
            session.run("SELECT 1").await?;
        }
        work.holds().await?;
        self.replace_template(&course.app, &course.plan, cluster).await?;
        for session in inside.iter().chain([&server]) {
            session.run("SELECT 1").await?;
        }
        work.holds().await?;
        self.catalog.set_release_on(&course.app, cluster.id, course.release).await.map_err(LifecycleError::from)?;
        drop((inside, server));
        Ok(())
    }

    /// The tables that tenants share. Once one migration has gone through, nobody is made until all have.
    async fn share(&self, course: &Course, order: &Order, place: &Place<'_>) -> Result<(), Fault> {
        let (app, cluster) = (&course.app, place.cluster.id);
        let expected = self.catalog.shape(app, cluster, course.version(), ShapeKind::Shared).await;
        let expected = expected.map_err(LifecycleError::from)?;
        self.catalog.set_switching(app, cluster, true).await.map_err(LifecycleError::from)?;
        let done = self.commons(course, order, place).advance(expected.as_ref()).await;
        let Err(stop) = done else { return Ok(()) };
        // If nothing has gone through, new tenants go with the tables as they did.
        let made = self.catalog.release_on(app, cluster).await.map_err(LifecycleError::from)?;
        let there = match stamp::read(place.session, stamp::WHOLE).await? {
            stamp::Stamp::Version(version) => version,
            stamp::Stamp::None | stamp::Stamp::Gone => place.standing.version,
        };
        if there == made.version {
            self.catalog.set_switching(app, cluster, false).await.map_err(LifecycleError::from)?;
        }
        Err(fault(stop))
    }

    async fn record_global(&self, course: &Course, cluster: &Cluster) -> Result<(), LifecycleError> {
        Ok(self.catalog.set_global_version(&course.app, cluster.id, course.version()).await?)
    }

    /// Tenants that have fewer migrations than the course leads to, but for those that are being removed, and for those that are nobody's:
    /// their seed is of an older release, so that nobody becomes one any more.
    pub(super) async fn behind(&self, course: &Course) -> Result<Vec<catalog::Entry>, LifecycleError> {
        let ledger = self.catalog.ledger(&course.app, Some(course.version())).await?;
        Ok(ledger.into_iter().filter(|entry| entry.status != Status::Deleting && !entry.spare).collect())
    }
}

impl Step for Tenants {
    fn name(&self) -> &'static str {
        "tenants"
    }

    /// Those that have tables of their own, in waves, until nobody is left.
    fn act<'a>(&'a self, work: &'a Work) -> Act<'a, Value> {
        Box::pin(async move {
            let Journey { order, course, .. } = self.0.journey(work).await?;
            let mut fan = Fan::new(&self.0, &course, &order.options, work);
            let wave = usize::try_from(order.options.wave).unwrap_or(usize::MAX);
            let mut waited = 0;
            loop {
                let behind = self.0.behind(&course).await?;
                let tried: HashSet<_> = fan.failed().collect();
                let (ready, unready): (Vec<catalog::Entry>, Vec<catalog::Entry>) = behind
                    .into_iter()
                    .filter(|entry| !tried.contains(&entry.tenant))
                    .partition(|entry| has_own(entry) && entry.status != Status::Provisioning);
                if ready.is_empty() && unready.is_empty() {
                    break;
                }
                if ready.is_empty() {
                    if waited >= PATIENCE {
                        let slugs: Vec<String> = unready.iter().map(|entry| entry.slug.to_string()).collect();
                        return Err(LifecycleError::StillMade(slugs.join(", ")).into());
                    }
                    waited += 1;
                    sleep(Duration::from_secs(1)).await;
                    continue;
                }
                self.0.probe.pass("wave")?;
                let size = if wave == 0 { ready.len() } else { wave };
                let more = ready.len() > size;
                fan.out(ready.into_iter().take(size).collect()).await?;
                if more {
                    sleep(order.options.soak()).await;
                }
            }
            fan.finish()?;
            Ok(json!({"tenants": fan.done(), "version": course.version()}))
        })
    }

    fn undo<'a>(&'a self, _: &'a Work) -> Act<'a, ()> {
        nothing()
    }
}

fn nothing<'a>() -> Act<'a, ()> {
    Box::pin(async { Ok(()) })
}

fn has_own(entry: &catalog::Entry) -> bool {
    entry.placement.isolation != Isolation::Shared
}

/// What stopped a transaction may be over soon if the session was lost.
pub(super) fn fault(stop: Stop) -> Fault {
    match stop {
        Stop::Lost(error) => Fault::Passing(Box::new(error)),
        Stop::Busy(error) | Stop::Failed(error) => match error {
            LifecycleError::Server { .. } => Fault::Lasting(Box::new(error)),
            error => error.into(),
        },
    }
}

/// What the app's newer migrations rely on.
pub(super) async fn add_extensions(
    session: &Session,
    course: &Course,
    cluster: &Cluster,
) -> Result<(), LifecycleError> {
    extensions::create(session, &course.plan, cluster.name.as_str()).await
}
