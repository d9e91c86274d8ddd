//! SQL that is after another tenant's rows.
//!
//! The victim's rows, large object and temporary table hold one word. Whatever the attacker is told, in rows, notices and
//! errors alike, that word must not be in it.

use serde_json::Value;

use crate::bed::{Bed, enter, rows};
use crate::socket::{Message, Socket, bind, execute, message, parse, sync};

const SECRET: &str = "Mandrake";

/// Statements with names of the victim's in braces. Each line is one query message.
const ATTEMPTS: &[&str] = &[
    // Settings and identity, plainly and from within strings and functions.
    "SET row_security = off; TABLE {schema}.clients",
    "SELECT set_config('sindico.tenant', '{id}', false), set_config('sindico.token', '{id}', false); TABLE {schema}.clients",
    "SET ROLE {role}; TABLE {schema}.clients",
    "SET SESSION AUTHORIZATION {role}; TABLE {schema}.clients",
    "SET ROLE app_{app}_owner; TABLE {schema}.clients",
    "SET ROLE app_{app}_shared_rw; TABLE {schema}.clients",
    "DO $$BEGIN PERFORM set_config('row_security', 'off', false); END$$; TABLE {schema}.clients",
    "DO $$BEGIN PERFORM set_config('role', '{role}', false); END$$; TABLE {schema}.clients",
    "SELECT query_to_xml('SET row_security = off', true, false, ''); TABLE {schema}.clients",
    "SELECT query_to_xml('SET ROLE {role}', true, false, ''); TABLE {schema}.clients",
    "CREATE FUNCTION pg_temp.f() RETURNS SETOF {schema}.clients LANGUAGE sql SECURITY DEFINER AS 'TABLE {schema}.clients'; SELECT pg_temp.f()",
    "CREATE FUNCTION pg_temp.f() RETURNS SETOF {schema}.clients LANGUAGE sql SET row_security = off AS 'TABLE {schema}.clients'; SELECT pg_temp.f()",
    "BEGIN; SET LOCAL row_security = off; ROLLBACK; COMMIT; TABLE {schema}.clients",
    // SQL in strings.
    "SELECT query_to_xml('TABLE {schema}.clients', true, false, '')",
    "SELECT table_to_xml('{schema}.clients', true, false, '')",
    "SELECT schema_to_xml('{schema}', true, false, '')",
    "SELECT database_to_xml(true, false, '')",
    "SELECT * FROM ts_stat('SELECT to_tsvector(''simple'', name) FROM {schema}.clients')",
    // Functions that tell what they are given.
    "{leak}; SELECT * FROM {schema}.clients WHERE pg_temp.leak(name)",
    "{leak}; EXPLAIN ANALYZE SELECT * FROM {schema}.clients WHERE pg_temp.leak(name)",
    "{leak}; DELETE FROM {schema}.clients WHERE pg_temp.leak(name)",
    "{leak}; SELECT * FROM {schema}.clients c JOIN {schema}.animals a ON pg_temp.leak(c.name)",
    "{leak}; CREATE DOMAIN pg_temp.loud AS text CHECK (pg_temp.leak(VALUE)); SELECT name::pg_temp.loud FROM {schema}.clients",
    "{leak}; CREATE OPERATOR pg_temp.? (RIGHTARG = text, FUNCTION = pg_temp.leak); SELECT * FROM {schema}.clients WHERE OPERATOR(pg_temp.?) name",
    "{leak}; ALTER FUNCTION pg_temp.leak(text) LEAKPROOF; SELECT * FROM {schema}.clients WHERE pg_temp.leak(name)",
    "SELECT * FROM {schema}.clients WHERE name::int = 1",
    "SELECT * FROM {schema}.clients WHERE 1 / (length(name) - 8) > 0",
    // Ways to read, and to keep what was read.
    "EXPLAIN (ANALYZE, VERBOSE) SELECT name FROM {schema}.clients ORDER BY name",
    "COPY {schema}.clients TO STDOUT",
    "COPY (SELECT * FROM {schema}.clients) TO STDOUT (FORMAT binary)",
    "DECLARE held CURSOR WITH HOLD FOR TABLE {schema}.clients; FETCH ALL held",
    "PREPARE kept AS TABLE {schema}.clients; EXECUTE kept",
    "CREATE TEMP VIEW seen WITH (security_barrier = false) AS TABLE {schema}.clients; TABLE seen",
    "CREATE TEMP TABLE taken AS TABLE {schema}.clients; TABLE taken",
    "CREATE TEMP VIEW ruled AS SELECT 1 AS a; CREATE RULE r AS ON INSERT TO ruled DO INSTEAD SELECT * FROM {schema}.clients; INSERT INTO ruled VALUES (1)",
    "CREATE TEMP TABLE heir () INHERITS ({schema}.clients)",
    "SELECT * FROM {temp}.mine",
    "SELECT * FROM ONLY {schema}.clients TABLESAMPLE SYSTEM (100)",
    "SELECT * FROM {schema}.clients WHERE ctid = '(0,1)' OR ctid = '(0,2)' OR ctid = '(0,3)'",
    // Ways to change.
    "WITH gone AS (DELETE FROM {schema}.clients WHERE name = '{hidden}' RETURNING *) TABLE gone",
    "UPDATE {schema}.clients SET notes = 'mine' WHERE id = {client} AND lower(email) = 'same@example.org' RETURNING *",
    "MERGE INTO {schema}.clients c USING (SELECT {client} AS id) x ON c.id = x.id AND c.email = 'same@example.org' WHEN MATCHED THEN DELETE",
    "TRUNCATE {schema}.clients CASCADE",
    // Statistics, other sessions, large objects.
    "SELECT most_common_vals, histogram_bounds FROM pg_stats",
    "SELECT * FROM pg_stats_ext_exprs; TABLE pg_statistic_ext_data",
    "TABLE pg_statistic",
    "SELECT query FROM pg_stat_activity; SELECT pg_stat_get_backend_activity(i) FROM pg_stat_get_backend_idset() i",
    "SELECT pg_terminate_backend({pid})",
    "SELECT pg_cancel_backend({pid})",
    "SELECT lo_get({object})",
    "SELECT loread(lo_open({object}, 262144), 100)",
    "SELECT lo_put({object}, 0, 'gone')",
    "SELECT lo_unlink({object})",
    "GRANT SELECT ON LARGE OBJECT {object} TO PUBLIC; SELECT lo_get({object})",
    "TABLE pg_largeobject",
    // Becoming more than a tenant.
    "CREATE POLICY open ON {schema}.clients USING (true)",
    "ALTER TABLE {schema}.clients DISABLE ROW LEVEL SECURITY; TABLE {schema}.clients",
    "CREATE RULE spy AS ON INSERT TO {schema}.clients DO ALSO NOTIFY spy",
    "CREATE OR REPLACE FUNCTION sindico.current_tenant() RETURNS uuid LANGUAGE sql AS $$SELECT '{id}'::uuid$$; TABLE {schema}.clients",
    "CREATE FUNCTION public.lower(text) RETURNS text LANGUAGE sql AS 'SELECT $1'",
    "CREATE TRIGGER spy AFTER INSERT ON {schema}.clients EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "GRANT SELECT ON {schema}.clients TO CURRENT_USER; TABLE {schema}.clients",
    "REASSIGN OWNED BY app_{app}_owner TO CURRENT_USER; TABLE {schema}.clients",
    // Texts that a parser may read in another way than the server.
    "SET standard_conforming_strings = off; SELECT '\\'; TABLE {schema}.clients; --'",
    "/* /* */ TABLE {schema}.clients; */ TABLE {schema}.clients",
    "SELECT $a$ $b$ $a$; TABLE {schema}.clients; SELECT $b$ $b$",
    "SET client_encoding = 'SJIS'; TABLE {schema}.clients",
];

