//! For how long rows are kept, and what has come of it.

use std::collections::BTreeMap;

use domain::{AppName, ArchiveFor, Keep, Slug, TenantId};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::error::read;
use crate::{Catalog, CatalogError};

/// How rows of an app's table are told by their age.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionRule {
    /// Which table.
    pub table: String,
    /// The column that says from when a row is.
    pub column: String,
    /// For how long it is kept, unless a tenant has another time.
    pub keep: Keep,
    /// For how long it is archived then; not at all without it.
    pub archive: Option<ArchiveFor>,
}

/// For how long one tenant's rows of a table are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionLimit {
    /// The rule, with what holds for this tenant in `keep`.
    pub rule: RetentionRule,
    /// Whether that is the tenant's own.
    pub own: bool,
}

/// What has come of a tenant's table.
#[derive(Debug, Clone)]
pub struct RetentionRun {
    /// Whose.
    pub tenant: TenantId,
    /// Its short name.
    pub slug: Slug,
    /// Which table.
    pub table: String,
    /// By which operation, the last time.
    pub operation: Uuid,
    /// Rows that were ever removed.
    pub removed_in_all: i64,
    /// Rows that the last operation has removed.
    pub removed: i64,
    /// Rows that it could not remove.
    pub held: i64,
    /// Why not, or what else kept it from the table.
    pub note: Option<String>,
    /// When it was last at it.
    pub ran_at: OffsetDateTime,
}

fn read_archive(text: Option<&str>) -> Result<Option<ArchiveFor>, CatalogError> {
    text.map(|text| read("time to keep an archive", text)).transpose()
}

impl Catalog {
    /// Records an app's rules in the place of those that it had.
    pub async fn put_retention(&self, app: &AppName, rules: &[RetentionRule]) -> Result<(), CatalogError> {
        let mut tx = self.db.begin().await?;
        sqlx::query!("DELETE FROM sindico.retention_rules WHERE app = $1", app.as_str()).execute(&mut *tx).await?;
        for rule in rules {
            sqlx::query!(
                "INSERT INTO sindico.retention_rules (app, table_name, column_name, keep, archive) VALUES ($1, $2, $3, $4, $5)",
                app.as_str(),
                rule.table,
                rule.column,
                rule.keep.as_str(),
                rule.archive.as_ref().map(ArchiveFor::as_str),
            )
            .execute(&mut *tx)
            .await?;
        }
        Ok(tx.commit().await?)
    }

    /// An app's rules, by table.
    pub async fn retention_rules(&self, app: &AppName) -> Result<Vec<RetentionRule>, CatalogError> {
        let rows = sqlx::query!(
            "SELECT table_name, column_name, keep, archive FROM sindico.retention_rules WHERE app = $1 ORDER BY table_name",
            app.as_str(),
        )
        .fetch_all(&self.db)
        .await?;
        rows.into_iter()
            .map(|row| {
                let keep = read("time to keep", &row.keep)?;
                let archive = read_archive(row.archive.as_deref())?;
                Ok(RetentionRule { table: row.table_name, column: row.column_name, keep, archive })
            })
            .collect()
    }

    /// What holds for one tenant: the one place where that is decided.
    pub async fn retention_limits(&self, tenant: TenantId) -> Result<Vec<RetentionLimit>, CatalogError> {
        let rows = sqlx::query!(
            r#"SELECT r.table_name, r.column_name, coalesce(o.keep, r.keep) AS "keep!", r.archive, o.keep IS NOT NULL AS "own!"
               FROM sindico.tenants t JOIN sindico.retention_rules r ON r.app = t.app
               LEFT JOIN sindico.tenant_retention o ON o.tenant = t.id AND o.table_name = r.table_name
               WHERE t.id = $1 ORDER BY r.table_name"#,
            tenant.as_uuid(),
        )
        .fetch_all(&self.db)
        .await?;
        rows.into_iter()
            .map(|row| {
                let keep = read("time to keep", &row.keep)?;
                let archive = read_archive(row.archive.as_deref())?;
                let rule = RetentionRule { table: row.table_name, column: row.column_name, keep, archive };
                Ok(RetentionLimit { rule, own: row.own })
            })
            .collect()
    }

    /// Records a tenant's own times in the place of those that it had.
    pub async fn put_tenant_retention(
        &self,
        tenant: TenantId,
        own: &BTreeMap<String, Keep>,
    ) -> Result<(), CatalogError> {
        let mut tx = self.db.begin().await?;
        sqlx::query!("DELETE FROM sindico.tenant_retention WHERE tenant = $1", tenant.as_uuid())
            .execute(&mut *tx)
            .await?;
        for (table, keep) in own {
            sqlx::query!(
                "INSERT INTO sindico.tenant_retention (tenant, table_name, keep) SELECT id, $2, $3 FROM sindico.tenants WHERE id = $1",
                tenant.as_uuid(),
                table,
                keep.as_str(),
            )
            .execute(&mut *tx)
            .await?;
        }
        Ok(tx.commit().await?)
    }

    /// Adds what an operation has done at a tenant's table, if the tenant is still there. What it could not do stands in the place of what
    /// was said before.
    pub async fn add_retention_run(
        &self,
        tenant: TenantId,
        table: &str,
        operation: Uuid,
        removed: i64,
        outcome: Option<(i64, Option<&str>)>,
    ) -> Result<(), CatalogError> {
        let (held, note) = outcome.unwrap_or_default();
        sqlx::query!(
            "INSERT INTO sindico.retention_runs AS r (tenant, table_name, operation, removed_in_all, removed, held, note)
             SELECT id, $2, $3, $4, $4, $5, $6 FROM sindico.tenants WHERE id = $1
             ON CONFLICT (tenant, table_name) DO UPDATE SET operation = $3, removed_in_all = r.removed_in_all + $4,
                 removed = CASE WHEN r.operation = $3 THEN r.removed ELSE 0 END + $4, held = $5, note = $6,
                 ran_at = clock_timestamp()",
            tenant.as_uuid(),
            table,
            operation,
            removed,
            held,
            note,
        )
        .execute(&self.db)
        .await?;
        Ok(())
    }

    /// What has come of an app's tables, tenant by tenant.
    pub async fn retention_runs(&self, app: &AppName) -> Result<Vec<RetentionRun>, CatalogError> {
        let rows = sqlx::query!(
            "SELECT r.tenant, t.slug, r.table_name, r.operation, r.removed_in_all, r.removed, r.held, r.note, r.ran_at
             FROM sindico.retention_runs r JOIN sindico.tenants t ON t.id = r.tenant WHERE t.app = $1
             ORDER BY r.tenant, r.table_name",
            app.as_str(),
        )
        .fetch_all(&self.db)
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(RetentionRun {
                    tenant: TenantId::from_uuid(row.tenant),
                    slug: read("slug", &row.slug)?,
                    table: row.table_name,
                    operation: row.operation,
                    removed_in_all: row.removed_in_all,
                    removed: row.removed,
                    held: row.held,
                    note: row.note,
                    ran_at: row.ran_at,
                })
            })
            .collect()
    }
}
