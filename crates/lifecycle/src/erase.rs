//! Removing everything of a tenant from PostgreSQL. Idempotent: it undoes creations that failed anywhere as well as it
//! deletes tenants.

use std::time::Duration;

use domain::{Isolation, Placement, Role, TenantId, quote_ident};
use tokio::time::sleep;
use uuid::Uuid;

use crate::server::{Session, builder_name};
use crate::{Lifecycle, LifecycleError};

/// How long a session that was told to end may take, in milliseconds.
const PATIENCE_MS: i64 = 5_000;

/// Ends whoever holds a tenant's views.
const END_READERS: &str = "
    SELECT coalesce(bool_and(pg_terminate_backend(held.pid)), true)
    FROM (SELECT DISTINCT l.pid FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
          WHERE l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND c.relnamespace = to_regnamespace($1::text) AND l.pid <> pg_backend_pid()) held";

/// Ends whoever serves a tenant and is between two transactions. The lock is the one that `sindico.enter` takes.
const END_RESTING: &str = "
    SELECT coalesce(bool_and(pg_terminate_backend(a.pid)), true)
    FROM pg_stat_clear_snapshot(), pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid AND a.state = 'idle'
    WHERE l.locktype = 'advisory' AND l.objsubid = 1
        AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND (l.classid::int8 << 32 | l.objid::int8) = hashtextextended($1::text, 0)";

/// How often it is looked whether a tenant is still served.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

impl Lifecycle {
    /// Removes roles, schema, database and rows, then reads back that none is left.
    pub(crate) async fn erase(&self, tenant: TenantId, placement: &Placement) -> Result<(), LifecycleError> {
        self.threshold.forget(tenant);
        let server = self.admin(placement.cluster, None).await?;
        end_sessions(&server, Sessions::Building(tenant)).await?;
        let roles = close_logins(&server, tenant).await?;
        match placement.isolation {
            // Roles are made first and removed last: without them nothing of the tenant can be inside.
            Isolation::Shared | Isolation::Schema if roles.is_empty() => {}
            Isolation::Shared | Isolation::Schema => self.erase_inside(tenant, placement).await?,
            Isolation::Database | Isolation::Cluster => {
                self.drop_database(placement.cluster, &placement.database).await?;
            }
        }
        self.drop_owned(&server, placement.cluster, &roles).await?;
        for role in &roles {
            server.run(&format!("DROP ROLE IF EXISTS \"{role}\"")).await?;
        }
        let names = Role::both(tenant).map(|role| role.to_string()).to_vec();
        let gone = server
            .ask(
                "SELECT NOT EXISTS (SELECT FROM pg_roles WHERE rolname = ANY ($1::text[]))
                    AND NOT ($3 AND EXISTS (SELECT FROM pg_database WHERE datname = $2::text))",
                &[&names, &placement.database, &placement.isolation.has_own_database()],
            )
            .await?;
        if gone { Ok(()) } else { Err(LifecycleError::Unverified(format!("removal of tenant {tenant}"))) }
    }

    /// Whatever belongs to the roles or grants them something, in whichever database: another tenant may have granted them
    /// a large object of its own, and a role with grants cannot be removed.
    async fn drop_owned(&self, server: &Session, cluster: Uuid, roles: &[String]) -> Result<(), LifecycleError> {
        let places = server
            .query(
                "SELECT DISTINCT d.datname::text FROM pg_shdepend s JOIN pg_database d ON d.oid = s.dbid
                 JOIN pg_roles r ON r.oid = s.refobjid AND r.rolname = ANY ($1::text[])
                 WHERE s.refclassid = 'pg_authid'::regclass",
                &[&roles],
            )
            .await
            .map_err(|error| server.fault(&error))?;
        for place in places.iter().map(|row| row.get::<_, String>(0)) {
            let inside = self.admin(cluster, Some(&place)).await?;
            for role in roles {
                inside.run(&format!("DROP OWNED BY \"{role}\"")).await?;
            }
        }
        Ok(())
    }

