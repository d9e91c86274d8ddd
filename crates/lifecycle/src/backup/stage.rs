//! Tables of any version of an app, of nobody's, where a backup is tried or migrated before it goes on.

use std::sync::Arc;

use catalog::{CatalogError, Entry, ShapeKind};
use domain::{AppName, Isolation, Placement, Slug, Status, TenantId};
use jobs::Work;
use tracing::warn;
use uuid::Uuid;

use super::Opened;
use super::dump::Snapshot;
use super::restore::load_into;
use crate::add_app::plan_files;
use crate::erase::Remains;
use crate::migrate::transact::Stop;
use crate::migrate::unit::Seat;
use crate::migrate::{Course, MigrateOptions, unit};
use crate::server::Builder;
use crate::site::Site;
use crate::{Lifecycle, LifecycleError};

/// A schema with an app's tables, of a tenant that no record knows. It has the id of the operation that it is made for, so that it is found
/// again whatever happens.
pub(super) struct Stage {
    pub(super) tenant: TenantId,
    pub(super) placement: Placement,
    app: AppName,
}

impl Stage {
    pub(super) fn by<'a>(&self, work: &'a Work) -> Builder<'a> {
        Builder { tenant: self.tenant, work: Some(work) }
    }
}

pub(super) fn no_stage(app: &AppName) -> LifecycleError {
    LifecycleError::Step(format!(
        "backups of {app} can be tried or migrated only on a cluster where tenants share databases, and there is none; \
         register one with `sindico cluster add`"
    ))
}

impl Lifecycle {
    /// A cluster with room for one: where the app's tenants have schemas. Best the one that is named.
    pub(super) async fn stage_cluster(
        &self,
        app: &AppName,
        best: Option<Uuid>,
    ) -> Result<Option<Uuid>, LifecycleError> {
        let standing: Vec<Uuid> = self.catalog.standings(app).await?.iter().map(|it| it.cluster).collect();
        let clusters = self.catalog.clusters().await?;
        let mut fit = clusters.iter().filter(|it| !it.dedicated && standing.contains(&it.id)).map(|it| it.id);
        let first = fit.clone().next();
        Ok(fit.find(|id| Some(*id) == best).or(first))
    }

    /// The stage of an operation, made or not; none where there is nowhere to make it.
    pub(super) fn stage(app: &AppName, cluster: Option<Uuid>, work: &Work) -> Option<Stage> {
        let tenant = TenantId::from_uuid(work.operation());
        let placement = Placement::of(tenant, app, Isolation::Schema, cluster?);
        Some(Stage { tenant, placement, app: app.clone() })
    }

    /// Makes its tables, empty, as a version has them.
    pub(super) async fn raise_stage(&self, stage: &Stage, version: i32, work: &Work) -> Result<(), LifecycleError> {
        let Stage { tenant, placement, app } = stage;
        let plan = plan_files(&self.catalog.version_files(app, version).await?)?;
        if plan.version() != version {
            return Err(LifecycleError::Step(format!("version {version} of {app} is not known here")));
        }
        self.create_roles(stage.by(work), app, placement).await?;
        let turn = self.take_turn(stage.by(work), app, placement).await?;
        let site = Site { tenant: *tenant, app, plan: &plan, placement, work: Some(work) };
        self.create_schema_of(&site, &turn).await
    }

    /// Brings its tables, with the rows in them, to a newer version, just as tenants' tables are.
    pub(super) async fn advance_stage(
        &self,
        stage: &Stage,
        from: i32,
        to: i32,
        work: &Work,
    ) -> Result<(), LifecycleError> {
        let Stage { tenant, placement, app } = stage;
        let files = self.catalog.version_files(app, to).await?;
        let plan = Arc::new(plan_files(&files)?);
        let course = Course::new(app.clone(), 0, files, plan);
        let session = self.builder(stage.by(work), placement.cluster, Some(&placement.database)).await?;
        let slug: Slug = "stage".parse().map_err(|_| LifecycleError::Unverified("a word".to_owned()))?;
        let entry = Entry {
            tenant: *tenant,
            slug,
            status: Status::Active,
            spare: false,
            placement: placement.clone(),
            present: true,
            version: from,
            migrated_at: None,
            error: None,
            drift: None,
        };
        let shape = self.catalog.shape(app, placement.cluster, to, ShapeKind::Own).await?;
        let options = MigrateOptions::default();
        let seat = Seat::alone(&session, app).await.map_err(Stop::into_error)?;
        let reached = unit::advance(seat, &course, &options, &entry, shape.as_ref()).await.map_err(Stop::into_error)?;
        if reached.is_at(to) {
            return Ok(());
        }
        Err(LifecycleError::Unverified(format!("migration of the tables of operation {}", work.operation())))
    }

    /// Puts a backup's rows on a stage and brings them to a version, if they have an older one. Whether they had.
    pub(super) async fn stage_rows(
        &self,
        stage: Option<&Stage>,
        backup: &Opened<'_>,
        version: i32,
        work: &Work,
    ) -> Result<bool, LifecycleError> {
        let Opened { backup: record, manifest, .. } = backup;
        if manifest.version == version {
            return Ok(false);
        }
        if manifest.version > version {
            let why = format!(
                "it has version {} of {}, and the tables have {version}; migrate them first",
                manifest.version, record.app
            );
            return Err(LifecycleError::BadBackup { backup: record.id, why });
        }
        let stage = stage.ok_or_else(|| no_stage(&record.app))?;
        self.raise_stage(stage, manifest.version, work).await?;
        let loader = self.loader(stage.by(work), stage.tenant, &stage.placement).await?;
        load_into(&loader, backup).await?;
        loader.commit().await?;
        self.probe.pass("staged")?;
        self.advance_stage(stage, manifest.version, version, work).await?;
        Ok(true)
    }

    /// What is on it.
    pub(super) async fn staged(&self, stage: &Stage, version: i32, work: &Work) -> Result<Snapshot, LifecycleError> {
        let snapshot = self.snapshot(stage.by(work), stage.tenant, &stage.placement, version).await?;
        // The tables that it is for have been migrated meanwhile.
        if snapshot.version == version { Ok(snapshot) } else { Err(CatalogError::Busy("app").into()) }
    }

    /// Removes it; who cannot, because a server is away, leaves it to be found as what nobody owns (`crate::sweep`).
    pub(super) async fn clear_stage(&self, stage: Option<&Stage>, work: &Work) {
        if let Some(stage) = stage
            && let Err(error) = self.strike_stage(stage, work).await
        {
            warn!(operation = %work.operation(), %error, "what an operation has made for itself could not be removed");
        }
    }

    /// Removes it, however much of it there is.
    pub(super) async fn strike_stage(&self, stage: &Stage, work: &Work) -> Result<(), LifecycleError> {
        let remains = Remains { by: stage.by(work), placement: &stage.placement };
        self.evict(remains).await?;
        self.drop_storage(remains).await?;
        self.drop_roles(remains).await
    }
}
