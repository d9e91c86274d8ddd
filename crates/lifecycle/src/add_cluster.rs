//! Registering a cluster.

use std::fmt;

use catalog::{Cluster, NewCluster};
use domain::{ClusterName, Server, Servers, TargetSession};
use tls::{Demand, Dsn, is_folder};
use tokio_postgres::config::Host;
use uuid::Uuid;

use crate::server::{Session, parse_dsn};
use crate::{Lifecycle, LifecycleError};

/// The oldest PostgreSQL whose `ON DELETE SET NULL (column)` the shared tables need.
const OLDEST: i32 = 150_000;

/// A server that tenants are to be placed on.
pub struct AddCluster {
    /// The operator's name for it.
    pub name: ClusterName,
    /// A superuser's connection string, of one server or of several that hold the same.
    pub dsn: String,
    /// Takes only tenants of isolation `cluster`, and nobody else takes those.
    pub dedicated: bool,
    /// The most tenants it takes. A dedicated cluster takes one unless told otherwise.
    pub capacity: Option<i32>,
    /// The server is síndico's alone: close databases that anybody may connect to.
    pub exclusive: bool,
}

/// Without the DSN, which holds a password.
impl fmt::Debug for AddCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AddCluster").field("name", &self.name.as_str()).finish_non_exhaustive()
    }
}

/// A registered cluster and what an operator should know of it.
#[derive(Debug)]
pub struct AddedCluster {
    /// As it was recorded.
    pub cluster: Cluster,
    /// What síndico did not change but would.
    pub warnings: Vec<String>,
}

impl Lifecycle {
    /// Registers a cluster, or its new address, and builds every registered app on it.
    pub async fn add_cluster(&self, new: AddCluster) -> Result<AddedCluster, LifecycleError> {
        let desk = self.clone();
        self.through(Box::pin(async move { desk.add_cluster_now(&new).await })).await
    }

    async fn add_cluster_now(&self, new: &AddCluster) -> Result<AddedCluster, LifecycleError> {
        let lock = self.catalog.lock_cluster(&new.name).await?;
        Self::under(lock, self.add_cluster_locked(new)).await
    }

    async fn add_cluster_locked(&self, new: &AddCluster) -> Result<AddedCluster, LifecycleError> {
        let (servers, dsn) = address(&new.dsn)?;
        let server = Session::open(&new.name, parse_dsn(&dsn)?).await?;
        let (server_version, system_identifier) = inspect(&server).await?;
        let clusters = self.catalog.clusters().await?;
        let known = clusters.iter().find(|cluster| cluster.name == new.name);
        match known {
            Some(known) => self.recognise(&server, known, new.dedicated).await?,
            None => expect_stranger(&clusters, system_identifier)?,
        }
        let warnings = close_doors(&server, new.exclusive).await?;
        drop(server);

        let usual = known.map_or(new.dedicated.then_some(1), |known| known.capacity);
        let id = self
            .catalog
            .put_cluster(&NewCluster {
                name: &new.name,
                dsn: &dsn,
                servers: &servers,
                server_version,
                dedicated: new.dedicated,
                capacity: new.capacity.or(usual),
                system_identifier,
            })
            .await?;
        // Connections that were opened to another address, or with another password, are of no use any more.
        self.threshold.forget_cluster(id);
        let cluster = self.cluster(id).await?;
        if let Err(cause) = self.prepare_apps(&cluster).await {
            // One that is in use keeps what it has.
            if cluster.ready {
                return Err(cause);
            }
            return Err(cause.undone(self.discard_cluster(&cluster).await));
        }
        self.catalog.set_cluster_ready(id).await?;
        Ok(AddedCluster { cluster: self.cluster(id).await?, warnings })
    }

    async fn cluster(&self, id: Uuid) -> Result<Cluster, LifecycleError> {
        let found = self.catalog.clusters().await?.into_iter().find(|cluster| cluster.id == id);
        found.ok_or_else(|| LifecycleError::Unverified("the cluster's record is gone".to_owned()))
    }

    /// A name that is known may get a new address, but not another server: its tenants would lose their data from sight.
    async fn recognise(&self, server: &Session, known: &Cluster, dedicated: bool) -> Result<(), LifecycleError> {
        // Not even an empty one: the kind decides which databases an app has there.
        if known.dedicated != dedicated {
            return Err(LifecycleError::KindFixed { cluster: known.name.clone(), dedicated: known.dedicated });
        }
        // One that is being made, or unmade after a crash, has its databases today and not tomorrow.
        for app in self.catalog.apps().await?.into_iter().filter(|app| app.ready) {
            let template = app.name.names().template;
            if self.catalog.is_prepared(&app.name, known.id).await?
                && !self.is_ours(server, &app.name, known.id, &template).await?
            {
                return Err(LifecycleError::BadCluster(format!(
                    "cluster \"{}\" is registered, and this server lacks its database {template}; give the server that \
                     has it, or register this one under another name",
                    known.name
                )));
            }
        }
        Ok(())
    }