    /// Rows and sequences, or the schema, in the app's database.
    async fn erase_inside(&self, tenant: TenantId, placement: &Placement) -> Result<(), LifecycleError> {
        let inside = self.admin(placement.cluster, Some(&placement.database)).await?;
        inside.run("BEGIN").await?;
        let schemas = if placement.isolation == Isolation::Schema {
            vec![placement.schema.clone()]
        } else {
            wait_for_served(&inside, tenant).await?;
            delete_rows(&inside, tenant).await?;
            // An operator's tool may have read the tenant's views in a transaction that it never ends.
            inside.ask(END_READERS, &[&tenant.views_schema()]).await?;
            vec![tenant.sequence_schema(), tenant.views_schema()]
        };
        let list = schemas.iter().map(|schema| quote_ident(schema)).collect::<Vec<_>>().join(", ");
        inside.run(&format!("DROP SCHEMA IF EXISTS {list} CASCADE")).await?;
        if inside.ask("SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = ANY ($1::text[]))", &[&schemas]).await? {
            return Err(LifecycleError::Unverified(format!("removal of the schemas of tenant {tenant}")));
        }
        inside.run("COMMIT").await
    }
}

/// Waits until the login of many serves a tenant to nobody. Its logins are gone, and `sindico.enter` serves it to nobody new.
/// Connections that rest go on serving whom they served last, in whichever process, so they are ended.
async fn wait_for_served(inside: &Session, tenant: TenantId) -> Result<(), LifecycleError> {
    loop {
        inside.ask(END_RESTING, &[&tenant.hex()]).await?;
        if inside.ask("SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0))", &[&tenant.hex()]).await? {
            return Ok(());
        }
        sleep(BETWEEN_LOOKS).await;
    }
}

/// Ends the tenant's sessions for good: no new login first, then those that are there. Returns the roles that exist.
async fn close_logins(server: &Session, tenant: TenantId) -> Result<Vec<String>, LifecycleError> {
    let mut existing = Vec::new();
    for role in Role::both(tenant).map(|role| role.to_string()) {
        if server.ask("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1::text)", &[&role]).await? {
            server.run(&format!("ALTER ROLE \"{role}\" NOLOGIN")).await?;
            existing.push(role);
        }
    }
    end_sessions(server, Sessions::Of(&existing)).await?;
    Ok(existing)
}

/// Which sessions to end.
#[derive(Clone, Copy)]
pub(crate) enum Sessions<'a> {
    /// Those that logged in as one of these roles.
    Of(&'a [String]),
    /// What a process that died left running for a tenant. Whoever erases holds the tenant's lock, so nobody alive is
    /// building it.
    Building(TenantId),
}

/// Ends sessions and waits until they have ended.
pub(crate) async fn end_sessions(server: &Session, which: Sessions<'_>) -> Result<(), LifecycleError> {
    let (column, names) = match which {
        Sessions::Of(roles) => ("usename", roles.to_vec()),
        Sessions::Building(tenant) => ("application_name", vec![builder_name(tenant)]),
    };
    let theirs = format!("FROM pg_stat_activity WHERE {column} = ANY ($1::text[])");
    let end = format!("SELECT coalesce(bool_and(pg_terminate_backend(pid, $2)), true) {theirs}");
    // A session that ended by itself in between answers false as well, so only what is still there counts. That is a
    // question of its own: within one statement the view does not change.
    let gone = format!("SELECT NOT EXISTS (SELECT {theirs})");
    if server.ask(&end, &[&names, &PATIENCE_MS]).await? || server.ask(&gone, &[&names]).await? {
        return Ok(());
    }
    Err(LifecycleError::Server {
        cluster: "the tenant's".to_owned(),
        reason: format!("sessions of {} did not end within {PATIENCE_MS} ms", names.join(", ")),
    })
}

/// Deletes the tenant's rows from every shared table. All of them go, and no key leads out of a tenant, so foreign keys
/// and the app's triggers have nothing to say: `replica` leaves them out, and the order does not matter.
async fn delete_rows(inside: &Session, tenant: TenantId) -> Result<(), LifecycleError> {
    let tables = inside
        .query(
            "SELECT c.oid::regclass::text FROM pg_class c
             JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
             WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition",
            &[],
        )
        .await
        .map_err(|error| inside.fault(&error))?;
    inside.run("SET LOCAL session_replication_role = replica").await?;
    for table in tables.iter().map(|row| row.get::<_, String>(0)) {
        inside.run(&format!("DELETE FROM {table} WHERE tenant_id = '{tenant}'")).await?;
        let empty = inside
            .ask(&format!("SELECT NOT EXISTS (SELECT FROM {table} WHERE tenant_id = $1)"), &[&tenant.as_uuid()])
            .await?;
        if !empty {
            return Err(LifecycleError::Unverified(format!("removal of tenant {tenant} from {table}")));
        }
    }
    Ok(())
}
