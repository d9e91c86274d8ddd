//! One client, from its first word to its last.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use domain::{PoolMode, Pooling};
use pool::SessionParams;
use tenancy::{Claim, Guest, Refusal, Stance, TenantHandle, Words};
use tls::Stream;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wire::backend::{self, TransactionStatus};
use wire::startup::SHORT_SECRET_LEN;

use crate::client::{Client, Loss};
use crate::console::{Console, converse};
use crate::fault::Fault;
use crate::lent::{Lent, Ways};
use crate::login::{log_in, show_token};
use crate::opening::{Errand, open};
use crate::parameters::{Auth, POOLING, Request, understand};
use crate::places::Place;
use crate::relay::{Conversation, Left, Need, Pooled, Servers as _, Signals, Watch};
use crate::serve::{Gateway, GatewaySettings};
use crate::statement::Clerk;

/// A session that is ready: where its server connections come from, and who reads its statements.
struct Ready {
    servers: Lent,
    clerk: Option<Arc<Clerk>>,
    pooled: Option<Pooled>,
    place: Place,
}

/// A session. Thousands of them rest, so what they need for coming in and for leaving is kept elsewhere.
struct Session {
    stream: Stream,
    peer: SocketAddr,
    handle: Arc<TenantHandle>,
    servers: Lent,
    conversation: Conversation,
    place: Place,
}

/// A client that has proven who it is, and what it asks for.
struct Arrived {
    handle: TenantHandle,
    params: SessionParams,
    mode: PoolMode,
    pooling: Pooling,
    /// Bytes of the secret in its cancel key.
    secret_len: usize,
    place: Place,
}

/// What somebody who has come in came for.
enum Visitor {
    /// To work.
    Tenant(Box<Arrived>),
    /// To look in.
    Operator,
}

/// Bytes of that secret where the client's protocol has room for them, as in PostgreSQL 18.
const LONG_SECRET_LEN: usize = 32;

/// Lets a client in, and has its session run among `sessions`. `entrance` bounds how many may be on their way in, and is free
/// again once it is in.
pub(crate) async fn attend(
    gateway: Gateway,
    stream: TcpStream,
    peer: SocketAddr,
    entrance: OwnedSemaphorePermit,
    sessions: TaskTracker,
) {
    let mut client = match Client::new(stream) {
        Ok(client) => client,
        Err(error) => return tracing::debug!(%peer, %error, "client was gone at once"),
    };
    let ready = match enter(&gateway, &mut client, peer, entrance).await {
        Ok(Some(ready)) => ready,
        Ok(None) => return,
        Err(Loss::Gone) => return tracing::debug!(%peer, "client left before its session began"),
        Err(Loss::Told(fault)) => {
            gateway.threshold.refused(&fault.sqlstate);
            tracing::info!(%peer, sqlstate = %fault.sqlstate, %fault, "client refused");
            return refuse(&gateway.settings, client, &fault).await;
        }
    };
    let Ready { servers, clerk, pooled, place } = ready;
    let Client { stream, held, .. } = client;
    let handle = servers.handle();
    let (visit, label) = (handle.visit(), handle.label());
    tracing::debug!(%peer, tenant = %visit.slug(), session = visit.number(), label, "session began");
    let conversation = Conversation::new(&held, clerk, pooled, visit, gateway.settings.dials.clone());
    let session = Box::new(Session { stream, peer, handle, servers, conversation, place });
    sessions.spawn(work(gateway.shutdown.clone(), gateway.settings.shutdown_grace, session));
}