const LEAK: &str = "CREATE FUNCTION pg_temp.leak(text) RETURNS bool LANGUAGE plpgsql COST 0.0000001
    AS $$BEGIN RAISE NOTICE '%', $1; RETURN true; END$$";

/// A tenant that has something to lose, with its session open.
struct Victim {
    session: tokio_postgres::Client,
    made: Value,
    names: Vec<(&'static str, String)>,
}

impl Victim {
    async fn make(bed: &Bed, isolation: &str) -> Self {
        let made = bed.tenant(&format!("{isolation}-victim"), isolation).await;
        let session = enter(&made).await;
        session
            .batch_execute(&format!(
                "INSERT INTO clients (name, email) VALUES ('{SECRET}', 'same@example.org');
                 INSERT INTO animals (client_id, species_id, name) SELECT id, 1, '{SECRET}' FROM clients;
                 CREATE TEMP TABLE mine AS SELECT '{SECRET}' AS word"
            ))
            .await
            .expect("rows");
        let one = async |sql: &str| rows(&session, sql).await.remove(0);
        let names = vec![
            ("{leak}", LEAK.to_owned()),
            ("{schema}", made["placement"]["schema"].as_str().expect("a schema").to_owned()),
            ("{id}", made["id"].as_str().expect("an id").to_owned()),
            ("{app}", bed.app.to_string()),
            ("{role}", one("SELECT session_user").await),
            ("{temp}", one("SELECT pg_my_temp_schema()::regnamespace").await),
            ("{pid}", one("SELECT pg_backend_pid()").await),
            ("{object}", one(&format!("SELECT lo_from_bytea(0, '{SECRET}')")).await),
            ("{client}", one(&format!("SELECT id FROM clients WHERE name = '{SECRET}'")).await),
            ("{hidden}", "' || chr(77) || 'andrake".to_owned()),
        ];
        Self { session, made, names }
    }

