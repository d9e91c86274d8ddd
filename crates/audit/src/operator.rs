//! An operator's session on a cluster, for setting the scene and for looking at what no tenant can see.

use std::time::Duration;

use catalog::Catalog;
use domain::{Placement, Role};
use tls::Dsn;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row, SimpleQueryMessage};
use uuid::Uuid;

use crate::AuditError;
use crate::canary::Canary;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The audit waits for nobody's locks. With nothing in the search path every name is written with its schema: a superuser
/// called "sindico" would otherwise find itself in the schema of that name.
const LIMITS: &str =
    "-c lock_timeout=5s -c statement_timeout=30s -c client_min_messages=error -c search_path=pg_catalog";

/// A superuser's session in one database; dropping it ends it.
pub(crate) struct Operator {
    client: Client,
}

impl Operator {
    /// In a tenant's database.
    pub(crate) async fn open(catalog: &Catalog, placement: &Placement) -> Result<Self, AuditError> {
        Self::at(catalog, placement.cluster, Some(&placement.database)).await
    }

    /// In a database of a cluster, or the one that the cluster's DSN names.
    pub(crate) async fn at(catalog: &Catalog, cluster: Uuid, database: Option<&str>) -> Result<Self, AuditError> {
        let mut dsn = Dsn::read(&catalog.cluster_dsn(cluster).await?)?;
        let connector = dsn.connector();
        let config = &mut dsn.config;
        if let Some(database) = database {
            config.dbname(database);
        }
        config.connect_timeout(CONNECT_TIMEOUT).options(LIMITS).application_name("sindico audit");
        let (client, connection) = config.connect(connector).await?;
        // It ends with the client.
        tokio::spawn(connection);
        Ok(Self { client })
    }

    pub(crate) async fn run(&self, sql: &str) -> Result<(), AuditError> {
        Ok(self.client.batch_execute(sql).await?)
    }

    pub(crate) async fn query(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, AuditError> {
        Ok(self.client.query(sql, parameters).await?)
    }

    /// All rows as text, fields joined by commas and rows by bars.
    pub(crate) async fn rows(&self, sql: &str) -> Result<String, AuditError> {
        let messages = self.client.simple_query(sql).await?;
        let rows = messages.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|field| row.get(field).unwrap_or("NULL")).collect::<Vec<_>>().join(","))
            }
            _ => None,
        });
        Ok(rows.collect::<Vec<_>>().join("|"))
    }

    /// What the victim's roles are, may do and have stored. Up to PostgreSQL 15 an attacker may make its victim a member of
    /// itself, which gives the victim something and takes nothing.
    pub(crate) async fn roles_of(&self, victim: &Canary, attacker: &Canary) -> Result<String, AuditError> {
        let [of_victim, of_attacker] =
            [victim, attacker].map(|canary| Role::both(canary.tenant.id).map(|role| role.to_string()).to_vec());
        let rows = self
            .query(
                "SELECT concat_ws(' ', a.rolname, a.rolsuper, a.rolinherit, a.rolcreaterole, a.rolcreatedb, a.rolcanlogin,
                        a.rolreplication, a.rolbypassrls, a.rolconnlimit, md5(a.rolpassword), a.rolvaliduntil,
                        (SELECT string_agg(m.roleid::regrole::text, ' ' ORDER BY m.roleid) FROM pg_auth_members m
                         WHERE m.member = a.oid AND NOT m.roleid::regrole::text = ANY ($2::text[])),
                        (SELECT string_agg(m.member::regrole::text, ' ' ORDER BY m.member) FROM pg_auth_members m
                         WHERE m.roleid = a.oid),
                        (SELECT string_agg(s.setconfig::text, ' ' ORDER BY s.setdatabase) FROM pg_db_role_setting s
                         WHERE s.setrole = a.oid))
                 FROM pg_authid a WHERE a.rolname = ANY ($1::text[]) ORDER BY a.rolname",
                &[&of_victim, &of_attacker],
            )
            .await?;
        Ok(rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>().join("; "))
    }
}
