//! Interrupts what a server connection is doing (PostgreSQL manual, 55.2.8).

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;
use wire::startup::{self, CancelKey};

use crate::connection::Peer;

/// A server process that may be told to stop its current statement.
#[derive(Debug, Clone)]
pub struct CancelTarget {
    pub(crate) peer: Arc<Peer>,
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
            let mut stream = self.peer.dial().await?;
            let mut out = BytesMut::new();
            startup::cancel(&mut out, &self.key);
            stream.write_all(&out).await?;
            // The server says nothing; a hostile one that does is not listened to.
            match stream.read(&mut [0; 1]).await {
                Ok(0) => Ok(()),
                Ok(_) => Err(io::ErrorKind::InvalidData.into()),
                // PostgreSQL closes with unread bytes at times, which arrives as a reset, and what is encrypted without a word
                // of farewell; closed it is.
                Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof) => {
                    Ok(())
                }
                Err(error) => Err(error),
            }
        })
        .await?
    }
}

#[cfg(test)]
mod tests {
    use tls::{Address, Demand, Trust};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_key_goes_out_as_encrypted_as_the_connection_that_it_is_for() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let target = CancelTarget {
            peer: Arc::new(Peer {
                address: Address::Tcp(listener.local_addr().expect("bound")),
                host: "db".to_owned(),
                trust: Trust::new(Demand::Require, None).expect("what needs no certificates"),
            }),
            key: CancelKey { pid: 1, secret: [2; 4].into() },
            within: Duration::from_secs(30),
        };
        let (sent, heard) = tokio::join!(target.send(), async {
            let (mut stream, _) = listener.accept().await.expect("somebody comes");
            let mut heard = vec![0; 8];
            stream.read_exact(&mut heard).await.expect("a request for TLS");
            stream.write_all(b"N").await.expect("refused");
            stream.read_to_end(&mut heard).await.expect("the rest");
            heard
        });
        assert_eq!(sent.expect_err("nobody to tell").kind(), io::ErrorKind::InvalidData);
        assert_eq!(heard, [0, 0, 0, 8, 4, 210, 22, 47], "SSLRequest, and no key after it");
    }
}
