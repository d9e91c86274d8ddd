//! Trying a release where nobody is: on tables of the version that tenants have now, and on new ones. Both have to look the same.

use std::sync::Arc;

use catalog::{Cluster, Entry, Shape, ShapeKind, Standing};
use domain::{Isolation, Placement, Slug, Status, TenantId};
use tenantize::Plan;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::shared::Commons;
use super::transact::Stop;
use super::unit::Seat;
use super::{Course, MigrateOptions, unit};
use crate::add_app::plan_files;
use crate::prepare::Kind;
use crate::server::Session;
use crate::site::Site;
use crate::{Lifecycle, LifecycleError, shape};

/// A scratch database that tenants can log in to while it is tried out.
struct Stage<'a> {
    course: &'a Course,
    cluster: &'a Cluster,
    database: String,
    session: Session,
    /// The last two are those that play.
    actors: Vec<Actor>,
}

/// A tenant that no record knows.
struct Actor {
    tenant: TenantId,
    placement: Placement,
}

/// What is tried: a release on tables of before.
#[derive(Clone, Copy)]
struct Trial<'a> {
    course: &'a Course,
    cluster: &'a Cluster,
    standing: Standing,
    before: &'a Plan,
}

/// What tables look like that have a release.
pub(super) struct Looks {
    own: Shape,
    /// Unknown where only clusters have been tried on which no tables are shared.
    shared: Option<Shape>,
}

impl Lifecycle {
    /// Tries the release on a cluster: tables that are migrated look like new ones there.
    pub(super) async fn rehearse_release(
        &self,
        course: &Course,
        cluster: &Cluster,
        standing: Standing,
    ) -> Result<Looks, LifecycleError> {
        let server = self.admin(cluster.id, None).await?;
        let before = self.before(course, standing).await?;
        let behind = standing.version < course.version();
        if cluster.dedicated {
            let own = self.raise_shape(course, cluster, &server).await?;
            if behind {
                let trial = Trial { course, cluster, standing, before: &before };
                self.rehearse_database(trial, &server, async { Some(own.clone()) }).await?;
            }
            return Ok(Looks { own, shared: None });
        }
        let (tell, told) = oneshot::channel();
        let stages = async {
            let looks = self.rehearse_fresh(course, cluster, &server).await?;
            // Whoever has nothing to compare with does not listen.
            let _nobody = tell.send(looks.own.clone());
            if behind {
                self.rehearse_stage(Trial { course, cluster, standing, before: &before }, &server, &looks).await?;
            }
            Ok::<Looks, LifecycleError>(looks)
        };
        let database = async {
            let trial = Trial { course, cluster, standing, before: &before };
            if behind { self.rehearse_database(trial, &server, async { told.await.ok() }).await } else { Ok(()) }
        };
        let (looks, tried) = tokio::join!(stages, database);
        // If both have failed, it is the stages that tell what is wrong with the release.
        let looks = looks?;
        tried.map(|()| looks)
    }

    /// What tables look like that are new.
    async fn rehearse_fresh(
        &self,
        course: &Course,
        cluster: &Cluster,
        server: &Session,
    ) -> Result<Looks, LifecycleError> {
        let stage = self.enter(course, cluster, server, &course.plan).await?;
        let fresh = async {
            self.perform(&stage, &course.plan).await?;
            let shared = Some(shape::of_schema(&stage.session, "public").await?);
            Ok(Looks { own: stage.own_shape().await?, shared })
        };
        let fresh = fresh.await;
        self.leave_stage(stage, fresh).await
    }

