//! Interrupts what a server connection is doing (PostgreSQL manual, 55.2.8).

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use wire::startup::{self, CancelKey};

/// A server process that may be told to stop its current statement.
#[derive(Debug, Clone)]
pub struct CancelTarget {
    pub(crate) address: SocketAddr,
    pub(crate) key: CancelKey,
    pub(crate) within: Duration,
}

impl CancelTarget {
    /// Asks the server, and returns once it has closed the connection on which it was asked: by then the signal is on
    /// its way, so a caller that reuses the target's connection only afterwards cannot have it hit something else.
    ///
    /// Errors when the server cannot be reached or does not close in the time that a login may take; then the signal
    /// may still come, and the target's connection must not be reused.
    pub async fn send(&self) -> io::Result<()> {
        timeout(self.within, async {
            let mut stream = TcpStream::connect(self.address).await?;
            let mut out = BytesMut::new();
            startup::cancel(&mut out, &self.key);
            stream.write_all(&out).await?;
            // The server says nothing; a hostile one that does is not listened to.
            match stream.read(&mut [0; 1]).await {
                Ok(0) => Ok(()),
                Ok(_) => Err(io::ErrorKind::InvalidData.into()),
                // PostgreSQL closes with unread bytes at times, which arrives as a reset; closed it is.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(()),
                Err(error) => Err(error),
            }
        })
        .await?
    }
}
