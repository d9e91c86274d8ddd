//! Removing one thing that nobody owns. Whether it is still nobody's is asked under the lock that whoever would own it needs.

use catalog::Ownership;
use domain::{AppName, TenantId, quote_ident};
use jobs::Work;

use super::names::{self, DatabaseName};
use super::thing::{OrphanKind, Thing, Verdict};
use crate::erase::{END_READERS, Sessions, end_sessions};
use crate::prepare::turn_of;
use crate::server::Builder;
use crate::{Lifecycle, LifecycleError};

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    /// Lets a role in no more.
    Close,
    /// Removes it.
    Remove,
}

impl Lifecycle {
    /// Does it if that is still right, and otherwise tells why it is not.
    pub(super) async fn dispose(
        &self,
        work: &Work,
        thing: &Thing,
        deed: Deed,
    ) -> Result<Option<String>, LifecycleError> {
        let mut tx = self.catalog.begin().await?;
        match (thing.tenant, &thing.app) {
            (Some(tenant), _) => self.catalog.lock_tenant_within(&mut tx, tenant).await?,
            (None, Some(app)) => self.catalog.lock_app_within(&mut tx, app).await?,
            (None, None) => {}
        }
        let now = self.catalog.ownership_within(&mut tx, thing.tenant).await?;
        let outcome = match thing.judge(&now) {
            Verdict::Owned => self.leave_to_owner(work, thing, &now).await.map(Some),
            Verdict::Busy(why) => Ok(Some(why)),
            Verdict::Orphan(_) => match (thing.tenant, &thing.app) {
                (Some(tenant), _) => self.dispose_tenants(work, thing, tenant, deed).await.map(|()| None),
                (None, Some(app)) => self.dispose_apps(thing, app).await,
                (None, None) => Ok(Some("it is not known what it is of".to_owned())),
            },
        };
        if let Err(error) = tx.rollback().await {
            // The connection is closed then, which gives the lock back too.
            tracing::warn!(%error, "the lock of an orphan was not released in order");
        }
        outcome
    }

    /// A login that was closed when it was nobody's is let in again, unless somebody is at the tenant, who sees to that.
    async fn leave_to_owner(&self, work: &Work, thing: &Thing, now: &Ownership) -> Result<String, LifecycleError> {
        if let (OrphanKind::Role, Some(tenant)) = (thing.kind, thing.tenant)
            && now.under_way(tenant.as_uuid()).is_none()
        {
            let server = self.builder(Builder { tenant, work: Some(work) }, thing.cluster, None).await?;
            server.run(&format!("ALTER ROLE {} LOGIN", quote_ident(&thing.name))).await?;
        }
        Ok("somebody owns it by now".to_owned())
    }

    async fn dispose_tenants(
        &self,
        work: &Work,
        thing: &Thing,
        tenant: TenantId,
        deed: Deed,
    ) -> Result<(), LifecycleError> {
        let by = Builder { tenant, work: Some(work) };
        match (thing.kind, &thing.database) {
            (OrphanKind::Role, _) => self.dispose_role(by, thing, deed).await,
            (OrphanKind::Database, _) => self.drop_database(Some(by), thing.cluster, &thing.name).await,
            (OrphanKind::Schema, Some(database)) => {
                let inside = self.builder(by, thing.cluster, Some(database)).await?;
                if thing.name == tenant.views_schema() {
                    inside.ask(END_READERS, &[&thing.name]).await?;
                }
                inside.run(&format!("DROP SCHEMA IF EXISTS {} CASCADE", quote_ident(&thing.name))).await
            }
            (OrphanKind::Rows, Some(database)) => {
                let inside = self.builder(by, thing.cluster, Some(database)).await?;
                let table = format!("public.{}", quote_ident(&thing.name));
                // All of its rows go, in whichever table, so neither foreign keys nor the app's triggers have anything to say.
                inside
                    .run(&format!(
                        "BEGIN; SET LOCAL session_replication_role = replica;
                         DELETE FROM {table} WHERE tenant_id = '{tenant}'; COMMIT"
                    ))
                    .await?;
                let sql = format!("SELECT NOT EXISTS (SELECT FROM {table} WHERE tenant_id = $1)");
                let empty = inside.ask(&sql, &[&tenant.as_uuid()]).await?;
                if empty { Ok(()) } else { Err(LifecycleError::Unverified(format!("removal of rows of {tenant}"))) }
            }
            _ => Err(LifecycleError::Unverified(format!("place of {}", thing.name))),
        }
    }

    async fn dispose_role(&self, by: Builder<'_>, thing: &Thing, deed: Deed) -> Result<(), LifecycleError> {
        let server = self.builder(by, thing.cluster, None).await?;
        let role = quote_ident(&thing.name);
        let names = [thing.name.clone()];
        if !server.ask("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", &[&thing.name]).await? {
            return Ok(());
        }
        server.run(&format!("ALTER ROLE {role} NOLOGIN")).await?;
        end_sessions(&server, Sessions::Of(&names)).await?;
        if deed == Deed::Remove {
            self.drop_owned(&server, by, thing.cluster, &names).await?;
            server.run(&format!("DROP ROLE IF EXISTS {role}")).await?;
        }
        Ok(())
    }

    /// An app's database is asked once more whose it is: its name is not its alone.
    async fn dispose_apps(&self, thing: &Thing, app: &AppName) -> Result<Option<String>, LifecycleError> {
        let server = self.admin(thing.cluster, None).await?;
        let free = server.ask(&format!("SELECT pg_try_advisory_lock({})", turn_of(app)), &[]).await?;
        if !free {
            return Ok(Some(format!("app {app} is being built")));
        }
        if thing.kind == OrphanKind::AppRole {
            if thing.name == app.names().definer {
                let revoke = crate::prepare::revoke_parameter(&thing.name);
                server.run(&revoke).await?;
            }
            server.run(&format!("DROP ROLE IF EXISTS {}", quote_ident(&thing.name))).await?;
            return Ok(None);
        }
        let marked = self.is_ours(&server, app, thing.cluster, &thing.name).await?;
        let build = matches!(names::database(&thing.name), Some(DatabaseName::Build(_)));
        let bare = crate::prepare::is_unmarked(&server, &thing.name).await?;
        if marked || build && bare {
            self.drop_database(None, thing.cluster, &thing.name).await?;
            return Ok(None);
        }
        Ok(Some("another installation of síndico has made it".to_owned()))
    }
}
