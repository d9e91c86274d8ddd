//! People who belong to tenants.

use domain::{DisplayName, Email, Slug, TenantId};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::error::read;
use crate::{Catalog, CatalogError, ControlTx};

/// Somebody who belongs to a tenant.
#[derive(Debug, Clone)]
pub struct Member {
    /// UUID version 7.
    pub id: Uuid,
    /// Which tenant.
    pub tenant: TenantId,
    /// What that is called in addresses.
    pub slug: Slug,
    /// What people call it.
    pub tenant_name: DisplayName,
    /// As it was given.
    pub email: Email,
    /// What people call them.
    pub name: DisplayName,
    /// `org_admin`: whoever looks after the tenant.
    pub role: String,
    /// When they were recorded.
    pub created_at: OffsetDateTime,
    /// When a letter last went that asks whether the address is theirs.
    pub asked_at: Option<OffsetDateTime>,
    /// When they said so.
    pub confirmed_at: Option<OffsetDateTime>,
}

/// Somebody to be recorded.
#[derive(Debug, Clone)]
pub struct NewMember {
    /// Where they get mail.
    pub email: Email,
    /// What people call them.
    pub name: DisplayName,
}

struct Row {
    id: Uuid,
    tenant: Uuid,
    slug: String,
    tenant_name: String,
    email: String,
    name: String,
    role: String,
    created_at: OffsetDateTime,
    asked_at: Option<OffsetDateTime>,
    confirmed_at: Option<OffsetDateTime>,
}

impl TryFrom<Row> for Member {
    type Error = CatalogError;

    fn try_from(row: Row) -> Result<Self, CatalogError> {
        Ok(Self {
            id: row.id,
            tenant: TenantId::from_uuid(row.tenant),
            slug: read("slug", &row.slug)?,
            tenant_name: read("tenant name", &row.tenant_name)?,
            email: read("e-mail address", &row.email)?,
            name: read("member's name", &row.name)?,
            role: row.role,
            created_at: row.created_at,
            asked_at: row.asked_at,
            confirmed_at: row.confirmed_at,
        })
    }
}

impl Catalog {
    /// Records whoever looks after a tenant that is being recorded.
    pub async fn add_admin(&self, tx: &mut ControlTx, tenant: TenantId, new: &NewMember) -> Result<Uuid, CatalogError> {
        let id = Uuid::now_v7();
        sqlx::query!(
            "INSERT INTO sindico.members (id, tenant, email, name, role) VALUES ($1, $2, $3, $4, 'org_admin')",
            id,
            tenant.as_uuid(),
            new.email.as_str(),
            new.name.as_str(),
        )
        .execute(&mut **tx)
        .await?;
        Ok(id)
    }

    /// A tenant's members, the first to come first.
    pub async fn members(&self, tenant: TenantId) -> Result<Vec<Member>, CatalogError> {
        self.find_members(Some(tenant.as_uuid()), None).await
    }

    /// One of them, of whatever tenant.
    pub async fn member(&self, id: Uuid) -> Result<Option<Member>, CatalogError> {
        Ok(self.find_members(None, Some(id)).await?.pop())
    }

    async fn find_members(&self, tenant: Option<Uuid>, id: Option<Uuid>) -> Result<Vec<Member>, CatalogError> {
        let rows = sqlx::query_as!(
            Row,
            "SELECT m.id, m.tenant, t.slug, t.name AS tenant_name, m.email, m.name, m.role, m.created_at, m.asked_at, m.confirmed_at
             FROM sindico.members m JOIN sindico.tenants t ON t.id = m.tenant WHERE m.tenant = $1 OR m.id = $2 ORDER BY m.id",
            tenant,
            id,
        )
        .fetch_all(&self.db)
        .await?;
        rows.into_iter().map(Member::try_from).collect()
    }

    /// Those of a tenant who have not been asked whether their address is theirs, with the tenant's slug.
    pub async fn unasked(&self, tx: &mut ControlTx, tenant: TenantId) -> Result<Vec<(Uuid, Slug)>, CatalogError> {
        let rows = sqlx::query!(
            "SELECT m.id, t.slug FROM sindico.members m JOIN sindico.tenants t ON t.id = m.tenant
             WHERE m.tenant = $1 AND m.asked_at IS NULL AND m.confirmed_at IS NULL ORDER BY m.id",
            tenant.as_uuid(),
        )
        .fetch_all(&mut **tx)
        .await?;
        rows.into_iter().map(|row| Ok((row.id, read("slug", &row.slug)?))).collect()
    }

    /// Records that they have been asked.
    pub async fn set_asked(&self, tx: &mut ControlTx, id: Uuid) -> Result<(), CatalogError> {
        sqlx::query!("UPDATE sindico.members SET asked_at = clock_timestamp() WHERE id = $1", id)
            .execute(&mut **tx)
            .await?;
        Ok(())
    }

    /// Records that an address is theirs. The first time counts.
    pub async fn confirm(&self, id: Uuid) -> Result<(), CatalogError> {
        sqlx::query!(
            "UPDATE sindico.members SET confirmed_at = clock_timestamp() WHERE id = $1 AND confirmed_at IS NULL",
            id
        )
        .execute(&self.db)
        .await?;
        Ok(())
    }
}
