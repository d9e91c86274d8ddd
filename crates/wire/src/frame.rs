//! Walks a stream of messages without copying it (PostgreSQL manual, 55.1.1 and 55.7).
//!
//! After startup every message is a tag byte, a length that counts itself but not the tag, and a body. A relay has to
//! know where messages begin, and hardly ever what they say. So a [`Scanner`] only reads headers: it cuts whatever bytes
//! are at hand into [`Piece`]s of one message each, and a body of a gigabyte passes through in pieces as it arrives.

use std::borrow::Cow;
use std::iter;

use bytes::BytesMut;

use crate::write::message;

/// Which half of the conversation a stream carries; the same tag means different things in each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From a client.
    ToServer,
    /// From a server.
    ToClient,
}

impl Direction {
    /// Tags of the messages that may flow this way after startup (PostgreSQL manual, 55.7), protocol 3.0 to 3.2.
    #[must_use]
    pub const fn knows(self, tag: u8) -> bool {
        match self {
            Self::ToServer => matches!(
                tag,
                b'B' | b'C' | b'D' | b'E' | b'F' | b'H' | b'P' | b'Q' | b'S' | b'X' | b'c' | b'd' | b'f' | b'p'
            ),
            Self::ToClient => matches!(
                tag,
                b'1' | b'2'
                    | b'3'
                    | b'A'
                    | b'C'
                    | b'D'
                    | b'E'
                    | b'G'
                    | b'H'
                    | b'I'
                    | b'K'
                    | b'N'
                    | b'R'
                    | b'S'
                    | b'T'
                    | b'V'
                    | b'W'
                    | b'Z'
                    | b'c'
                    | b'd'
                    | b'n'
                    | b's'
                    | b't'
                    | b'v'
            ),
        }
    }
}

/// Appends a message.
pub fn append(out: &mut BytesMut, tag: u8, body: &[u8]) {
    message(out, tag, |out| out.extend_from_slice(body));
}

/// Bytes of tag and length.
pub const HEADER_LEN: usize = 5;

/// Greatest length field that is believed: 1 GiB, as in PostgreSQL's own `PQ_LARGE_MESSAGE_LIMIT`.
pub const MAX_LENGTH: u32 = 1 << 30;

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Kind of message.
    pub tag: u8,
    /// Bytes after the header.
    pub body_len: usize,
}

/// A stream that is not this protocol. Nothing after it can be trusted; close the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// No such message in this direction.
    #[error("unknown message type 0x{0:02x}; the peer has lost step with the protocol, reconnect")]
    UnknownTag(u8),
    /// Shorter than its own length field, or beyond [`MAX_LENGTH`].
    #[error("message {tag:?} claims a length of {length}; lengths from 4 bytes to 1 GiB are possible", tag = char::from(*.tag))]
    BadLength {
        /// Kind of message.
        tag: u8,
        /// What the length field said.
        length: u32,
    },
    /// Longer than whoever demanded it whole wants to hold.
    #[error("message {tag:?} has {body_len} bytes where at most {limit} make sense", tag = char::from(*.tag))]
    TooLong {
        /// Kind of message.
        tag: u8,
        /// Bytes of its body.
        body_len: usize,
        /// Bytes allowed by the [`Demand`].
        limit: usize,
    },
}

/// A kind of message that is wanted in one piece, and how long it may be.
#[derive(Debug, Clone, Copy)]
pub struct Demand {
    /// Kind of message.
    pub tag: u8,
    /// Bytes of the longest body that is kept together.
    pub limit: usize,
    /// What a longer one means.
    pub beyond: Beyond,
}

/// What becomes of a message that is longer than its [`Demand`] keeps together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beyond {
    /// No honest peer sends one: [`FrameError::TooLong`].
    Refuse,
    /// It comes in pieces, as if nobody had demanded it.
    Stream,
    /// It comes in pieces, the first of which has at least this many bytes of the body.
    StreamAfter(usize),
}

/// Bytes that belong to one message: all of it, its beginning, or a further part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece<'b> {
    /// The header, when the message begins here; it is also the first [`HEADER_LEN`] of the bytes.
    pub begins: Option<Header>,
    /// What to forward.
    pub bytes: &'b [u8],
    /// Whether the message ends here.
    pub ends: bool,
}

impl<'b> Piece<'b> {
    /// The part of the body in this piece.
    #[must_use]
    pub fn body(&self) -> &'b [u8] {
        let skip = if self.begins.is_some() { HEADER_LEN } else { 0 };
        self.bytes.get(skip..).unwrap_or_default()
    }
}

/// Where in a stream we are. The bytes themselves stay with the caller.
#[derive(Debug)]
pub struct Scanner {
    direction: Direction,
    demands: Cow<'static, [Demand]>,
    /// Bytes of the current body that have not been seen.
    remaining: usize,
}

