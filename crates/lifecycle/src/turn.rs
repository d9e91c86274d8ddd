//! Whose turn it is on a cluster: tenants being made, or a migration that changes what they are made from.

use std::sync::Arc;

use domain::{AppName, Isolation, Placement, quote_literal};
use tenantize::Plan;

use crate::kept::Borrowed;
use crate::server::{Builder, Session};
use crate::{Lifecycle, LifecycleError};

/// Tables that are shared, and the template of others, stay as they are for as long as it lives, which is no longer than its session.
pub(crate) struct Turn {
    session: Borrowed,
    plan: Arc<Plan>,
}

impl Turn {
    /// The session to build the tenant with: in its database if that is there already.
    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// Ends it when the tenant is made. Otherwise it ends with its session.
    pub(crate) fn done(self) {
        self.session.give_back();
    }

    /// What it is made from.
    pub(crate) fn plan(&self) -> Arc<Plan> {
        Arc::clone(&self.plan)
    }
}

/// An advisory lock's key, in the database where it counts: the app's own for what is built there, the server's otherwise.
pub(crate) fn key(app: &AppName) -> String {
    format!("hashtextextended({}, 0)", quote_literal(&format!("sindico release of {app}")))
}

impl Lifecycle {
    /// Waits until no migration changes what tenants are made from. Many have a turn at once.
    pub(crate) async fn take_turn(
        &self,
        by: Builder<'_>,
        app: &AppName,
        placement: &Placement,
    ) -> Result<Turn, LifecycleError> {
        let inside = match placement.isolation {
            Isolation::Shared | Isolation::Schema => Some(placement.database.as_str()),
            Isolation::Database | Isolation::Cluster => None,
        };
        let session = self.borrow_builder(by, placement.cluster, inside).await?;
        // However long a migration takes.
        let lock = format!("SET lock_timeout = 0; SELECT pg_advisory_lock_shared({}); RESET lock_timeout", key(app));
        session.run(&lock).await?;
        by.still_may().await?;
        if self.catalog.is_switching(app, placement.cluster).await? {
            return Err(LifecycleError::Switching(app.clone()));
        }
        let (_, plan) = self.plan_on(app, placement.cluster).await?;
        Ok(Turn { session, plan })
    }
}
