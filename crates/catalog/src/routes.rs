//! The routing snapshot: everything a door needs to know of a tenant, in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use domain::{Access, AppName, KeyId, Placement, PoolOverrides, Servers, Slug, Status, TenantId};
use imbl::HashMap;
use sqlx::types::Json;
use time::OffsetDateTime;
use tls::{Dsn, Trust};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tracing::error;
use uuid::Uuid;
use wire::scram::Verifier;

use crate::cluster::dsn_place;
use crate::error::read;
use crate::tenant::{placement, pool_overrides};
use crate::{Catalog, CatalogError, key};

/// A tenant as doors see it. Never changes: a change publishes another one and cancels `superseded`.
#[derive(Debug)]
pub struct TenantRoute {
    /// Its identity.
    pub id: TenantId,
    /// Its short name.
    pub slug: Slug,
    /// The app it uses, which is the database that its clients ask for.
    pub app: AppName,
    /// Only active tenants are served.
    pub status: Status,
    /// Where its rows are.
    pub placement: Placement,
    /// False while its schema is dropped.
    pub present: bool,
    /// How many of the app's migrations its tables have.
    pub version: i32,
    /// How its clients share server connections.
    pub pool: PoolOverrides,
    /// The salt of all its keys.
    pub salt: Vec<u8>,
    /// Its keys; expired ones too, since time passes without an update.
    pub keys: Vec<RouteKey>,
    /// Cancelled as soon as this route no longer tells the truth.
    pub superseded: CancellationToken,
    /// The same, for those who look at it for every transaction.
    stale: AtomicBool,
}

impl TenantRoute {
    /// Whether this route may no longer tell the truth. One load, where asking the token takes a lock.
    #[must_use]
    pub fn is_superseded(&self) -> bool {
        self.stale.load(Ordering::Acquire)
    }

    /// Wakes those who rely on it.
    fn supersede(&self) {
        self.stale.store(true, Ordering::Release);
        self.superseded.cancel();
    }
}

/// What a door needs to know of a key.
#[derive(Debug, Clone)]
pub struct RouteKey {
    /// Which key.
    pub id: KeyId,
    /// Which of the tenant's roles it logs in as.
    pub access: Access,
    /// What its secret is checked against.
    pub verifier: Verifier,
    /// From when on it opens no new connection.
    pub expires_at: Option<OffsetDateTime>,
}

/// Where a cluster answers.
#[derive(Debug, Clone)]
pub struct ClusterRoute {
    /// What operators call it.
    pub name: String,
    /// Its servers.
    pub servers: Servers,
    /// What is asked of each of them before it is believed.
    pub trust: Trust,
}

/// One state of the snapshot; copies share what did not change.
#[derive(Debug, Default, Clone)]
struct Snapshot {
    by_slug: HashMap<Slug, Arc<TenantRoute>>,
    by_id: HashMap<TenantId, Arc<TenantRoute>>,
    clusters: HashMap<Uuid, ClusterRoute>,
}

/// The current snapshot. Readers never wait; writers are one at a time, so that an older reading of the control database
/// cannot overwrite a newer one.
#[derive(Debug)]
pub struct Routes {
    current: ArcSwap<Snapshot>,
    writing: Mutex<()>,
    addresses: AtomicU64,
}

impl Routes {
    pub(crate) fn empty() -> Self {
        Self { current: ArcSwap::default(), writing: Mutex::new(()), addresses: AtomicU64::new(0) }
    }

    /// The tenant with this slug.
    #[must_use]
    pub fn by_slug(&self, slug: &Slug) -> Option<Arc<TenantRoute>> {
        self.current.load().by_slug.get(slug).cloned()
    }

    /// The tenant with this id.
    #[must_use]
    pub fn by_id(&self, id: TenantId) -> Option<Arc<TenantRoute>> {
        self.current.load().by_id.get(&id).cloned()
    }

    /// Where a cluster answers.
    #[must_use]
    pub fn cluster(&self, id: Uuid) -> Option<ClusterRoute> {
        self.current.load().clusters.get(&id).cloned()
    }

    /// A number that changes whenever a cluster's address may have.
    #[must_use]
    pub fn addresses(&self) -> u64 {
        self.addresses.load(Ordering::Acquire)
    }

    /// All tenants, in no order.
    #[must_use]
    pub fn tenants(&self) -> Vec<Arc<TenantRoute>> {
        self.current.load().by_id.values().cloned().collect()
    }

    /// Puts a tenant's new route (or its absence) in place of the old one, then wakes those who rely on the old one.
    fn publish(&self, id: TenantId, route: Option<TenantRoute>) {
        let mut next = Snapshot::clone(&self.current.load());
        let old = next.by_id.remove(&id);
        // A slug may have passed to another tenant before the notice of the first one's end arrived.
        if let Some(old) = old.as_ref().filter(|old| next.by_slug.get(&old.slug).is_some_and(|now| now.id == old.id)) {
            next.by_slug.remove(&old.slug);
        }
        if let Some(route) = route {
            let route = Arc::new(route);
            next.by_slug.insert(route.slug.clone(), Arc::clone(&route));
            next.by_id.insert(id, route);
        }
        self.current.store(Arc::new(next));
        if let Some(old) = old {
            old.supersede();
        }
    }
}

/// A key as the query below aggregates it.
#[derive(serde::Deserialize)]
struct KeyRow {
    id: Uuid,
    access: String,
    verifier: String,
    #[serde(with = "time::serde::rfc3339::option")]
    expires_at: Option<OffsetDateTime>,
}

struct Row {
    id: Uuid,
    slug: String,
    app: String,
    status: String,
    salt: Vec<u8>,
    cluster: Uuid,
    isolation: String,
    database: String,
    schema: String,
    present: bool,
    version: i32,
    pool_mode: Option<String>,
    pooling: Option<String>,
    max_server_connections: Option<i32>,
    max_clients: Option<i32>,
    keys: Json<Vec<KeyRow>>,
}

