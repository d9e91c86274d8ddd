//! Serving the API on a socket.

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{Door, router};

/// Answers requests until `shutdown`, then finishes those under way.
pub async fn serve(listener: TcpListener, door: Door, shutdown: CancellationToken) -> std::io::Result<()> {
    axum::serve(listener, router(door)).with_graceful_shutdown(shutdown.cancelled_owned()).await
}