    /// Tables of before come to look like new ones, where tenants share them and where one has a schema.
    async fn rehearse_stage(&self, trial: Trial<'_>, server: &Session, looks: &Looks) -> Result<(), LifecycleError> {
        let Trial { course, cluster, standing, before } = trial;
        let Some(shared) = &looks.shared else { return Ok(()) };
        let mut stage = self.enter(course, cluster, server, before).await?;
        let migrated = async {
            self.perform(&stage, before).await?;
            stage.migrate(standing.version, &looks.own).await.map_err(Stop::into_error)?;
            let shape = shape::of_schema(&stage.session, "public").await?;
            // New tenants come to stand beside those that have been migrated.
            stage.recast();
            self.perform(&stage, &course.plan).await.map_err(LifecycleError::unseeded)?;
            Ok(shape)
        };
        let migrated = migrated.await;
        differ(shared, &self.leave_stage(stage, migrated).await?, " where tenants share them")
    }

    /// Records what tables on a cluster look like that have the release.
    pub(super) async fn put_looks(&self, course: &Course, cluster: Uuid, looks: &Looks) -> Result<(), LifecycleError> {
        let own = Some((ShapeKind::Own, &looks.own));
        for (kind, shape) in own.into_iter().chain(looks.shared.as_ref().map(|shape| (ShapeKind::Shared, shape))) {
            self.catalog.put_shape(&course.app, cluster, course.version(), kind, shape).await?;
        }
        Ok(())
    }

    /// What tenants of a cluster have been made from, with the first rows of then; without any where those tables never were new.
    async fn before(&self, course: &Course, standing: Standing) -> Result<Arc<Plan>, LifecycleError> {
        let release = self.catalog.release_on(&course.app, standing.cluster).await?;
        if release.version == standing.version {
            return self.plan_of(&course.app, release.release).await;
        }
        Ok(Arc::new(plan_files(&course.files_of(standing.version))?))
    }

    /// What a tenant's own tables look like when they are new.
    async fn raise_shape(&self, course: &Course, cluster: &Cluster, server: &Session) -> Result<Shape, LifecycleError> {
        let inside = self.raise_database(&course.app, cluster, server, Kind::Template, &course.plan).await?;
        let shape = shape::of_schema(&inside, "public").await?;
        inside.close().await;
        self.drop_database(None, cluster.id, &Kind::Template.building(&course.app.names())).await?;
        Ok(shape)
    }

    /// A tenant with a database of its own, which has what is global, too.
    async fn rehearse_database(
        &self,
        trial: Trial<'_>,
        server: &Session,
        own: impl Future<Output = Option<Shape>>,
    ) -> Result<(), LifecycleError> {
        let Trial { course, cluster, standing, before } = trial;
        let session = self.raise_database(&course.app, cluster, server, Kind::Template, before).await?;
        let database = Kind::Template.building(&course.app.names());
        let tenant = TenantId::from_uuid(Uuid::now_v7());
        let placement = Placement {
            database: database.clone(),
            ..Placement::of(tenant, &course.app, Isolation::Cluster, cluster.id)
        };
        let actor = Actor { tenant, placement };
        let by = crate::server::Builder { tenant, work: None };
        let tried = async {
            self.create_roles(by, &course.app, &actor.placement).await?;
            let options = MigrateOptions::default();
            let entry = actor.entry(standing.version)?;
            // Without, it is known already that the release is no good.
            if let Some(own) = own.await {
                let seat = Seat::alone(&session, &course.app).await.map_err(Stop::into_error)?;
                unit::advance(seat, course, &options, &entry, Some(&own)).await.map_err(Stop::into_error)?;
            }
            Ok(())
        };
        let tried = tried.await;
        session.close().await;
        // With the roles goes the database.
        let cleared = self.erase(tenant, &actor.placement).await;
        told(tried).and(cleared)
    }

