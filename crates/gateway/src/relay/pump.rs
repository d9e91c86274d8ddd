//! Moves bytes in one direction.

use std::borrow::Cow;
use std::future::{pending, poll_fn};
use std::io;
use std::mem::{self, MaybeUninit};
use std::pin::Pin;
use std::task::{Poll, ready};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use wire::frame::{Demand, Direction, FrameError, Header, Piece, Scanner};

/// Bytes read at once while more keeps coming; a session that works has up to two of these.
const BUFFER: usize = 16 * 1024;

/// Bytes read at once where nothing is held: more than most statements and answers have. They are read onto the stack, so
/// that a session that waits for them has no buffer.
pub(super) const FIRST: usize = 4096;

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
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, and together they are no state")]
pub(super) struct Pump {
    scanner: Scanner,
    /// What goes out before anything in `held`: it stood before a message that was replaced, or is what stands in its
    /// place. Empty in a session whose messages all pass as they came.
    ahead: BytesMut,
    held: BytesMut,
    /// Bytes at the front of `held` that may go out.
    passed: usize,
    /// `held` has grown beyond what a session keeps.
    grown: bool,
    /// The last read filled what it was given.
    busy: bool,
    paused: bool,
    closed: bool,
    /// Bytes read since they were counted last.
    read: u64,
}

impl Pump {
    pub(super) fn new(direction: Direction, demands: impl Into<Cow<'static, [Demand]>>, arrived: BytesMut) -> Self {
        Self {
            read: u64::try_from(arrived.len()).unwrap_or(u64::MAX),
            scanner: Scanner::new(direction, demands),
            ahead: BytesMut::new(),
            held: arrived,
            passed: 0,
            grown: false,
            busy: false,
            paused: false,
            closed: false,
        }
    }

    /// Writes what has passed, if anything has, or else reads; waits where there is nobody to read from or write to. May be abandoned at any time without losing a byte.
    pub(super) async fn step(
        &mut self,
        source: Option<&mut (impl AsyncRead + Unpin)>,
        sink: Option<&mut (impl AsyncWrite + Unpin)>,
    ) -> Step {
        if self.has_passed() {
            let Some(sink) = sink else { return pending().await };
            self.join();
            return match sink.write(self.outgoing()).await {
                Ok(0) | Err(_) => Step::SinkGone,
                Ok(written) => {
                    self.went_out(written);
                    Step::Moved
                }
            };
        }
        let Some(source) = source.filter(|_| !self.closed && !self.paused) else { return pending().await };
        let (read, offered) = if self.busy || !self.held.is_empty() {
            self.held.reserve(BUFFER);
            let offered = self.held.capacity() - self.held.len();
            (source.read_buf(&mut self.held).await, offered)
        } else {
            (self.read_first(source).await, FIRST)
        };
        match read {
            Ok(0) | Err(_) => Step::SourceGone,
            Ok(read) => {
                self.busy = read >= offered;
                self.read += u64::try_from(read).unwrap_or(u64::MAX);
                self.grown |= self.held.len() > BUFFER + SPARE;
                Step::Moved
            }
        }
    }

    /// Reads where nothing is held.
    async fn read_first(&mut self, source: &mut (impl AsyncRead + Unpin)) -> io::Result<usize> {
        poll_fn(|cx| {
            let mut room = [MaybeUninit::uninit(); FIRST];
            let mut room = ReadBuf::uninit(&mut room);
            ready!(Pin::new(&mut *source).poll_read(cx, &mut room))?;
            self.held.extend_from_slice(room.filled());
            Poll::Ready(Ok(room.filled().len()))
        })
        .await
    }

