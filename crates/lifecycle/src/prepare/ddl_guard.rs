//! Keeps tenants' DDL from holding up everybody else.
//!
//! PostgreSQL takes the lock of some statements before it looks whether they are allowed. `CREATE RULE … ON INSERT TO t` is
//! refused to whoever does not own `t`, but only once an exclusive lock on it has been waited for, and while it waits
//! everybody who comes later waits behind it. On a shared catalog such as `pg_database`, nobody on the whole server can log
//! in. Two sessions of one tenant suffice: one that reads the table in a transaction, one that waits.
//!
//! Event triggers fire before any of these locks (PostgreSQL manual, 40.1), so tenants get there only what temporary tables
//! need, and that waits for no lock longer than 50 ms.
//! What does without event triggers is ended by [`crate::lock_watch`].

use domain::{SharedNames, quote_literal};

use crate::LifecycleError;
use crate::server::Session;

/// What a session may do with temporary objects of its own. By its privileges it cannot make others. `ALTER TABLE` computes
/// expressions of the session's before it waits for further locks, and those can change how long it waits.
const ALLOWED: [&str; 13] = [
    "CREATE TABLE",
    "DROP TABLE",
    "CREATE INDEX",
    "DROP INDEX",
    "CREATE VIEW",
    "DROP VIEW",
    "CREATE SEQUENCE",
    "ALTER SEQUENCE",
    "DROP SEQUENCE",
    "CREATE FUNCTION",
    "DROP FUNCTION",
    "CREATE TYPE",
    "DROP TYPE",
];

/// Installs the event triggers, as a superuser. A copy of the database has them too.
pub(super) async fn install(inside: &Session, names: &SharedNames) -> Result<(), LifecycleError> {
    let allowed = ALLOWED.map(quote_literal).join(", ");
    let sql = include_str!("sql/guard_ddl.sql")
        .replace("{dense}", &quote_literal(&names.dense))
        .replace("{definer}", &quote_literal(&names.definer))
        .replace("{allowed}", &format!("ARRAY[{allowed}]"));
    inside.run(&sql).await
}
