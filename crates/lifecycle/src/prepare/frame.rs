//! The schemas of an app's database and who may enter them, before the app's own statements run.

use domain::{SharedNames, quote_ident};

use super::{Kind, functions};
use crate::migrate::transact;

/// Everything around the app's own statements, up to the moment when its owner takes over; the transaction stays open.
pub(super) fn open(database: &str, names: &SharedNames, kind: Kind) -> String {
    let owner = quote_ident(&names.owner);
    let database = quote_ident(database);
    let groups = match kind {
        Kind::Shared => vec![&names.shared_rw, &names.shared_ro, &names.schema_group],
        Kind::Template => vec![&names.own_rw, &names.own_ro],
    };
    let groups = groups.iter().map(|group| quote_ident(group)).collect::<Vec<_>>().join(", ");
    let act = transact::act_as_owner(&names.owner);
    let mut sql = format!(
        "BEGIN;
         REVOKE ALL ON DATABASE {database} FROM PUBLIC;
         REVOKE ALL ON SCHEMA public FROM PUBLIC;
         CREATE SCHEMA global;
         CREATE SCHEMA extensions;
         CREATE SCHEMA sindico;
         {act}
         GRANT USAGE, CREATE ON SCHEMA public, global TO {owner};
         GRANT USAGE ON SCHEMA extensions, sindico TO {owner};
         GRANT USAGE ON SCHEMA global, extensions, sindico TO {groups};"
    );
    match kind {
        Kind::Shared => sql.push_str(&shared(&database, names)),
        Kind::Template => sql.push_str(&format!("GRANT USAGE ON SCHEMA public TO {groups};")),
    }
    sql.push_str(&functions::create(names, kind));
    sql
}

/// What only the database of several tenants has.
fn shared(database: &str, names: &SharedNames) -> String {
    let [owner, definer, dense, rw, ro, schema_group, login, views, reports] = [
        &names.owner,
        &names.definer,
        &names.dense,
        &names.shared_rw,
        &names.shared_ro,
        &names.schema_group,
        &names.shared_login,
        &names.views,
        &names.reports,
    ]
    .map(|role| quote_ident(role));
    format!(
        "GRANT CONNECT, TEMPORARY ON DATABASE {database} TO {login}, {schema_group};
         GRANT CONNECT ON DATABASE {database} TO {dense}, {reports};
         GRANT USAGE ON SCHEMA public TO {rw}, {ro}, {views};
         GRANT USAGE ON SCHEMA global, extensions TO {views}, {reports};
         CREATE SCHEMA sindico_copy;
         GRANT USAGE, CREATE ON SCHEMA sindico_copy TO {owner};
         GRANT USAGE ON SCHEMA sindico_copy TO {rw};
         CREATE SCHEMA sindico_secret AUTHORIZATION {definer};
         CREATE TABLE sindico_secret.token_key (inner_block bytea NOT NULL, outer_block bytea NOT NULL);
         CREATE TABLE sindico_secret.channel_key (inner_block bytea NOT NULL, outer_block bytea NOT NULL);
         ALTER TABLE sindico_secret.token_key OWNER TO {definer};
         ALTER TABLE sindico_secret.channel_key OWNER TO {definer};
         GRANT USAGE ON SCHEMA sindico TO {definer};
         CREATE TABLE sindico.owned_sequences (
             table_name text NOT NULL, sequence_name text NOT NULL, PRIMARY KEY (table_name, sequence_name));
         COMMENT ON TABLE sindico.owned_sequences IS 'the sequences that TRUNCATE ... RESTART IDENTITY restarts';
         GRANT SELECT ON sindico.owned_sequences TO {rw};"
    )
}

/// What the app's statements run as, and under which names. Whoever may call its functions is told of each; what everybody
/// may call, `information_schema` shows to everybody.
pub(super) fn hand_over(names: &SharedNames) -> String {
    let owner = quote_ident(&names.owner);
    format!(
        "ALTER DEFAULT PRIVILEGES FOR ROLE {owner} REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
         SET LOCAL ROLE {owner};
         SET LOCAL search_path = public, global, extensions;"
    )
}
