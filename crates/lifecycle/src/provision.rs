//! Making a tenant: reserve → roles → storage → open.

mod open;
mod reserve;
mod roles;
mod storage;

use std::time::Duration;

use catalog::{ControlTx, Key, KeySecret, NewMember, Reservation, Reserved, Tenant, TenantRef};
use domain::{AppName, ClusterName, DisplayName, Isolation, Slug, Status, TenantId};
use jobs::{Claim, NewOperation, Procedure, Step};
use serde_json::json;
use tracing::info;
use uuid::Uuid;

use crate::subject::Subject;
use crate::{Lifecycle, LifecycleError};

/// What the operation is called.
pub(crate) const PROVISION: &str = "provision";

/// What a new tenant asks for.
#[derive(Debug)]
pub struct NewTenant {
    /// Unique in the installation.
    pub slug: Slug,
    /// What people call it.
    pub name: DisplayName,
    /// Which app it uses.
    pub app: AppName,
    /// How it is kept apart.
    pub isolation: Isolation,
    /// A particular cluster, or whichever has room.
    pub cluster: Option<ClusterName>,
    /// Who looks after it, and gets a letter when it is open.
    pub admin: Option<NewMember>,
}

/// A tenant with its first key, the only time that the key is known.
#[derive(Debug)]
pub struct Created {
    /// As it was recorded.
    pub tenant: Tenant,
    /// Its first key.
    pub key: Key,
    /// The first key's secret.
    pub secret: KeySecret,
    /// The operation that has made it, or is making it.
    pub operation: Uuid,
}

impl Lifecycle {
    /// Makes a tenant, or gives one that has been made ahead. A failure anywhere undoes all of it; if this process dies, another goes
    /// on where it stopped.
    pub async fn create_tenant(&self, new: NewTenant) -> Result<Created, LifecycleError> {
        let desk = self.clone();
        self.through(Box::pin(async move {
            let (claim, made) = desk.reserve(&new).await?;
            let NewTenant { slug, isolation, .. } = &new;
            if let Some(claim) = claim {
                desk.finish(claim, &provision(&desk)).await?;
                info!(tenant = %made.tenant.id, %slug, %isolation, "tenant created");
                return Ok(Created { tenant: desk.find(&TenantRef::Id(made.tenant.id)).await?, ..made });
            }
            info!(tenant = %made.tenant.id, %slug, %isolation, "tenant created from a spare");
            Ok(made)
        }))
        .await
    }

    /// The same for who does not wait: the tenant is recorded when this returns, and made, or undone, by the operation that it names.
    pub async fn begin_tenant(&self, new: NewTenant) -> Result<Created, LifecycleError> {
        let (claim, made) = self.reserve(&new).await?;
        if let Some(claim) = claim {
            self.leave(claim, provision(self));
        }
        Ok(made)
    }

    /// Records the tenant, and what there is still to do, unless it was a spare: then it is served when this returns.
    async fn reserve(&self, new: &NewTenant) -> Result<(Option<Claim>, Created), LifecycleError> {
        let (mut tx, reserved) = self.reserve_record(new, self.warm_pool.claimable()).await?;
        let input = Subject::new(reserved.id, &new.app, &reserved.placement).to_json();
        let subject = reserved.id.as_uuid();
        let operation = NewOperation { kind: PROVISION, subject, title: new.slug.as_str(), input, priority: 0 };
        if reserved.spare {
            self.probe.pass("claim")?;
            let place = json!({"database": reserved.placement.database, "schema": reserved.placement.schema});
            let operation = self.jobs.record(&mut tx, operation, "spare", place).await?;
            let id = reserved.id;
            let letters = self.write_to_members(&mut tx, id).await?;
            let made = self.record(tx, reserved, operation).await?;
            self.send_out(letters);
            self.catalog.refresh_tenant(id).await?;
            self.spares_asked.notify_one();
            return Ok((None, made));
        }
        let claim = self.jobs.enqueue(&mut tx, operation).await?;
        let made = self.record(tx, reserved, claim.operation()).await?;
        self.spares_asked.notify_one();
        Ok((Some(claim), made))
    }

    /// Slug, place and first key, in a transaction in which the operation is to be recorded that makes the tenant.
    pub(crate) async fn reserve_record(
        &self,
        new: &NewTenant,
        spares: Option<Duration>,
    ) -> Result<(ControlTx, Reserved), LifecycleError> {
        self.probe.pass("reserve")?;
        let id = TenantId::from_uuid(Uuid::now_v7());
        let NewTenant { slug, name, app, isolation, cluster, admin } = new;
        if admin.is_some() {
            self.letters()?;
        }
        let wanted = Reservation { id, slug, name, app, isolation: *isolation, cluster: cluster.as_ref(), spares };
        let mut tx = self.catalog.begin().await?;
        let reserved = self.catalog.reserve(&mut tx, &wanted).await?;
        if let Some(admin) = admin {
            self.catalog.add_admin(&mut tx, reserved.id, admin).await?;
        }
        Ok((tx, reserved))
    }

    /// Both are known from now on, or neither is.
    pub(crate) async fn record(
        &self,
        tx: ControlTx,
        reserved: Reserved,
        operation: Uuid,
    ) -> Result<Created, LifecycleError> {
        tx.commit().await.map_err(catalog::CatalogError::from)?;
        let Reserved { id, key, secret, .. } = reserved;
        let tenant = self.find(&TenantRef::Id(id)).await?;
        Ok(Created { tenant, key, secret, operation })
    }
}

/// The steps, for whoever does them.
pub(crate) fn provision(desk: &Lifecycle) -> Procedure {
    provision_with(desk, Box::new(storage::Storage(desk.clone())))
}

/// The same for a tenant that is nobody's yet.
pub(crate) fn provision_spare(desk: &Lifecycle) -> Procedure {
    steps(desk, Box::new(storage::Storage(desk.clone())), Status::Spare)
}

/// The same with tables and rows that come from somewhere else.
pub(crate) fn provision_with(desk: &Lifecycle, storage: Box<dyn Step>) -> Procedure {
    steps(desk, storage, Status::Active)
}

fn steps(desk: &Lifecycle, storage: Box<dyn Step>, then: Status) -> Procedure {
    Procedure::reversible(vec![
        Box::new(reserve::Reserve(desk.clone())),
        Box::new(roles::Roles(desk.clone())),
        storage,
        Box::new(open::Open { desk: desk.clone(), then }),
    ])
}
