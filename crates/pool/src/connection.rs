//! One connection to a server, between messages.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use socket2::{SockRef, TcpKeepalive};
use tls::{Address, Socket, Stream, Trust};
use tokio::io::AsyncReadExt as _;
use tokio::time::Instant;
use wire::frame::{Direction, HEADER_LEN, Scanner};
use wire::startup::CancelKey;

use crate::PoolError;
use crate::residue::Residue;

/// Bytes in the longest message that a server may send while síndico itself talks to it: notices and settings.
pub(crate) const MAX_MESSAGE_LEN: usize = 64 * 1024;

/// Silence after which the kernel asks whether the server is still there.
const KEEPALIVE: Duration = Duration::from_mins(1);

/// An authenticated connection. Whoever holds it has read everything the server said: nothing is buffered here.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) stream: Stream,
    /// What `ParameterStatus` said after login, or at the last reset.
    pub(crate) reported: BTreeMap<String, String>,
    pub(crate) cancel_key: CancelKey,
    /// Its server.
    pub(crate) peer: Arc<Peer>,
    pub(crate) opened: Instant,
    /// When it is to be closed rather than lent again.
    pub(crate) retires: Instant,
    /// The server's time when the connection was opened, in seconds since 1970; asked for where tokens are timed.
    pub(crate) opened_at: u64,
    /// What clients have left on it on purpose.
    pub(crate) residue: Residue,
    /// Messages that it sent unasked while síndico talked to it.
    pub(crate) overheard: BytesMut,
}

/// The server at the other end, one of several: where it is, and what it has to prove to whoever goes there again.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) address: Address,
    pub(crate) host: String,
    pub(crate) trust: Trust,
}

impl Peer {
    /// Another connection to the very same server, before anything is said on it.
    pub(crate) async fn dial(&self) -> io::Result<Stream> {
        let socket = self.address.connect().await?;
        self.trust.secure(socket, &self.host).await
    }
}

impl Connection {
    /// Whether its server was a standby when it was last heard of. Since PostgreSQL 14 servers say so after login.
    pub(crate) fn is_standby(&self) -> bool {
        self.reported.get("in_hot_standby").is_some_and(|value| value == "on")
    }

    /// Whether it is too old to be lent, or not what it was when it was put by.
    pub(crate) fn is_spent(&self) -> bool {
        Instant::now() >= self.retires || !self.is_quiet()
    }

    /// Whether the server has neither closed the connection nor said anything of its own accord. See
    /// [`Stream::is_quiet`].
    ///
    /// A server speaks up unasked to say goodbye, or that a setting has changed; either way the connection is no longer
    /// what it was when it was put by.
    pub(crate) fn is_quiet(&self) -> bool {
        self.stream.is_quiet()
    }
}

/// Small messages, and a server that goes away without a word has to be noticed, if it can.
pub(crate) fn tune(socket: &Socket) -> io::Result<()> {
    let Socket::Tcp(socket) = socket else { return Ok(()) };
    socket.set_nodelay(true)?;
    SockRef::from(socket).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE))
}

/// A message of the server, whole.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) tag: u8,
    pub(crate) body: BytesMut,
}

/// Reads whole messages where síndico is the client itself. Bounded, since the server may be hostile: messages in
/// length, and by whoever calls in number and time.
#[derive(Debug)]
pub(crate) struct Reader {
    held: BytesMut,
}

impl Reader {
    pub(crate) fn new() -> Self {
        Self { held: BytesMut::with_capacity(4096) }
    }

    /// The next message; must not be interrupted midway.
    pub(crate) async fn next(&mut self, stream: &mut Stream) -> Result<Message, PoolError> {
        loop {
            // A scanner at the beginning of a message needs no memory of earlier ones.
            if let Some(piece) = Scanner::new(Direction::ToClient, &[]).next(&self.held)?
                && let Some(header) = piece.begins
            {
                if header.body_len > MAX_MESSAGE_LEN {
                    return Err(PoolError::Protocol("it sent a message far longer than belongs here"));
                }
                if piece.ends {
                    let mut body = self.held.split_to(HEADER_LEN + header.body_len);
                    return Ok(Message { tag: header.tag, body: body.split_off(HEADER_LEN) });
                }
            }
            if stream.read_buf(&mut self.held).await? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
        }
    }

    /// Whether the server has said more than was asked for.
    pub(crate) fn has_rest(&self) -> bool {
        !self.held.is_empty()
    }
}

/// Reads name and value of a `ParameterStatus`.
pub(crate) fn parameter_status(body: &[u8]) -> Option<(String, String)> {
    let text = str::from_utf8(body).ok()?.strip_suffix('\0')?;
    let (name, value) = text.split_once('\0')?;
    (!value.contains('\0')).then(|| (name.to_owned(), value.to_owned()))
}

/// A `DataRow` in text format without NULLs.
pub(crate) fn data_row(mut body: &[u8]) -> Option<Vec<String>> {
    let columns = body.try_get_u16().ok()?;
    let mut values = Vec::new();
    for _ in 0..columns {
        let length = usize::try_from(body.try_get_u32().ok()?).ok()?;
        let (value, rest) = body.split_at_checked(length)?;
        values.push(str::from_utf8(value).ok()?.to_owned());
        body = rest;
    }
    body.is_empty().then_some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_as_long_as_it_says() {
        assert_eq!(data_row(b"\0\x02\0\0\0\x01a\0\0\0\0"), Some(vec!["a".to_owned(), String::new()]));
        for bad in [&b""[..], b"\0\x01", b"\0\x01\0\0\0\x02a", b"\0\x01\xff\xff\xff\xff", b"\0\0x"] {
            assert_eq!(data_row(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_reported_setting_is_exactly_two_strings() {
        assert_eq!(parameter_status(b"TimeZone\0UTC\0"), Some(("TimeZone".to_owned(), "UTC".to_owned())));
        for bad in [&b""[..], b"a", b"a\0", b"a\0b", b"a\0b\0c\0", b"\xff\0b\0"] {
            assert_eq!(parameter_status(bad), None, "{bad:?}");
        }
    }
}
