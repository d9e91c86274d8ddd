//! What of this installation is on a cluster.

use std::collections::BTreeSet;

use catalog::{Cluster, Ownership};
use domain::{AppName, Role, TenantId, quote_ident};
use uuid::Uuid;

use super::names::{self, DatabaseName};
use super::thing::{OrphanKind, Thing};
use crate::prepare::turn_of;
use crate::server::Session;
use crate::{Lifecycle, LifecycleError};

/// What was seen on a cluster.
#[derive(Debug, Default)]
pub(super) struct Survey {
    pub(super) things: BTreeSet<Thing>,
    /// What could not be looked at, and why.
    pub(super) unseen: Vec<(String, String)>,
    /// What somebody is at.
    pub(super) busy: Vec<String>,
}

const DATABASES: &str = "
    SELECT datname::text, shobj_description(oid, 'pg_database') FROM pg_database
    WHERE datname ~ '^(app|tpl|building_app|building_tpl|retired_tpl)_' ORDER BY datname";

const ROLES: &str = "
    SELECT a.rolname::text, a.rolpassword,
           ARRAY(SELECT g.rolname::text FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = a.oid)
    FROM pg_authid a WHERE a.rolname ~ '^[tr]_[0-9a-f]{32}$'";

const SCHEMAS: &str = "SELECT nspname::text FROM pg_namespace WHERE nspname ~ '^[tsv]_[0-9a-f]{32}$'";

/// Tables that tenants share, and whether one tenant after the other can be found in them without reading them all.
const TABLES: &str = "
    SELECT c.relname::text,
           EXISTS (SELECT FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
                   JOIN pg_am m ON m.oid = x.relam AND m.amname = 'btree'
                   WHERE i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NULL AND i.indkey[0] = a.attnum)
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
        AND a.atttypid = 'uuid'::regtype";

impl Lifecycle {
    /// Everything on a cluster that is this installation's and carries a tenant's id or an app's name.
    pub(super) async fn survey(&self, cluster: &Cluster, known: &Ownership) -> Result<Survey, LifecycleError> {
        let server = self.admin(cluster.id, None).await?;
        let mut seen = Survey::default();
        let rows = server.query(DATABASES, &[]).await.map_err(|error| server.fault(&error))?;
        let databases: Vec<(DatabaseName, String, Option<String>)> = rows
            .iter()
            .filter_map(|row| {
                let name: String = row.get(0);
                Some((names::database(&name)?, name, row.get(1)))
            })
            .collect();
        let is_marked = |app: &AppName, mark: &Option<String>| mark.as_ref() == Some(&self.mark(app, cluster.id));
        let ours: BTreeSet<AppName> = databases
            .iter()
            .filter_map(|(name, _, mark)| match name {
                DatabaseName::Apps(app) if is_marked(app, mark) => Some(app.clone()),
                _ => None,
            })
            .collect();
        for (name, database, mark) in databases {
            let (kind, app, tenant) = match name {
                DatabaseName::Apps(app) if is_marked(&app, &mark) => (OrphanKind::AppDatabase, app, None),
                DatabaseName::Build(app) if is_marked(&app, &mark) || mark.is_none() && ours.contains(&app) => {
                    if !is_free(&server, &app).await? {
                        seen.busy.push(format!("app {app} is being built on cluster {}", cluster.name));
                        continue;
                    }
                    (OrphanKind::Build, app, None)
                }
                DatabaseName::Tenants(app, tenant) if ours.contains(&app) => (OrphanKind::Database, app, Some(tenant)),
                _ => continue,
            };
            seen.things.insert(Thing {
                kind,
                cluster: cluster.id,
                database: None,
                name: database,
                tenant,
                app: Some(app),
            });
        }
        self.survey_roles(&server, cluster, &ours, &mut seen).await?;
        for app in &ours {
            // Of an app that nobody has registered the whole database is an orphan.
            if known.app(app).is_some() && !cluster.dedicated {
                self.survey_inside(cluster.id, app, &mut seen).await;
            }
        }
        Ok(seen)
    }