    fn name(&self, name: &str) -> &str {
        &self.names.iter().find(|(known, _)| *known == name).expect("a known name").1
    }

    fn aim(&self, attempt: &str) -> String {
        self.names.iter().fold(attempt.to_owned(), |text, (name, value)| text.replace(name, value))
    }

    async fn is_unharmed(&self, after: &str) {
        let state = format!(
            "SELECT (SELECT count(*) FROM clients WHERE name = '{SECRET}' AND notes = ''), (SELECT count(*) FROM animals),
                    (SELECT count(*) FROM mine), convert_from(lo_get({}), 'UTF8')",
            self.name("{object}")
        );
        assert_eq!(rows(&self.session, &state).await, [format!("1,3,1,{SECRET}")], "after {after}");
    }
}

fn tells(heard: &[Message]) -> bool {
    heard.iter().any(|(_, body)| body.windows(SECRET.len()).any(|part| part == SECRET.as_bytes()))
}

/// Everything that is said to a query message and what clears up after it.
async fn simply(socket: &mut Socket, sql: &str) -> Vec<Message> {
    let heard = socket.query(sql).await;
    socket.query("ROLLBACK").await;
    socket.query("DISCARD ALL").await;
    heard
}

async fn raid(bed: &Bed, isolation: &str) {
    let victim = Victim::make(bed, isolation).await;
    let attacker = bed.tenant(&format!("{isolation}-attacker"), isolation).await;
    let server = usize::from(isolation == "cluster");
    let database = victim.made["placement"]["database"].as_str().expect("a database");
    bed.superuser(server, database).await.batch_execute("ANALYZE").await.expect("statistics to spy on");
    // What would tell does tell, when the victim itself asks.
    let mut own = Socket::enter(bed, &victim.made).await;
    assert!(tells(&simply(&mut own, "SELECT query_to_xml('TABLE clients', true, false, '')").await));
    assert!(tells(&simply(&mut own, &format!("{LEAK}; SELECT FROM clients WHERE pg_temp.leak(name)")).await));

    let mut socket = Socket::enter(bed, &attacker).await;
    for attempt in ATTEMPTS {
        let sql = victim.aim(attempt);
        assert!(!tells(&simply(&mut socket, &sql).await), "{isolation}: {sql}");
        assert!(!tells(&simply(&mut socket, &format!("BEGIN; {sql}; COMMIT")).await), "{isolation}: inside: {sql}");
        // Statement by statement in the extended protocol, one Sync at the end, then again for all that follow an error.
        for statement in sql.split("; ") {
            socket.send(&[parse("", statement), bind("", ""), execute("", 0), sync()].concat()).await;
            assert!(!tells(&socket.until_ready().await), "{isolation}: extended: {sql}");
        }
        simply(&mut socket, "ROLLBACK").await;
        victim.is_unharmed(&sql).await;
    }
    // FunctionCall of lo_get(oid), which carries no SQL.
    let object: u32 = victim.name("{object}").parse().expect("an oid");
    let call = [b"\0\0\x0d\x82\0\x01\0\x01\0\x01\0\0\0\x04", &object.to_be_bytes()[..], b"\0\x01"].concat();
    socket.send(&message(b'F', &call)).await;
    assert!(!tells(&socket.until_ready().await), "{isolation}: FunctionCall");
    victim.is_unharmed("a FunctionCall").await;
    assert_eq!(rows(&enter(&victim.made).await, "SELECT count(*) FROM clients").await, ["2"], "{isolation}");
}

#[tokio::test]
async fn no_sql_reads_or_changes_rows_of_another_tenant_in_shared_tables() {
    let bed = Bed::make().await;
    raid(&bed, "shared").await;
    bed.close().await;
}

#[tokio::test]
async fn no_sql_reads_or_changes_rows_of_another_tenant_in_a_schema() {
    let bed = Bed::make().await;
    raid(&bed, "schema").await;
    bed.close().await;
}

#[tokio::test]
async fn no_sql_reads_or_changes_rows_of_another_tenant_in_a_database() {
    let bed = Bed::make().await;
    raid(&bed, "database").await;
    raid(&bed, "cluster").await;
    bed.close().await;
}
