//! Opens a connection and logs in (PostgreSQL manual, 55.2.1 and 55.3).

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand;
use bytes::{Buf as _, BytesMut};
use domain::Server;
use tls::{Address, Stream};
use tokio::io::AsyncWriteExt as _;
use tokio::time::{Instant, timeout};
use wire::backend::TransactionStatus;
use wire::report::ServerError;
use wire::scram::{self, Binding, Challenge, ClientKeys, Expected, Opening};
use wire::startup::{CancelKey, SHORT_SECRET_LEN};
use wire::{frontend, startup};

use crate::connection::{Connection, Message, Peer, Reader, parameter_status, tune};
use crate::inspect::inspect;
use crate::reset::nonce;
use crate::residue::Residue;
use crate::route::{Purpose, Route, Serves};
use crate::{PoolError, PoolSettings};

/// Most messages that a login may take. PostgreSQL sends about 20.
const MAX_MESSAGES: usize = 256;

/// Most rounds of PBKDF2 that a server may ask for: about 0.1 s of a core. PostgreSQL's default is 4096.
const MAX_ITERATIONS: u32 = 200_000;

/// How often a server process that executes a statement looks whether we are still there, in milliseconds. By itself it
/// would find out when it has an answer to give, and a tenant's statement could go on for hours after this process has
/// crashed or its cancel request was lost. Since PostgreSQL 14 (manual, 20.3.2).
const CHECK_INTERVAL: &str = "10000";

/// Connects to a server, logs in and waits for it to be ready.
pub(crate) async fn connect(
    purpose: &Purpose,
    server: &Server,
    settings: &PoolSettings,
) -> Result<Connection, PoolError> {
    timeout(settings.connect_timeout, open(purpose, server, settings.max_lifetime))
        .await
        .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
        .inspect_err(|error| {
            let route = &purpose.route;
            tracing::warn!(
                cluster = %route.cluster, host = server.host, port = server.port, database = route.database,
                role = route.role, error = error as &(dyn std::error::Error + 'static), answer = error.answer(),
                "cannot open a server connection"
            );
        })
}

async fn open(purpose: &Purpose, server: &Server, lifetime: Duration) -> Result<Connection, PoolError> {
    let mut connection = log_in(purpose, server).await?;
    connection.retires += lifetime.mul_f64(portion()?);
    if purpose.route.serves == Serves::Many {
        inspect(&mut connection).await?;
    }
    Ok(connection)
}

/// How much of its lifetime a connection gets: nine tenths to all of it.
fn portion() -> Result<f64, PoolError> {
    let mut byte = [0];
    rand::fill(&mut byte).map_err(io::Error::other)?;
    Ok(1.0 - f64::from(byte[0]) / 2550.0)
}

async fn log_in(purpose: &Purpose, server: &Server) -> Result<Connection, PoolError> {
    let route = &purpose.route;
    let (address, socket) = Address::find(&server.host, server.port).await?;
    tune(&socket)?;
    let mut stream = route.trust.secure(socket, &server.host).await.map_err(|error| mistrust(route, server, error))?;
    let peer = Arc::new(Peer { address, host: server.host.clone(), trust: route.trust.clone() });

    let mut out = BytesMut::new();
    let own = [
        ("user", route.role.as_str()),
        ("database", &route.database),
        ("search_path", &route.search_path),
        ("client_connection_check_interval", CHECK_INTERVAL),
    ];
    // PostgreSQL lets the last of a name count, so what the route says stands after what the client says.
    startup::session(&mut out, purpose.params.iter().chain(own));
    send(&mut stream, &mut out).await?;

    let mut reader = Reader::new();
    let mut login = Login::Unasked;
    let mut reported = BTreeMap::new();
    let mut cancel_key = None;
    for _ in 0..MAX_MESSAGES {
        let Message { tag, body } = reader.next(&mut stream).await?;
        match tag {
            b'R' => {
                login = login.answer(&body, purpose, &stream, &mut out).await?;
                send(&mut stream, &mut out).await?;
            }
            b'E' => {
                return Err(ServerError::parse(&body)
                    .map_or(PoolError::Protocol("it sent an error that cannot be read"), PoolError::from));
            }
            b'S' if login.is_done() => {
                reported.extend(parameter_status(&body));
            }
            b'K' if login.is_done() => {
                // Protocol 3.0 was asked for.
                let key = CancelKey::parse(&body).filter(|key| key.secret.len() == SHORT_SECRET_LEN);
                let odd = PoolError::Protocol("its cancel key has another form than protocol 3.0's");
                cancel_key = Some(key.ok_or(odd)?);
            }
            b'N' => {}
            b'Z' if login.is_done() => {
                if TransactionStatus::parse(&body) != Some(TransactionStatus::Idle) || reader.has_rest() {
                    return Err(PoolError::Protocol("it is not idle after login"));
                }
                let cancel_key = cancel_key.ok_or(PoolError::Protocol("it gave no cancel key"))?;
                let opened = Instant::now();
                return Ok(Connection {
                    stream,
                    reported,
                    cancel_key,
                    peer,
                    opened,
                    retires: opened,
                    opened_at: 0,
                    residue: Residue::default(),
                    overheard: BytesMut::new(),
                });
            }
            _ => return Err(PoolError::Protocol("it sent a message that does not belong into a login")),
        }
    }
    Err(PoolError::Protocol("its login does not come to an end"))
}

/// Why a connection is not encrypted. What is wrong with a certificate names hosts, so it is for the log only.
fn mistrust(route: &Route, server: &Server, error: io::Error) -> PoolError {
    if !matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput) {
        return error.into();
    }
    tracing::warn!(
        cluster = %route.cluster, host = server.host, port = server.port, %error,
        "a server does not prove what its DSN demands"
    );
    PoolError::Untrusted
}

