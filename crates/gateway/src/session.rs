//! One client, from its first word to its last.

use std::net::SocketAddr;
use std::sync::Arc;

use pool::{Lease, SessionParams};
use tenancy::{TenantHandle, Threshold};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use wire::backend::{self, TransactionStatus};
use wire::startup::Startup;

use crate::cancel::{Cancels, Registration};
use crate::client::{Client, Loss};
use crate::fault::Fault;
use crate::login::log_in;
use crate::opening::{Errand, open};
use crate::parameters::understand;
use crate::relay::{Left, Watch, relay};
use crate::serve::{Gateway, GatewaySettings};
use crate::statement::Clerk;

/// A session that is ready: what the tenant lent, and the client's way to interrupt it.
struct Ready {
    lease: Lease,
    registration: Registration,
    clerk: Option<Arc<Clerk>>,
    handle: TenantHandle,
    place: OwnedSemaphorePermit,
}

/// A client that has proven who it is, and what it asks for.
struct Arrived {
    handle: TenantHandle,
    params: SessionParams,
    place: OwnedSemaphorePermit,
}

/// Serves a client until it leaves. `entrance` bounds how many may be on their way in, and is free again once it is in.
pub(crate) async fn attend(gateway: Gateway, stream: TcpStream, peer: SocketAddr, entrance: OwnedSemaphorePermit) {
    let mut client = match Client::new(stream) {
        Ok(client) => client,
        Err(error) => return tracing::debug!(%peer, %error, "client was gone at once"),
    };
    let ready = match enter(&gateway, &mut client, entrance).await {
        Ok(Some(ready)) => ready,
        Ok(None) => return,
        Err(Loss::Gone) => return tracing::debug!(%peer, "client left before its session began"),
        Err(Loss::Told(fault)) => {
            tracing::info!(%peer, sqlstate = %fault.sqlstate, %fault, "client refused");
            return refuse(&gateway.settings, &mut client, &fault).await;
        }
    };
    tracing::debug!(%peer, tenant = %ready.handle.slug(), "session began");
    work(&gateway, client, ready).await;
    tracing::debug!(%peer, "session ended");
}

/// Everything before `ReadyForQuery`. `None` for a client that did not come for a session.
async fn enter(gateway: &Gateway, client: &mut Client, entrance: OwnedSemaphorePermit) -> Result<Option<Ready>, Loss> {
    let login = timeout(gateway.settings.login_timeout, arrive(gateway, client));
    let arrived = tokio::select! {
        arrived = login => arrived,
        () = gateway.shutdown.cancelled() => return Err(Fault::shutdown().into()),
    };
    let arrived = arrived.map_err(|_| {
        Fault::new("57014", "the login took too long", "Reconnect; answer the server's questions at once.")
    })?;
    let Some(Arrived { handle, params, place }) = arrived? else { return Ok(None) };
    // Whoever waits for a server connection from here on has proven who it is.
    drop(entrance);
    let rules = handle.client_rules().await?;
    let lease = handle.connect(&params).await?;
    let registration = welcome(&gateway.cancels, client, &lease).await?;
    let clerk = rules.map(|rules| Arc::new(gateway.clerks.serve(rules, lease.parameters())));
    Ok(Some(Ready { lease, registration, clerk, handle, place }))
}

/// The part that a client may take its time over, but not too much of it.
async fn arrive(gateway: &Gateway, client: &mut Client) -> Result<Option<Arrived>, Loss> {
    let startup = match open(client).await? {
        Errand::Session(startup) => startup,
        Errand::Cancel(key) => {
            gateway.cancels.cancel(key).await;
            return Ok(None);
        }
    };
    // After the opening, so that the clients of a full house can still cancel their statements.
    let place = Arc::clone(&gateway.places).try_acquire_owned().map_err(|_| {
        Fault::new(
            "53300",
            "the gateway serves as many clients as it may",
            "Try again shortly, keep fewer connections open, or ask the operator for a larger limit.",
        )
    })?;
    let (handle, params) = identify(&gateway.threshold, client, &startup).await?;
    Ok(Some(Arrived { handle, params, place }))
}

/// Across the one threshold.
async fn identify(
    threshold: &Threshold,
    client: &mut Client,
    startup: &Startup,
) -> Result<(TenantHandle, SessionParams), Loss> {
    let request = understand(startup)?;
    if startup.minor > 0 || startup.protocol_options().next().is_some() {
        backend::negotiate_protocol_version(&mut client.out, startup.protocol_options());
    }
    let claim = threshold.claim(&request.user, &request.database)?;
    let identity = log_in(client, claim).await?;
    Ok((threshold.admit(identity)?, request.params))
}

/// Tells the client that it is in.
async fn welcome(cancels: &Cancels, client: &mut Client, lease: &Lease) -> Result<Registration, Loss> {
    let registration = cancels.register(lease.cancel_target())?;
    backend::authentication_ok(&mut client.out);
    for (name, value) in lease.parameters() {
        backend::parameter_status(&mut client.out, name, value);
    }
    backend::backend_key_data(&mut client.out, registration.key());
    backend::ready_for_query(&mut client.out, TransactionStatus::Idle);
    client.flush().await?;
    Ok(registration)
}

/// The session itself, and what becomes of its server connection.
async fn work(gateway: &Gateway, client: Client, ready: Ready) {
    let Ready { mut lease, registration, clerk, handle, place } = ready;
    let Client { mut stream, held, .. } = client;
    let watch = Watch {
        revoked: async { Fault::revoked(&handle.revoked().await) },
        shutdown: &gateway.shutdown,
        grace: gateway.settings.shutdown_grace,
    };
    let left = relay(&mut stream, &held, lease.stream(), clerk, watch).await;
    drop(stream);

    let target = lease.cancel_target();
    let undisturbed = registration.close().await;
    match left {
        Left::Clean if undisturbed => lease.give_back().await,
        Left::Clean | Left::Spoilt => drop(lease),
        Left::Working => {
            // A server notices that its client is gone only when it has something to say, which may be hours from now.
            if let Err(error) = target.send().await {
                tracing::warn!(tenant = %handle.slug(), %error, "a statement without a client could not be cancelled");
            }
            drop(lease);
        }
    }
    // The tenant's seat and the place in the house are free only after the server connection is.
    drop((handle, place));
}

/// Tells a client why it is not let in, if it listens.
async fn refuse(settings: &GatewaySettings, client: &mut Client, fault: &Fault) {
    client.out.clear();
    fault.write(&mut client.out);
    if !matches!(timeout(settings.login_timeout, client.flush()).await, Ok(Ok(()))) {
        tracing::debug!("client left before it was told why");
    }
}