/// Everything before `ReadyForQuery`. `None` for a client that did not come for a session.
async fn enter(
    gateway: &Gateway,
    client: &mut Client,
    peer: SocketAddr,
    entrance: OwnedSemaphorePermit,
) -> Result<Option<Ready>, Loss> {
    let login = timeout(gateway.settings.login_timeout, arrive(gateway, client, peer));
    let arrived = tokio::select! {
        arrived = login => arrived,
        () = gateway.shutdown.cancelled() => return Err(Fault::shutdown().into()),
    };
    let arrived = arrived.map_err(|_| {
        Fault::new("57014", "the login took too long", "Reconnect; answer the server's questions at once.")
    })?;
    let Some(visitor) = arrived? else { return Ok(None) };
    // Whoever waits for a server connection from here on has proven who it is.
    drop(entrance);
    let Arrived { handle, params, mode, pooling, secret_len, place } = match visitor {
        Visitor::Tenant(arrived) => *arrived,
        Visitor::Operator => {
            if let Some(console) = &gateway.settings.console {
                tracing::info!(%peer, "an operator is at the console");
                converse(gateway, console, client).await;
            }
            return Ok(None);
        }
    };
    let shared = mode == PoolMode::Transaction;
    let ways = match (mode, pooling) {
        (PoolMode::Session, _) => Ways::Session,
        (PoolMode::Transaction, Pooling::Own) => Ways::Own,
        (PoolMode::Transaction, Pooling::Dense) => Ways::Dense,
    };
    let application = params.get("application_name").map(Box::from);
    handle.visit().introduce(Guest { peer, application, pool_mode: mode.as_str() });
    let registration = gateway.cancels.register(secret_len)?;
    let mut servers = Lent::new(handle, params, gateway.clerks.clone(), registration, ways)?;
    first_connection(gateway, &mut servers).await?;
    let clerk = servers.reader().await?;
    welcome(client, &servers).await?;
    let number = gateway.next_client.fetch_add(1, Ordering::Relaxed);
    let pooled = shared.then(|| Pooled::new(gateway.library.clone(), number));
    Ok(Some(Ready { servers, clerk, pooled, place }))
}

/// Waits for a server connection as long as the client may be served.
async fn first_connection(gateway: &Gateway, servers: &mut Lent) -> Result<(), Fault> {
    let handle = servers.handle();
    let (visit, begun, need) = (handle.visit(), Instant::now(), Need::default());
    visit.take(Stance::Waiting, begun);
    tokio::select! {
        attached = servers.attach(&need) => attached?,
        refusal = handle.ended() => return Err(Fault::revoked(&refusal)),
        () = gateway.shutdown.cancelled() => return Err(Fault::shutdown()),
    }
    visit.waited(begun.elapsed());
    Ok(())
}

/// The part that a client may take its time over, but not too much of it.
async fn arrive(gateway: &Gateway, client: &mut Client, peer: SocketAddr) -> Result<Option<Visitor>, Loss> {
    let startup = match open(client, gateway.settings.certificates.as_ref()).await? {
        Errand::Session(startup) => startup,
        Errand::Cancel(key) => {
            gateway.cancels.cancel(key).await;
            return Ok(None);
        }
    };
    if client.encryption.is_none() {
        gateway.settings.dials.read().plaintext.admit(peer.ip(), client.address.ip())?;
    }
    let request = understand(&startup)?;
    if startup.is_to_be_told() {
        backend::negotiate_protocol_version(&mut client.out, startup.spoken(), startup.protocol_options());
    }
    if let Some(console) = gateway.settings.console.as_ref().filter(|_| Console::is_meant(&request.database)) {
        if request.auth == Auth::Token {
            return Err(Fault::new("28000", "the console takes no tokens", "Its password is the admin token.").into());
        }
        console.log_in(&gateway.throttle, client, peer, &request.user).await?;
        return Ok(Some(Visitor::Operator));
    }
    // After the opening, so that the clients of a full house can still cancel their statements.
    let place = gateway.settings.places.take().ok_or_else(|| {
        Fault::new(
            "53300",
            "the gateway serves as many clients as it may",
            "Try again shortly, keep fewer connections open, or ask the operator for a larger limit.",
        )
    })?;
    let handle = identify(gateway, client, peer, &request).await?;
    let own = handle.pool_overrides();
    let mode = request.pool_mode.or(own.mode).unwrap_or(gateway.settings.pool_mode);
    let pooling = pooling(request.pooling, own.pooling.unwrap_or(gateway.settings.pooling))?;
    let secret_len = if startup.takes_long_secrets() { LONG_SECRET_LEN } else { SHORT_SECRET_LEN };
    let params = request.params;
    Ok(Some(Visitor::Tenant(Box::new(Arrived { handle, params, mode, pooling, secret_len, place }))))
}

