//! `sindico serve`: production, over PostgreSQL servers that are there already.

use std::path::Path;
use std::sync::{Arc, Mutex};

use anyhow::Context;
use api::{AdminToken, GatewayAddress};
use gateway::{Console, Dials, GatewaySettings, Places};
use lifecycle::Probe;
use tokio::net::TcpListener;
use tokio::task::spawn_blocking;
use tracing::{info, warn};

use crate::config::Config;
use crate::house::{House, HouseSettings};
use crate::listen::address;
use crate::reload::Reloader;
use crate::{logging, open_files, signal};

pub(crate) async fn serve(path: &Path) -> anyhow::Result<()> {
    let config = Config::read(path)?;
    let filter = logging::to_stderr(config.log_format, &config.log_filter);
    open_files::raise(config.max_clients.saturating_add(config.pool.max_per_cluster));
    let (mut stop, mut hangups) = (signal::Stop::new()?, signal::hangups()?);
    let in_force = config.entries();
    let bind = async |key: &str, at: std::net::SocketAddr| {
        TcpListener::bind(at).await.with_context(|| format!("{key}: cannot listen on {at}"))
    };
    let gateway = bind("gateway.listen", config.gateway_listen).await?;
    let api = bind("api.listen", config.api_listen).await?;
    let house = House::enter(HouseSettings {
        control_dsn: config.control_dsn,
        control_connections: config.control_connections,
        master: config.master,
        connections_per_tenant: config.connections_per_tenant,
        changes_at_once: config.changes_at_once,
        pool: config.pool,
        metric_tenants: config.metric_tenants,
        backups: config.backups,
        usage_days: config.usage_days,
        warm_pool: config.warm_pool,
        letters: config.letters,
        probe: Probe::default(),
    })
    .await?;
    let (gateway_at, api_at) = (address(&gateway)?, address(&api)?);
    let (places, dials) = (Places::new(config.max_clients), Dials::new(config.dials));
    let (host, port) = config.gateway_public;
    let tls = config.certificates.is_some();
    let reloader = Arc::new(Reloader {
        path: path.to_path_buf(),
        in_force: Mutex::new(in_force),
        threshold: house.threshold.clone(),
        places: places.clone(),
        dials: dials.clone(),
        filter,
        tls,
    });
    house.open_doors(
        gateway,
        GatewaySettings {
            places,
            dials,
            console: Some(console(&config.admin_token, &reloader)?),
            pool_mode: config.pool_mode,
            certificates: config.certificates,
            tokens: config.tokens,
            pooling: config.pooling,
            zone: config.zone,
            ..GatewaySettings::default()
        },
        api,
        AdminToken::new(&config.admin_token),
        GatewayAddress { host, port: port.unwrap_or(gateway_at.port()), tls },
    )?;
    info!(gateway = %gateway_at, api = %api_at, "ready");
    loop {
        tokio::select! {
            () = stop.requested() => break,
            _ = hangups.recv() => {
                let reloader = Arc::clone(&reloader);
                spawn_blocking(move || reloader.reload_on_signal()).await?;
            }
        }
    }
    tokio::select! {
        () = house.leave() => {}
        () = stop.requested() => warn!("told to stop a second time; what is under way is cut off"),
    }
    Ok(())
}

/// The gateway's console over what can be changed here.
fn console(admin_token: &str, reloader: &Arc<Reloader>) -> anyhow::Result<Console> {
    let (reading, telling) = (Arc::clone(reloader), Arc::clone(reloader));
    Console::new(admin_token, Arc::new(move || reading.reload()), Arc::new(move || telling.settings()))
        .context("the system gives no random bytes")
}
