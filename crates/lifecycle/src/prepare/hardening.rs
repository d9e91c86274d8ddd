//! What PostgreSQL allows everybody in a database and several tenants in one must not have.
//!
//! One list, each entry with its reason. Functions are found by name in the catalog of the server at hand, since
//! versions differ in what they have. Databases of tenants of their own are copied from a template with the same list
//! applied and get back what is harmless there. Revoking from PUBLIC in the catalog is copied with a template; the
//! database's own privileges are not, see `storage.rs`.

use domain::{SharedNames, quote_ident};

use super::Kind;
use crate::LifecycleError;
use crate::server::Session;

/// Who gets back what PUBLIC loses.
#[derive(Clone, Copy, PartialEq)]
enum Back {
    /// Nobody.
    Nobody,
    /// Tenants that have a database to themselves.
    OwnDatabase,
    /// Tenants whose login is their own, in whichever isolation: everybody but the dense login.
    OwnLogin,
}

/// Functions in `pg_catalog` whose names a regular expression finds.
struct Functions {
    names: &'static str,
    #[expect(dead_code, reason = "the reason is for whoever reads or extends the list")]
    why: &'static str,
    back: Back,
}

const FUNCTIONS: [Functions; 12] = [
    Functions {
        names: "^pg_stat_get_(activity|backend_|progress_|db_|wal|replication|subscription|slru|io|archiver|bgwriter|checkpoint|buf_)",
        why: "the server's other sessions and databases, down to what they read and when",
        back: Back::Nobody,
    },
    Functions {
        names: "^pg_stat_get_|^pg_stat_have_stats$",
        why: "counters of tables that tenants share tell how much the others write; of schemas, how much each does",
        back: Back::OwnDatabase,
    },
    Functions {
        names: "^pg_(lock_status|blocking_pids|safe_snapshot_blocking_pids|isolation_test_session_is_blocked|prepared_xact)$",
        why: "what other sessions of the server hold and wait for",
        back: Back::Nobody,
    },
    Functions {
        names: "^pg_(relation|total_relation|table|indexes)_size$",
        why: "sizes of shared tables grow with every tenant's rows; sizes of schemas' tables with that tenant's",
        back: Back::OwnDatabase,
    },
    Functions {
        names: "^pg_(database|tablespace)_size$",
        why: "the size of databases of others, which a role may connect to or not",
        back: Back::Nobody,
    },
    // Before the other advisory functions: what has been taken once is not found again.
    Functions {
        names: "^pg_advisory_unlock_all$",
        why: "drivers tidy up with it, and it gives up one's own locks alone; on a login that serves many they are síndico's",
        back: Back::OwnLogin,
    },
    Functions {
        names: "^pg_(try_)?advisory_",
        why: "one space of keys per database: a lock by one tenant holds up another that chose the same number",
        back: Back::OwnDatabase,
    },
    Functions {
        names: "^lo_|^lo(read|write)$",
        why: "one space of ids per database, whose objects no policy guards and the dense login would share",
        back: Back::OwnDatabase,
    },
    Functions {
        names: "^(table|schema|database)_to_xml",
        why: "they run queries while DDL holds locks, and nobody needs them where there is query_to_xml",
        back: Back::OwnDatabase,
    },
    Functions {
        names: "^currtid2?$|^pg_control_|^pg_current_wal_|^pg_logical_emit_message$|^pg_export_snapshot$|^pg_get_replication_slots$",
        why: "versions of rows that policies hide, the server's write-ahead log and its counters",
        back: Back::Nobody,
    },
    Functions {
        names: "^pg_notify$",
        why: "channels are one space of names per database; sindico.notify gives each tenant its own",
        back: Back::OwnDatabase,
    },
    Functions {
        names: "^pg_(cancel|terminate)_backend$",
        why: "a role may stop its own sessions, and a login that serves many would stop what it does for others",
        back: Back::OwnLogin,
    },
];

