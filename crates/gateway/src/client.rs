//! A client before its session runs: whole messages, small and few.

use std::io;

use bytes::{Buf as _, BytesMut};
use socket2::{SockRef, TcpKeepalive};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use wire::frame::{Beyond, Demand, Direction, Scanner};
use wire::startup;

use crate::fault::Fault;

/// Bytes in the longest answer to an authentication request. SCRAM's stay below 300.
const MAX_PASSWORD_LEN: usize = 4096;

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

/// The socket, what has been read and not yet used, and what is to be said next.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    /// A driver may send its first statements without waiting, so more may be here than was asked for.
    pub(crate) held: BytesMut,
    pub(crate) out: BytesMut,
}

impl Client {
    pub(crate) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE))?;
        Ok(Self { stream, held: BytesMut::new(), out: BytesMut::new() })
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
                let mut message = self.held.split_to(wire::frame::HEADER_LEN + header.body_len);
                return Ok(message.split_off(wire::frame::HEADER_LEN));
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
