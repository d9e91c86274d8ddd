//! What an app's files were each time that they were given, and which release is in use where.

use domain::AppName;
use uuid::Uuid;

use crate::app::{AppFile, NewApp};
use crate::{Catalog, CatalogError, ControlTx};

/// The release with which an app is registered.
pub(crate) const FIRST: i32 = 1;

/// A release of an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Release {
    /// From 1, in the order in which they were given.
    pub release: i32,
    /// How many migrations it has.
    pub version: i32,
}

/// An app on a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Where.
    pub cluster: Uuid,
    /// The release that new tenants get there.
    pub release: i32,
    /// How many migrations the tables have that tenants share there.
    pub version: i32,
    /// How many of them those have that are the same for all.
    pub global_version: i32,
    /// Whether it is between two releases.
    pub switching: bool,
}

/// Files with the numbers that síndico goes by.
pub(crate) async fn insert_release(
    tx: &mut ControlTx,
    new: &NewApp<'_>,
    release: i32,
    asked: bool,
) -> Result<Release, CatalogError> {
    let migrations = new.files.iter().filter(|file| file.is_migration()).count();
    let version = i32::try_from(migrations).unwrap_or(i32::MAX);
    sqlx::query!(
        "INSERT INTO sindico.app_releases (app, release, version, fingerprint, asked) VALUES ($1, $2, $3, $4, $5)",
        new.name.as_str(),
        release,
        version,
        new.fingerprint,
        asked,
    )
    .execute(&mut **tx)
    .await?;
    let (paths, texts): (Vec<String>, Vec<String>) =
        new.files.iter().map(|file| (file.path.clone(), file.content.clone())).unzip();
    sqlx::query!(
        "INSERT INTO sindico.app_files (app, release, path, content)
         SELECT $1, $2, path, content FROM unnest($3::text[], $4::text[]) AS given (path, content)",
        new.name.as_str(),
        release,
        &paths,
        &texts,
    )
    .execute(&mut **tx)
    .await?;
    Ok(Release { release, version })
}

impl Catalog {
    /// Records an app's files as its newest release, unless they are just that, and whether it is asked for or only tried.
    pub async fn put_release(
        &self,
        tx: &mut ControlTx,
        new: &NewApp<'_>,
        asked: bool,
    ) -> Result<Release, CatalogError> {
        sqlx::query!("SELECT name FROM sindico.apps WHERE name = $1 FOR UPDATE", new.name.as_str())
            .fetch_optional(&mut **tx)
            .await?
            .ok_or_else(|| CatalogError::AppUnknown(new.name.clone()))?;
        let newest = sqlx::query!(
            "SELECT release, version, fingerprint FROM sindico.app_releases WHERE app = $1 ORDER BY release DESC LIMIT 1",
            new.name.as_str(),
        )
        .fetch_one(&mut **tx)
        .await?;
        if newest.fingerprint == new.fingerprint {
            sqlx::query!(
                "UPDATE sindico.app_releases SET asked = true WHERE app = $1 AND release = $2 AND $3 AND NOT asked",
                new.name.as_str(),
                newest.release,
                asked,
            )
            .execute(&mut **tx)
            .await?;
            return Ok(Release { release: newest.release, version: newest.version });
        }
        insert_release(tx, new, newest.release + 1, asked).await
    }

    /// An app's newest release that anybody has asked for, in use or not.
    pub async fn newest_release(&self, app: &AppName) -> Result<Release, CatalogError> {
        sqlx::query_as!(
            Release,
            "SELECT release, version FROM sindico.app_releases WHERE app = $1 AND asked ORDER BY release DESC LIMIT 1",
            app.as_str(),
        )
        .fetch_optional(&self.db)
        .await?
        .ok_or_else(|| CatalogError::AppUnknown(app.clone()))
    }

    /// The files of a release, in path order, which is the order in which they run.
    pub async fn release_files(&self, app: &AppName, release: i32) -> Result<Vec<AppFile>, CatalogError> {
        let files = sqlx::query_as!(
            AppFile,
            r#"SELECT path, content FROM sindico.app_files WHERE app = $1 AND release = $2 ORDER BY path COLLATE "C""#,
            app.as_str(),
            release,
        )
        .fetch_all(&self.db)
        .await?;
        if files.is_empty() { Err(CatalogError::AppUnknown(app.clone())) } else { Ok(files) }
    }

    /// The migrations that tables of a version have. Whichever release they are read from: what tables have is not changed any more.
    pub async fn version_files(&self, app: &AppName, version: i32) -> Result<Vec<AppFile>, CatalogError> {
        let files = sqlx::query_as!(
            AppFile,
            r#"SELECT path, content FROM sindico.app_files
               WHERE app = $1 AND path LIKE 'migrations/%' AND release = (
                   SELECT max(release) FROM sindico.app_releases WHERE app = $1 AND version >= $2)
               ORDER BY path COLLATE "C" LIMIT $2::integer"#,
            app.as_str(),
            version,
        )
        .fetch_all(&self.db)
        .await?;
        if files.is_empty() { Err(CatalogError::AppUnknown(app.clone())) } else { Ok(files) }
    }

