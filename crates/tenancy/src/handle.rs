//! The right to reach one tenant's data.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use catalog::TenantRoute;
use domain::{Access, Isolation, PoolOverrides, Role, Slug, TenantId};
use pool::{Lease, PoolError, SessionParams};

use crate::admit::standing;
use crate::login::Login;
use crate::proof::{Lapse, Proof};
use crate::seats::{Presence, Seat};
use crate::visit::{Visit, Wanted};
use crate::{Refusal, ScopeError, Threshold};

/// The right to reach one tenant's data on the strength of one proof. A guard: dropping it gives back the tenant's seat.
#[derive(Debug)]
pub struct TenantHandle {
    threshold: Threshold,
    route: Arc<TenantRoute>,
    label: Option<String>,
    proof: Proof,
    access: Access,
    seat: Seat,
}

impl TenantHandle {
    pub(crate) fn new(
        threshold: Threshold,
        route: Arc<TenantRoute>,
        label: Option<String>,
        proof: Proof,
        access: Access,
        seat: Seat,
    ) -> Self {
        Self { threshold, route, label, proof, access, seat }
    }

    pub(crate) fn threshold(&self) -> &Threshold {
        &self.threshold
    }

    /// The tenant's newest route; the one by which it was admitted once the tenant is no more.
    pub(crate) fn newest(&self) -> Arc<TenantRoute> {
        let newest = || self.threshold.catalog.routes().by_id(self.route.id);
        self.route.is_superseded().then(newest).flatten().unwrap_or_else(|| Arc::clone(&self.route))
    }

    pub(crate) fn presence(&self) -> &Arc<Presence> {
        self.seat.presence()
    }

    /// The client's stay, as operators see it.
    #[must_use]
    pub fn visit(&self) -> &Arc<Visit> {
        self.seat.visit()
    }

    /// Whose data it is.
    #[must_use]
    pub fn tenant(&self) -> TenantId {
        self.route.id
    }

    /// The tenant's short name.
    #[must_use]
    pub fn slug(&self) -> &Slug {
        &self.route.slug
    }

    /// What the client calls itself, for the log; it proves nothing.
    #[must_use]
    pub fn label(&self) -> Option<&str> {
        self.label.as_deref()
    }

    /// How it is kept apart at the moment.
    #[must_use]
    pub fn isolation(&self) -> Isolation {
        self.newest().placement.isolation
    }

    /// How its clients share server connections, as far as it differs from what the configuration gives to all.
    #[must_use]
    pub fn pool_overrides(&self) -> PoolOverrides {
        self.newest().pool
    }

    /// What may be done to it.
    #[must_use]
    pub fn access(&self) -> Access {
        self.access
    }

    /// A server connection logged in as the tenant's role, at the tenant's placement. [`Threshold::hold`] knows nothing of
    /// it: doors take connections from a [`crate::Counter`] or a [`crate::TenantScope`].
    ///
    /// A tenant may change its role's password and settings with raw SQL until nobody can log in. Síndico then gives
    /// the role its own again, and tries once more.
    pub async fn connect(&self, params: &SessionParams) -> Result<Lease, PoolError> {
        self.log_in(Login::Own(Role::new(self.route.id, self.access)), params).await
    }

    /// A server connection of the login that serves all tenants of the app where they share tables, brought back to
    /// what it was after login and then given this tenant's identity, for SQL of the tenant's own.
    ///
    /// For keys that may write, since nothing there tells a reading key from a writing one; and for what a login that
    /// others use as well may do (docs/isolation.md). What else a tenant asks for needs [`TenantHandle::connect`].
    pub async fn connect_dense(&self, params: &SessionParams) -> Result<Lease, ScopeError> {
        if !self.may_be_dense() {
            return Err(ScopeError::NotDense);
        }
        let mut lease = self.log_in(Login::Dense, params).await?;
        let token = self.token(&lease)?;
        lease.present(self.tenant().as_uuid(), &token).await?;
        Ok(lease)
    }

    /// Whether SQL of the tenant's own may run on the login that serves many: tenants share tables only in one isolation, and
    /// nothing on that login tells a reading key from another.
    pub(crate) fn may_be_dense(&self) -> bool {
        self.isolation() == Isolation::Shared && self.access == Access::ReadWrite
    }

    /// Proves this tenant on a connection of the dense login.
    pub(crate) fn token(&self, lease: &Lease) -> Result<String, ScopeError> {
        let key = self.threshold.catalog.master().token_key(self.newest().placement.cluster, &self.route.app);
        Ok(key.issue(self.route.id, lease.pid(), lease.server_time())?)
    }

    /// When the client's right to be here ends by itself; `None` if it lasts until somebody takes it back.
    #[must_use]
    pub fn lapse(&self) -> Option<Lapse> {
        match self.proof {
            Proof::Key(_) => None,
            Proof::Token(lapse) => Some(lapse),
        }
    }

    /// Resolves when the tenant, its key or this very client may no longer be served, with the reason.
    pub async fn ended(&self) -> Refusal {
        let ended = poll_fn(|cx| match self.visit().poll_wanted(cx) {
            Poll::Ready(Wanted::End) => Poll::Ready(()),
            Poll::Ready(Wanted::Yield) | Poll::Pending => Poll::Pending,
        });
        tokio::select! {
            refusal = self.revoked() => refusal,
            () = ended => Refusal::Ended(self.slug().clone()),
        }
    }

    /// The same but for what operators want of this very client, which [`Visit::poll_wanted`] tells. Wakes only when
    /// something about this tenant changes.
    pub async fn revoked(&self) -> Refusal {
        let mut seen = Arc::clone(&self.route);
        loop {
            seen.superseded.cancelled().await;
            let Some(newest) = self.threshold.catalog.routes().by_id(self.route.id) else {
                return Refusal::UnknownTenant(self.route.slug.to_string());
            };
            if let Err(refusal) = standing(&newest, self.proof) {
                return refusal;
            }
            seen = newest;
        }
    }
}
