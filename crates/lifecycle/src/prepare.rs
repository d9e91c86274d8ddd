//! Building an app on a cluster: its group roles, the database that `shared` and `schema` tenants live in, and the template
//! that databases of their own are copied from.

use catalog::{Cluster, ShapeKind};
use domain::{AppName, SharedNames, quote_ident, quote_literal};
use tenantize::{Plan, Statement};
use uuid::Uuid;

use crate::server::Session;
use crate::{Lifecycle, LifecycleError, shape, stamp};

mod ddl_guard;
pub(crate) mod extensions;
mod frame;
mod functions;
mod hardening;
mod roles;
pub(crate) mod secrets;

pub(crate) use roles::{membership, revoke_parameter};

/// Which of an app's two databases.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    /// Tables shared by all tenants, and schemas beside them.
    Shared,
    /// What databases of their own are copied from.
    Template,
}

impl Kind {
    fn database(self, names: &SharedNames) -> &str {
        match self {
            Self::Shared => &names.database,
            Self::Template => &names.template,
        }
    }

    /// What it is called while it is built.
    pub(crate) fn building(self, names: &SharedNames) -> String {
        building(self.database(names))
    }
}

impl Lifecycle {
    /// Builds the app on a cluster, unless it stands there already. Databases are built under another name and renamed
    /// when whole, so that a crash leaves nothing that could be taken for one.
    pub(crate) async fn prepare(&self, app: &AppName, cluster: &Cluster) -> Result<(), LifecycleError> {
        if self.catalog.is_prepared(app, cluster.id).await? {
            return Ok(());
        }
        let (release, plan) = self.plan_on(app, cluster.id).await?;
        let plan = &plan;
        let names = app.names();
        let server = self.admin(cluster.id, None).await?;
        // Two processes, or two tenants that are the first on a cluster, take turns; the lock ends with the session.
        let lock = turn_of(app);
        server.run(&format!("SET lock_timeout = 0; SELECT pg_advisory_lock({lock}); RESET lock_timeout")).await?;
        // Before anything is made: what is somebody else's stays as it is.
        for database in [&names.database, &names.template] {
            if comment_of(&server, database).await?.is_some()
                && !self.is_ours(&server, app, cluster.id, database).await?
            {
                let (cluster, database, app) = (cluster.name.clone(), database.clone(), app.clone());
                return Err(LifecycleError::DatabaseTaken { cluster, database, app });
            }
        }
        roles::create_groups(&server, &names).await?;
        if !cluster.dedicated {
            self.create_dense_login(&server, &names, cluster).await?;
            self.build_database(app, cluster, &server, Kind::Shared, plan).await?;
        }
        self.build_database(app, cluster, &server, Kind::Template, plan).await?;
        Ok(self.catalog.set_prepared(app, cluster.id, release.release).await?)
    }

    /// Puts a template of another version in the place of the one that is there. Nobody makes a database of either meanwhile.
    pub(crate) async fn replace_template(
        &self,
        app: &AppName,
        plan: &Plan,
        cluster: &Cluster,
    ) -> Result<(), LifecycleError> {
        let server = self.admin(cluster.id, None).await?;
        let names = app.names();
        let template = names.template.clone();
        self.raise_database(app, cluster, &server, Kind::Template, plan).await?.close().await;
        let retired = format!("retired_{template}");
        if self.is_ours(&server, app, cluster.id, &template).await? {
            self.drop_database(None, cluster.id, &retired).await?;
            let [from, to] = [&template, &retired].map(|name| quote_ident(name));
            server.run(&format!("ALTER DATABASE {from} RENAME TO {to}")).await?;
        }
        finish_database(&names, &server, Kind::Template).await?;
        self.drop_database(None, cluster.id, &retired).await
    }

    /// Takes an app that never had a tenant from a cluster.
    pub(crate) async fn unprepare(&self, app: &AppName, cluster: &Cluster) -> Result<(), LifecycleError> {
        let names = app.names();
        let server = self.admin(cluster.id, None).await?;
        for database in [&names.database, &names.template] {
            self.drop_database(None, cluster.id, &building(database)).await?;
            if self.is_ours(&server, app, cluster.id, database).await? {
                self.drop_database(None, cluster.id, database).await?;
            }
        }
        let left_over = server.ask(LEFT_OVER, &[&names.database, &names.template]).await?;
        if !left_over {
            self.drop_rehearsed(&server, app, cluster.id).await?;
            roles::drop_all(&server, &names).await?;
        }
        Ok(())
    }

    /// Removes the tenants of rehearsals that were cut off: no record knows of them, but they are members of the app's groups.
    async fn drop_rehearsed(&self, server: &Session, app: &AppName, cluster: Uuid) -> Result<(), LifecycleError> {
        let names = app.names();
        let groups = names.groups();
        let members = server
            .query(
                "SELECT DISTINCT m.rolname::text FROM pg_auth_members am
                 JOIN pg_roles g ON g.oid = am.roleid AND g.rolname = ANY ($1::text[])
                 JOIN pg_roles m ON m.oid = am.member AND m.rolname ~ '^[tr]_[0-9a-f]{32}$'",
                &[&groups.as_slice()],
            )
            .await
            .map_err(|error| server.fault(&error))?;
        for role in members.iter().map(|row| row.get::<_, String>(0)) {
            if let Ok(tenant) = role[2..].parse() {
                self.drop_database(None, cluster, &app.own_database(tenant)).await?;
            }
            server.run(&format!("DROP ROLE IF EXISTS {}", quote_ident(&role))).await?;
        }
        Ok(())
    }