    async fn prepare_apps(&self, cluster: &Cluster) -> Result<(), LifecycleError> {
        for app in self.catalog.apps().await?.into_iter().filter(|app| app.ready) {
            self.prepare(&app.name, cluster).await?;
        }
        Ok(())
    }

    /// Takes back what a registration that failed has made. The cluster never was ready, so nobody was placed on it.
    async fn discard_cluster(&self, cluster: &Cluster) -> Result<(), LifecycleError> {
        for app in self.catalog.apps().await?.into_iter().filter(|app| app.ready) {
            self.unprepare(&app.name, cluster).await?;
        }
        Ok(self.catalog.remove_unready_cluster(cluster.id).await?)
    }
}

/// One server under two names would hold both kinds of tenants, and undoing one registration would take the other's
/// databases.
fn expect_stranger(clusters: &[Cluster], system_identifier: i64) -> Result<(), LifecycleError> {
    match clusters.iter().find(|cluster| cluster.system_identifier == system_identifier) {
        None => Ok(()),
        Some(same) => Err(LifecycleError::BadCluster(format!(
            "the server already is cluster \"{}\"; register each server once",
            same.name
        ))),
    }
}

/// Where server connections will go; and the DSN for síndico's own
/// sessions, which of several servers need the one that can be written to.
fn address(dsn: &str) -> Result<(Servers, String), LifecycleError> {
    let refuse = |what: &str| LifecycleError::BadCluster(format!("the DSN {what}"));
    let (target, mut dsn) = TargetSession::take_from(dsn)
        .map_err(|error| LifecycleError::BadCluster(format!("the DSN cannot be used: {error}")))?;
    let Dsn { config, trust } = parse_dsn(&dsn)?;
    if !config.get_hostaddrs().is_empty() {
        return Err(refuse("names a hostaddr; give the address as host"));
    }
    if config.get_user().is_none() || config.get_password().is_none() {
        return Err(refuse("lacks a user or a password; a superuser's are needed"));
    }
    let (hosts, ports) = (config.get_hosts(), config.get_ports());
    if trust.demand() != Demand::Disable && hosts.iter().any(|host| matches!(host, Host::Unix(_))) {
        return Err(refuse(
            "names Unix sockets beside hosts that are to be encrypted; name one kind, or give sslmode=disable",
        ));
    }
    if ports.contains(&0) || ports.len() > 1 && ports.len() != hosts.len() {
        return Err(refuse("names no usable port; name one from 1 to 65535, for all hosts or for each"));
    }
    let port = |index: usize| ports.get(index).or(ports.first()).copied().unwrap_or(5432);
    let server = |(index, host): (usize, &Host)| match host {
        Host::Tcp(host) => Ok(Server { host: host.clone(), port: port(index) }),
        Host::Unix(folder) => match folder.to_str().filter(|folder| is_plain(folder)) {
            Some(folder) => Ok(Server { host: folder.to_owned(), port: port(index) }),
            None => Err(refuse("names a Unix socket that is no folder from / on, or has one of , : ? % in its name")),
        },
    };
    let all: Vec<Server> = hosts.iter().enumerate().map(server).collect::<Result<_, _>>()?;
    if all.len() > 1 {
        // Not wherever "://" stands, which may be in a password.
        let form = if !dsn.starts_with("postgres") {
            " "
        } else if dsn.contains('?') {
            "&"
        } else {
            "?"
        };
        dsn.push_str(&format!("{form}target_session_attrs=read-write"));
    }
    let servers = Servers::of(all, target)
        .ok_or_else(|| refuse("names no host; write postgresql://user:password@host:5432/postgres"))?;
    Ok((servers, dsn))
}

/// Whether a folder can stand in a list of hosts as it is.
fn is_plain(folder: &str) -> bool {
    is_folder(folder) && !folder.contains([',', ':', '?', '%'])
}

/// Version, rights and identity, checked before anything is recorded.
async fn inspect(server: &Session) -> Result<(i32, i64), LifecycleError> {
    let row = server
        .query_one(
            "SELECT current_setting('server_version_num')::int, r.rolsuper, current_user::text,
                    pg_is_in_recovery(), current_setting('max_prepared_transactions')::int
             FROM pg_roles r WHERE r.rolname = current_user",
            &[],
        )
        .await
        .map_err(|error| server.fault(&error))?;
    let (version, superuser, user): (i32, bool, String) = (row.get(0), row.get(1), row.get(2));
    let refuse = |why: String| Err(LifecycleError::BadCluster(why));
    if version < OLDEST {
        return refuse(format!("the server is PostgreSQL {}; 15 or later is needed", version / 10_000));
    }
    if !superuser {
        return refuse(format!("role \"{user}\" is no superuser; give the DSN of one"));
    }
    if row.get(3) {
        return refuse("the server is a read-only standby; give the DSN of its primary".to_owned());
    }
    if row.get::<_, i32>(4) > 0 {
        return refuse(
            "the server has max_prepared_transactions above 0, so a tenant's PREPARE TRANSACTION would keep its locks after it \
             has left; set it to 0 and restart the server"
                .to_owned(),
        );
    }
    let identity = server.query_one("SELECT system_identifier FROM pg_control_system()", &[]).await;
    Ok((version, identity.map_err(|error| server.fault(&error))?.get(0)))
}

