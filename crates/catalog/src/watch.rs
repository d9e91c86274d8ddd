//! Following what other processes change.

use std::time::Duration;

use domain::TenantId;
use sqlx::postgres::PgListener;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{Catalog, CatalogError};

/// How long the connection may be silent before it is asked whether it is still there: a notice can be lost only with the
/// connection that it would have come over.
const PULSE: Duration = Duration::from_secs(5);
const PAUSE_BEFORE_RECONNECT: Duration = Duration::from_secs(1);

impl Catalog {
    /// Keeps the snapshot true until `shutdown`: listens to the announcements that the control database's triggers make,
    /// and reads everything again whenever the connection was lost.
    pub async fn watch(&self, shutdown: CancellationToken) {
        loop {
            let ended = tokio::select! {
                () = shutdown.cancelled() => return,
                ended = self.listen() => ended,
            };
            if let Err(error) = ended {
                warn!(%error, "control database is not reachable; routing by the last snapshot");
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(PAUSE_BEFORE_RECONNECT) => {}
            }
        }
    }

    async fn listen(&self) -> Result<(), CatalogError> {
        let mut listener = PgListener::connect_with(&self.db).await?;
        listener.listen("sindico_routes").await?;
        // Only now: a change between an earlier reading and LISTEN would be lost.
        self.reload_routes().await?;
        info!("following the control database");
        loop {
            let notice = match timeout(PULSE, listener.try_recv()).await {
                Ok(Ok(Some(notice))) => notice,
                Ok(Ok(None)) => return Err(lost("the connection was closed")),
                Ok(Err(error)) => return Err(error.into()),
                Err(_silent) => {
                    timeout(PULSE, sqlx::query("SELECT 1").execute(&mut listener))
                        .await
                        .map_err(|_| lost("it does not answer"))??;
                    continue;
                }
            };
            match notice.payload().split_once(':') {
                Some(("tenant", id)) => match id.parse::<TenantId>() {
                    Ok(id) => self.refresh_tenant(id).await?,
                    Err(_) => self.reload_routes().await?,
                },
                Some(("cluster", _)) => self.refresh_clusters().await?,
                _ => self.reload_routes().await?,
            }
        }
    }
}

fn lost(why: &str) -> CatalogError {
    sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::ConnectionAborted, why)).into()
}
