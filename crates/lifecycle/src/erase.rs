//! Removing everything of a tenant from PostgreSQL. Idempotent: it undoes creations that failed anywhere as well as it
//! deletes tenants.

use std::time::Duration;

use domain::{Isolation, Placement, Role, TenantId, quote_ident};
use tokio::time::sleep;
use uuid::Uuid;

use crate::server::{Builder, Session, builder_name};
use crate::{Lifecycle, LifecycleError};

/// How long a session that was told to end may take, in milliseconds.
const PATIENCE_MS: i64 = 5_000;

/// Ends whoever holds a tenant's views.
pub(crate) const END_READERS: &str = "
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

/// What is to be removed of a tenant, and by whom.
#[derive(Clone, Copy)]
pub(crate) struct Remains<'a> {
    pub(crate) by: Builder<'a>,
    pub(crate) placement: &'a Placement,
}

impl Lifecycle {
    /// Removes roles, schema, database and rows of a tenant that no operation knows of, then reads back that none is left.
    pub(crate) async fn erase(&self, tenant: TenantId, placement: &Placement) -> Result<(), LifecycleError> {
        let remains = Remains { by: Builder { tenant, work: None }, placement };
        self.evict(remains).await?;
        self.drop_storage(remains).await?;
        self.drop_roles(remains).await
    }

    /// Ends everybody who is at the tenant, whoever builds it included, and lets none of its logins in any more.
    pub(crate) async fn evict(&self, remains: Remains<'_>) -> Result<(), LifecycleError> {
        let Remains { by, placement } = remains;
        self.threshold.forget(by.tenant);
        let server = self.builder(by, placement.cluster, None).await?;
        end_sessions(&server, Sessions::Building(by.tenant)).await?;
        let roles = existing_roles(&server, by.tenant).await?;
        for role in &roles {
            server.run(&format!("ALTER ROLE \"{role}\" NOLOGIN")).await?;
        }
        end_sessions(&server, Sessions::Of(&roles)).await
    }

    /// Lets its logins in again.
    pub(crate) async fn readmit(&self, remains: Remains<'_>) -> Result<(), LifecycleError> {
        let server = self.builder(remains.by, remains.placement.cluster, None).await?;
        for role in existing_roles(&server, remains.by.tenant).await? {
            server.run(&format!("ALTER ROLE \"{role}\" LOGIN")).await?;
        }
        Ok(())
    }

    /// Removes what holds the tenant's rows. Nobody is at it: [`Lifecycle::evict`].
    pub(crate) async fn drop_storage(&self, remains: Remains<'_>) -> Result<(), LifecycleError> {
        let Remains { by, placement } = remains;
        if placement.isolation.has_own_database() {
            return self.drop_database(Some(by), placement.cluster, &placement.database).await;
        }
        let server = self.builder(by, placement.cluster, None).await?;
        // Roles are made first and removed last: without them nothing of the tenant can be inside.
        if existing_roles(&server, by.tenant).await?.is_empty() { Ok(()) } else { self.erase_inside(remains).await }
    }

    /// Removes the tenant's logins, and reads back that neither they nor a database of its own is left.
    pub(crate) async fn drop_roles(&self, remains: Remains<'_>) -> Result<(), LifecycleError> {
        let Remains { by, placement } = remains;
        let server = self.builder(by, placement.cluster, None).await?;
        let roles = existing_roles(&server, by.tenant).await?;
        self.drop_owned(&server, by, placement.cluster, &roles).await?;
        for role in &roles {
            server.run(&format!("DROP ROLE IF EXISTS \"{role}\"")).await?;
        }
        let names = Role::both(by.tenant).map(|role| role.to_string()).to_vec();
        let gone = server
            .ask(
                "SELECT NOT EXISTS (SELECT FROM pg_roles WHERE rolname = ANY ($1::text[]))
                    AND NOT ($3 AND EXISTS (SELECT FROM pg_database WHERE datname = $2::text))",
                &[&names, &placement.database, &placement.isolation.has_own_database()],
            )
            .await?;
        if gone { Ok(()) } else { Err(LifecycleError::Unverified(format!("removal of tenant {}", by.tenant))) }
    }

    /// Whatever belongs to the roles or grants them something, in whichever database: another tenant may have granted them
    /// a large object of its own, and a role with grants cannot be removed.
    pub(crate) async fn drop_owned(
        &self,
        server: &Session,
        by: Builder<'_>,
        cluster: Uuid,
        roles: &[String],
    ) -> Result<(), LifecycleError> {
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
            let inside = self.builder(by, cluster, Some(&place)).await?;
            for role in roles {
                inside.run(&format!("DROP OWNED BY \"{role}\"")).await?;
            }
        }
        Ok(())
    }

    /// Rows and sequences, or the schema, in the app's database.
    async fn erase_inside(&self, remains: Remains<'_>) -> Result<(), LifecycleError> {
        let Remains { by, placement } = remains;
        let tenant = by.tenant;
        let inside = self.builder(by, placement.cluster, Some(&placement.database)).await?;
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
pub(crate) async fn wait_for_served(inside: &Session, tenant: TenantId) -> Result<(), LifecycleError> {
    loop {
        inside.ask(END_RESTING, &[&tenant.hex()]).await?;
        if inside.ask("SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0))", &[&tenant.hex()]).await? {
            return Ok(());
        }
        sleep(BETWEEN_LOOKS).await;
    }
}

/// Those of the tenant's roles that there are.
async fn existing_roles(server: &Session, tenant: TenantId) -> Result<Vec<String>, LifecycleError> {
    let names = Role::both(tenant).map(|role| role.to_string()).to_vec();
    let rows = server
        .query("SELECT rolname::text FROM pg_roles WHERE rolname = ANY ($1::text[])", &[&names])
        .await
        .map_err(|error| server.fault(&error))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Which sessions to end.
#[derive(Clone, Copy)]
pub(crate) enum Sessions<'a> {
    /// Those that logged in as one of these roles.
    Of(&'a [String]),
    /// Those that build a tenant, this one excepted: what a process that died left running, or one that has lost the operation and
    /// does not know it.
    Building(TenantId),
}

/// Ends sessions and waits until they have ended.
pub(crate) async fn end_sessions(server: &Session, which: Sessions<'_>) -> Result<(), LifecycleError> {
    let (column, names) = match which {
        Sessions::Of(roles) => ("usename", roles.to_vec()),
        Sessions::Building(tenant) => ("application_name", vec![builder_name(tenant)]),
    };
    let theirs = format!("FROM pg_stat_activity WHERE {column} = ANY ($1::text[]) AND pid <> pg_backend_pid()");
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
pub(crate) async fn delete_rows(inside: &Session, tenant: TenantId) -> Result<(), LifecycleError> {
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
