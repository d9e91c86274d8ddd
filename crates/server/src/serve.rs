//! `sindico serve`: production, over PostgreSQL servers that are there already.

use std::path::Path;

use anyhow::Context;
use api::{AdminToken, GatewayAddress};
use gateway::GatewaySettings;
use lifecycle::Probe;
use tokio::net::TcpListener;
use tracing::info;

use crate::config::Config;
use crate::house::{House, HouseSettings};
use crate::listen::address;
use crate::{logging, signal};

pub(crate) async fn serve(path: &Path) -> anyhow::Result<()> {
    let config = Config::read(path)?;
    logging::to_stderr(config.log_format, &config.log_filter);
    let stop = signal::stop_requested()?;
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
        probe: Probe::default(),
    })
    .await?;
    let (gateway_at, api_at) = (address(&gateway)?, address(&api)?);
    let (host, port) = config.gateway_public;
    let tls = config.certificates.is_some();
    house.open_doors(
        gateway,
        GatewaySettings {
            max_clients: config.max_clients,
            pool_mode: config.pool_mode,
            session_limits: config.session_limits,
            certificates: config.certificates,
            plaintext: config.plaintext,
            pooling: config.pooling,
            zone: config.zone,
            failed_logins: config.failed_logins,
            ..GatewaySettings::default()
        },
        api,
        AdminToken::new(&config.admin_token),
        GatewayAddress { host, port: port.unwrap_or(gateway_at.port()), tls },
    )?;
    info!(gateway = %gateway_at, api = %api_at, "ready");
    stop.await;
    house.leave().await;
    Ok(())
}