    /// The next piece that the stage has to judge. It stays here until [`Pump::pass`], [`Pump::replace`] or
    /// [`Pump::take`].
    pub(super) fn peek(&mut self) -> Result<Option<Piece<'_>>, FrameError> {
        self.scanner.next(self.held.get(self.passed..).unwrap_or_default())
    }

    /// Lets the piece that was judged last go out.
    pub(super) fn pass(&mut self, len: usize) {
        self.passed += len;
    }

    /// Lets something else go out in place of the piece that was judged last, which may be nothing.
    pub(super) fn replace(&mut self, len: usize, with: &[u8]) {
        self.queue();
        self.held.advance(len);
        self.ahead.extend_from_slice(with);
        self.shrink();
    }

    /// What has come and is not judged yet.
    pub(super) fn arrived(&self) -> &[u8] {
        self.held.get(self.passed..).unwrap_or_default()
    }

    /// The header of the message that is to be judged next, and how many bytes of it and of others have come.
    pub(super) fn upcoming(&self) -> Result<Option<(Header, usize)>, FrameError> {
        let arrived = self.arrived();
        Ok(self.scanner.upcoming(arrived)?.map(|header| (header, arrived.len())))
    }

    /// The messages among what has come and is not judged yet.
    pub(super) fn ahead(&self) -> impl Iterator<Item = (Header, &[u8])> {
        self.scanner.ahead(self.arrived())
    }

    /// Adds to what has come, as if it had been read.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// The header of the message that is being waited for as a whole.
    pub(super) fn awaited(&self) -> Option<Header> {
        self.scanner.awaited(self.held.get(self.passed..).unwrap_or_default())
    }

    /// Reads no more until [`Pump::resume`].
    pub(super) fn pause(&mut self) {
        self.paused = true;
    }

    /// Reads on.
    pub(super) fn resume(&mut self) {
        self.paused = false;
    }

    /// Takes the piece that was judged last out of the stream, and reads no more until [`Pump::put`] has said what goes
    /// out in its place.
    pub(super) fn take(&mut self, len: usize) -> BytesMut {
        self.queue();
        self.pause();
        let taken = self.held.split_to(len);
        self.shrink();
        taken
    }

    /// What goes out in place of the piece that was taken.
    pub(super) fn put(&mut self, message: BytesMut) {
        self.resume();
        if self.ahead.is_empty() {
            self.ahead = message;
        } else {
            self.ahead.extend_from_slice(&message);
        }
    }

    /// Reads no more, and forgets what has not passed.
    pub(super) fn close(&mut self) {
        self.held.truncate(self.passed);
        self.closed = true;
    }

    /// Forgets what has passed, too: the sink is gone.
    pub(super) fn abandon(&mut self) {
        self.close();
        self.ahead.clear();
        self.held.clear();
        self.passed = 0;
    }

    /// Forgets what may go out: the sink is gone, and there will be another.
    pub(super) fn forget_passed(&mut self) {
        self.ahead = BytesMut::new();
        self.held.advance(mem::take(&mut self.passed));
        self.shrink();
    }

    /// Forgets what is not judged yet, which is less than a message: the source is gone, and there will be another.
    pub(super) fn forget_arrived(&mut self) {
        self.held.truncate(self.passed);
    }

    /// Forgets the message that was judged last, of which nothing has gone out, and whatever has come behind it.
    pub(super) fn refuse(&mut self) {
        self.held.truncate(self.passed);
        self.scanner.abandon_message();
    }

    /// Bytes that have come in since [`Pump::take_read`].
    pub(super) const fn read(&self) -> u64 {
        self.read
    }

    /// The same, counted anew from here on.
    pub(super) fn take_read(&mut self) -> u64 {
        mem::take(&mut self.read)
    }

    /// Whether something that may go out has not.
    pub(super) fn has_passed(&self) -> bool {
        self.passed > 0 || !self.ahead.is_empty()
    }

    /// Whether everything that came in has gone out, up to the end of a message.
    pub(super) fn is_drained(&self) -> bool {
        self.ahead.is_empty() && self.held.is_empty() && self.scanner.between_messages() && !self.paused
    }

    /// Whether what may go out ends with a whole message.
    pub(super) fn is_between_messages(&self) -> bool {
        self.scanner.between_messages()
    }

    /// Whether everything that came in may go out, up to the end of a message.
    pub(super) fn is_judged(&self) -> bool {
        self.arrived().is_empty() && self.scanner.between_messages()
    }

    /// Writes to the end of the message that has begun to go out, so that another of our own may follow.
    pub(super) async fn finish_message(
        &mut self,
        mut source: Option<&mut (impl AsyncRead + Unpin)>,
        sink: &mut (impl AsyncWrite + Unpin),
    ) -> io::Result<()> {
        loop {
            while self.has_passed() {
                let outgoing = self.outgoing();
                sink.write_all(outgoing).await?;
                let written = outgoing.len();
                self.went_out(written);
            }
            if self.scanner.between_messages() {
                return Ok(());
            }
            let Some(source) = &mut source else { return Err(io::ErrorKind::UnexpectedEof.into()) };
            if self.held.is_empty() && source.read_buf(&mut self.held).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let len = self.peek().map_err(io::Error::other)?.map_or(0, |piece| piece.bytes.len());
            self.pass(len);
        }
    }

    /// What goes out next; empty only when nothing may.
    fn outgoing(&self) -> &[u8] {
        if self.ahead.is_empty() { self.held.get(..self.passed).unwrap_or_default() } else { &self.ahead }
    }

    fn went_out(&mut self, len: usize) {
        if self.ahead.is_empty() {
            self.held.advance(len);
            self.passed -= len;
        } else {
            self.ahead.advance(len);
            if self.ahead.is_empty() {
                // It may have been a large message's.
                self.ahead = BytesMut::new();
            }
        }
        self.shrink();
    }

    /// Has little that has passed go out with what goes out before it: two writes wake whoever reads twice.
    fn join(&mut self) {
        if !self.ahead.is_empty() && (1..=FIRST).contains(&self.passed) {
            self.queue();
            self.shrink();
        }
    }

    /// Puts what has passed ahead of what stands behind it.
    fn queue(&mut self) {
        let passed = mem::take(&mut self.passed);
        self.ahead.extend_from_slice(&self.held.split_to(passed));
    }

    /// Gives back the room that a large message took, once it is on its way.
    fn shrink(&mut self) {
        if self.held.is_empty() && !self.busy {
            self.held = BytesMut::new();
            self.grown = false;
        } else if self.grown && self.held.len() <= BUFFER {
            let mut small = BytesMut::with_capacity(BUFFER + SPARE);
            small.extend_from_slice(&self.held);
            self.held = small;
            self.grown = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;
    use wire::frame::Beyond;

    use super::*;

    const WHOLE: &[Demand] = &[Demand { tag: b'Q', limit: 1 << 20, beyond: Beyond::Stream }];

    fn query(len: usize) -> Vec<u8> {
        let length = u32::try_from(len + 4).expect("a short message");
        [&b"Q"[..], &length.to_be_bytes(), &vec![b'x'; len]].concat()
    }

    /// Reads until a piece is there to be judged.
    async fn piece(
        pump: &mut Pump,
        source: &mut (impl AsyncRead + Unpin),
        sink: &mut (impl AsyncWrite + Unpin),
    ) -> usize {
        loop {
            if let Some(piece) = pump.peek().expect("sound") {
                return piece.bytes.len();
            }
            assert_eq!(pump.step(Some(source), Some(sink)).await, Step::Moved);
        }
    }

    #[tokio::test]
    async fn room_that_a_long_message_took_is_given_back() {
        let ((mut client, mut source), (mut sink, mut server)) = (duplex(1 << 20), duplex(1 << 20));
        let mut pump = Pump::new(Direction::ToServer, WHOLE, BytesMut::new());
        let (long, short) = (query(300_000), query(100));
        for way in 0..3 {
            client.write_all(&[&long[..], &short, &short[..50]].concat()).await.expect("sent");
            let len = piece(&mut pump, &mut source, &mut sink).await;
            assert_eq!(len, long.len(), "in one piece");
            match way {
                0 => pump.pass(len),
                1 => pump.replace(len, &long),
                _ => {
                    let taken = pump.take(len);
                    pump.put(taken);
                }
            }
            while pump.has_passed() {
                assert_eq!(pump.step(Some(&mut source), Some(&mut sink)).await, Step::Moved);
            }
            let len = piece(&mut pump, &mut source, &mut sink).await;
            pump.pass(len);
            pump.step(Some(&mut source), Some(&mut sink)).await;
            assert!(pump.held.capacity() <= 2 * (BUFFER + SPARE), "{way}: {}", pump.held.capacity());
            assert_eq!(pump.ahead.capacity(), 0, "{way}");
            client.write_all(&short[50..]).await.expect("sent");
            let len = piece(&mut pump, &mut source, &mut sink).await;
            pump.replace(len, &short);
            pump.step(Some(&mut source), Some(&mut sink)).await;
            assert!(pump.is_drained());
            let mut heard = vec![0; long.len() + 2 * short.len()];
            server.read_exact(&mut heard).await.expect("everything");
            assert!(heard == [&long[..], &short, &short].concat(), "{way}: other bytes");
        }
    }
}
