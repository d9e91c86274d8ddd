//! What a server says, for when síndico is the server (PostgreSQL manual, 55.7). Each function appends one message.

use bytes::{BufMut, BytesMut};

use crate::scram;
use crate::startup::CancelKey;
use crate::write::{cstr, message};

/// Answer to a request for encryption that is not on offer.
pub const NO_ENCRYPTION: u8 = b'N';

/// State of the session in `ReadyForQuery`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionStatus {
    /// Not in a transaction.
    Idle,
    /// In a transaction.
    Open,
    /// In a transaction that has failed and waits for its rollback.
    Failed,
}

impl TransactionStatus {
    /// The byte on the wire.
    #[must_use]
    pub const fn as_byte(self) -> u8 {
        match self {
            Self::Idle => b'I',
            Self::Open => b'T',
            Self::Failed => b'E',
        }
    }

    /// Reads the body of `ReadyForQuery`; `None` if it is not one.
    #[must_use]
    pub const fn parse(body: &[u8]) -> Option<Self> {
        match body {
            [b'I'] => Some(Self::Idle),
            [b'T'] => Some(Self::Open),
            [b'E'] => Some(Self::Failed),
            _ => None,
        }
    }
}

/// Answer to a request for TLS that is granted.
pub const TLS: u8 = b'S';

/// `AuthenticationSASL`, offering [`scram::MECHANISM`], and before it [`scram::MECHANISM_PLUS`] if the client's proof can
/// be bound to the connection.
pub fn authentication_sasl(out: &mut BytesMut, plus: bool) {
    message(out, b'R', |out| {
        out.put_u32(10);
        if plus {
            cstr(out, scram::MECHANISM_PLUS);
        }
        cstr(out, scram::MECHANISM);
        out.put_u8(0);
    });
}

/// `AuthenticationSASLContinue`, with SCRAM's `server-first-message`.
pub fn authentication_sasl_continue(out: &mut BytesMut, server_first: &[u8]) {
    message(out, b'R', |out| {
        out.put_u32(11);
        out.put_slice(server_first);
    });
}

/// `AuthenticationSASLFinal`, with SCRAM's `server-final-message`.
pub fn authentication_sasl_final(out: &mut BytesMut, server_final: &[u8]) {
    message(out, b'R', |out| {
        out.put_u32(12);
        out.put_slice(server_final);
    });
}

/// `AuthenticationCleartextPassword`.
pub fn authentication_cleartext_password(out: &mut BytesMut) {
    message(out, b'R', |out| out.put_u32(3));
}

/// `AuthenticationOk`.
pub fn authentication_ok(out: &mut BytesMut) {
    message(out, b'R', |out| out.put_u32(0));
}

/// `ParameterStatus`.
pub fn parameter_status(out: &mut BytesMut, name: &str, value: &str) {
    message(out, b'S', |out| {
        cstr(out, name);
        cstr(out, value);
    });
}

/// Reads the body of `ParameterStatus`: name and value, which may be bytes of any encoding.
#[must_use]
pub fn parse_parameter_status(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut parts = body.splitn(3, |&byte| byte == 0);
    let (name, value, rest) = (parts.next()?, parts.next()?, parts.next()?);
    rest.is_empty().then_some((name, value))
}

/// `CommandComplete`.
pub fn command_complete(out: &mut BytesMut, tag: &str) {
    message(out, b'C', |out| cstr(out, tag));
}

/// A `NotificationResponse`: who notified, on which channel, and with what, as bytes of the client's encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notification<'b> {
    pid: [u8; 4],
    /// The channel's name.
    pub channel: &'b [u8],
    payload: &'b [u8],
}

impl<'b> Notification<'b> {
    /// Reads the body of the message; `None` if it is not one.
    #[must_use]
    pub fn parse(body: &'b [u8]) -> Option<Self> {
        let (pid, texts) = body.split_first_chunk()?;
        let mut parts = texts.splitn(3, |&byte| byte == 0);
        let (channel, payload, rest) = (parts.next()?, parts.next()?, parts.next()?);
        rest.is_empty().then_some(Self { pid: *pid, channel, payload })
    }

    /// Writes the message with another channel's name, which is without zero bytes because it is part of one that was.
    pub fn write_with(&self, out: &mut BytesMut, channel: &[u8]) {
        message(out, b'A', |out| {
            out.put_slice(&self.pid);
            for text in [channel, self.payload] {
                out.put_slice(text);
                out.put_u8(0);
            }
        });
    }
}

