//! A client before its session runs: whole messages, small and few.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Buf as _, BytesMut};
use socket2::{SockRef, TcpKeepalive};
use std::time::Duration;
use tls::{Certificate, Greeting, Stream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use wire::frame::{Beyond, Demand, Direction, HEADER_LEN, Header, Scanner};
use wire::startup;

use crate::fault::Fault;

/// Bytes in the longest answer to an authentication request. SCRAM's stay below 300.
const MAX_PASSWORD_LEN: usize = 4096;

/// How many times as long as it may be an answer is read to its end, to be refused.
const LISTENED_TO: usize = 16;

/// Silence after which the kernel asks whether the client is still there.
const KEEPALIVE: Duration = Duration::from_mins(1);

/// Why nothing more comes of a client.
#[derive(Debug)]
pub(crate) enum Loss {
    /// It is gone; there is nobody to tell.
    Gone,
    /// It is to be told why.
    Told(Fault),
}

impl<F: Into<Fault>> From<F> for Loss {
    fn from(fault: F) -> Self {
        Self::Told(fault.into())
    }
}

/// The first byte of a TLS handshake (RFC 8446, section 5.1), which no startup message begins with.
const HANDSHAKE: u8 = 22;

/// How a client has come to be encrypted.
#[derive(Debug)]
pub(crate) struct Encryption {
    /// What it was shown.
    certificate: Arc<Certificate>,
    pub(crate) greeting: Greeting,
}

impl Encryption {
    /// What a proof may be bound to.
    pub(crate) fn end_point(&self) -> Option<&[u8]> {
        self.certificate.end_point()
    }
}

/// The connection, what has been read and not yet used, and what is to be said next.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) stream: Stream,
    pub(crate) encryption: Option<Encryption>,
    /// Where it has reached us.
    pub(crate) address: SocketAddr,
    /// A driver may send its first statements without waiting, so more may be here than was asked for.
    pub(crate) held: BytesMut,
    pub(crate) out: BytesMut,
}

impl Client {
    pub(crate) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE))?;
        let address = stream.local_addr()?;
        let (held, out) = (BytesMut::new(), BytesMut::new());
        Ok(Self { stream: Stream::Plain(stream), encryption: None, address, held, out })
    }

    /// Whether the client begins with a handshake instead of asking for one. Takes nothing away.
    pub(crate) async fn begins_encrypted(&self) -> Result<bool, Loss> {
        let Stream::Plain(socket) = &self.stream else { return Ok(false) };
        let mut first = [0];
        match socket.peek(&mut first).await {
            Ok(0) | Err(_) => Err(Loss::Gone),
            Ok(_) => Ok(first == [HANDSHAKE]),
        }
    }

    /// Goes on encrypted. Nothing may have been read that was not asked for.
    pub(crate) async fn encrypt(&mut self, certificate: Arc<Certificate>) -> Result<(), Loss> {
        let greeting = self.stream.accept(&certificate).await.map_err(|error| {
            tracing::info!(%error, "a client's TLS handshake failed");
            Loss::Gone
        })?;
        self.encryption = Some(Encryption { certificate, greeting });
        Ok(())
    }

    /// Sends what has been written to `out`.
    pub(crate) async fn flush(&mut self) -> Result<(), Loss> {
        self.stream.write_all(&self.out).await.map_err(|_| Loss::Gone)?;
        self.out.clear();
        Ok(())
    }

    /// The body of the next untagged message.
    pub(crate) async fn opening(&mut self) -> Result<BytesMut, Loss> {
        loop {
            if let Some((length, rest)) = self.held.split_first_chunk() {
                let body_len = startup::body_len(*length)?;
                if rest.len() >= body_len {
                    self.held.advance(startup::LENGTH_LEN);
                    return Ok(self.held.split_to(body_len));
                }
            }
            self.read().await?;
        }
    }

    /// The body of the next message, which must be an answer to an authentication request.
    pub(crate) async fn password(&mut self) -> Result<BytesMut, Loss> {
        const DEMAND: &[Demand] = &[Demand { tag: b'p', limit: MAX_PASSWORD_LEN, beyond: Beyond::Refuse }];
        loop {
            let piece = Scanner::new(Direction::ToServer, DEMAND).next(&self.held)?;
            if let Some(header) = piece.and_then(|piece| piece.begins) {
                if header.tag != b'p' {
                    return Err(Fault::protocol("the client did not answer the authentication request").into());
                }
                let mut message = self.held.split_to(HEADER_LEN + header.body_len);
                return Ok(message.split_off(HEADER_LEN));
            }
            self.read().await?;
        }
    }

    /// The same where the answer may be longer; `None` if it is longer than `limit` all the same, read to its end so that
    /// the client listens to what it is told.
    pub(crate) async fn long_password(&mut self, limit: usize) -> Result<Option<BytesMut>, Loss> {
        let mut left: Option<usize> = None;
        loop {
            if let Some(missing) = left {
                let here = missing.min(self.held.len());
                self.held.advance(here);
                if missing == here {
                    return Ok(None);
                }
                left = Some(missing - here);
            } else if let Some(header) = Scanner::new(Direction::ToServer, &[]).upcoming(&self.held)? {
                if header.tag != b'p' {
                    return Err(Fault::protocol("the client did not answer the authentication request").into());
                }
                let len = HEADER_LEN + header.body_len;
                if header.body_len > limit.saturating_mul(LISTENED_TO) {
                    return Ok(None);
                }
                if header.body_len > limit {
                    left = Some(len);
                    continue;
                }
                if self.held.len() >= len {
                    return Ok(Some(self.held.split_to(len).split_off(HEADER_LEN)));
                }
            }
            self.read().await?;
        }
    }

    /// The next message, whole, with its header. May be abandoned without losing a byte.
    pub(crate) async fn message(&mut self, limit: usize) -> Result<(Header, BytesMut), Loss> {
        loop {
            let piece = Scanner::new(Direction::ToServer, &[]).next(&self.held)?;
            if let Some(header) = piece.and_then(|piece| piece.begins) {
                if header.body_len > limit {
                    return Err(Fault::protocol("the message is longer than any that belongs here").into());
                }
                let len = HEADER_LEN + header.body_len;
                if self.held.len() >= len {
                    return Ok((header, self.held.split_to(len)));
                }
            }
            self.read().await?;
        }
    }

    async fn read(&mut self) -> Result<(), Loss> {
        match self.stream.read_buf(&mut self.held).await {
            Ok(0) | Err(_) => Err(Loss::Gone),
            Ok(_) => Ok(()),
        }
    }
}
