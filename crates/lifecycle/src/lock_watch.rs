//! Ends sessions of tenants that hold up a whole server.
//!
//! Some statements wait for a lock before PostgreSQL looks whether they are allowed, and everybody who comes later waits
//! behind them: `DROP DATABASE` and `ALTER DATABASE` of any database of the server, after which nobody can log in to it.
//! They fire no event trigger, and no privilege can be taken for them. So somebody who is logged in already looks at who
//! waits. What is looked for is nothing that a tenant's own work waits for: locks on databases and on catalogs of the whole
//! server, and strong locks on tables that it shares.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, warn};
use uuid::Uuid;

use crate::server::Session;
use crate::{Lifecycle, LifecycleError};

/// How often each cluster is looked at.
const EVERY: Duration = Duration::from_millis(250);

/// How often it is asked which clusters there are. A watch that was lost begins again then.
const CLUSTERS_EVERY: Duration = Duration::from_secs(3);

/// Roles are looked at anew after so many looks, since a number may be given to another role once the first is gone.
const FORGET_AFTER: u32 = 1_200;

/// Reading roles may have to wait for what the next look ends.
const LIMIT: &str = "SET lock_timeout = '500ms'";

/// Roles with sessions that are not known yet.
const STRANGERS: &str = "
    SELECT DISTINCT usesysid FROM pg_stat_get_activity(NULL) WHERE usesysid IS NOT NULL AND usesysid <> ALL ($1)";

/// Which of them are logins of tenants, and which of those share tables with others. The names are [`domain::Role`]'s and
/// [`domain::SharedNames`]'s.
const ROLES: &str = "
    SELECT r.oid, r.rolname ~ '_dense$' OR EXISTS (
        SELECT FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
        WHERE m.member = r.oid AND g.rolname ~ '^app_.*_shared_(rw|ro|login)$')
    FROM pg_roles r WHERE r.oid = ANY ($1) AND r.rolname ~ '^([tr]_[0-9a-f]{32}|app_.*_dense)$'";

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

/// A cluster under watch, with the roles that have had sessions.
struct Post {
    session: Session,
    known: HashSet<u32>,
    tenants: Vec<u32>,
    /// Those of the tenants that share tables.
    sharing: Vec<u32>,
}

impl Lifecycle {
    /// Looks at every cluster until this process ends, at each apart from the others: one that hangs must not hold up the watch
    /// over the rest.
    pub async fn watch_locks(self, shutdown: CancellationToken) {
        let mut watches: HashMap<Uuid, AbortOnDropHandle<()>> = HashMap::new();
        loop {
            match self.catalog.clusters().await {
                Ok(clusters) => {
                    let clusters: HashSet<Uuid> = clusters.iter().map(|cluster| cluster.id).collect();
                    watches.retain(|cluster, watch| clusters.contains(cluster) && !watch.is_finished());
                    for cluster in clusters {
                        let watch = || AbortOnDropHandle::new(tokio::spawn(self.clone().watch_cluster(cluster)));
                        watches.entry(cluster).or_insert_with(watch);
                    }
                }
                Err(error) => debug!(%error, "the clusters to watch could not be read"),
            }
            if shutdown.run_until_cancelled(sleep(CLUSTERS_EVERY)).await.is_none() {
                return;
            }
        }
    }

    /// Looks at one until its session is lost.
    async fn watch_cluster(self, cluster: Uuid) {
        let lost = async {
            let session = self.admin(cluster, None).await?;
            session.run(LIMIT).await?;
            let mut post = Post { session, known: HashSet::new(), tenants: Vec::new(), sharing: Vec::new() };
            for look in 1_u32.. {
                if look.is_multiple_of(FORGET_AFTER) {
                    (post.known, post.tenants, post.sharing) = Default::default();
                }
                // Before the roles are read, which may have to wait for what this ends.
                post.end_waiters().await?;
                match post.meet_strangers().await {
                    Err(error) if post.session.is_closed() => return Err(error),
                    Err(error) => debug!(%cluster, %error, "roles could not be read"),
                    Ok(()) => {}
                }
                sleep(EVERY).await;
            }
            Ok::<(), LifecycleError>(())
        };
        if let Err(error) = lost.await {
            debug!(%cluster, %error, "a cluster cannot be watched");
        }
    }
}

impl Post {
    /// Finds out which roles that have sessions now are tenants'.
    async fn meet_strangers(&mut self) -> Result<(), LifecycleError> {
        let fault = |error| self.session.fault(&error);
        let known: Vec<u32> = self.known.iter().copied().collect();
        let strangers: Vec<u32> =
            self.session.query(STRANGERS, &[&known]).await.map_err(fault)?.iter().map(|row| row.get(0)).collect();
        if strangers.is_empty() {
            return Ok(());
        }
        for row in self.session.query(ROLES, &[&strangers]).await.map_err(fault)? {
            let (role, shares): (u32, bool) = (row.get(0), row.get(1));
            self.tenants.push(role);
            if shares {
                self.sharing.push(role);
            }
        }
        self.known.extend(strangers);
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
