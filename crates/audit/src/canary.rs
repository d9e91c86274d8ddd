//! The tenants that an audit makes for itself, and takes away again.

use std::fmt;

use catalog::{Catalog, Tenant, TenantFilter, TenantRef};
use domain::{AppName, ClusterName, Isolation, Slug};
use lifecycle::{Lifecycle, LifecycleError, NewTenant};

use crate::{AuditError, known};

/// Where attacks go to.
#[derive(Debug, Clone)]
pub(crate) struct Ground {
    pub(crate) catalog: Catalog,
    /// Host and port of the gateway, as this process reaches it.
    pub(crate) gateway: (String, u16),
    /// Host and port of the control API.
    pub(crate) api: Option<(String, u16)>,
}

/// A tenant of the audit's.
pub(crate) struct Canary {
    pub(crate) tenant: Tenant,
    /// The secret of its first key.
    pub(crate) secret: String,
}

/// Without the secret.
impl fmt::Debug for Canary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Canary").field("tenant", &self.tenant.slug.as_str()).finish_non_exhaustive()
    }
}

/// Makes two tenants that attack each other.
pub(crate) async fn make_pair(
    lifecycle: &Lifecycle,
    catalog: &Catalog,
    app: &AppName,
    isolation: Isolation,
    cluster: Option<&ClusterName>,
) -> Result<(Canary, Canary), AuditError> {
    let run = known::random_hex(6)?;
    let make = async |which: char| {
        let new = NewTenant {
            slug: format!("audit-{run}-{which}").parse()?,
            name: mark(catalog).parse()?,
            app: app.clone(),
            isolation,
            cluster: cluster.cloned(),
            admin: None,
        };
        let made = lifecycle.create_tenant(new).await?;
        Ok::<_, AuditError>(Canary { tenant: made.tenant, secret: made.secret.reveal().to_owned() })
    };
    let pair = (make('a').await?, make('b').await?);
    if isolation == Isolation::Shared {
        // What stands beside the tables for an operator's tools is there to be attacked as well.
        lifecycle.create_views(TenantRef::Id(pair.1.tenant.id)).await?;
    }
    Ok(pair)
}

/// Removes the canaries of audits that were cut off. Only one audit runs at a time, so none is in use.
pub(crate) async fn sweep(lifecycle: &Lifecycle, catalog: &Catalog) -> Result<usize, AuditError> {
    let mut removed = 0;
    let mut filter = TenantFilter { limit: 1000, ..TenantFilter::default() };
    loop {
        let page = catalog.tenants(&filter).await?;
        let Some(last) = page.last() else { return Ok(removed) };
        filter.after = Some(last.id);
        for tenant in page.iter().filter(|tenant| is_canary(catalog, tenant)) {
            match lifecycle.delete_tenant(TenantRef::Id(tenant.id)).await {
                // Recovery may have been faster.
                Ok(()) | Err(LifecycleError::UnknownTenant(_)) => removed += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// By slug and name both: a customer may be called audit-something, but nobody gives a tenant this name by chance.
fn is_canary(catalog: &Catalog, tenant: &Tenant) -> bool {
    let has_slug = |slug: &Slug| {
        let hex =
            slug.as_str().strip_prefix("audit-").and_then(|rest| rest.strip_suffix("-a").or(rest.strip_suffix("-b")));
        hex.is_some_and(|hex| hex.len() == 12 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    has_slug(&tenant.slug) && tenant.name.as_str() == mark(catalog)
}

/// The display name of all canaries of this installation.
fn mark(catalog: &Catalog) -> String {
    format!("canary of sindico audit, installation {}", catalog.master().installation())
}