impl Scanner {
    /// A stream at the beginning of a message. Messages in `demands` come in one piece, the others as they arrive.
    #[must_use]
    pub fn new(direction: Direction, demands: impl Into<Cow<'static, [Demand]>>) -> Self {
        Self { direction, demands: demands.into(), remaining: 0 }
    }

    /// Cuts off the next piece. `bytes` must continue where the last piece ended; `None` asks for more of them: fewer than
    /// a header's, or fewer than a demanded message's.
    ///
    /// After an error the position is unknown and the scanner of no more use.
    pub fn next<'b>(&mut self, bytes: &'b [u8]) -> Result<Option<Piece<'b>>, FrameError> {
        if self.remaining > 0 {
            return Ok(self.take(None, bytes, 0));
        }
        let Some(header) = self.header(bytes)? else { return Ok(None) };
        if bytes.len() < HEADER_LEN + self.wanted(header) {
            return Ok(None);
        }
        self.remaining = header.body_len;
        Ok(self.take(Some(header), bytes, HEADER_LEN))
    }

    /// The message for whose sake [`Scanner::next`] asks for more of these bytes, if its header is among them.
    #[must_use]
    pub fn awaited(&self, bytes: &[u8]) -> Option<Header> {
        if self.remaining > 0 {
            return None;
        }
        let awaited =
            |header: &Header| bytes.len() < HEADER_LEN + header.body_len && self.wanted(*header) == header.body_len;
        self.header(bytes).ok().flatten().filter(awaited)
    }

    /// The header of the message that begins here; `None` if one is under way, or its header has not come.
    pub fn upcoming(&self, bytes: &[u8]) -> Result<Option<Header>, FrameError> {
        if self.remaining > 0 { Ok(None) } else { self.header(bytes) }
    }

    /// The messages that stand in these bytes, if one begins here: each with its body, the last one's as far as it is there.
    pub fn ahead<'b>(&self, mut bytes: &'b [u8]) -> impl Iterator<Item = (Header, &'b [u8])> {
        if self.remaining > 0 {
            bytes = &[];
        }
        iter::from_fn(move || {
            let header = self.header(bytes).ok()??;
            let rest = bytes.get(HEADER_LEN..)?;
            let (body, behind) = rest.split_at(rest.len().min(header.body_len));
            bytes = behind;
            Some((header, body))
        })
    }

    fn header(&self, bytes: &[u8]) -> Result<Option<Header>, FrameError> {
        let Some((&[tag, a, b, c, d], _)) = bytes.split_first_chunk::<HEADER_LEN>() else {
            return Ok(None);
        };
        if !self.direction.knows(tag) {
            return Err(FrameError::UnknownTag(tag));
        }
        let length = u32::from_be_bytes([a, b, c, d]);
        let body_len = match length.checked_sub(4).map(usize::try_from) {
            Some(Ok(body_len)) if length <= MAX_LENGTH => body_len,
            _ => return Err(FrameError::BadLength { tag, length }),
        };
        match self.demand(tag) {
            Some(demand) if body_len > demand.limit && demand.beyond == Beyond::Refuse => {
                Err(FrameError::TooLong { tag, body_len, limit: demand.limit })
            }
            _ => Ok(Some(Header { tag, body_len })),
        }
    }

    fn demand(&self, tag: u8) -> Option<&Demand> {
        self.demands.iter().find(|demand| demand.tag == tag)
    }

    /// Bytes of a body that have to be there before any of them is given away.
    fn wanted(&self, header: Header) -> usize {
        match self.demand(header.tag) {
            Some(demand) if header.body_len <= demand.limit => header.body_len,
            Some(Demand { beyond: Beyond::StreamAfter(start), .. }) => header.body_len.min(*start),
            Some(_) | None => 0,
        }
    }

    /// Goes on as if the message that has begun ended here: nothing more of it will be looked at.
    pub fn abandon_message(&mut self) {
        self.remaining = 0;
    }

    /// Whether the bytes so far end with a whole message, so that another's may follow.
    #[must_use]
    pub const fn between_messages(&self) -> bool {
        self.remaining == 0
    }

    fn take<'b>(&mut self, begins: Option<Header>, bytes: &'b [u8], header_len: usize) -> Option<Piece<'b>> {
        if bytes.is_empty() {
            return None;
        }
        let len = bytes.len().min(header_len + self.remaining);
        self.remaining -= len - header_len;
        bytes.get(..len).map(|bytes| Piece { begins, bytes, ends: self.remaining == 0 })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const READY: &[Demand] = &[
        Demand { tag: b'Z', limit: 1, beyond: Beyond::Refuse },
        Demand { tag: b'C', limit: 16, beyond: Beyond::Stream },
    ];

    const NONE: &[Demand] = &[];

    fn stream(messages: &[(u8, Vec<u8>)]) -> BytesMut {
        let mut out = BytesMut::new();
        for (tag, body) in messages {
            message(&mut out, *tag, |out| out.extend_from_slice(body));
        }
        out
    }

    /// Feeds a stream in chunks, as a relay does, and puts the messages together again.
    fn reassemble(stream: &[u8], cuts: &[usize]) -> Result<Vec<(u8, Vec<u8>)>, FrameError> {
        let mut scanner = Scanner::new(Direction::ToClient, READY);
        let mut held = BytesMut::new();
        let mut seen: Vec<(u8, Vec<u8>)> = Vec::new();
        let mut rest = stream;
        for cut in cuts.iter().copied().chain([usize::MAX]) {
            let (chunk, after) = rest.split_at(cut.min(rest.len()));
            rest = after;
            held.extend_from_slice(chunk);
            while let Some(piece) = scanner.next(&held)? {
                if let Some(header) = piece.begins {
                    let whole = READY.iter().any(|it| it.tag == header.tag && header.body_len <= it.limit);
                    assert!(!whole || piece.ends, "a demanded message was cut");
                    seen.push((header.tag, Vec::with_capacity(header.body_len)));
                }
                let (_, body) = seen.last_mut().expect("a piece follows a beginning");
                body.extend_from_slice(piece.body());
                let len = piece.bytes.len();
                let _forwarded = held.split_to(len);
            }
        }
        assert!(held.is_empty(), "{held:?} was never forwarded");
        assert!(scanner.between_messages());
        Ok(seen)
    }

    #[test]
    fn lengths_and_tags_are_checked() {
        let next = |bytes: &[u8]| Scanner::new(Direction::ToServer, NONE).next(bytes).map(|piece| piece.is_some());
        assert_eq!(next(b"Q\0\0\0"), Ok(false));
        assert_eq!(next(b"S\0\0\0\x04"), Ok(true));
        assert_eq!(next(b"Q\0\0\0\x03"), Err(FrameError::BadLength { tag: b'Q', length: 3 }));
        assert_eq!(next(b"Q\x40\0\0\x01"), Err(FrameError::BadLength { tag: b'Q', length: MAX_LENGTH + 1 }));
        assert_eq!(next(b"Q\xff\xff\xff\xff"), Err(FrameError::BadLength { tag: b'Q', length: u32::MAX }));
        assert_eq!(next(b"Z\0\0\0\x05"), Err(FrameError::UnknownTag(b'Z')));
        let hoarding = Scanner::new(Direction::ToClient, READY).next(b"Z\0\0\0\x06").map(|piece| piece.is_some());
        assert_eq!(hoarding, Err(FrameError::TooLong { tag: b'Z', body_len: 2, limit: 1 }));
    }

    #[test]
    fn what_is_too_long_to_keep_together_streams_where_that_is_allowed() {
        let mut scanner = Scanner::new(Direction::ToClient, READY);
        let fits = b"C\0\0\0\x14SELECT 1";
        assert_eq!(scanner.next(fits).map(|piece| piece.is_some()), Ok(false));
        assert_eq!(scanner.awaited(fits), Some(Header { tag: b'C', body_len: 16 }));
        let piece = scanner.next(b"C\0\0\0\x15SELECT 1").expect("no error").expect("a piece");
        assert_eq!((piece.begins.map(|header| header.body_len), piece.ends), (Some(17), false));
        assert!(!scanner.between_messages());
        assert_eq!(scanner.awaited(b"C\0\0\0\x14"), None, "those are of the body");
    }

    #[test]
    fn a_large_message_passes_through_as_it_arrives() {
        let mut scanner = Scanner::new(Direction::ToClient, READY);
        let piece = scanner.next(b"D\x3f\xff\xff\xffabc").expect("a good header").expect("a piece");
        assert_eq!(piece.begins, Some(Header { tag: b'D', body_len: (1 << 30) - 5 }));
        assert_eq!((piece.body(), piece.ends), (&b"abc"[..], false));
        assert_eq!(scanner.next(b""), Ok(None));
        let piece = scanner.next(b"Z\0\0\0\x05I").expect("body bytes are not looked at").expect("a piece");
        assert_eq!((piece.begins, piece.body().len()), (None, 6));
    }

    fn any_message() -> impl Strategy<Value = (u8, Vec<u8>)> {
        prop_oneof![
            Just((b'Z', vec![b'I'])),
            (prop::sample::select(&b"DTCE1"[..]), prop::collection::vec(any::<u8>(), 0..40)),
        ]
    }

    proptest! {
        #[test]
        fn chunking_makes_no_difference(
            messages in prop::collection::vec(any_message(), 0..20),
            cuts in prop::collection::vec(0_usize..12, 0..60),
        ) {
            prop_assert_eq!(reassemble(&stream(&messages), &cuts), Ok(messages));
        }

        #[test]
        fn any_bytes_are_walked_without_panic(bytes: Vec<u8>) {
            let mut scanner = Scanner::new(Direction::ToServer, NONE);
            let mut rest = bytes.as_slice();
            while let Ok(Some(piece)) = scanner.next(rest) {
                prop_assert!(!piece.bytes.is_empty());
                rest = &rest[piece.bytes.len()..];
            }
        }
    }
}
