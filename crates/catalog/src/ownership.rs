//! Whose what is that carries a tenant's id or an app's name.

use std::collections::HashMap;

use domain::{AppName, Placement, Slug, TenantId};
use uuid::Uuid;

use crate::error::read;
use crate::tenant::placement;
use crate::{Catalog, CatalogError, ControlTx};

/// All tenants, apps and operations under way, as they were at one moment.
#[derive(Debug, Default)]
pub struct Ownership {
    tenants: HashMap<TenantId, (Slug, Placement)>,
    /// Whether each is ready.
    apps: HashMap<AppName, bool>,
    /// The kind, by what is changed and by its own id.
    under_way: HashMap<Uuid, String>,
}

impl Ownership {
    /// A tenant's name and place, whatever its state.
    #[must_use]
    pub fn tenant(&self, id: TenantId) -> Option<(&Slug, &Placement)> {
        self.tenants.get(&id).map(|(slug, placement)| (slug, placement))
    }

    /// Whether an app is ready; none if nobody has registered it.
    #[must_use]
    pub fn app(&self, name: &AppName) -> Option<bool> {
        self.apps.get(name).copied()
    }

    /// The kind of the operation that changes this, or is this, and has not ended.
    #[must_use]
    pub fn under_way(&self, subject: Uuid) -> Option<&str> {
        self.under_way.get(&subject).map(String::as_str)
    }
}

impl Catalog {
    /// Who owns what at this moment.
    pub async fn ownership(&self) -> Result<Ownership, CatalogError> {
        let mut tx = self.db.begin().await?;
        sqlx::query!("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY").execute(&mut *tx).await?;
        let ownership = self.ownership_within(&mut tx, None).await?;
        tx.commit().await?;
        Ok(ownership)
    }

    /// The same within a transaction, of one tenant, if it is named, and of all apps.
    pub async fn ownership_within(
        &self,
        tx: &mut ControlTx,
        tenant: Option<TenantId>,
    ) -> Result<Ownership, CatalogError> {
        let mut all = Ownership::default();
        let tenants = sqlx::query!(
            "SELECT t.id, t.slug, p.cluster, p.isolation, p.database, p.schema
             FROM sindico.tenants t JOIN sindico.placements p ON p.tenant = t.id WHERE $1::uuid IS NULL OR t.id = $1",
            tenant.map(TenantId::as_uuid),
        )
        .fetch_all(&mut **tx)
        .await?;
        for row in tenants {
            let place = placement(row.cluster, &row.isolation, row.database, row.schema)?;
            all.tenants.insert(TenantId::from_uuid(row.id), (read("slug", &row.slug)?, place));
        }
        let apps = sqlx::query!("SELECT name, ready FROM sindico.apps").fetch_all(&mut **tx).await?;
        for row in apps {
            all.apps.insert(read("app name", &row.name)?, row.ready);
        }
        let under_way = sqlx::query!("SELECT id, subject, kind FROM sindico.operations WHERE ended_at IS NULL")
            .fetch_all(&mut **tx)
            .await?;
        // What an operation has made for itself alone carries its own id.
        all.under_way
            .extend(under_way.into_iter().flat_map(|row| [(row.id, row.kind.clone()), (row.subject, row.kind)]));
        Ok(all)
    }
}
