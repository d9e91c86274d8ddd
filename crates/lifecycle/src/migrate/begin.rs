//! Asking for a migration, and what is looked at before anything is recorded.

use std::sync::Arc;

use catalog::{AppFile, CatalogError, NewApp, Standing};
use domain::{AppName, Isolation};
use jobs::NewOperation;
use uuid::Uuid;

use super::{Course, MIGRATE, MigrateOptions, Order, REHEARSE, migration, rehearsal, subject};
use crate::add_app::{AddApp, fingerprint, plan_files};
use crate::retention::check_rules;
use crate::{Lifecycle, LifecycleError};

impl Lifecycle {
    /// Brings an app and all of its tenants to the files given. `None` if they are there already; otherwise the operation that does it.
    pub async fn begin_migration(&self, new: AddApp, options: MigrateOptions) -> Result<Option<Uuid>, LifecycleError> {
        options.check()?;
        let (app, course) = self.course_to(&new).await?;
        self.check_canaries(&app, &options).await?;
        let fingerprint = fingerprint(&new.files);
        let described = new.described(&fingerprint);
        let mut tx = self.catalog.begin().await?;
        let release = self.catalog.put_release(&mut tx, &described, true).await?.release;
        let current = self.catalog.standings(&app).await?.iter().all(|it| it.release == release && !it.switching)
            && self.app(&app).await?.release == release
            && self.behind(&course).await?.is_empty();
        if current {
            // The app's record is locked until then, and rules refer to it.
            tx.commit().await.map_err(CatalogError::from)?;
            self.put_rules(&new.manifest).await?;
            return Ok(None);
        }
        let order = order(&described, release, options);
        let claim = self.jobs.enqueue(&mut tx, operation(MIGRATE, &described, &order)).await?;
        // From here on nobody else migrates the app: what was looked at before has been left as it is, or is seen now.
        self.check_unchanged(&app, &course.files).await?;
        tx.commit().await.map_err(CatalogError::from)?;
        // Whoever does not have a table yet is told of it, and keeps what it has.
        self.put_rules(&new.manifest).await?;
        let id = claim.operation();
        self.leave(claim, migration(self));
        Ok(Some(id))
    }

    /// Tries the files given as [`Lifecycle::begin_migration`] would before anything else, and touches no tenant: applied later, from where
    /// tables are now, they need not be tried again. `None` if they have been, or if there is nothing to do; otherwise the operation.
    pub async fn begin_rehearsal(&self, new: AddApp) -> Result<Option<Uuid>, LifecycleError> {
        let (app, course) = self.course_to(&new).await?;
        let fingerprint = fingerprint(&new.files);
        let described = new.described(&fingerprint);
        let mut tx = self.catalog.begin().await?;
        let release = self.catalog.put_release(&mut tx, &described, false).await?.release;
        let order = order(&described, release, MigrateOptions::default());
        let claim = self.jobs.enqueue(&mut tx, operation(REHEARSE, &described, &order)).await?;
        self.check_unchanged(&app, &course.files).await?;
        let stands = self.stands(&app).await?;
        let applied = |it: &Standing| it.release == release && it.version == course.version() && !it.switching;
        if stands.iter().all(|(_, it)| applied(it)) || self.is_rehearsed(&course, release, &stands).await? {
            return Ok(None);
        }
        tx.commit().await.map_err(CatalogError::from)?;
        let id = claim.operation();
        self.leave(claim, rehearsal(self));
        Ok(Some(id))
    }

    async fn check_unchanged(&self, app: &AppName, files: &[AppFile]) -> Result<(), LifecycleError> {
        let most = self.most_advanced(app).await?;
        if most > 0 { unchanged(&self.catalog.version_files(app, most).await?, files) } else { Ok(()) }
    }

