//! Registering an app.

use std::path::Path;

use aws_lc_rs::digest::{Context, SHA256};
use catalog::{App, AppFile, CatalogError, NewApp};
use data_encoding::HEXLOWER;
use domain::{AppName, Isolation, Placement, TenantId};
use tenantize::{Manifest, Plan, Sources, SqlFile};
use tracing::{info, warn};
use uuid::Uuid;

use crate::retention::check_rules;
use crate::site::Site;
use crate::{Lifecycle, LifecycleError};

/// An app as its folder has it.
#[derive(Debug)]
pub struct AddApp {
    /// What `app.toml` holds, already read.
    pub manifest: Manifest,
    /// `migrations/*.sql` and `seed/*.sql`, by path.
    pub files: Vec<AppFile>,
}

impl AddApp {
    /// As it is recorded.
    pub(crate) fn described<'a>(&'a self, fingerprint: &'a str) -> NewApp<'a> {
        let Manifest { name, title, description, .. } = &self.manifest;
        NewApp {
            name,
            title: title.as_deref().unwrap_or(name.as_str()),
            description: description.as_deref().unwrap_or_default(),
            fingerprint,
            files: &self.files,
        }
    }
}

impl Lifecycle {
    /// Registers an app: reads all of its SQL, builds it on every cluster, makes a tenant in each isolation of one of them and
    /// removes it again. Only then can tenants be made; if anything fails, nothing is left. Registering the same files again
    /// changes nothing but for how long rows are kept.
    pub async fn add_app(&self, new: AddApp) -> Result<App, LifecycleError> {
        let desk = self.clone();
        self.through(Box::pin(async move { desk.add_app_now(new).await })).await
    }

    async fn add_app_now(&self, new: AddApp) -> Result<App, LifecycleError> {
        let name = new.manifest.name.clone();
        let plan = plan_files(&new.files)?;
        check_rules(&new.manifest, &plan)?;
        let fingerprint = fingerprint(&new.files);
        let lock = self.catalog.lock_app(&name).await?;
        Self::under(lock, self.add_app_locked(&new, &plan, &fingerprint)).await
    }

    async fn add_app_locked(&self, new: &AddApp, plan: &Plan, fingerprint: &str) -> Result<App, LifecycleError> {
        let name = new.manifest.name.clone();
        if self.catalog.apps().await?.iter().any(|app| app.name == name && !app.ready) {
            // A registration whose process died: nobody else holds the lock, and no tenant can be there.
            self.discard_app(&name).await?;
        }
        self.catalog.insert_app(&new.described(fingerprint)).await?;
        let app = self.app(&name).await?;
        self.put_rules(&new.manifest).await?;
        if app.ready {
            return Ok(app);
        }
        match self.build_app(&name, plan).await {
            Ok(()) => {
                self.catalog.set_app_ready(&name).await?;
                info!(app = %name, "app registered");
                self.app(&name).await
            }
            Err(cause) => Err(cause.undone(self.discard_app(&name).await)),
        }
    }

    async fn build_app(&self, name: &AppName, plan: &Plan) -> Result<(), LifecycleError> {
        // One that is being registered builds every registered app itself, or is built on when its first tenant comes.
        let clusters: Vec<_> = self.catalog.clusters().await?.into_iter().filter(|cluster| cluster.ready).collect();
        for cluster in &clusters {
            self.prepare(name, cluster).await?;
        }
        let ordinary = [Isolation::Shared, Isolation::Schema, Isolation::Database].as_slice();
        let (cluster, isolations) = match clusters.iter().find(|cluster| !cluster.dedicated) {
            Some(cluster) => (cluster, ordinary),
            None => (clusters.first().ok_or(LifecycleError::NoCluster)?, [Isolation::Cluster].as_slice()),
        };
        for isolation in isolations {
            self.rehearse(name, plan, *isolation, cluster.id).await?;
        }
        Ok(())
    }

    /// Makes a tenant that no record knows, then removes it: what runs only per tenant (schemas and seed) has run once
    /// before the app is accepted.
    async fn rehearse(
        &self,
        app: &AppName,
        plan: &Plan,
        isolation: Isolation,
        cluster: Uuid,
    ) -> Result<(), LifecycleError> {
        let id = TenantId::from_uuid(Uuid::now_v7());
        let placement = Placement::of(id, app, isolation, cluster);
        let made = self.build_tenant(&Site { tenant: id, app, plan, placement: &placement, work: None }).await;
        let removed = self.erase(id, &placement).await;
        made.and(removed)
    }

