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

/// `AuthenticationSASL`, offering [`scram::MECHANISM`] alone.
pub fn authentication_sasl(out: &mut BytesMut) {
    message(out, b'R', |out| {
        out.put_u32(10);
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

/// `BackendKeyData` of protocol 3.0.
pub fn backend_key_data(out: &mut BytesMut, key: CancelKey) {
    message(out, b'K', |out| {
        out.put_u32(key.pid);
        out.put_u32(key.secret);
    });
}

/// `ReadyForQuery`.
pub fn ready_for_query(out: &mut BytesMut, status: TransactionStatus) {
    message(out, b'Z', |out| out.put_u8(status.as_byte()));
}

/// `NegotiateProtocolVersion`: version 3.0 will be spoken, and these of the client's protocol options are unknown.
pub fn negotiate_protocol_version<'o>(out: &mut BytesMut, unknown: impl IntoIterator<Item = &'o str>) {
    message(out, b'v', |out| {
        out.put_u32(3 << 16);
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
        let key = CancelKey { pid: 3, secret: 4 };
        assert!(matches!(read(|out| backend_key_data(out, key)),
            Message::BackendKeyData(data) if (data.process_id(), data.secret_key()) == (3, 4)));
        assert!(matches!(read(|out| ready_for_query(out, TransactionStatus::Failed)),
            Message::ReadyForQuery(body) if body.status() == b'E'));
        assert!(matches!(read(|out| parameter_status(out, "TimeZone", "UTC")),
            Message::ParameterStatus(body) if (body.name().ok(), body.value().ok()) == (Some("TimeZone"), Some("UTC"))));
        assert!(matches!(read(|out| authentication_sasl_continue(out, b"r=")),
            Message::AuthenticationSaslContinue(body) if body.data() == b"r="));
        assert!(matches!(read(|out| authentication_sasl_final(out, b"v=")),
            Message::AuthenticationSaslFinal(body) if body.data() == b"v="));
        assert!(matches!(read(authentication_sasl), Message::AuthenticationSasl(_)));
    }

    #[test]
    fn unknown_protocol_options_are_counted() {
        let mut out = BytesMut::new();
        negotiate_protocol_version(&mut out, ["_pq_.a", "_pq_.b"]);
        assert_eq!(&out[..], b"v\0\0\0\x1a\0\x03\0\0\0\0\0\x02_pq_.a\0_pq_.b\0");
    }
}
