//! Crossing the threshold.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use catalog::{Catalog, TenantRoute};
use domain::Status;
use pool::Pool;
use tokio::sync::Mutex;

use crate::proof::Proof;
use crate::rules::Shelf;
use crate::seats::Seats;
use crate::tally::Tally;
use crate::{Claim, Identity, Refusal, TenantHandle, Words};

/// Decides who gets in. Cheap to clone; all clones count together.
#[derive(Debug, Clone)]
pub struct Threshold {
    pub(crate) catalog: Catalog,
    pub(crate) pool: Pool,
    /// Held by whoever restores a role.
    pub(crate) repairs: Arc<Mutex<()>>,
    pub(crate) shelf: Shelf,
    pub(crate) seats: Seats,
    pub(crate) refusals: Tally,
    connections_per_tenant: Arc<AtomicUsize>,
}

impl Threshold {
    /// Guards the way to `pool`. `connections_per_tenant` is how many handles a tenant may hold at once, in this
    /// process.
    #[must_use]
    pub fn new(catalog: Catalog, pool: Pool, connections_per_tenant: usize) -> Self {
        Self {
            catalog,
            pool,
            repairs: Arc::default(),
            shelf: Shelf::default(),
            seats: Seats::default(),
            refusals: Tally::of_refusals(),
            connections_per_tenant: Arc::new(AtomicUsize::new(connections_per_tenant)),
        }
    }

    /// Changes how many handles a tenant may hold at once from now on; those that are held stay.
    pub fn set_connections_per_tenant(&self, limit: usize) {
        self.connections_per_tenant.store(limit, Ordering::Relaxed);
    }

    /// What a client on the PostgreSQL wire says it is; the database is an app.
    pub fn claim(&self, words: &Words<'_>, database: &str) -> Result<Claim, Refusal> {
        Claim::understand(self.catalog.routes(), words, database)
    }

    /// What an HTTP client says it is: `X-Tenant-ID` with an id or a slug.
    pub fn claim_header(&self, tenant: &str) -> Result<Claim, Refusal> {
        let by_id = tenant.parse().ok().and_then(|id| self.catalog.routes().by_id(id));
        let slug = by_id.map(|route| route.slug.to_string());
        Claim::find(self.catalog.routes(), slug.as_deref().unwrap_or(tenant), None)
    }

    /// Lets a proven identity in, or says why not. Decided on the newest route, not on the one that the claim saw: the
    /// proof may have taken its time.
    pub fn admit(&self, identity: Identity) -> Result<TenantHandle, Refusal> {
        let Identity { route, app, label, proof, access } = identity;
        let route = current(&self.catalog, &route, proof)?;
        if let Some(asked) = app.filter(|asked| asked != route.app.as_str()) {
            return Err(Refusal::WrongApp { slug: route.slug.clone(), asked, app: route.app.clone() });
        }
        standing(&route, proof)?;
        let limit = route.pool.max_clients.and_then(|most| usize::try_from(most.get()).ok());
        let limit = limit.unwrap_or_else(|| self.connections_per_tenant.load(Ordering::Relaxed));
        let seat = self.seats.take(route.id, &route.slug, limit);
        let seat = seat.ok_or_else(|| Refusal::TooManyConnections { slug: route.slug.clone(), limit })?;
        Ok(TenantHandle::new(self.clone(), route, label, proof, access, seat))
    }

    /// Closes the idle server connections of a tenant, and those in use as soon as they are given back.
    pub fn forget(&self, tenant: domain::TenantId) {
        for role in domain::Role::both(tenant) {
            self.pool.close_role(&role.to_string());
        }
    }

    /// Closes the idle server connections to a cluster, and those in use as soon as they are given back.
    pub fn forget_cluster(&self, cluster: uuid::Uuid) {
        self.pool.close_cluster(cluster);
    }
}

/// The newest route of a tenant, if what it was proven by still counts.
fn current(catalog: &Catalog, seen: &TenantRoute, proof: Proof) -> Result<Arc<TenantRoute>, Refusal> {
    let route = catalog.routes().by_id(seen.id);
    match proof {
        Proof::Key(_) => {
            route.filter(|route| is_known(route, proof)).ok_or_else(|| Refusal::WrongKey(seen.slug.clone()))
        }
        Proof::Token(_) => route.ok_or_else(|| Refusal::UnknownTenant(seen.slug.to_string())),
    }
}

/// Whether a tenant is to be served on the strength of this proof, by what its route says.
pub(crate) fn standing(route: &TenantRoute, proof: Proof) -> Result<(), Refusal> {
    match route.status {
        Status::Active => {}
        Status::Suspended => return Err(Refusal::Suspended(route.slug.clone())),
        Status::Provisioning => return Err(Refusal::Provisioning(route.slug.clone())),
        Status::Spare | Status::Deleting => return Err(Refusal::UnknownTenant(route.slug.to_string())),
    }
    if !is_known(route, proof) {
        return Err(Refusal::KeyRevoked(route.slug.clone()));
    }
    if !route.present {
        return Err(Refusal::NoSchema(route.slug.clone()));
    }
    Ok(())
}

/// Whether a key is still the tenant's. Of tokens there is no list; they end by themselves.
fn is_known(route: &TenantRoute, proof: Proof) -> bool {
    match proof {
        Proof::Key(key) => route.keys.iter().any(|known| known.id == key),
        Proof::Token(_) => true,
    }
}