async fn send(stream: &mut Stream, out: &mut BytesMut) -> Result<(), PoolError> {
    stream.write_all(out).await?;
    out.clear();
    Ok(())
}

/// How far the authentication is. Each step is possible once, in this order, so that a server can neither leave its own
/// proof out nor keep us computing.
enum Login {
    Unasked,
    Challenged(Box<Opening>),
    Proving(Box<Expected>),
    ServerProven,
    Done,
}

impl Login {
    fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }

    /// Takes an `Authentication…` message and writes what answers it.
    async fn answer(
        self,
        mut body: &[u8],
        purpose: &Purpose,
        stream: &Stream,
        out: &mut BytesMut,
    ) -> Result<Self, PoolError> {
        let kind = body.try_get_u32().map_err(|_| PoolError::Protocol("it sent half an authentication request"))?;
        match (kind, self) {
            // A server that trusts its network asks for nothing; that is the operator's choice.
            (0, Self::Unasked | Self::ServerProven) => Ok(Self::Done),
            (10, Self::Unasked) => {
                let offers = |name: &str| body.split(|&byte| byte == 0).any(|offered| offered == name.as_bytes());
                let end_point = stream.end_point();
                let (mechanism, binding) = match &end_point {
                    Some(end_point) if offers(scram::MECHANISM_PLUS) => {
                        (scram::MECHANISM_PLUS, Binding::EndPoint(end_point))
                    }
                    _ if !offers(scram::MECHANISM) => {
                        return Err(PoolError::Protocol("it does not offer SCRAM-SHA-256"));
                    }
                    // The server knows whether it has offered more, and that somebody between has not let it through.
                    Some(_) => (scram::MECHANISM, Binding::NotOffered),
                    None => (scram::MECHANISM, Binding::Impossible),
                };
                let (opening, first) = Opening::new(binding, &nonce()?);
                frontend::sasl_initial_response(out, mechanism, first.as_bytes());
                Ok(Self::Challenged(Box::new(opening)))
            }
            (11, Self::Challenged(opening)) => {
                let malformed = |_| PoolError::Protocol("its SCRAM challenge is malformed");
                let challenge = opening.challenged(body).map_err(malformed)?;
                if challenge.iterations() > MAX_ITERATIONS {
                    return Err(PoolError::Protocol("it asks for more SCRAM iterations than are reasonable"));
                }
                let (challenge, keys) = keys(purpose, challenge).await?;
                let (expected, last) = challenge.answer(&keys);
                frontend::sasl_response(out, last.as_bytes());
                Ok(Self::Proving(Box::new(expected)))
            }
            (12, Self::Proving(expected)) => {
                expected
                    .check(body)
                    .map_err(|_| PoolError::Protocol("it could not prove that it knows the password"))?;
                Ok(Self::ServerProven)
            }
            (3 | 5, Self::Unasked) => Err(PoolError::Protocol(
                "it asks for the password in the clear or as MD5; set password_encryption and pg_hba.conf to scram-sha-256",
            )),
            (2 | 7..=9, Self::Unasked) => {
                Err(PoolError::Protocol("it asks for Kerberos, GSSAPI or SSPI; set pg_hba.conf to scram-sha-256"))
            }
            _ => Err(PoolError::Protocol("its authentication requests come out of order")),
        }
    }
}

/// The keys that a challenge asks for: those of the last login if they still fit, or else derived, which takes milliseconds
/// of computing, where that holds nobody else up.
async fn keys(purpose: &Purpose, challenge: Challenge) -> Result<(Challenge, Arc<ClientKeys>), PoolError> {
    if let Some(known) = purpose.keys().filter(|keys| keys.fit(&challenge)) {
        return Ok((challenge, known));
    }
    let password = purpose.route.password.clone();
    let derived = tokio::task::spawn_blocking(move || {
        let keys = Arc::new(challenge.derive(password.expose()));
        (challenge, keys)
    });
    let (challenge, keys) = derived.await.map_err(io::Error::other)?;
    purpose.keep_keys(Arc::clone(&keys));
    Ok((challenge, keys))
}