/// The operator decides whether tenants meet on connections. A client may want less than it has, and not more.
fn pooling(asked: Option<Pooling>, given: Pooling) -> Result<Pooling, Fault> {
    match (asked, given) {
        (Some(Pooling::Dense), Pooling::Own) => Err(Fault::new(
            "0A000",
            format!("{POOLING} \"dense\" is not offered here"),
            "Leave it out; the operator can offer it, to all tenants with gateway.pooling or to one with `sindico tenant pool`.",
        )),
        (asked, given) => Ok(asked.unwrap_or(given)),
    }
}

/// Across the one threshold.
async fn identify(
    gateway: &Gateway,
    client: &mut Client,
    peer: SocketAddr,
    request: &Request,
) -> Result<TenantHandle, Loss> {
    let claim = claim(gateway, client, request)?;
    let attempt = gateway.throttle.attempt(peer.ip(), claim.tenant(), Instant::now())?;
    let identity = match request.auth {
        Auth::Key => log_in(client, claim, attempt).await?,
        Auth::Token => show_token(client, claim, attempt, gateway.settings.tokens.as_ref()).await?,
    };
    Ok(gateway.threshold.admit(identity)?)
}

/// Whom the client means.
fn claim(gateway: &Gateway, client: &Client, request: &Request) -> Result<Claim, Refusal> {
    let greeting = client.encryption.as_ref().map(|encryption| &encryption.greeting);
    let server_name = greeting.and_then(|greeting| greeting.server_name.as_deref());
    let zone = gateway.settings.zone.as_ref();
    let words = Words {
        user: &request.user,
        server_name: server_name.and_then(|name| zone?.tenant(name)),
        option: request.tenant.as_deref(),
    };
    gateway.threshold.claim(&words, &request.database)
}

/// Tells the client that it is in.
async fn welcome(client: &mut Client, servers: &Lent) -> Result<(), Loss> {
    backend::authentication_ok(&mut client.out);
    for (name, value) in servers.parameters() {
        backend::parameter_status(&mut client.out, name, value);
    }
    backend::backend_key_data(&mut client.out, servers.key());
    backend::ready_for_query(&mut client.out, TransactionStatus::Idle);
    client.flush().await
}

/// The session itself.
async fn work(shutdown: CancellationToken, grace: Duration, mut session: Box<Session>) {
    let Session { stream, handle, servers, conversation, .. } = &mut *session;
    let left = {
        let revoked = pin!(async { Fault::revoked(&handle.revoked().await) });
        let watch = Watch { revoked, lapse: handle.lapse(), shutdown: &shutdown, grace };
        let mut signals = Signals::new(watch, handle.visit());
        conversation.serve(stream, servers, &mut signals).await
    };
    Box::pin(leave(session, left)).await;
}

/// What becomes of a session's server connection.
async fn leave(session: Box<Session>, left: Left) {
    let Session { stream, peer, handle, mut servers, place, .. } = *session;
    stream.farewell().await;
    servers.close(left).await;
    handle.visit().report().log_end(peer);
    // The tenant's seat and the place in the house are free only after the server connection is.
    drop((handle, servers, place));
}

/// Tells a client why it is not let in, if it listens.
async fn refuse(settings: &GatewaySettings, mut client: Client, fault: &Fault) {
    client.out.clear();
    fault.write(&mut client.out);
    if !matches!(timeout(settings.login_timeout, client.flush()).await, Ok(Ok(()))) {
        tracing::debug!("client left before it was told why");
    }
    client.stream.farewell().await;
}
