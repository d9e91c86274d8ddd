//! Dropping a database, even while a tenant holds it up.
//!
//! `DROP DATABASE` waits until every session of the server, whatever its database, has acknowledged the change. A session
//! in the middle of `COPY … FROM STDIN` that gets no data, or whose client does not read its results, does not
//! acknowledge: one tenant's silence would keep every other from being deleted. PostgreSQL says after five seconds which
//! session it waits for, and if that is a tenant's, it is ended.

use domain::quote_ident;
use tracing::warn;
use uuid::Uuid;

use crate::server::{Builder, Session};
use crate::{Lifecycle, LifecycleError};

/// What PostgreSQL says of a session that it waits for; its process id stands behind.
const WAITS_FOR: &str = "still waiting for backend with PID ";

/// Ends a session if it is a tenant's, and whatever else of that tenant waits for its client: PostgreSQL names one
/// session every five seconds, and a tenant may have a hundred. Administrators' sessions are left to their owners.
const END: &str = "
    SELECT coalesce(bool_or(pg_terminate_backend(other.pid)), false)
    FROM pg_stat_activity named JOIN pg_stat_activity other USING (usename)
    WHERE named.pid = $1 AND named.usename ~ '^[tr]_[0-9a-f]{32}$'
      AND (other.pid = $1 OR (other.state = 'active' AND other.wait_event_type = 'Client'))";

/// Templates have to stop being one first. A database whose removal was cut off (`datconnlimit` -2) takes no change but
/// being dropped.
const IS_TEMPLATE: &str =
    "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1 AND datistemplate AND datconnlimit <> -2)";

impl Lifecycle {
    /// Drops a database and whatever is connected to it; none of that name is as good.
    pub(crate) async fn drop_database(
        &self,
        by: Option<Builder<'_>>,
        cluster: Uuid,
        database: &str,
    ) -> Result<(), LifecycleError> {
        let (server, mut said) = self.hearing(by, cluster).await?;
        if !server.ask("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", &[&database]).await? {
            return Ok(());
        }
        let is_template = server.ask(IS_TEMPLATE, &[&database]).await?;
        let database = quote_ident(database);
        if is_template {
            server.run(&format!("ALTER DATABASE {database} IS_TEMPLATE false")).await?;
        }
        // What it says while waiting has the level of log messages, and is matched in English.
        server.run("SET client_min_messages = log; SET lc_messages = 'C'").await?;
        let sql = format!("DROP DATABASE {database} WITH (FORCE)");
        let dropping = server.run(&sql);
        tokio::pin!(dropping);
        loop {
            tokio::select! {
                done = &mut dropping => return done,
                Some(words) = said.recv() => {
                    if let Some(pid) = blocker(&words) {
                        end_blocker(&self.admin(cluster, None).await?, pid).await?;
                    }
                }
            }
        }
    }
}

async fn end_blocker(server: &Session, pid: i32) -> Result<(), LifecycleError> {
    let ended = server.ask(END, &[&pid]).await?;
    warn!(pid, ended, "a session holds up DROP DATABASE: it neither sends nor takes data");
    Ok(())
}

fn blocker(words: &str) -> Option<i32> {
    words.strip_prefix(WAITS_FOR)?.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::blocker;

    #[test]
    fn the_session_that_is_waited_for_is_named() {
        assert_eq!(blocker("still waiting for backend with PID 4711 to accept ProcSignalBarrier"), Some(4711));
        assert_eq!(blocker("database \"x\" does not exist, skipping"), None);
    }
}
