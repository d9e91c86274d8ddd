//! A real PostgreSQL for these tests, and a way to speak to it through a lease.

use std::env;

use bytes::BytesMut;
use domain::Servers;
use pool::{Lease, Route, Secret, Serves, SessionParams, Share};
use postgres_protocol::message::backend::Message;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_postgres::config::Host;
use tokio_postgres::fallible_iterator::FallibleIterator as _;
use tokio_postgres::{Client, Config, NoTls};
use uuid::Uuid;

pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// A superuser's session on a server that is this test's own, unless `SINDICO_TEST_DSN_1` names one.
pub(crate) struct Server {
    pub(crate) admin: Client,
    host: String,
    port: u16,
    _scratch: Option<devdb::Scratch>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let given = env::var("SINDICO_TEST_DSN_1").ok();
        let scratch = match given {
            Some(_) => None,
            None => Some(devdb::Scratch::start().await.expect("a scratch cluster")),
        };
        let dsn = given.or_else(|| scratch.as_ref().map(|scratch| scratch.dsn("postgres"))).expect("a server");
        let config: Config = dsn.parse().expect("a DSN");
        let (admin, connection) = config.connect(NoTls).await.expect("a superuser's session");
        tokio::spawn(connection);
        let host = match config.get_hosts() {
            [Host::Tcp(host)] => host.clone(),
            other => panic!("one TCP host is needed, not {other:?}"),
        };
        let port = config.get_ports().first().copied().unwrap_or(5432);
        Self { admin, host, port, _scratch: scratch }
    }

    /// A login role that no other test uses, and the way to its connections.
    pub(crate) async fn route(&self) -> Route {
        let role = format!("t_{}", Uuid::now_v7().simple());
        self.admin
            .batch_execute(&format!(
                "SET password_encryption = 'scram-sha-256'; CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'"
            ))
            .await
            .expect("a role");
        Route {
            cluster: Uuid::nil(),
            servers: Servers::one(self.host.clone(), self.port),
            trust: tls::Trust::plain(),
            database: "postgres".to_owned(),
            role,
            serves: Serves::One,
            password: Secret::new(PASSWORD),
            search_path: "pg_temp, public".to_owned(),
        }
    }

    /// Server processes of a role.
    pub(crate) async fn backends(&self, role: &str) -> i64 {
        self.admin
            .query_one("SELECT count(*) FROM pg_stat_activity WHERE usename = $1", &[&role])
            .await
            .expect("a count")
            .get(0)
    }
}

/// Each role is a tenant of its own, whose id its name carries.
pub(crate) fn share(route: &Route) -> Share {
    let tenant = route.role.strip_prefix("t_").and_then(|id| id.parse().ok()).expect("a role that carries an id");
    Share { tenant, most: 100 }
}

pub(crate) fn no_params() -> SessionParams {
    SessionParams::default()
}

/// First column of the last row, or the error's SQLSTATE.
pub(crate) async fn ask(lease: &mut Lease, sql: &str) -> Result<String, String> {
    let mut out = BytesMut::new();
    wire::frontend::query(&mut out, sql);
    lease.stream().write_all(&out).await.expect("sent");
    let mut held = BytesMut::new();
    let mut answer = Ok(String::new());
    loop {
        while let Some(message) = Message::parse(&mut held).expect("a message") {
            match message {
                Message::DataRow(row) => {
                    let range = row.ranges().next().expect("a column").flatten().unwrap_or_default();
                    answer = Ok(String::from_utf8_lossy(&row.buffer()[range]).into_owned());
                }
                Message::ErrorResponse(error) => {
                    let code = error.fields().find(|field| Ok(field.type_() == b'C')).expect("fields");
                    answer = Err(String::from_utf8_lossy(code.expect("a code").value_bytes()).into_owned());
                }
                Message::ReadyForQuery(_) => return answer,
                _ => {}
            }
        }
        assert_ne!(lease.stream().read_buf(&mut held).await.expect("read"), 0, "the server has closed");
    }
}