    async fn survey_roles(
        &self,
        server: &Session,
        cluster: &Cluster,
        ours: &BTreeSet<AppName>,
        seen: &mut Survey,
    ) -> Result<(), LifecycleError> {
        let rows = server.query(ROLES, &[]).await.map_err(|error| server.fault(&error))?;
        for row in rows {
            let (name, stored, groups): (String, Option<String>, Vec<String>) = (row.get(0), row.get(1), row.get(2));
            let Some(tenant) = names::tenants(&name, &['t', 'r']) else { continue };
            let apps: Vec<AppName> = groups.iter().filter_map(|group| names::group(group)).collect();
            let app = apps.iter().find(|app| ours.contains(*app)).cloned();
            // One that is in another app's groups is somebody else's.
            let made = || {
                let role = Role::both(tenant).into_iter().find(|role| role.to_string() == name);
                role.zip(stored).is_some_and(|(role, stored)| self.catalog.master().has_made(cluster.id, role, &stored))
            };
            if app.is_some() || apps.is_empty() && made() {
                let (kind, tenant) = (OrphanKind::Role, Some(tenant));
                seen.things.insert(Thing { kind, cluster: cluster.id, database: None, name, tenant, app });
            }
        }
        for app in ours {
            let names = app.names();
            let roles: Vec<&str> = names.roles().collect();
            let found = server
                .query("SELECT rolname::text FROM pg_roles WHERE rolname = ANY ($1::text[])", &[&roles])
                .await
                .map_err(|error| server.fault(&error))?;
            seen.things.extend(found.iter().map(|row| Thing {
                kind: OrphanKind::AppRole,
                cluster: cluster.id,
                database: None,
                name: row.get(0),
                tenant: None,
                app: Some(app.clone()),
            }));
        }
        Ok(())
    }

    /// One database that cannot be looked at keeps nobody from looking at the others.
    async fn survey_inside(&self, cluster: Uuid, app: &AppName, seen: &mut Survey) {
        let database = app.names().database;
        if let Err(error) = self.look_inside(cluster, app, seen).await {
            seen.unseen.push((format!("database {database}"), error.to_string()));
        }
    }

    async fn look_inside(&self, cluster: Uuid, app: &AppName, seen: &mut Survey) -> Result<(), LifecycleError> {
        let database = app.names().database;
        let inside = self.admin(cluster, Some(&database)).await?;
        let thing = |kind, name: &str, tenant| Thing {
            kind,
            cluster,
            database: Some(database.clone()),
            name: name.to_owned(),
            tenant: Some(tenant),
            app: Some(app.clone()),
        };
        let schemas = inside.query(SCHEMAS, &[]).await.map_err(|error| inside.fault(&error))?;
        for name in schemas.iter().map(|row| row.get::<_, String>(0)) {
            if let Some(tenant) = names::tenants(&name, &['t', 's', 'v']) {
                seen.things.insert(thing(OrphanKind::Schema, &name, tenant));
            }
        }
        // From one tenant's rows to the next tenant's, through the index: tables may be large, tenants are few.
        inside.run("SET enable_seqscan = off; SET enable_bitmapscan = off; SET jit = off").await?;
        let tables = inside.query(TABLES, &[]).await.map_err(|error| inside.fault(&error))?;
        for row in tables {
            let (table, indexed): (String, bool) = (row.get(0), row.get(1));
            if !indexed {
                let why = "it has no index that starts with tenant_id; make one".to_owned();
                seen.unseen.push((format!("table {table} of {database}"), why));
                continue;
            }
            let from = format!("public.{}", quote_ident(&table));
            let sql = format!(
                "WITH RECURSIVE seen (id) AS (
                     (SELECT tenant_id FROM {from} ORDER BY tenant_id LIMIT 1)
                     UNION ALL
                     SELECT (SELECT tenant_id FROM {from} WHERE tenant_id > seen.id ORDER BY tenant_id LIMIT 1)
                     FROM seen WHERE seen.id IS NOT NULL)
                 SELECT id FROM seen WHERE id IS NOT NULL"
            );
            let tenants = inside.query(&sql, &[]).await.map_err(|error| inside.fault(&error))?;
            let tenants = tenants.iter().map(|row| TenantId::from_uuid(row.get(0)));
            seen.things.extend(tenants.map(|tenant| thing(OrphanKind::Rows, &table, tenant)));
        }
        Ok(())
    }
}

/// Whether nobody builds the app's databases.
async fn is_free(server: &Session, app: &AppName) -> Result<bool, LifecycleError> {
    server.ask(&format!("SELECT pg_try_advisory_xact_lock({})", turn_of(app)), &[]).await
}