/// Address and DSN in one reading, since a server is to be asked what its own DSN demands, and not its successor's.
struct ClusterRow {
    id: Uuid,
    name: String,
    host: String,
    port: i32,
    sealed_dsn: Vec<u8>,
}

impl TryFrom<Row> for TenantRoute {
    type Error = CatalogError;

    fn try_from(row: Row) -> Result<Self, CatalogError> {
        let keys = row.keys.0.into_iter().map(|key| {
            Ok::<_, CatalogError>(RouteKey {
                id: KeyId::from_uuid(key.id),
                access: key::access(&key.access)?,
                verifier: read("key verifier", &key.verifier)?,
                expires_at: key.expires_at,
            })
        });
        let (mode, pooling) = (row.pool_mode.as_deref(), row.pooling.as_deref());
        let pool = pool_overrides(mode, pooling, row.max_server_connections, row.max_clients)?;
        Ok(Self {
            id: TenantId::from_uuid(row.id),
            slug: read("slug", &row.slug)?,
            app: read("app name", &row.app)?,
            status: read("status", &row.status)?,
            placement: placement(row.cluster, &row.isolation, row.database, row.schema)?,
            present: row.present,
            version: row.version,
            pool,
            salt: row.salt,
            keys: keys.collect::<Result<_, _>>()?,
            superseded: CancellationToken::new(),
            stale: AtomicBool::new(false),
        })
    }
}

impl Catalog {
    /// Reads one tenant again and publishes what was read.
    pub async fn refresh_tenant(&self, id: TenantId) -> Result<(), CatalogError> {
        let _one_writer = self.routes.writing.lock().await;
        let mut routes = self.read_routes(Some(id)).await?;
        self.routes.publish(id, routes.pop());
        Ok(())
    }

    /// Reads where the clusters are again.
    pub(crate) async fn refresh_clusters(&self) -> Result<(), CatalogError> {
        let _one_writer = self.routes.writing.lock().await;
        let clusters = self.read_clusters().await?;
        let mut next = Snapshot::clone(&self.routes.current.load());
        next.clusters = clusters;
        self.routes.current.store(Arc::new(next));
        self.routes.addresses.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// Reads everything again: at the start, and whenever announcements may have been missed.
    pub async fn reload_routes(&self) -> Result<(), CatalogError> {
        let _one_writer = self.routes.writing.lock().await;
        let mut next = Snapshot { clusters: self.read_clusters().await?, ..Snapshot::default() };
        for route in self.read_routes(None).await? {
            let route = Arc::new(route);
            next.by_slug.insert(route.slug.clone(), Arc::clone(&route));
            next.by_id.insert(route.id, route);
        }
        let old = self.routes.current.swap(Arc::new(next));
        self.routes.addresses.fetch_add(1, Ordering::Release);
        for route in old.by_id.values() {
            route.supersede();
        }
        Ok(())
    }

    async fn read_clusters(&self) -> Result<HashMap<Uuid, ClusterRoute>, CatalogError> {
        let rows = sqlx::query_as!(ClusterRow, "SELECT id, name, host, port, sealed_dsn FROM sindico.clusters")
            .fetch_all(&self.db)
            .await?;
        let readable = rows.into_iter().filter_map(|row| {
            let (id, name) = (row.id, row.name.clone());
            let route = self.read_cluster(row);
            // One record that another version wrote must not close the doors to everybody else.
            Some((id, route.inspect_err(|error| error!(cluster = %name, %error, "cluster is not served")).ok()?))
        });
        Ok(readable.collect())
    }

    fn read_cluster(&self, row: ClusterRow) -> Result<ClusterRoute, CatalogError> {
        let unreadable = |what, value| CatalogError::Unreadable { what, value };
        let servers = Servers::read(&row.host, read("port", &row.port.to_string())?)
            .map_err(|error| unreadable("list of servers", error.to_string()))?;
        let dsn = self.master.open(&dsn_place(row.id), &row.sealed_dsn)?;
        // What is wrong with it is told without what is in it.
        let dsn = Dsn::read(&dsn).map_err(|error| unreadable("DSN", error.to_string()))?;
        Ok(ClusterRoute { name: row.name, servers, trust: dsn.trust })
    }

    async fn read_routes(&self, only: Option<TenantId>) -> Result<Vec<TenantRoute>, CatalogError> {
        let rows = sqlx::query_as!(
            Row,
            r#"SELECT t.id, t.slug, t.app, t.status, t.salt, p.cluster, p.isolation, p.database, p.schema, p.present, p.version,
                      t.pool_mode, t.pooling, t.max_server_connections, t.max_clients,
                      coalesce((SELECT json_agg(json_build_object('id', k.id, 'access', k.access,
                                    'verifier', k.verifier, 'expires_at', k.expires_at) ORDER BY k.id)
                                FROM sindico.keys k WHERE k.tenant = t.id), '[]') AS "keys!: Json<Vec<KeyRow>>"
               FROM sindico.tenants t JOIN sindico.placements p ON p.tenant = t.id
               WHERE ($1::uuid IS NULL OR t.id = $1) AND t.spare_release IS NULL"#,
            only.map(TenantId::as_uuid),
        )
        .fetch_all(&self.db)
        .await?;
        let readable = rows.into_iter().filter_map(|row| {
            let id = row.id;
            TenantRoute::try_from(row)
                // One record that another version wrote must not close the doors to everybody else.
                .inspect_err(|error| error!(tenant = %id, %error, "tenant is not served"))
                .ok()
        });
        Ok(readable.collect())
    }
}
