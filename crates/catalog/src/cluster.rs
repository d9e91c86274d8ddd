//! Clusters in the control database.

use std::fmt;

use domain::{ClusterName, Servers};
use serde::Serialize;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::error::read;
use crate::{Catalog, CatalogError};

/// A registered PostgreSQL server; its DSN is asked for separately ([`Catalog::cluster_dsn`]).
#[derive(Debug, Clone, Serialize)]
pub struct Cluster {
    /// UUID version 7.
    pub id: Uuid,
    /// The operator's name for it.
    pub name: ClusterName,
    /// Where server connections go: a host, or several servers ([`domain::Servers::host_text`]).
    pub host: String,
    /// The TCP port of the only one, or of the first.
    pub port: u16,
    /// `server_version_num`, such as 150018.
    pub server_version: i32,
    /// Takes only tenants of isolation `cluster`, and nobody else takes those.
    pub dedicated: bool,
    /// The most tenants it takes; none means no bound.
    pub capacity: Option<i32>,
    /// What the server calls itself.
    pub system_identifier: i64,
    /// Takes tenants: every app stands on it.
    pub ready: bool,
    /// When it was registered.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

/// What registering a cluster takes.
pub struct NewCluster<'a> {
    /// The operator's name for it.
    pub name: &'a ClusterName,
    /// A superuser's connection string.
    pub dsn: &'a str,
    /// The servers in it.
    pub servers: &'a Servers,
    /// `server_version_num`.
    pub server_version: i32,
    /// See [`Cluster::dedicated`].
    pub dedicated: bool,
    /// See [`Cluster::capacity`].
    pub capacity: Option<i32>,
    /// See [`Cluster::system_identifier`].
    pub system_identifier: i64,
}

/// Without the DSN, which holds a password.
impl fmt::Debug for NewCluster<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewCluster").field("name", &self.name.as_str()).finish_non_exhaustive()
    }
}

impl Catalog {
    /// Registers a cluster, or, under a name already registered, puts its new address and DSN in place: an embedded
    /// cluster changes its port, an external one its password.
    pub async fn put_cluster(&self, new: &NewCluster<'_>) -> Result<Uuid, CatalogError> {
        let mut tx = self.db.begin().await?;
        let id = sqlx::query_scalar!(
            "INSERT INTO sindico.clusters
                 (id, name, sealed_dsn, host, port, server_version, dedicated, capacity, system_identifier)
             VALUES ($1, $2, ''::bytea, $3, $4, $5, $6, $7, $8)
             ON CONFLICT (name) DO UPDATE SET host = excluded.host, port = excluded.port,
                 server_version = excluded.server_version, capacity = excluded.capacity,
                 system_identifier = excluded.system_identifier
             RETURNING id",
            Uuid::now_v7(),
            new.name.as_str(),
            new.servers.host_text(),
            i32::from(new.servers.first().port),
            new.server_version,
            new.dedicated,
            new.capacity,
            new.system_identifier,
        )
        .fetch_one(&mut *tx)
        .await?;
        let sealed = self.master.seal(&dsn_place(id), new.dsn)?;
        sqlx::query!("UPDATE sindico.clusters SET sealed_dsn = $2 WHERE id = $1", id, sealed).execute(&mut *tx).await?;
        tx.commit().await?;
        self.refresh_clusters().await?;
        Ok(id)
    }

    /// Tenants can be placed on it from now on.
    pub async fn set_cluster_ready(&self, id: Uuid) -> Result<(), CatalogError> {
        sqlx::query!("UPDATE sindico.clusters SET ready = true WHERE id = $1", id).execute(&self.db).await?;
        Ok(())
    }

    /// Forgets a cluster that never became ready, and so never had a tenant.
    pub async fn remove_unready_cluster(&self, id: Uuid) -> Result<(), CatalogError> {
        let mut tx = self.db.begin().await?;
        sqlx::query!(
            "DELETE FROM sindico.app_clusters p USING sindico.clusters c
             WHERE p.cluster = c.id AND c.id = $1 AND NOT c.ready",
            id,
        )
        .execute(&mut *tx)
        .await?;
        sqlx::query!("DELETE FROM sindico.clusters WHERE id = $1 AND NOT ready", id).execute(&mut *tx).await?;
        tx.commit().await?;
        self.refresh_clusters().await
    }

    /// All clusters, oldest first.
    pub async fn clusters(&self) -> Result<Vec<Cluster>, CatalogError> {
        let rows = sqlx::query!(
            "SELECT id, name, host, port, server_version, dedicated, capacity, system_identifier, ready, created_at
             FROM sindico.clusters ORDER BY id"
        )
        .fetch_all(&self.db)
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(Cluster {
                    id: row.id,
                    name: read("cluster name", &row.name)?,
                    host: row.host,
                    port: read("port", &row.port.to_string())?,
                    server_version: row.server_version,
                    dedicated: row.dedicated,
                    capacity: row.capacity,
                    system_identifier: row.system_identifier,
                    ready: row.ready,
                    created_at: row.created_at,
                })
            })
            .collect()
    }

    /// A superuser's connection string for a cluster.
    pub async fn cluster_dsn(&self, id: Uuid) -> Result<String, CatalogError> {
        let sealed = sqlx::query_scalar!("SELECT sealed_dsn FROM sindico.clusters WHERE id = $1", id)
            .fetch_one(&self.db)
            .await?;
        Ok(self.master.open(&dsn_place(id), &sealed)?)
    }

    /// How many tenants are placed on a cluster.
    pub async fn tenants_on(&self, cluster: Uuid) -> Result<i64, CatalogError> {
        let count = sqlx::query_scalar!(
            r#"SELECT count(*) AS "count!" FROM sindico.placements p JOIN sindico.tenants t ON t.id = p.tenant
               WHERE p.cluster = $1 AND t.spare_release IS NULL"#,
            cluster,
        )
        .fetch_one(&self.db)
        .await?;
        Ok(count)
    }
}

/// What a sealed DSN opens for.
pub(crate) fn dsn_place(id: Uuid) -> String {
    format!("clusters.dsn:{id}")
}
