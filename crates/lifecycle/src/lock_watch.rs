//! Ends sessions of tenants that hold up a whole server.
//!
//! Some statements wait for a lock before PostgreSQL looks whether they are allowed, and everybody who comes later waits
//! behind them: `DROP DATABASE` and `ALTER DATABASE` of any database of the server, after which nobody can log in to it.
//! They fire no event trigger, and no privilege can be taken for them. So somebody who is logged in already looks at who
//! waits. What is looked for is nothing that a tenant's own work waits for: locks on databases and on catalogs of the whole
//! server, and strong locks on tables that it shares.

use std::collections::HashMap;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};
use uuid::Uuid;

use crate::server::Session;
use crate::{Lifecycle, LifecycleError};

/// How often each cluster is looked at.
const EVERY: Duration = Duration::from_millis(250);

/// How many looks pass until the clusters and the tenants' roles are read again.
const ROLES_EVERY: u32 = 12;

/// The login roles of tenants, and whether they share tables with others. The names are [`domain::Role`]'s and
/// [`domain::SharedNames`]'s.
const ROLES: &str = "
    SELECT r.oid, r.rolname ~ '_dense$' OR EXISTS (
        SELECT FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
        WHERE m.member = r.oid AND g.rolname ~ '^app_.*_shared_(rw|ro|login)$')
    FROM pg_roles r WHERE r.rolname ~ '^([tr]_[0-9a-f]{32}|app_.*_dense)$'";

/// Names no table, not even in a view: the ones of roles and databases may be what is locked. A wait of less than 200 ms is
/// forgiven. 1262 is `pg_database`.
const END_WAITERS: &str = "
    SELECT waiting.pid, a.usesysid, pg_terminate_backend(waiting.pid)
    FROM pg_lock_status() waiting JOIN pg_stat_get_activity(NULL) a ON a.pid = waiting.pid
    WHERE NOT waiting.granted AND waiting.waitstart < clock_timestamp() - interval '200 ms' AND a.usesysid = ANY ($1)
        AND (waiting.locktype = 'object' AND waiting.classid = 1262
            OR waiting.locktype = 'relation' AND waiting.database = 0
            OR waiting.locktype = 'relation' AND waiting.mode IN ('AccessExclusiveLock', 'ShareRowExclusiveLock')
                AND a.usesysid = ANY ($2))";

/// A cluster under watch.
struct Post {
    session: Session,
    tenants: Vec<u32>,
    /// Those of them that share tables.
    sharing: Vec<u32>,
}

impl Lifecycle {
    /// Looks at every cluster until this process ends.
    pub async fn watch_locks(self, shutdown: CancellationToken) {
        let mut posts: HashMap<Uuid, Post> = HashMap::new();
        let mut looks = 0_u32;
        loop {
            let renew = looks.is_multiple_of(ROLES_EVERY);
            looks = looks.wrapping_add(1);
            if renew {
                match self.catalog.clusters().await {
                    Ok(clusters) => self.take_posts(clusters.iter().map(|cluster| cluster.id), &mut posts).await,
                    Err(error) => debug!(%error, "the clusters to watch could not be read"),
                }
            }
            let mut lost = Vec::new();
            for (cluster, post) in &mut posts {
                if let Err(error) = post.look(renew).await {
                    debug!(%cluster, %error, "a cluster could not be watched");
                    lost.push(*cluster);
                }
            }
            for cluster in lost {
                posts.remove(&cluster);
            }
            if shutdown.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_none() {
                return;
            }
        }
    }

    async fn take_posts(&self, clusters: impl Iterator<Item = Uuid>, posts: &mut HashMap<Uuid, Post>) {
        let clusters: Vec<Uuid> = clusters.collect();
        posts.retain(|cluster, _| clusters.contains(cluster));
        for cluster in clusters.into_iter().filter(|cluster| !posts.contains_key(cluster)).collect::<Vec<_>>() {
            match self.admin(cluster, None).await {
                Ok(session) => {
                    posts.insert(cluster, Post { session, tenants: Vec::new(), sharing: Vec::new() });
                }
                Err(error) => debug!(%cluster, %error, "a cluster cannot be watched"),
            }
        }
    }
}

impl Post {
    async fn look(&mut self, renew: bool) -> Result<(), LifecycleError> {
        // Before the roles: reading those may have to wait for what this ends.
        self.end_waiters().await?;
        if renew {
            let rows = self.session.query(ROLES, &[]).await.map_err(|error| self.session.fault(&error))?;
            let roles: Vec<(u32, bool)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
            self.tenants = roles.iter().map(|(role, _)| *role).collect();
            self.sharing = roles.iter().filter(|(_, sharing)| *sharing).map(|(role, _)| *role).collect();
        }
        Ok(())
    }

    async fn end_waiters(&self) -> Result<(), LifecycleError> {
        let ended = self.session.query(END_WAITERS, &[&self.tenants, &self.sharing]).await;
        for row in ended.map_err(|error| self.session.fault(&error))? {
            let (pid, role): (i32, u32) = (row.get(0), row.get(1));
            warn!(pid, role, "ended a tenant's session that waited for a lock which others need");
        }
        Ok(())
    }
}