    async fn build_database(
        &self,
        app: &AppName,
        cluster: &Cluster,
        server: &Session,
        kind: Kind,
        plan: &Plan,
    ) -> Result<(), LifecycleError> {
        let names = app.names();
        let database = kind.database(&names);
        if self.is_ours(server, app, cluster.id, database).await? {
            return Ok(());
        }
        let inside = self.raise_database(app, cluster, server, kind, plan).await?;
        let shape = shape::of_schema(&inside, "public").await?;
        inside.close().await;
        let looks = if kind == Kind::Shared { ShapeKind::Shared } else { ShapeKind::Own };
        self.catalog.put_shape(app, cluster.id, plan.version(), looks, &shape).await?;
        finish_database(&names, server, kind).await
    }

    /// A database as it will be, under another name and closed to everybody but superusers, with a session in it.
    pub(crate) async fn raise_database(
        &self,
        app: &AppName,
        cluster: &Cluster,
        server: &Session,
        kind: Kind,
        plan: &Plan,
    ) -> Result<Session, LifecycleError> {
        let names = app.names();
        let building = building(kind.database(&names));
        self.drop_database(None, cluster.id, &building).await?;
        // Until its privileges are in place nobody but a superuser may connect: whoever slipped in would stay in.
        let create =
            format!("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8' CONNECTION LIMIT 0", quote_ident(&building));
        server.run(&create).await?;
        // If this goes no further, it can be told whose it is.
        let mark = quote_literal(&self.mark(app, cluster.id));
        server.run(&format!("COMMENT ON DATABASE {} IS {mark}", quote_ident(&building))).await?;
        let inside = self.admin(cluster.id, Some(&building)).await?;
        inside.run(&frame::open(&building, &names, kind)).await?;
        extensions::create(&inside, plan, cluster.name.as_str()).await?;
        inside.run(&frame::hand_over(&names)).await?;
        inside.run_app(&statements(plan, &names, kind)).await?;
        inside.run("RESET ROLE; RESET search_path").await?;
        if matches!(kind, Kind::Shared) {
            self.store_keys(&inside, app, cluster).await?;
            secrets::record_sequences(&inside, plan).await?;
        }
        hardening::apply(&inside, &names, kind).await?;
        ddl_guard::install(&inside, &names).await?;
        inside.run(&format!("{}; COMMIT", stamp::write(stamp::WHOLE, plan.version()))).await?;
        Ok(inside)
    }

    /// Whether a database is there and this installation made it for the app on this cluster.
    pub(crate) async fn is_ours(
        &self,
        server: &Session,
        app: &AppName,
        cluster: Uuid,
        database: &str,
    ) -> Result<bool, LifecycleError> {
        Ok(comment_of(server, database).await?.flatten().as_deref() == Some(&self.mark(app, cluster)))
    }

    /// What tells our databases from somebody else's of the same name, and one cluster's server from another's.
    pub(crate) fn mark(&self, app: &AppName, cluster: Uuid) -> String {
        // What stands for the installation follows from the master key.
        format!("sindico app {app} of installation {} on cluster {cluster}", self.catalog.master().installation())
    }
}

/// Either database.
const LEFT_OVER: &str = "SELECT EXISTS (SELECT FROM pg_database WHERE datname IN ($1, $2))";

fn statements(plan: &Plan, names: &SharedNames, kind: Kind) -> Vec<Statement> {
    let mut all = match kind {
        Kind::Shared => plan.shared_ddl(names),
        Kind::Template => plan.own_database_ddl(names),
    };
    all.extend(plan.global_seed());
    all
}

/// Gives a database that is as it should be its name, and opens it.
async fn finish_database(names: &SharedNames, server: &Session, kind: Kind) -> Result<(), LifecycleError> {
    let database = kind.database(names);
    let building = building(database);
    let (from, to) = (quote_ident(&building), quote_ident(database));
    if matches!(kind, Kind::Template) {
        server.run(&format!("ALTER DATABASE {from} IS_TEMPLATE true ALLOW_CONNECTIONS false")).await?;
    }
    server.run(&format!("ALTER DATABASE {from} CONNECTION LIMIT -1; ALTER DATABASE {from} RENAME TO {to}")).await
}

/// The key of the lock that whoever builds an app on a server has, in the database that the cluster's DSN names.
pub(crate) fn turn_of(app: &AppName) -> String {
    format!("hashtextextended({}, 0)", quote_literal(&app.names().database))
}

fn building(database: &str) -> String {
    format!("building_{database}")
}

/// Whether there is no such database, or nobody has said whose it is.
pub(crate) async fn is_unmarked(server: &Session, database: &str) -> Result<bool, LifecycleError> {
    Ok(comment_of(server, database).await?.flatten().is_none())
}

/// `None` without such a database, `Some(None)` without a comment on it.
async fn comment_of(server: &Session, database: &str) -> Result<Option<Option<String>>, LifecycleError> {
    let row = server
        .query_opt("SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = $1", &[&database])
        .await
        .map_err(|error| server.fault(&error))?;
    Ok(row.map(|row| row.get(0)))
}
