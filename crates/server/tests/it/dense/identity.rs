//! Whom a token proves.

use catalog::TokenKey;
use domain::TenantId;
use tokio_postgres::Client;

use super::bare;
use crate::bed::{Bed, rows, sqlstate};

const COUNT: &str = "SELECT count(*) FROM clients";
const WRITE: &str = "INSERT INTO clients (name, email) VALUES ('Eve', 'eve@example.org')";

/// What `sindico.enter` asks for: the key of the app's database, the session's own process, and the server's time.
struct Issuer {
    key: TokenKey,
    pid: u32,
    now: u64,
}

impl Issuer {
    async fn find(bed: &Bed, session: &Client) -> Self {
        let clusters = bed.catalog().clusters().await.expect("clusters");
        let cluster = clusters.iter().find(|cluster| !cluster.dedicated).expect("the main cluster");
        let ask = "SELECT pg_backend_pid(), extract(epoch FROM clock_timestamp())::bigint";
        let row = session.query_one(ask, &[]).await.expect("an answer");
        let (pid, now): (i32, i64) = (row.get(0), row.get(1));
        Self {
            key: bed.catalog().master().token_key(cluster.id, &bed.app),
            pid: pid.cast_unsigned(),
            now: now.cast_unsigned(),
        }
    }

    fn issue(&self, tenant: TenantId) -> String {
        self.key.issue(tenant, self.pid, self.now).expect("random bytes")
    }
}

/// Whether the session serves somebody from here on.
async fn show(session: &Client, token: &str) -> bool {
    session.query_one("SELECT sindico.enter($1, false)", &[&token]).await.expect("any text").get(0)
}

async fn serves_nobody(session: &Client, why: &str) {
    assert_eq!(rows(session, COUNT).await, ["0"], "{why}");
    assert_eq!(rows(session, "SELECT sindico.current_tenant() IS NULL").await, ["t"], "{why}");
    assert_eq!(sqlstate(session, WRITE).await, "42501", "{why}");
    assert_eq!(rows(session, "UPDATE clients SET notes = 'x' RETURNING 1").await, [""; 0], "{why}");
    assert_eq!(rows(session, "DELETE FROM clients RETURNING 1").await, [""; 0], "{why}");
    assert_eq!(sqlstate(session, "SELECT sindico.next_value('clients_id_seq')").await, "42501", "{why}");
    assert_eq!(sqlstate(session, "SELECT sindico.notify('a', 'b')").await, "42501", "{why}");
}

#[tokio::test]
async fn nothing_but_a_token_of_this_key_process_and_time_proves_a_tenant() {
    let bed = Bed::make().await;
    let made = bed.tenant("one", "shared").await;
    let tenant: TenantId = made["id"].as_str().expect("an id").parse().expect("an id");
    let session = bare(&bed).await;
    serves_nobody(&session, "no token").await;

    let issuer = Issuer::find(&bed, &session).await;
    let good = issuer.issue(tenant);
    assert!(show(&session, &good).await, "the right token");
    assert_eq!(rows(&session, COUNT).await, ["1"]);
    assert_eq!(rows(&session, "SELECT sindico.current_tenant()").await, [tenant.to_string()]);

    let (body, mac) = good.rsplit_once('.').expect("a proof");
    let other = TenantId::from_uuid(uuid::Uuid::nil());
    let foreign_pid = issuer.key.issue(tenant, issuer.pid + 1, issuer.now).expect("random bytes");
    let late = issuer.key.issue(tenant, issuer.pid, issuer.now - TokenKey::LIFE - 5).expect("random bytes");
    let wrong_key = {
        let clusters = bed.catalog().clusters().await.expect("clusters");
        let dedicated = clusters.iter().find(|cluster| cluster.dedicated).expect("the other cluster");
        let key = bed.catalog().master().token_key(dedicated.id, &bed.app);
        key.issue(tenant, issuer.pid, issuer.now).expect("random bytes")
    };
    for (why, token) in [
        ("empty", String::new()),
        ("a bare id", tenant.to_string()),
        ("another process's", foreign_pid),
        ("too old", late),
        ("made with another key", wrong_key),
        ("cut short", good[..good.len() - 1].to_owned()),
        ("without a proof", body.to_owned()),
        ("with an empty proof", format!("{body}.")),
        ("with capitals in the proof", format!("{body}.{}", mac.to_uppercase())),
        ("of another tenant with this one's proof", format!("{}{}.{mac}", other.hex(), &body[32..])),
        ("with something in front", format!(" {good}")),
        ("with something behind", format!("{good} ")),
        ("dots alone", format!(".{}.", issuer.pid)),
        ("with a quote", format!("'.{}.'", issuer.pid)),
        ("not ASCII", format!("ção.{}.ção", issuer.pid)),
        ("long", format!("{}.{}.{}", "a".repeat(100_000), issuer.pid, "b".repeat(100_000))),
    ] {
        assert!(show(&session, &good).await, "the right token again");
        assert!(!show(&session, &token).await, "{why}");
        serves_nobody(&session, why).await;
    }
    bed.close().await;
}

