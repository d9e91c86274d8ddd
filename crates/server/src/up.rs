//! `sindico up`: everything on one machine, without configuration.

mod clusters;
mod dirs;
mod steps;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use api::{AdminToken, GatewayAddress};
use catalog::MasterKey;
use devdb::{DirLock, Programs};
use gateway::GatewaySettings;
use lifecycle::{AddApp, AddCluster, BackupSettings, Probe, WarmPool};
use objects::{Store, StorePlace};
use pool::PoolSettings;
use tenantize::Manifest;
use tokio::net::TcpListener;

use crate::app_dir::AppDir;
use crate::cli::UpArgs;
use crate::config::warm_pool_of;
use crate::console::Console;
use crate::endpoints::{DEFAULT_DIR, Endpoints, GatewayEndpoint, Published};
use crate::house::{House, HouseSettings};
use crate::listen::{address, listen};
use crate::{logging, open_files, signal};
use clusters::{Clusters, DEDICATED, DEDICATED_CAPACITY, MAIN, POOL_CONNECTIONS};
use dirs::Dirs;
use steps::Steps;

const GATEWAY_PORT: u16 = 6432;
const API_PORT: u16 = 6433;
const CONTROL_CONNECTIONS: u32 = 32;
const CHANGES_AT_ONCE: usize = 8;
const CONNECTIONS_PER_TENANT: usize = 100;
const METRIC_TENANTS: usize = 50;
const BACKUP_DAYS: i32 = 30;
const BACKUP_OBJECTIVE: Duration = Duration::from_hours(24);
const USAGE_DAYS: u32 = 90;

/// Starts everything, waits to be told to stop, and stops everything in reverse.
pub(crate) async fn up(dir: Option<&Path>, args: &UpArgs, console: Console) -> anyhow::Result<()> {
    let steps = Steps::new(console, Instant::now());
    let mut stop = signal::Stop::new()?;
    let programs = Programs::find()?;
    let dirs = Dirs::make(dir.unwrap_or(Path::new(DEFAULT_DIR)))?;
    let _lock = DirLock::take(&dirs.base)?;
    Endpoints::retract(&dirs.base)?;
    logging::to_file(dirs.log()?, "info");
    open_files::raise(GatewaySettings::default().places.limit().saturating_add(POOL_CONNECTIONS));
    let warm_pool = warm_pool_of(args.warm_pool).map_err(|error| anyhow::anyhow!("--warm-pool: {error}"))?;
    // Before anything is started: a port that is taken should cost nothing.
    let gateway = listen("gateway", args.gateway_port, GATEWAY_PORT).await?;
    let api = listen("control API", args.api_port, API_PORT).await?;
    steps.done(&format!("PostgreSQL {} in {}", programs.version(), programs.bin().display()));

    let clusters = tokio::select! {
        started = Clusters::start(&programs, &dirs, &steps) => started?,
        () = stop.requested() => return Ok(()),
    };
    let opened = tokio::select! {
        opened = open(&dirs, &clusters, gateway, api, &steps, warm_pool) => opened.map(Some),
        () = stop.requested() => Ok(None),
    };
    let outcome = match opened {
        Ok(Some((house, published))) => {
            let outcome = tokio::select! {
                () = stop.requested() => Ok(()),
                died = clusters.died() => Err(died),
            };
            steps.say("stopping");
            drop(published);
            tokio::select! {
                () = house.leave() => {}
                () = stop.requested() => steps.say("stopping at once"),
            }
            outcome
        }
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    console.wait("stopping PostgreSQL", clusters.stop()).await.and(outcome)
}

/// From running clusters to open doors.
async fn open(
    dirs: &Dirs,
    clusters: &Clusters,
    gateway: TcpListener,
    api: TcpListener,
    steps: &Steps,
    warm_pool: WarmPool,
) -> anyhow::Result<(House, Published)> {
    let house = House::enter(HouseSettings {
        control_dsn: clusters.control_database().await?,
        control_connections: CONTROL_CONNECTIONS,
        master: dirs.master_key()?,
        connections_per_tenant: CONNECTIONS_PER_TENANT,
        changes_at_once: CHANGES_AT_ONCE,
        pool: PoolSettings { max_per_cluster: POOL_CONNECTIONS, ..PoolSettings::default() },
        metric_tenants: METRIC_TENANTS,
        backups: BackupSettings {
            store: Some(Store::open(&StorePlace::Folder(dirs.base.join("backups")))?),
            keep_days: Some(BACKUP_DAYS),
            objective: BACKUP_OBJECTIVE,
        },
        usage_days: USAGE_DAYS,
        warm_pool,
        letters: Some(crate::config::mail_into(&dirs.base.join("mail"), address(&api)?.port())?),
        probe: Probe::default(),
    })
    .await?;
    for (name, cluster, dedicated) in [(MAIN, &clusters.main, false), (DEDICATED, &clusters.dedicated, true)] {
        let wanted = AddCluster {
            name: name.parse()?,
            dsn: cluster.dsn("postgres"),
            dedicated,
            capacity: dedicated.then_some(DEDICATED_CAPACITY),
            exclusive: true,
        };
        house.lifecycle.add_cluster(wanted).await.with_context(|| format!("cluster {name}"))?;
    }
    let unfinished = house.lifecycle.recover().await?;
    steps.done("control database");
    if unfinished > 0 {
        steps.done(&format!("{unfinished} changes that the last run had left were gone on with"));
    }
    load_sample(&house, steps).await?;

    let (gateway_port, api_port) = (address(&gateway)?.port(), address(&api)?.port());
    let host = "127.0.0.1".to_owned();
    // Fresh at each start, like a one-time password: whoever reads the file may do everything.
    let admin_token = MasterKey::generate()?.to_hex();
    let public = GatewayAddress { host: host.clone(), port: gateway_port, tls: false };
    let settings = GatewaySettings { console: console(&admin_token), ..GatewaySettings::default() };
    house.open_doors(gateway, settings, api, AdminToken::new(&admin_token), public)?;
    let endpoints = Endpoints {
        api: format!("http://{host}:{api_port}"),
        admin_token,
        gateway: GatewayEndpoint { host, port: gateway_port },
    };
    let published = endpoints.publish(&dirs.base)?;
    steps.ready(&endpoints, &dirs.base);
    Ok((house, published))
}

/// The gateway's console; here there is no configuration to show or to read again.
fn console(admin_token: &str) -> Option<gateway::Console> {
    let nothing = || Err("`sindico up` has no configuration file".to_owned());
    gateway::Console::new(admin_token, Arc::new(nothing), Arc::new(Vec::new))
}

/// Registers the pet shop, once: an instance keeps the one that its tenants have.
async fn load_sample(house: &House, steps: &Steps) -> anyhow::Result<()> {
    let app = AppDir::sample()?;
    let manifest = Manifest::parse(&app.manifest)?;
    let name = manifest.name.clone();
    let known = house.catalog.apps().await?.iter().any(|known| known.name == name && known.ready);
    if !known {
        steps.timed("app petshop", house.lifecycle.add_app(AddApp { manifest, files: app.files })).await?;
        return Ok(());
    }
    steps.done(&format!("app {name}"));
    Ok(())
}