/// Databases that every role may connect to: closed where the server is ours alone, reported elsewhere.
async fn close_doors(server: &Session, exclusive: bool) -> Result<Vec<String>, LifecycleError> {
    let open = server
        .query(
            "SELECT datname::text FROM pg_database d
             WHERE datallowconn AND EXISTS (
                 SELECT FROM aclexplode(coalesce(datacl, acldefault('d', datdba)))
                 WHERE grantee = 0 AND privilege_type = 'CONNECT')
             ORDER BY datname",
            &[],
        )
        .await
        .map_err(|error| server.fault(&error))?;
    let names: Vec<String> = open.iter().map(|row| row.get(0)).collect();
    if exclusive {
        for name in &names {
            server.run(&format!("REVOKE ALL ON DATABASE {} FROM PUBLIC", domain::quote_ident(name))).await?;
        }
        return Ok(Vec::new());
    }
    Ok(names
        .into_iter()
        .map(|name| {
            format!(
                "any role may connect to database \"{name}\" of this server; if nobody relies on it: REVOKE CONNECT ON \
                 DATABASE {} FROM PUBLIC",
                domain::quote_ident(&name)
            )
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn a_dsn_says_where_servers_are() {
        for (dsn, servers, own) in [
            ("postgresql://a:b@db:6000/x?sslmode=disable", "db", "postgresql://a:b@db:6000/x?sslmode=disable"),
            ("host=db user=a password=b sslmode=require", "db", "host=db user=a password=b sslmode=require"),
            (
                "postgresql://a:b@c:1,d:2/x?target_session_attrs=standby&sslmode=require",
                "c:1,d:2?target_session_attrs=standby",
                "postgresql://a:b@c:1,d:2/x?sslmode=require&target_session_attrs=read-write",
            ),
            (
                "postgresql://a:b@127.0.0.1:1,localhost:2/x",
                "127.0.0.1:1,localhost:2?target_session_attrs=any",
                "postgresql://a:b@127.0.0.1:1,localhost:2/x?target_session_attrs=read-write",
            ),
            (
                "host=c,d port=7 user=a password=b sslmode=disable",
                "c:7,d:7?target_session_attrs=any",
                "host=c,d port=7 user=a password=b sslmode=disable target_session_attrs=read-write",
            ),
        ] {
            let (found, administrators) = address(dsn).expect(dsn);
            assert_eq!((found.host_text().as_str(), administrators.as_str()), (servers, own), "{dsn}");
            crate::server::parse_dsn(own).expect("a DSN for the driver");
        }
        let local = "host=/run/postgresql port=5433 user=a password=b sslmode=verify-full";
        assert_eq!(address(local).expect("a socket").0.host_text(), "/run/postgresql");
        let plain = "postgresql://a:b@db:6000/x?sslmode=disable";
        assert_eq!(address(plain).expect("fine").0.first().port, 6000);
        for (dsn, fault) in [
            ("nonsense", "cannot be read"),
            ("user=a password=b sslmode=disable", "no host"),
            ("postgresql://a:b@db:0/x?sslmode=disable", "no usable port"),
            ("host=db port=1,2 user=a password=b sslmode=disable", "no usable port"),
            ("host=/run/a:b user=a password=b", "Unix socket"),
            ("host=/run/postgresql,db user=a password=b sslmode=verify-full", "one kind"),
            ("host=/run/postgresql,db user=a password=b", "one kind"),
            ("host=a,b,c port=1,2 user=a password=b sslmode=disable", "no usable port"),
            ("host=a user=a password=b target_session_attrs=best", "unknown"),
            ("host=a hostaddr=10.0.0.5 user=a password=b sslmode=disable", "hostaddr"),
            ("postgresql://a@db/x?sslmode=disable", "lacks a user or a password"),
            ("postgresql://a:b@db/x?sslmode=prefer", "sslmode"),
            ("postgresql://a:b@db,127.0.0.1/x?sslmode=verify-ca", "sslrootcert"),
            ("postgresql://a:b@db/x?sslrootcert=/etc/root.crt", "sslrootcert"),
        ] {
            let error = address(dsn).expect_err(dsn).to_string();
            assert!(error.contains(fault), "{dsn}: {error}");
        }
    }
}
