//! Whom a token proves.

use catalog::TokenKey;
use domain::TenantId;
use tokio_postgres::Client;

use super::bare;
use crate::bed::{Bed, rows, sqlstate};

const COUNT: &str = "SELECT count(*) FROM clients";
const WRITE: &str = "INSERT INTO clients (name, email) VALUES ('Eve', 'eve@example.org')";

/// What `token_tenant()` reads: the key of the app's database, the session's own process, and the server's time.
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
        Self { key: bed.catalog().master().token_key(cluster.id, &bed.app), pid: pid.cast_unsigned(), now: now.cast_unsigned() }
    }

    fn issue(&self, tenant: TenantId) -> String {
        self.key.issue(tenant, self.pid, self.now).expect("random bytes")
    }
}

async fn show(session: &Client, token: &str) {
    session.execute("SELECT set_config('sindico.token', $1, false)", &[&token]).await.expect("any text");
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
    show(&session, &good).await;
    assert_eq!(rows(&session, COUNT).await, ["1"], "the right token");
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
        show(&session, &token).await;
        serves_nobody(&session, why).await;
    }
    show(&session, &good).await;
    assert_eq!(rows(&session, COUNT).await, ["1"], "the right token again");
    bed.close().await;
}

#[tokio::test]
async fn another_process_cannot_use_a_token() {
    let bed = Bed::make().await;
    let made = bed.tenant("one", "shared").await;
    let tenant = made["id"].as_str().expect("an id").parse().expect("an id");
    let (first, second) = (bare(&bed).await, bare(&bed).await);
    let token = Issuer::find(&bed, &first).await.issue(tenant);
    show(&first, &token).await;
    show(&second, &token).await;
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
            "SELECT sindico.token_tenant() FROM sindico_secret.token_key",
        ] {
            assert_eq!(sqlstate(session, attempt).await, "42501", "{attempt}");
        }
        let definer = format!("SET ROLE {}", bed.app.names().definer);
        assert_eq!(sqlstate(session, &definer).await, "42501");
    }
    assert_eq!(sqlstate(&own, "SELECT sindico.token_tenant()").await, "42501");
    bed.close().await;
}