/// `BackendKeyData`, in which the secret ends where the message does.
pub fn backend_key_data(out: &mut BytesMut, key: &CancelKey) {
    message(out, b'K', |out| {
        out.put_u32(key.pid);
        out.put_slice(&key.secret);
    });
}

/// `ReadyForQuery`.
pub fn ready_for_query(out: &mut BytesMut, status: TransactionStatus) {
    message(out, b'Z', |out| out.put_u8(status.as_byte()));
}

/// `NegotiateProtocolVersion`: this minor version of protocol 3 will be spoken, and these of the client's protocol options
/// are unknown.
pub fn negotiate_protocol_version<'o>(out: &mut BytesMut, minor: u16, unknown: impl IntoIterator<Item = &'o str>) {
    message(out, b'v', |out| {
        out.put_u32(3 << 16 | u32::from(minor));
        let mut names = BytesMut::new();
        let mut count = 0;
        for name in unknown {
            cstr(&mut names, name);
            count += 1;
        }
        out.put_u32(count);
        out.put_slice(&names);
    });
}

#[cfg(test)]
mod tests {
    use postgres_protocol::message::backend::Message;

    use super::*;

    fn read(write: impl FnOnce(&mut BytesMut)) -> Message {
        let mut out = BytesMut::new();
        write(&mut out);
        let read = Message::parse(&mut out).expect("a message").expect("a whole one");
        assert!(out.is_empty());
        read
    }

    #[test]
    fn a_client_understands_what_is_said() {
        assert!(matches!(read(authentication_ok), Message::AuthenticationOk));
        let key = CancelKey { pid: 3, secret: [0, 0, 0, 4].into() };
        assert!(matches!(read(|out| backend_key_data(out, &key)),
            Message::BackendKeyData(data) if (data.process_id(), data.secret_key()) == (3, 4)));
        assert!(matches!(read(|out| ready_for_query(out, TransactionStatus::Failed)),
            Message::ReadyForQuery(body) if body.status() == b'E'));
        assert!(matches!(read(|out| parameter_status(out, "TimeZone", "UTC")),
            Message::ParameterStatus(body) if (body.name().ok(), body.value().ok()) == (Some("TimeZone"), Some("UTC"))));
        assert!(matches!(read(|out| authentication_sasl_continue(out, b"r=")),
            Message::AuthenticationSaslContinue(body) if body.data() == b"r="));
        assert!(matches!(read(|out| authentication_sasl_final(out, b"v=")),
            Message::AuthenticationSaslFinal(body) if body.data() == b"v="));
        for plus in [false, true] {
            assert!(matches!(read(|out| authentication_sasl(out, plus)), Message::AuthenticationSasl(_)));
        }
    }

    #[test]
    fn what_a_server_reports_is_read_and_can_be_said_again() {
        let body = b"\0\0\0\x07n_0123_pets\0barks\0";
        let notification = Notification::parse(body).expect("a notification");
        assert_eq!(notification.channel, b"n_0123_pets");
        assert!(matches!(read(|out| notification.write_with(out, b"pets")),
            Message::NotificationResponse(it)
                if (it.process_id(), it.channel().ok(), it.message().ok()) == (7, Some("pets"), Some("barks"))));
        for bad in [&b""[..], b"\0\0\0\x07", b"\0\0\0\x07a\0b", b"\0\0\0\x07a\0b\0c"] {
            assert_eq!(Notification::parse(bad), None, "{bad:?}");
        }

        assert_eq!(parse_parameter_status(b"TimeZone\0UTC\0"), Some((&b"TimeZone"[..], &b"UTC"[..])));
        for bad in [&b""[..], b"TimeZone\0UTC", b"TimeZone\0UTC\0x"] {
            assert_eq!(parse_parameter_status(bad), None, "{bad:?}");
        }
        assert!(matches!(read(|out| command_complete(out, "TRUNCATE TABLE")),
            Message::CommandComplete(body) if body.tag().ok() == Some("TRUNCATE TABLE")));
    }

    #[test]
    fn unknown_protocol_options_are_counted() {
        let mut out = BytesMut::new();
        negotiate_protocol_version(&mut out, 2, ["_pq_.a", "_pq_.b"]);
        assert_eq!(&out[..], b"v\0\0\0\x1a\0\x03\0\x02\0\0\0\x02_pq_.a\0_pq_.b\0");
    }
}