    /// A scratch database of tables that tenants share, and two tenants that are to be made there.
    async fn enter<'a>(
        &self,
        course: &'a Course,
        cluster: &'a Cluster,
        server: &Session,
        plan: &Plan,
    ) -> Result<Stage<'a>, LifecycleError> {
        let session = self.raise_database(&course.app, cluster, server, Kind::Shared, plan).await?;
        let database = Kind::Shared.building(&course.app.names());
        server.run(&format!("ALTER DATABASE {} CONNECTION LIMIT -1", domain::quote_ident(&database))).await?;
        let mut stage = Stage { course, cluster, database, session, actors: Vec::new() };
        stage.recast();
        Ok(stage)
    }

    /// Makes the tenants with the first rows of an app.
    async fn perform(&self, stage: &Stage<'_>, plan: &Plan) -> Result<(), LifecycleError> {
        for Actor { tenant, placement } in stage.cast() {
            let site = Site { tenant: *tenant, app: &stage.course.app, plan, placement, work: None };
            self.build_tenant(&site).await?;
        }
        Ok(())
    }

    /// Removes all of it, whatever came of what was tried.
    async fn leave_stage<T>(&self, stage: Stage<'_>, tried: Result<T, LifecycleError>) -> Result<T, LifecycleError> {
        let Stage { cluster, database, session, actors, .. } = stage;
        session.close().await;
        let mut cleared = Ok(());
        for Actor { tenant, placement } in &actors {
            cleared = cleared.and(self.erase(*tenant, placement).await);
        }
        let dropped = self.drop_database(None, cluster.id, &database).await;
        told(tried).and_then(|tried| cleared.and(dropped).map(|()| tried))
    }
}

impl Stage<'_> {
    /// Lets two others play.
    fn recast(&mut self) {
        for isolation in [Isolation::Shared, Isolation::Schema] {
            let tenant = TenantId::from_uuid(Uuid::now_v7());
            let placement = Placement::of(tenant, &self.course.app, isolation, self.cluster.id);
            let placement = Placement { database: self.database.clone(), ..placement };
            self.actors.push(Actor { tenant, placement });
        }
    }

    fn cast(&self) -> &[Actor] {
        self.actors.get(self.actors.len().saturating_sub(2)..).unwrap_or_default()
    }

    /// What the tables look like of the tenant that has its own.
    async fn own_shape(&self) -> Result<Shape, LifecycleError> {
        let Some(Actor { placement, .. }) = self.actors.last() else { return Err(LifecycleError::CutOff) };
        shape::of_schema(&self.session, &placement.schema).await
    }

    /// All that is done to tenants, in the same order.
    async fn migrate(&self, known: i32, own: &Shape) -> Result<(), Stop> {
        let options = MigrateOptions::default();
        let entries = self.actors.iter().map(|actor| actor.entry(known)).collect::<Result<Vec<_>, _>>()?;
        let (sharing, others): (Vec<Entry>, Vec<Entry>) =
            entries.into_iter().partition(|entry| entry.placement.isolation == Isolation::Shared);
        let Self { session, course, .. } = self;
        let tenants = &sharing;
        let commons = Commons { session, course, options: &options, known, known_global: known, tenants, told: None };
        super::steps::add_extensions(session, course, self.cluster).await?;
        commons.advance_global().await?;
        let seat = Seat::alone(session, &course.app).await?;
        for entry in &others {
            unit::advance(seat, course, &options, entry, Some(own)).await?;
        }
        commons.advance(None).await
    }
}

impl Actor {
    fn entry(&self, version: i32) -> Result<Entry, LifecycleError> {
        let slug: Slug = "rehearsal".parse().map_err(|_| LifecycleError::Unverified("a word".to_owned()))?;
        Ok(Entry {
            tenant: self.tenant,
            slug,
            status: Status::Active,
            spare: false,
            placement: self.placement.clone(),
            present: true,
            version,
            migrated_at: None,
            error: None,
            drift: None,
        })
    }
}

/// A rehearsal's tenant is nobody's: what differs is the tables.
fn told<T>(tried: Result<T, LifecycleError>) -> Result<T, LifecycleError> {
    tried.map_err(|error| match error {
        LifecycleError::Drifted { difference, .. } => {
            LifecycleError::Diverged { place: " where a tenant has its own", difference }
        }
        error => error,
    })
}

fn differ(fresh: &Shape, migrated: &Shape, place: &'static str) -> Result<(), LifecycleError> {
    match shape::difference(fresh, migrated) {
        Some(difference) => Err(LifecycleError::Diverged { place, difference }),
        None => Ok(()),
    }
}