    /// Reads the files, and makes sure that what tenants have is as it was.
    pub(super) async fn course_to(&self, new: &AddApp) -> Result<(AppName, Course), LifecycleError> {
        let app = new.manifest.name.clone();
        let known = self.app(&app).await?;
        if !known.ready {
            return Err(CatalogError::AppNotReady(app).into());
        }
        let mut files = new.files.clone();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let plan = Arc::new(plan_files(&files)?);
        check_rules(&new.manifest, &plan)?;
        self.reconcile(&app).await?;
        self.check_unchanged(&app, &files).await?;
        // Every way that a tenant may have to go.
        let course = Course::new(app.clone(), 0, files, plan);
        let least = self.least_advanced(&app).await?;
        for from in least..course.version() {
            course.upgrade(from)?;
        }
        Ok((app, course))
    }

    async fn most_advanced(&self, app: &AppName) -> Result<i32, LifecycleError> {
        let standings = self.catalog.standings(app).await?.into_iter().map(|it| it.version.max(it.global_version));
        let tenants = self.catalog.versions(app).await?.into_iter().map(|(version, _)| version);
        Ok(standings.chain(tenants).max().unwrap_or(0))
    }

    pub(super) async fn least_advanced(&self, app: &AppName) -> Result<i32, LifecycleError> {
        let standings = self.catalog.standings(app).await?.into_iter().map(|it| it.version.min(it.global_version));
        let tenants = self.catalog.versions(app).await?.into_iter().map(|(version, _)| version);
        Ok(standings.chain(tenants).min().unwrap_or(0))
    }

    async fn check_canaries(&self, app: &AppName, options: &MigrateOptions) -> Result<(), LifecycleError> {
        for slug in options.named()? {
            let tenant = self.find(&catalog::TenantRef::Slug(slug)).await?;
            let refuse = |why: &str| Err(LifecycleError::BadOption(format!("canary \"{}\" {why}", tenant.slug)));
            if tenant.app != *app {
                return refuse(&format!("uses the app {}", tenant.app));
            }
            if tenant.placement.isolation == Isolation::Shared {
                return refuse(
                    "shares its tables with others, who would be migrated with it; name tenants in schema, database or cluster",
                );
            }
        }
        Ok(())
    }
}

fn order(new: &NewApp<'_>, release: i32, options: MigrateOptions) -> Order {
    let [title, description, fingerprint] = [new.title, new.description, new.fingerprint].map(str::to_owned);
    Order { app: new.name.to_string(), release, title, description, fingerprint, options }
}

fn operation<'a>(kind: &'a str, new: &NewApp<'a>, order: &Order) -> NewOperation<'a> {
    let input = serde_json::json!(order);
    NewOperation { kind, subject: subject(new.name), title: new.name.as_str(), input, priority: 0 }
}

/// What tables have been built with stays as it was, and comes first.
fn unchanged(had: &[AppFile], files: &[AppFile]) -> Result<(), LifecycleError> {
    let mut migrations = files.iter().filter(|file| file.is_migration());
    for known in had {
        let path = &known.path;
        let why = match migrations.next() {
            Some(file) if file == known => continue,
            Some(file) if file.path == *path => {
                format!("{path} has been changed, and tenants have it as it was; restore it")
            }
            Some(file) if file.path < *path => {
                format!(
                    "{} would run before {path}, which tenants have already; give it a name that sorts after",
                    file.path
                )
            }
            _ => format!("{path} is lacking, and tenants have it; put it back"),
        };
        return Err(LifecycleError::BadApp(format!("{why}, and write what is to change as a new migration")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, content: &str) -> AppFile {
        AppFile { path: path.to_owned(), content: content.to_owned() }
    }

    #[test]
    fn what_tenants_have_is_not_changed() {
        let had = [file("migrations/1.sql", "a"), file("migrations/3.sql", "c")];
        let error = |files: &[AppFile]| unchanged(&had, files).expect_err("refused").to_string();
        unchanged(&had, &[had.as_slice(), &[file("migrations/4.sql", "d"), file("seed/1.sql", "")]].concat())
            .expect("more");
        assert!(error(&[file("migrations/1.sql", "x"), had[1].clone()]).contains("1.sql has been changed"));
        assert!(
            error(&[had[0].clone(), file("migrations/2.sql", "b"), had[1].clone()]).contains("2.sql would run before")
        );
        assert!(error(&[had[0].clone()]).contains("3.sql is lacking"));
        assert!(error(&[had[0].clone(), file("migrations/4.sql", "")]).contains("3.sql is lacking"));
    }
}
