//! A leased connection for síndico's own SQL, spoken through `tokio-postgres`.
//!
//! The driver wants to open its connections itself, and ours are logged in already. So it is given a stream that
//! answers its startup message on the server's behalf, keeps its goodbye from the server, and gives the connection
//! back at the end.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Config, NoTls};

use crate::{Lease, PoolError};

/// `AuthenticationOk`, a `BackendKeyData` that cancels nothing, and `ReadyForQuery` outside of a transaction
/// (PostgreSQL manual, 55.7).
const WELCOME: &[u8] = b"R\0\0\0\x08\0\0\0\0K\0\0\0\x0c\0\0\0\0\0\0\0\0Z\0\0\0\x05I";

/// A connection on loan, with a driver. A guard: dropping it closes the connection, and with it ends whatever it was
/// doing; [`Dialogue::finish`] returns it to the pool.
pub struct Dialogue {
    client: Client,
    driver: Driver,
    over: Arc<AtomicBool>,
    lease: oneshot::Receiver<Lease>,
}

/// The task that moves bytes; dropping it ends it.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl fmt::Debug for Dialogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialogue").finish_non_exhaustive()
    }
}

impl Lease {
    /// Speaks to the server through a driver. The connection must be between two messages and outside of a transaction.
    pub async fn converse(self) -> Result<Dialogue, PoolError> {
        let over = Arc::new(AtomicBool::new(false));
        let (home, lease) = oneshot::channel();
        let stream =
            LoggedIn { lease: Some(self), greeted: false, welcome: WELCOME, over: Arc::clone(&over), home: Some(home) };
        let (client, connection) = Config::new()
            .user("as it is")
            .connect_raw(stream, NoTls)
            .await
            .map_err(|_| PoolError::Protocol("the driver does not take a connection that is logged in"))?;
        let driver = tokio::spawn(async move {
            // Whoever waits for an answer is told of an error.
            let _ended = connection.await;
        });
        Ok(Dialogue { client, driver: Driver(driver), over, lease })
    }
}

impl Dialogue {
    /// The driver. What is asked of it before it is polled again goes out together.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Returns the connection to the pool, outside of a transaction and with every answer read. See
    /// [`Lease::give_back`].
    pub async fn finish(self) {
        let Self { client, driver, over, lease } = self;
        over.store(true, Ordering::Release);
        drop(client);
        if let Ok(lease) = lease.await {
            lease.give_back().await;
        }
        drop(driver);
    }
}

/// A connection that is logged in, for a driver that would log in first.
struct LoggedIn {
    lease: Option<Lease>,
    /// The driver's startup message has been swallowed.
    greeted: bool,
    /// What the driver has still to be told in return.
    welcome: &'static [u8],
    /// From here on the driver has nothing to say but goodbye.
    over: Arc<AtomicBool>,
    home: Option<oneshot::Sender<Lease>>,
}

impl LoggedIn {
    fn stream(&mut self) -> io::Result<Pin<&mut tls::Stream>> {
        self.lease.as_mut().map(|lease| Pin::new(lease.stream())).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }
}

impl Drop for LoggedIn {
    fn drop(&mut self) {
        if let (true, Some(lease), Some(home)) = (self.is_over(), self.lease.take(), self.home.take()) {
            let _nobody_wants_it = home.send(lease);
        }
    }
}

impl AsyncRead for LoggedIn {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.greeted && !self.welcome.is_empty() {
            let (now, later) = self.welcome.split_at(self.welcome.len().min(buf.remaining()));
            buf.put_slice(now);
            self.welcome = later;
            return Poll::Ready(Ok(()));
        }
        self.stream()?.poll_read(cx, buf)
    }
}

impl AsyncWrite for LoggedIn {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if !self.greeted || self.is_over() {
            // The driver hands its startup message over in one piece, and so its goodbye.
            self.greeted = true;
            return Poll::Ready(Ok(buf.len()));
        }
        self.stream()?.poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_over() { Poll::Ready(Ok(())) } else { self.stream()?.poll_shutdown(cx) }
    }
}
