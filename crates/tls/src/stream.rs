//! A socket, which may be encrypted.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream, tcp, unix};

use crate::encrypted::{Encrypted, Greeting};
use crate::{Certificate, encrypted};

/// A connection, encrypted or not. What is not encrypted costs no more than the socket itself.
///
/// What has been written is on its way: no byte waits here for a flush. In return a write that was abandoned has to be
/// tried again with the same bytes, to which others may have been added.
#[derive(Debug)]
pub enum Stream {
    /// Over TCP, not encrypted.
    Plain(TcpStream),
    /// To a process on this machine, over a Unix socket. Nobody stands between who would have to be kept out.
    Local(UnixStream),
    /// Encrypted; apart, so that the others stay small.
    Encrypted(Box<Encrypted>),
    /// A handshake has failed, and the socket went with it.
    Lost,
}

impl Stream {
    /// Waits for a client's handshake and goes on encrypted. After an error, or when it is abandoned, the connection is
    /// closed.
    pub async fn accept(&mut self, certificate: &Certificate) -> io::Result<Greeting> {
        let Self::Plain(socket) = std::mem::replace(self, Self::Lost) else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let (encrypted, greeting) = encrypted::accept(socket, Arc::clone(certificate.config())).await?;
        *self = Self::Encrypted(Box::new(encrypted));
        Ok(greeting)
    }

    /// Whether everything that passes here is encrypted.
    #[must_use]
    pub const fn is_encrypted(&self) -> bool {
        matches!(self, Self::Encrypted(_))
    }

    /// What the server's side is known by to a proof that is bound to this connection ([`crate::end_point`]).
    #[must_use]
    pub fn end_point(&self) -> Option<Vec<u8>> {
        match self {
            Self::Encrypted(encrypted) => encrypted.end_point(),
            Self::Plain(_) | Self::Local(_) | Self::Lost => None,
        }
    }

    /// Whether the other side has neither closed the connection nor said anything that was not read. Asks the kernel and not
    /// the runtime, whose knowledge is as old as its last turn of the event loop.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        match self {
            Self::Plain(socket) => is_quiet(&SockRef::from(socket)),
            Self::Local(socket) => is_quiet(&SockRef::from(socket)),
            Self::Encrypted(encrypted) => encrypted.is_quiet(),
            Self::Lost => false,
        }
    }

    /// Both directions, for use side by side in one task.
    pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        match self {
            Self::Plain(socket) => {
                let (reads, writes) = socket.split();
                (ReadHalf::Plain(reads), WriteHalf::Plain(writes))
            }
            Self::Local(socket) => {
                let (reads, writes) = socket.split();
                (ReadHalf::Local(reads), WriteHalf::Local(writes))
            }
            Self::Encrypted(encrypted) => (ReadHalf::Encrypted(encrypted), WriteHalf::Encrypted(encrypted)),
            Self::Lost => (ReadHalf::Lost, WriteHalf::Lost),
        }
    }

    /// Says that nothing more comes, as far as that can be said without waiting: the end of an encrypted connection that
    /// nobody announces looks like an attack.
    pub async fn farewell(mut self) {
        if self.is_encrypted() {
            std::future::poll_fn(|cx| {
                let _nobody_to_tell = Pin::new(&mut self).poll_shutdown(cx);
                Poll::Ready(())
            })
            .await;
        }
    }
}

/// The direction that is read.
#[derive(Debug)]
pub enum ReadHalf<'s> {
    /// Not encrypted.
    Plain(tcp::ReadHalf<'s>),
    /// See [`Stream::Local`].
    Local(unix::ReadHalf<'s>),
    /// Encrypted.
    Encrypted(&'s Encrypted),
    /// See [`Stream::Lost`].
    Lost,
}

/// The direction that is written.
#[derive(Debug)]
pub enum WriteHalf<'s> {
    /// Not encrypted.
    Plain(tcp::WriteHalf<'s>),
    /// See [`Stream::Local`].
    Local(unix::WriteHalf<'s>),
    /// Encrypted.
    Encrypted(&'s Encrypted),
    /// See [`Stream::Lost`].
    Lost,
}

/// Whether nothing has arrived, not even the end.
pub(crate) fn is_quiet(socket: &SockRef<'_>) -> bool {
    let mut byte = [MaybeUninit::uninit()];
    let answer = socket.peek(&mut byte);
    matches!(answer, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

fn lost<T>() -> Poll<io::Result<T>> {
    Poll::Ready(Err(io::ErrorKind::NotConnected.into()))
}

/// Either direction by its half.
impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().split().0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().split().1).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().split().1).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().split().1).poll_shutdown(cx)
    }
}

impl AsyncRead for ReadHalf<'_> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_read(cx, buf),
            Self::Local(socket) => Pin::new(socket).poll_read(cx, buf),
            Self::Encrypted(encrypted) => encrypted.poll_read(cx, buf),
            Self::Lost => lost(),
        }
    }
}

impl AsyncWrite for WriteHalf<'_> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write(cx, buf),
            Self::Local(socket) => Pin::new(socket).poll_write(cx, buf),
            Self::Encrypted(encrypted) => encrypted.poll_write(cx, buf),
            Self::Lost => lost(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Self::Local(socket) => Pin::new(socket).poll_flush(cx),
            Self::Encrypted(encrypted) => encrypted.poll_flush(cx),
            Self::Lost => lost(),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::Local(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::Encrypted(encrypted) => encrypted.poll_shutdown(cx),
            Self::Lost => lost(),
        }
    }
}
