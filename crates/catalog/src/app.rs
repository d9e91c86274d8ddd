//! Apps in the control database.

use domain::AppName;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::error::read;
use crate::release::{FIRST, insert_release};
use crate::{Catalog, CatalogError};

/// A registered app.
#[derive(Debug, Clone, Serialize)]
pub struct App {
    /// Its name, which is the database that clients ask for.
    pub name: AppName,
    /// What people call it.
    pub title: String,
    /// One sentence about it; may be empty.
    pub description: String,
    /// SHA-256 of its files, in hexadecimal digits.
    pub fingerprint: String,
    /// Whether tenants can be made.
    pub ready: bool,
    /// When it was registered.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// The release that new clusters get.
    pub release: i32,
    /// How many migrations that release has.
    pub version: i32,
}

/// One file of an app, by its path from the app's folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppFile {
    /// Such as `migrations/0001_clients.sql`.
    pub path: String,
    /// Its whole text.
    pub content: String,
}

impl AppFile {
    /// Whether it is one of those that a version counts.
    #[must_use]
    pub fn is_migration(&self) -> bool {
        self.path.starts_with("migrations/")
    }
}

/// What registering an app takes.
#[derive(Debug)]
pub struct NewApp<'a> {
    /// Its name.
    pub name: &'a AppName,
    /// What people call it.
    pub title: &'a str,
    /// One sentence about it.
    pub description: &'a str,
    /// SHA-256 of its files.
    pub fingerprint: &'a str,
    /// All of its SQL.
    pub files: &'a [AppFile],
}

impl Catalog {
    /// Records an app, not yet ready. `false` when just this app is already there, ready or not.
    pub async fn insert_app(&self, new: &NewApp<'_>) -> Result<bool, CatalogError> {
        let mut tx = self.db.begin().await?;
        let inserted = sqlx::query!(
            "INSERT INTO sindico.apps (name, title, description, fingerprint) VALUES ($1, $2, $3, $4)
             ON CONFLICT (name) DO NOTHING",
            new.name.as_str(),
            new.title,
            new.description,
            new.fingerprint,
        )
        .execute(&mut *tx)
        .await?;
        if inserted.rows_affected() == 0 {
            let known = sqlx::query_scalar!("SELECT fingerprint FROM sindico.apps WHERE name = $1", new.name.as_str())
                .fetch_one(&mut *tx)
                .await?;
            if known != new.fingerprint {
                return Err(CatalogError::AppTaken(new.name.clone()));
            }
            return Ok(false);
        }
        insert_release(&mut tx, new, FIRST, true).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Tenants of the app can be made from now on.
    pub async fn set_app_ready(&self, name: &AppName) -> Result<(), CatalogError> {
        sqlx::query!("UPDATE sindico.apps SET ready = true WHERE name = $1", name.as_str()).execute(&self.db).await?;
        Ok(())
    }

    /// Forgets an app that never became ready.
    pub async fn remove_unready_app(&self, name: &AppName) -> Result<(), CatalogError> {
        sqlx::query!("DELETE FROM sindico.apps WHERE name = $1 AND NOT ready", name.as_str()).execute(&self.db).await?;
        Ok(())
    }

    /// All apps, by name.
    pub async fn apps(&self) -> Result<Vec<App>, CatalogError> {
        let rows = sqlx::query!(
            "SELECT a.name, a.title, a.description, a.fingerprint, a.ready, a.created_at, a.release, r.version
             FROM sindico.apps a JOIN sindico.app_releases r ON r.app = a.name AND r.release = a.release ORDER BY a.name"
        )
        .fetch_all(&self.db)
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(App {
                    name: read("app name", &row.name)?,
                    title: row.title,
                    description: row.description,
                    fingerprint: row.fingerprint,
                    ready: row.ready,
                    created_at: row.created_at,
                    release: row.release,
                    version: row.version,
                })
            })
            .collect()
    }

    /// Whether an app's databases stand ready on a cluster.
    pub async fn is_prepared(&self, app: &AppName, cluster: Uuid) -> Result<bool, CatalogError> {
        let prepared = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT FROM sindico.app_clusters WHERE app = $1 AND cluster = $2) AS "prepared!""#,
            app.as_str(),
            cluster,
        )
        .fetch_one(&self.db)
        .await?;
        Ok(prepared)
    }

    /// Records that they do, as a release has them.
    pub async fn set_prepared(&self, app: &AppName, cluster: Uuid, release: i32) -> Result<(), CatalogError> {
        sqlx::query!(
            "INSERT INTO sindico.app_clusters (app, cluster, release, version, global_version)
             SELECT app, $2, release, version, version FROM sindico.app_releases WHERE app = $1 AND release = $3
             ON CONFLICT DO NOTHING",
            app.as_str(),
            cluster,
            release,
        )
        .execute(&self.db)
        .await?;
        Ok(())
    }
}
