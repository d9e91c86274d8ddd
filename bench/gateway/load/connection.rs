//! One client's connection: logs in by SCRAM-SHA-256, sends bytes, and reads headers up to the end of the answer.

use std::io;
use std::path::PathBuf;

use bytes::{Buf as _, BytesMut};
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use wire::frame::{Beyond, Demand, Direction, FrameError, Scanner};
use wire::report::ServerError;
use wire::{frontend, scram, startup};

use crate::arguments::Credentials;

const MESSAGES: &[Demand] = &[
    Demand { tag: b'R', limit: 8192, beyond: Beyond::Refuse },
    Demand { tag: b'E', limit: 8192, beyond: Beyond::Stream },
    Demand { tag: b'Z', limit: 1, beyond: Beyond::Refuse },
];

/// Why there is nothing to measure.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// The tenants are not to be had.
    #[error("{}: {why}", file.display())]
    Tenants {
        /// Where they should be.
        file: PathBuf,
        /// What to do about it.
        why: String,
    },
    /// A socket or stream failed.
    #[error("a connection broke: {0}; see the log of what listens on --port")]
    Io(#[from] io::Error),
    /// An `ErrorResponse`, after which the connection is ready again.
    #[error("refused: {} {}", .0.sqlstate, .0.message)]
    Refused(ServerError),
    /// An `ErrorResponse`, after which the connection was closed.
    #[error("closed: {} {}", .0.sqlstate, .0.message)]
    Closed(ServerError),
    /// It does not speak this protocol.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// It asks for something other than SCRAM-SHA-256.
    #[error("authentication request {0} is not known here; have what listens on --port ask for SCRAM-SHA-256")]
    Authentication(u32),
    /// Some workers wait for an answer still.
    #[error("no answer for a minute; see the log of what listens on --port")]
    Stuck,
}

impl LoadError {
    /// The SQLSTATE, or what stands for one.
    pub(crate) fn code(&self) -> &str {
        match self {
            Self::Refused(error) | Self::Closed(error) => &error.sqlstate,
            Self::Io(_) => "broken",
            Self::Tenants { .. } | Self::Frame(_) | Self::Authentication(_) | Self::Stuck => "protocol",
        }
    }
}

/// A connection that is logged in.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    held: BytesMut,
    scanner: Scanner,
}

impl Connection {
    /// Connects, logs in and, where there is something to prepare, prepares it.
    pub(crate) async fn open(port: u16, who: &Credentials, prepare: Option<&[u8]>) -> Result<Self, LoadError> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        let scanner = Scanner::new(Direction::ToClient, MESSAGES);
        let mut connection = Self { stream, held: BytesMut::new(), scanner };
        connection.log_in(who).await?;
        if let Some(prepare) = prepare {
            connection.run(prepare).await?;
        }
        Ok(connection)
    }

    /// Sends a request and reads its answer to the end.
    pub(crate) async fn run(&mut self, request: &[u8]) -> Result<(), LoadError> {
        self.stream.write_all(request).await?;
        self.until(b'Z').await?;
        Ok(())
    }

    /// Gives back the memory that it reads into, as a client would that rests for long.
    pub(crate) fn rest(&mut self) {
        self.held = BytesMut::new();
    }

    async fn log_in(&mut self, who: &Credentials) -> Result<(), LoadError> {
        let mut out = BytesMut::new();
        startup::session(&mut out, [("user", who.user.as_str()), ("database", &who.database)]);
        let mut proof = ScramSha256::new(who.password.as_bytes(), ChannelBinding::unsupported());
        loop {
            self.stream.write_all(&out).await?;
            out.clear();
            let request = self.until(b'R').await?;
            let (kind, data) =
                request.split_first_chunk().ok_or(io::ErrorKind::InvalidData).map_err(io::Error::from)?;
            match u32::from_be_bytes(*kind) {
                0 => break,
                10 => frontend::sasl_initial_response(&mut out, scram::MECHANISM, proof.message()),
                11 => {
                    proof.update(data)?;
                    frontend::sasl_response(&mut out, proof.message());
                }
                12 => proof.finish(data)?,
                other => return Err(LoadError::Authentication(other)),
            }
        }
        self.until(b'Z').await?;
        Ok(())
    }

    /// Reads to the end of the next message of this kind, and returns its body. An `ErrorResponse` on the way is the
    /// outcome once the connection is ready again, or closed.
    async fn until(&mut self, wanted: u8) -> Result<Vec<u8>, LoadError> {
        let mut refused = None;
        loop {
            while let Some(piece) = self.scanner.next(&self.held)? {
                let tag = piece.begins.map(|header| header.tag);
                let body = (tag == Some(wanted)).then(|| piece.body().to_vec());
                if tag == Some(b'E') {
                    refused = refused.or_else(|| ServerError::parse(piece.body()));
                }
                let len = piece.bytes.len();
                self.held.advance(len);
                match (body, refused.take()) {
                    (Some(_), Some(error)) => return Err(LoadError::Refused(error)),
                    (Some(body), None) => return Ok(body),
                    (None, earlier) => refused = earlier,
                }
            }
            self.held.reserve(4096);
            if self.stream.read_buf(&mut self.held).await? == 0 {
                let broken = || LoadError::Io(io::ErrorKind::UnexpectedEof.into());
                return Err(refused.map_or_else(broken, LoadError::Closed));
            }
        }
    }
}
