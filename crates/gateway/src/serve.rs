//! Accepts clients.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use domain::{PoolMode, Pooling};
use tenancy::{Threshold, Tokens};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cancel::Cancels;
use crate::certificates::Certificates;
use crate::console::{Console, Paused};
use crate::dials::Dials;
use crate::places::Places;
use crate::prepared::Library;
use crate::session::attend;
use crate::statement::Clerks;
use crate::throttle::Throttle;
use crate::zone::Zone;

/// How many clients, and how patiently.
#[derive(Debug, Clone)]
pub struct GatewaySettings {
    /// Sessions at once, of all tenants together.
    pub places: Places,
    /// Clients that may be on their way in at once. More are turned away without a word: whoever floods the door pays for
    /// a connection and gets nothing for it.
    pub max_logins: usize,
    /// Time from connecting to the proof of a key.
    pub login_timeout: Duration,
    /// How long sessions that are in the middle of something may go on after shutdown has begun.
    pub shutdown_grace: Duration,
    /// What may be changed meanwhile.
    pub dials: Dials,
    /// Bytes of the longest statement that is taken where statements are read; longer ones fail with SQLSTATE 54000.
    pub statement_limit: usize,
    /// Bytes of what is remembered about statements' texts, for each app and isolation.
    pub statement_cache: usize,
    /// For how long a client has its server connection, unless it says so itself.
    pub pool_mode: PoolMode,
    /// On which connections, where there is a choice and it is pooled by transaction, unless it says so itself.
    pub pooling: Pooling,
    /// Bytes of long statements that a tenant's sessions may have on their way at once; more of them wait.
    pub statement_share: usize,
    /// With what the gateway proves itself; without, it speaks no TLS.
    pub certificates: Option<Certificates>,
    /// What judges the tokens of clients that show one in place of a key; without, none may.
    pub tokens: Option<Tokens>,
    /// Where host names say which tenant is meant, if they do anywhere.
    pub zone: Option<Zone>,
    /// Where operators look in, if anywhere.
    pub console: Option<Console>,
}

impl Default for GatewaySettings {
    fn default() -> Self {
        Self {
            places: Places::new(5000),
            max_logins: 500,
            login_timeout: Duration::from_secs(15),
            shutdown_grace: Duration::from_secs(10),
            dials: Dials::default(),
            statement_limit: 16 << 20,
            statement_cache: 16 << 20,
            statement_share: 64 << 20,
            pool_mode: PoolMode::Transaction,
            certificates: None,
            tokens: None,
            console: None,
            pooling: Pooling::Own,
            zone: None,
        }
    }
}

/// What sessions share. Cheap to clone; all clones are the same gateway.
#[derive(Debug, Clone)]
pub(crate) struct Gateway {
    pub(crate) threshold: Threshold,
    pub(crate) cancels: Cancels,
    pub(crate) clerks: Clerks,
    pub(crate) library: Library,
    pub(crate) throttle: Throttle,
    /// The number of the client that comes next.
    pub(crate) next_client: Arc<AtomicU64>,
    pub(crate) paused: Paused,
    pub(crate) settings: Arc<GatewaySettings>,
    pub(crate) shutdown: CancellationToken,
}

/// Serves clients until `shutdown`, and returns when the last session has ended: idle ones at once, the others after
/// their transaction or the grace period.
pub async fn serve(
    listener: TcpListener,
    threshold: Threshold,
    settings: GatewaySettings,
    shutdown: CancellationToken,
) {
    let entrances = Arc::new(Semaphore::new(settings.max_logins.min(Semaphore::MAX_PERMITS)));
    let gateway = Gateway {
        threshold,
        cancels: Cancels::default(),
        clerks: Clerks::new(settings.statement_cache, settings.statement_limit, settings.statement_share),
        library: Library::default(),
        throttle: Throttle::new(settings.dials.clone(), Instant::now()),
        next_client: Arc::new(AtomicU64::new(1)),
        paused: Paused::default(),
        settings: Arc::new(settings),
        shutdown,
    };
    let sessions = TaskTracker::new();
    if let Some(certificates) = gateway.settings.certificates.clone() {
        sessions.spawn(certificates.keep_current(gateway.shutdown.clone()));
    }
    if let Some(tokens) = gateway.settings.tokens.clone() {
        sessions.spawn(tokens.keep_current(gateway.shutdown.clone()));
    }
    loop {
        let accepted = tokio::select! {
            () = gateway.shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely; asking again at once would not help.
                tracing::warn!(%error, "cannot accept a client");
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Ok(entrance) = entrances.clone().try_acquire_owned() else {
            gateway.threshold.turned_away();
            tracing::warn!(%peer, limit = gateway.settings.max_logins, "too many logins at once, client turned away");
            continue;
        };
        sessions.spawn(attend(gateway.clone(), stream, peer, entrance, sessions.clone()));
    }
    drop(listener);
    sessions.close();
    sessions.wait().await;
}