#[tokio::test]
async fn another_process_cannot_use_a_token() {
    let bed = Bed::make().await;
    let made = bed.tenant("one", "shared").await;
    let tenant = made["id"].as_str().expect("an id").parse().expect("an id");
    let (first, second) = (bare(&bed).await, bare(&bed).await);
    let token = Issuer::find(&bed, &first).await.issue(tenant);
    assert!(show(&first, &token).await);
    assert!(!show(&second, &token).await);
    assert_eq!(rows(&first, COUNT).await, ["1"]);
    serves_nobody(&second, "a token of another process").await;
    bed.close().await;
}

#[tokio::test]
async fn only_the_functions_owner_reads_the_keys() {
    let bed = Bed::make().await;
    let made = bed.tenant("one", "shared").await;
    let own = crate::bed::enter(&made).await;
    let many = bare(&bed).await;
    for session in [&own, &many] {
        for attempt in [
            "SELECT * FROM sindico_secret.token_key",
            "SELECT * FROM sindico_secret.channel_key",
            "COPY sindico_secret.token_key TO STDOUT",
        ] {
            assert_eq!(sqlstate(session, attempt).await, "42501", "{attempt}");
        }
        let definer = format!("SET ROLE {}", bed.app.names().definer);
        assert_eq!(sqlstate(session, &definer).await, "42501");
    }
    assert_eq!(sqlstate(&own, "SELECT sindico.enter('x', false)").await, "42501");
    bed.close().await;
}

/// The setting that keeps what a token proved is nobody's to change, and no earlier tenant comes back from it.
#[tokio::test]
async fn who_is_served_cannot_be_set_by_hand() {
    let bed = Bed::make().await;
    let (made, other) = (bed.tenant("one", "shared").await, bed.tenant("two", "shared").await);
    let [tenant, other] =
        [&made, &other].map(|it| it["id"].as_str().expect("an id").parse::<TenantId>().expect("an id"));
    let session = bare(&bed).await;
    let token = Issuer::find(&bed, &session).await.issue(tenant);
    let name = format!("t_{}", other.hex());
    let dense = bed.app.names().dense;
    for served in [false, true] {
        if served {
            assert!(show(&session, &token).await);
        }
        for attempt in [
            format!("SET backtrace_functions = {name}"),
            format!("SET LOCAL backtrace_functions = {name}"),
            format!("SELECT set_config('backtrace_functions', '{name}', false)"),
            format!("UPDATE pg_settings SET setting = '{name}' WHERE name = 'backtrace_functions'"),
            format!("ALTER ROLE {dense} SET backtrace_functions = {name}"),
            format!("ALTER DATABASE {} SET backtrace_functions = {name}", bed.app.names().database),
            format!(
                "SELECT query_to_xml('SELECT set_config(''backtrace_functions'', ''{name}'', false)', true, false, '')"
            ),
            "RESET backtrace_functions".to_owned(),
            format!("SET SESSION AUTHORIZATION {name}"),
            format!("SET ROLE {name}"),
        ] {
            let refused = sqlstate(&session, &attempt).await;
            assert!(["42501", "25P01"].contains(&refused.as_str()), "{attempt}: {refused}");
        }
        let now = rows(&session, "SELECT coalesce(sindico.current_tenant()::text, 'nobody')").await;
        assert_eq!(now, [if served { tenant.to_string() } else { "nobody".to_owned() }]);
    }
    // What is set for a transaction ends with it, and undoing a transaction undoes what it accepted.
    session.batch_execute("DISCARD ALL").await.expect("discarded");
    serves_nobody(&session, "everything was discarded").await;
    session
        .batch_execute(&format!("BEGIN; SELECT sindico.enter('{token}', true); COMMIT"))
        .await
        .expect("a transaction");
    serves_nobody(&session, "the transaction is over").await;
    session.batch_execute(&format!("BEGIN; SELECT sindico.enter('{token}', false); ROLLBACK")).await.expect("undone");
    serves_nobody(&session, "the transaction was undone").await;
    bed.close().await;
}
