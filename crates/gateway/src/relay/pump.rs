//! Moves bytes in one direction.

use std::future::pending;
use std::io;

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use wire::frame::{Demand, Direction, FrameError, Piece, Scanner};

/// Bytes read at once; a session has two of these.
const BUFFER: usize = 16 * 1024;

/// Room for what is not passed on before it is whole: a header and the small messages that a stage demands.
const SPARE: usize = 64;

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Bytes came in or went out.
    Moved,
    /// Nothing more will come.
    SourceGone,
    /// Nobody takes what has come.
    SinkGone,
}

/// One direction: what has been read, how much of it the stage has let pass, and where in the stream that ends.
#[derive(Debug)]
pub(super) struct Pump {
    scanner: Scanner,
    held: BytesMut,
    /// Bytes at the front of `held` that may go out.
    passed: usize,
    closed: bool,
}

impl Pump {
    pub(super) fn new(direction: Direction, demands: &'static [Demand], arrived: &[u8]) -> Self {
        let mut held = BytesMut::with_capacity(BUFFER + SPARE);
        held.extend_from_slice(arrived);
        Self { scanner: Scanner::new(direction, demands), held, passed: 0, closed: false }
    }

    /// Writes what has passed, if anything has, or else reads. May be abandoned at any time without losing a byte.
    pub(super) async fn step(
        &mut self,
        source: &mut (impl AsyncRead + Unpin),
        sink: &mut (impl AsyncWrite + Unpin),
    ) -> Step {
        if self.passed > 0 {
            return match sink.write(self.held.get(..self.passed).unwrap_or_default()).await {
                Ok(0) | Err(_) => Step::SinkGone,
                Ok(written) => {
                    self.went_out(written);
                    Step::Moved
                }
            };
        }
        if self.closed {
            return pending().await;
        }
        self.held.reserve(BUFFER);
        match source.read_buf(&mut self.held).await {
            Ok(0) | Err(_) => Step::SourceGone,
            Ok(_) => Step::Moved,
        }
    }

    /// The next piece that the stage has to judge. It stays here until [`Pump::pass`].
    pub(super) fn peek(&mut self) -> Result<Option<Piece<'_>>, FrameError> {
        self.scanner.next(self.held.get(self.passed..).unwrap_or_default())
    }

    /// Lets the piece that was judged last go out.
    pub(super) fn pass(&mut self, len: usize) {
        self.passed += len;
    }

    /// Reads no more, and forgets what has not passed.
    pub(super) fn close(&mut self) {
        self.held.truncate(self.passed);
        self.closed = true;
    }

    /// Forgets what has passed, too: the sink is gone.
    pub(super) fn abandon(&mut self) {
        self.close();
        self.held.clear();
        self.passed = 0;
    }

    /// Whether something that may go out has not.
    pub(super) const fn has_passed(&self) -> bool {
        self.passed > 0
    }

    /// Whether everything that came in has gone out, up to the end of a message.
    pub(super) fn is_drained(&self) -> bool {
        self.held.is_empty() && self.scanner.between_messages()
    }

    /// Writes to the end of the message that has begun to go out, so that another of our own may follow.
    pub(super) async fn finish_message(
        &mut self,
        source: &mut (impl AsyncRead + Unpin),
        sink: &mut (impl AsyncWrite + Unpin),
    ) -> io::Result<()> {
        loop {
            sink.write_all(self.held.get(..self.passed).unwrap_or_default()).await?;
            self.went_out(self.passed);
            if self.scanner.between_messages() {
                return Ok(());
            }
            if self.held.is_empty() && source.read_buf(&mut self.held).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let len = self.peek().map_err(io::Error::other)?.map_or(0, |piece| piece.bytes.len());
            self.pass(len);
        }
    }

    fn went_out(&mut self, len: usize) {
        self.held.advance(len);
        self.passed -= len;
    }
}
