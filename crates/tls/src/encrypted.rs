//! The encrypted half of [`crate::Stream`].

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use rustls::ServerConfig;
use socket2::SockRef;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsStream};

use crate::stream::is_quiet;
use crate::{ALPN, end_point};

/// An encrypted connection whose two directions are used side by side. TLS mixes them: a read may have to answer the other
/// side's request for new keys. So each takes the lock for the moment of one step; in one task it is always free.
#[derive(Debug)]
pub struct Encrypted {
    session: Mutex<Session>,
}

#[derive(Debug)]
struct Session {
    tls: TlsStream<TcpStream>,
    /// Bytes that are encrypted and have not all gone out. Whoever writes them has not been told so yet, and offers them
    /// again.
    taken: usize,
}

/// What a client said of itself in its handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greeting {
    /// The host name that it asked for (SNI, RFC 6066, section 3), in lower case.
    pub server_name: Option<String>,
    /// It has said that it will speak PostgreSQL's protocol ([`crate::ALPN`]).
    pub named_protocol: bool,
}

/// Waits for a client's handshake.
pub(crate) async fn accept(socket: TcpStream, config: Arc<ServerConfig>) -> io::Result<(Encrypted, Greeting)> {
    let tls = TlsAcceptor::from(config).accept(socket).await?;
    let (_, session) = tls.get_ref();
    let greeting = Greeting {
        server_name: session.server_name().map(str::to_ascii_lowercase),
        named_protocol: session.alpn_protocol() == Some(ALPN),
    };
    Ok((Encrypted::new(tls.into()), greeting))
}

impl Encrypted {
    pub(crate) fn new(tls: TlsStream<TcpStream>) -> Self {
        Self { session: Mutex::new(Session { tls, taken: 0 }) }
    }

    fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn end_point(&self) -> Option<Vec<u8>> {
        match &self.session().tls {
            TlsStream::Client(tls) => end_point(tls.get_ref().1.peer_certificates()?.first()?),
            TlsStream::Server(_) => None,
        }
    }

    /// Whether nothing has arrived that was not read, decrypted or not, and no write was abandoned: whoever wrote next would
    /// say the rest of it.
    pub(crate) fn is_quiet(&self) -> bool {
        let mut session = self.session();
        if session.taken > 0 {
            return false;
        }
        let (socket, state) = match &mut session.tls {
            TlsStream::Client(tls) => {
                let (socket, session) = tls.get_mut();
                (socket, session.process_new_packets())
            }
            TlsStream::Server(tls) => {
                let (socket, session) = tls.get_mut();
                (socket, session.process_new_packets())
            }
        };
        state.is_ok_and(|state| state.plaintext_bytes_to_read() == 0 && !state.peer_has_closed())
            && is_quiet(&SockRef::from(&*socket))
    }

    pub(crate) fn poll_read(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.session().tls).poll_read(cx, buf)
    }

    /// Ready when what it says was written is with the kernel, as it is with a bare socket: whoever counts what is still
    /// under way need not know that something is encrypted.
    pub(crate) fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let mut session = self.session();
        if session.taken == 0 {
            session.taken = ready!(Pin::new(&mut session.tls).poll_write(cx, buf))?;
        } else if session.taken > buf.len() {
            // Something else is offered in the place of what has begun to go out.
            return Poll::Ready(Err(io::ErrorKind::InvalidInput.into()));
        }
        ready!(Pin::new(&mut session.tls).poll_flush(cx))?;
        Poll::Ready(Ok(std::mem::take(&mut session.taken)))
    }

    pub(crate) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.session().tls).poll_flush(cx)
    }

    pub(crate) fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.session().tls).poll_shutdown(cx)
    }
}