/// `pg_class` without the planner's estimates, which count the rows of all tenants: `relpages`, `reltuples`,
/// `relallvisible` and, since PostgreSQL 18, `relallfrozen`. Tools read the other columns, system columns included.
const CLASS: &str = "
    SELECT format('REVOKE SELECT ON pg_catalog.pg_class FROM PUBLIC; GRANT SELECT (%s) ON pg_catalog.pg_class TO PUBLIC',
                  string_agg(quote_ident(attname), ', '))
    FROM pg_attribute WHERE attrelid = 'pg_class'::regclass AND NOT attisdropped
        AND attname NOT IN ('relpages', 'reltuples', 'relallvisible', 'relallfrozen')";

/// Revokes or grants on what a pattern finds. Functions that PostgreSQL already keeps for itself are none of PUBLIC's.
const OF_PATTERN: &str = "
    SELECT coalesce(string_agg(format($2, oid::regprocedure), '; ' ORDER BY oid), '')
    FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND prokind = 'f' AND proname ~ $1
        AND EXISTS (SELECT FROM aclexplode(coalesce(proacl, acldefault('f', proowner))) WHERE grantee = 0)";

/// Takes all of the list from PUBLIC, as a superuser, in the transaction that is open.
pub(super) async fn apply(inside: &Session, names: &SharedNames, kind: Kind) -> Result<(), LifecycleError> {
    for Functions { names: pattern, back, .. } in FUNCTIONS {
        let mut statement = "REVOKE EXECUTE ON FUNCTION %1$s FROM PUBLIC".to_owned();
        let holders = holders(names, kind, back);
        if !holders.is_empty() {
            statement.push_str(&format!("; GRANT EXECUTE ON FUNCTION %1$s TO {}", list(&holders)));
        }
        inside.run(&text(inside, OF_PATTERN, &[pattern, &statement]).await?).await?;
    }
    inside.run(&text(inside, CLASS, &[]).await?).await?;
    let (owner, definer) = (quote_ident(&names.owner), quote_ident(&names.definer));
    match kind {
        // Without a language there is no DO and no function of a session's own, so no LOCK from within one. What the
        // app's migrations made runs all the same.
        Kind::Shared => {
            let schema_group = quote_ident(&names.schema_group);
            inside
                .run(&format!(
                    "REVOKE USAGE ON LANGUAGE sql, plpgsql FROM PUBLIC;
                     GRANT USAGE ON LANGUAGE sql, plpgsql TO {owner}, {schema_group};
                     GRANT EXECUTE ON FUNCTION pg_notify(text, text), pg_advisory_xact_lock_shared(bigint),
                         pg_advisory_lock_shared(bigint), pg_advisory_unlock_all() TO {definer}"
                ))
                .await
        }
        Kind::Template => {
            let own = list(&[&names.own_rw, &names.own_ro]);
            inside
                .run(&format!(
                    "REVOKE USAGE ON LANGUAGE sql, plpgsql FROM PUBLIC;
                     GRANT USAGE ON LANGUAGE sql, plpgsql TO {owner}, {own};
                     GRANT SELECT ON pg_catalog.pg_class TO {own}"
                ))
                .await
        }
    }
}

fn holders(names: &SharedNames, kind: Kind, back: Back) -> Vec<&String> {
    match (kind, back) {
        (Kind::Template, Back::OwnDatabase | Back::OwnLogin) => vec![&names.own_rw, &names.own_ro],
        (Kind::Shared, Back::OwnLogin) => vec![&names.shared_login, &names.schema_group],
        (Kind::Shared, Back::OwnDatabase) | (_, Back::Nobody) => Vec::new(),
    }
}

fn list(roles: &[&String]) -> String {
    roles.iter().map(|role| quote_ident(role)).collect::<Vec<_>>().join(", ")
}

async fn text(inside: &Session, sql: &str, arguments: &[&str]) -> Result<String, LifecycleError> {
    let arguments: Vec<_> = arguments.iter().map(|it| it as &(dyn tokio_postgres::types::ToSql + Sync)).collect();
    let row = inside.query_one(sql, &arguments).await.map_err(|error| inside.fault(&error))?;
    row.try_get(0).map_err(|error| inside.fault(&error))
}