    /// Takes back whatever a registration that failed has made.
    pub(crate) async fn discard_app(&self, name: &AppName) -> Result<(), LifecycleError> {
        for cluster in self.catalog.clusters().await? {
            if let Err(error) = self.unprepare(name, &cluster).await {
                warn!(app = %name, cluster = %cluster.name, %error, "app could not be removed from a cluster");
                return Err(error);
            }
        }
        self.catalog.remove_unready_app(name).await?;
        self.forget_plans(name);
        Ok(())
    }

    /// The registered app.
    pub async fn app(&self, name: &AppName) -> Result<App, LifecycleError> {
        let apps = self.catalog.apps().await?;
        let app = apps.into_iter().find(|app| app.name == *name);
        Ok(app.ok_or_else(|| CatalogError::AppUnknown(name.clone()))?)
    }
}

/// Sorts an app's files into migrations and seed, and reads their SQL.
pub(crate) fn plan_files(files: &[AppFile]) -> Result<Plan, LifecycleError> {
    tenantize::plan(&sources(files)?).map_err(LifecycleError::Refused)
}

/// Sorts an app's files into migrations and seed.
pub(crate) fn sources(files: &[AppFile]) -> Result<Sources, LifecycleError> {
    if files.is_empty() {
        return Err(LifecycleError::BadApp(
            "the app has no files; an app has migrations/*.sql and seed/*.sql".to_owned(),
        ));
    }
    let mut sources = Sources { migrations: Vec::new(), seed: Vec::new() };
    let mut sorted: Vec<&AppFile> = files.iter().collect();
    sorted.sort_by(|a, b| a.path.cmp(&b.path));
    if let Some(pair) = sorted.windows(2).find(|pair| pair[0].path == pair[1].path) {
        return Err(LifecycleError::BadApp(format!("file {:?} is given twice; give each file once", pair[0].path)));
    }
    for file in sorted {
        let sql = SqlFile { name: file.path.clone(), text: file.content.clone() };
        let odd = |c: char| c.is_control() || c == '/' || c == '\\';
        let plain = |rest: &str| Path::new(rest).extension().is_some_and(|kind| kind == "sql") && !rest.contains(odd);
        match file.path.split_once('/') {
            Some(("migrations", rest)) if plain(rest) => sources.migrations.push(sql),
            Some(("seed", rest)) if plain(rest) => sources.seed.push(sql),
            _ => {
                return Err(LifecycleError::BadApp(format!(
                    "file {:?} has no meaning in an app; an app has migrations/*.sql and seed/*.sql",
                    file.path
                )));
            }
        }
    }
    Ok(sources)
}

/// SHA-256 over the files in path order, with lengths, so that moving text between files changes it.
pub(crate) fn fingerprint(files: &[AppFile]) -> String {
    let mut sorted: Vec<&AppFile> = files.iter().collect();
    sorted.sort_by(|a, b| a.path.cmp(&b.path));
    let mut hash = Context::new(&SHA256);
    for part in sorted.iter().flat_map(|file| [&file.path, &file.content]) {
        hash.update(&part.len().to_be_bytes());
        hash.update(part.as_bytes());
    }
    HEXLOWER.encode(hash.finish().as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, content: &str) -> AppFile {
        AppFile { path: path.to_owned(), content: content.to_owned() }
    }

    #[test]
    fn the_fingerprint_follows_content_and_not_order() {
        let (a, b) = (file("migrations/1.sql", "x"), file("seed/1.sql", "y"));
        let both = fingerprint(&[a.clone(), b.clone()]);
        assert_eq!(both, fingerprint(&[b.clone(), a.clone()]));
        assert_ne!(both, fingerprint(&[a, file("seed/1.sql", "z")]));
    }

    #[test]
    fn files_in_the_wrong_place_are_named() {
        for path in [
            "0001.sql",
            "migrations/../x.sql",
            "migrations/a/b.sql",
            "migrations/a.txt",
            "migrations/\0.sql",
            "views/a.sql",
        ] {
            let error = plan_files(&[file(path, "")]).expect_err(path).to_string();
            assert!(error.contains(&format!("{path:?}")), "{error}");
        }
        let twice = plan_files(&[file("seed/a.sql", ""), file("seed/a.sql", "")]).expect_err("twice").to_string();
        assert!(twice.contains("given twice"), "{twice}");
    }
}