    /// The clusters that an app stands on, oldest first.
    pub async fn standings(&self, app: &AppName) -> Result<Vec<Standing>, CatalogError> {
        let standings = sqlx::query_as!(
            Standing,
            "SELECT cluster, release, version, global_version, switching FROM sindico.app_clusters WHERE app = $1 ORDER BY cluster",
            app.as_str(),
        )
        .fetch_all(&self.db)
        .await?;
        Ok(standings)
    }

    /// The release that new tenants of an app get on a cluster; the one that new clusters get where the app does not stand yet.
    pub async fn release_on(&self, app: &AppName, cluster: Uuid) -> Result<Release, CatalogError> {
        sqlx::query_as!(
            Release,
            "SELECT r.release, r.version FROM sindico.apps a
             LEFT JOIN sindico.app_clusters c ON c.app = a.name AND c.cluster = $2
             JOIN sindico.app_releases r ON r.app = a.name AND r.release = coalesce(c.release, a.release)
             WHERE a.name = $1",
            app.as_str(),
            cluster,
        )
        .fetch_optional(&self.db)
        .await?
        .ok_or_else(|| CatalogError::AppUnknown(app.clone()))
    }

    /// From where it is known that tables which are migrated to a release look like new ones, as [`Catalog::set_rehearsed`] was told.
    pub async fn rehearsed_from(&self, app: &AppName, release: i32) -> Result<Vec<String>, CatalogError> {
        let from = sqlx::query_scalar!(
            "SELECT rehearsed_from FROM sindico.app_releases WHERE app = $1 AND release = $2",
            app.as_str(),
            release,
        )
        .fetch_optional(&self.db)
        .await?;
        Ok(from.flatten().unwrap_or_default())
    }

    /// Records from where it is known.
    pub async fn set_rehearsed(&self, app: &AppName, release: i32, from: &[String]) -> Result<(), CatalogError> {
        sqlx::query!(
            "UPDATE sindico.app_releases SET rehearsed_from = $3 WHERE app = $1 AND release = $2",
            app.as_str(),
            release,
            from,
        )
        .execute(&self.db)
        .await?;
        Ok(())
    }

    /// From now on new tenants on a cluster get this release.
    pub async fn set_release_on(&self, app: &AppName, cluster: Uuid, release: i32) -> Result<(), CatalogError> {
        sqlx::query!(
            "UPDATE sindico.app_clusters SET release = $3, switching = false WHERE app = $1 AND cluster = $2 AND release <= $3",
            app.as_str(),
            cluster,
            release,
        )
        .execute(&self.db)
        .await?;
        Ok(())
    }

    /// Records that tables which are the same for all have come to a version on a cluster.
    pub async fn set_global_version(&self, app: &AppName, cluster: Uuid, version: i32) -> Result<(), CatalogError> {
        sqlx::query!(
            "UPDATE sindico.app_clusters SET global_version = $3 WHERE app = $1 AND cluster = $2 AND global_version < $3",
            app.as_str(),
            cluster,
            version,
        )
        .execute(&self.db)
        .await?;
        Ok(())
    }

    /// Records whether an app is between two releases on a cluster: nobody can be made there then.
    pub async fn set_switching(&self, app: &AppName, cluster: Uuid, switching: bool) -> Result<(), CatalogError> {
        sqlx::query!(
            "UPDATE sindico.app_clusters SET switching = $3 WHERE app = $1 AND cluster = $2",
            app.as_str(),
            cluster,
            switching,
        )
        .execute(&self.db)
        .await?;
        Ok(())
    }

    /// Whether it is.
    pub async fn is_switching(&self, app: &AppName, cluster: Uuid) -> Result<bool, CatalogError> {
        let switching = sqlx::query_scalar!(
            "SELECT switching FROM sindico.app_clusters WHERE app = $1 AND cluster = $2",
            app.as_str(),
            cluster,
        )
        .fetch_optional(&self.db)
        .await?;
        Ok(switching.unwrap_or(false))
    }

    /// From now on new clusters get this release, and it is what the app is.
    pub async fn set_release(&self, new: &NewApp<'_>, release: i32) -> Result<(), CatalogError> {
        sqlx::query!(
            "UPDATE sindico.apps SET release = $2, title = $3, description = $4, fingerprint = $5 WHERE name = $1",
            new.name.as_str(),
            release,
            new.title,
            new.description,
            new.fingerprint,
        )
        .execute(&self.db)
        .await?;
        Ok(())
    }
}
