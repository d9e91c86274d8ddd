//! How a client opens a connection: messages without a tag (PostgreSQL manual, 55.2.1 and 55.7).

use std::collections::BTreeMap;
use std::str;
use std::sync::Arc;

use bytes::{BufMut, BytesMut};

use crate::write;

/// Bytes in the longest message of this phase, its length field included: PostgreSQL's `MAX_STARTUP_PACKET_LENGTH`.
pub const MAX_LEN: usize = 10_000;

/// Bytes of the length field.
pub const LENGTH_LEN: usize = 4;

/// Newest minor version of protocol 3 that is spoken here. PostgreSQL has skipped 3.1 and reserves it.
pub const MINOR: u16 = 2;

/// The first minor version in which cancel keys may be longer than [`SHORT_SECRET_LEN`].
const LONG_SECRETS: u16 = 2;

/// Bytes of a cancel key's secret up to protocol 3.0.
pub const SHORT_SECRET_LEN: usize = 4;

/// Most bytes of a cancel key's secret.
const MAX_SECRET_LEN: usize = 256;

const MAJOR: u16 = 3;
/// Numbers that stand in the version's place and cannot be versions, their upper half being 1234.
const CANCEL_REQUEST: u32 = 80_877_102;
const SSL_REQUEST: u32 = 80_877_103;
const GSSENC_REQUEST: u32 = 80_877_104;

/// What a client may begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opening {
    /// Asks for TLS; answered by one byte, after which the client begins again.
    Ssl,
    /// Asks for GSSAPI encryption; answered like [`Opening::Ssl`].
    GssEnc,
    /// Asks to interrupt another session, and closes.
    Cancel(CancelKey),
    /// Begins a session.
    Session(Startup),
}

/// What `BackendKeyData` gave a client and `CancelRequest` brings back. Knowing it is all the right there is to cancel.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CancelKey {
    /// The backend's process id, or whatever stands for it.
    pub pid: u32,
    /// The secret: [`SHORT_SECRET_LEN`] bytes up to protocol 3.0, up to 256 from 3.2 on. Shared, because each
    /// transaction takes the key along.
    pub secret: Arc<[u8]>,
}

impl CancelKey {
    /// Reads what `BackendKeyData` and `CancelRequest` have in common; `None` if the secret has an impossible length.
    #[must_use]
    pub fn parse(body: &[u8]) -> Option<Self> {
        let (pid, secret) = body.split_first_chunk()?;
        let possible = (SHORT_SECRET_LEN..=MAX_SECRET_LEN).contains(&secret.len());
        possible.then(|| Self { pid: u32::from_be_bytes(*pid), secret: secret.into() })
    }
}

impl std::fmt::Debug for CancelKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CancelKey").field("pid", &self.pid).finish_non_exhaustive()
    }
}

/// A client's `StartupMessage`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Startup {
    /// Minor version of protocol 3 that the client would like to speak.
    pub minor: u16,
    /// Settings by name. Of two with the same name the later one counts, as in PostgreSQL.
    pub parameters: BTreeMap<String, String>,
}

impl Startup {
    /// The minor version that will be spoken: what the client would like, as far as it is known here.
    #[must_use]
    pub fn spoken(&self) -> u16 {
        self.minor.min(MINOR)
    }

    /// Whether the client can be given a cancel key that is longer than [`SHORT_SECRET_LEN`].
    #[must_use]
    pub fn takes_long_secrets(&self) -> bool {
        self.spoken() >= LONG_SECRETS
    }

    /// Whether the client has to be told that it does not get all that it has asked for.
    #[must_use]
    pub fn is_to_be_told(&self) -> bool {
        self.minor > MINOR || self.protocol_options().next().is_some()
    }

    /// Protocol options (`_pq_.…`) that were asked for. None is known here, which `NegotiateProtocolVersion` tells.
    pub fn protocol_options(&self) -> impl Iterator<Item = &str> {
        self.parameters.keys().map(String::as_str).filter(|name| name.starts_with("_pq_."))
    }
}

/// A message that opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StartupError {
    /// Outside of what PostgreSQL accepts.
    #[error("startup message claims {0} bytes; 8 to 10000 are possible, so this is probably not a PostgreSQL client")]
    BadLength(u32),
    /// Not protocol 3.
    #[error("protocol version {0}.{1} is not supported; use a client that speaks version 3")]
    Version(u16, u16),
    /// Parameters that do not end where the message does, or are not text.
    #[error("startup message is malformed: {0}; the client or something between has damaged it")]
    Malformed(&'static str),
}

/// Bytes that follow a length field.
pub fn body_len(length: [u8; LENGTH_LEN]) -> Result<usize, StartupError> {
    let claimed = u32::from_be_bytes(length);
    usize::try_from(claimed)
        .ok()
        .filter(|length| (8..=MAX_LEN).contains(length))
        .map(|length| length - LENGTH_LEN)
        .ok_or(StartupError::BadLength(claimed))
}

/// Reads a message without its length field.
pub fn parse(body: &[u8]) -> Result<Opening, StartupError> {
    let (code, rest) = body.split_first_chunk().ok_or(StartupError::Malformed("it has no version"))?;
    match u32::from_be_bytes(*code) {
        SSL_REQUEST if rest.is_empty() => Ok(Opening::Ssl),
        GSSENC_REQUEST if rest.is_empty() => Ok(Opening::GssEnc),
        CANCEL_REQUEST => CancelKey::parse(rest)
            .map(Opening::Cancel)
            .ok_or(StartupError::Malformed("the key of a cancel request has 4 to 256 bytes")),
        SSL_REQUEST | GSSENC_REQUEST => Err(StartupError::Malformed("bytes follow a request for encryption")),
        _ => {
            let [a, b, c, d] = *code;
            match (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])) {
                (MAJOR, minor) => Ok(Opening::Session(Startup { minor, parameters: parameters(rest)? })),
                (major, minor) => Err(StartupError::Version(major, minor)),
            }
        }
    }
}

fn parameters(mut rest: &[u8]) -> Result<BTreeMap<String, String>, StartupError> {
    let mut parameters = BTreeMap::new();
    loop {
        match rest {
            [0] => return Ok(parameters),
            [0, ..] => return Err(StartupError::Malformed("bytes follow the end of the parameters")),
            _ => {}
        }
        let name = text(&mut rest)?;
        let value = text(&mut rest)?;
        parameters.insert(name, value);
    }
}

fn text(rest: &mut &[u8]) -> Result<String, StartupError> {
    let end = rest.iter().position(|&byte| byte == 0).ok_or(StartupError::Malformed("its parameters do not end"))?;
    let (text, after) = rest.split_at(end);
    *rest = after.get(1..).unwrap_or_default();
    let text = str::from_utf8(text).map_err(|_| StartupError::Malformed("a parameter is not UTF-8"))?;
    Ok(text.to_owned())
}

/// Writes a `StartupMessage` of protocol 3.0.
pub fn session<'p>(out: &mut BytesMut, parameters: impl IntoIterator<Item = (&'p str, &'p str)>) {
    write::counted(out, |out| {
        out.put_u16(MAJOR);
        out.put_u16(0);
        for (name, value) in parameters {
            write::cstr(out, name);
            write::cstr(out, value);
        }
        out.put_u8(0);
    });
}

/// Writes a `CancelRequest`.
pub fn cancel(out: &mut BytesMut, key: &CancelKey) {
    write::counted(out, |out| {
        out.put_u32(CANCEL_REQUEST);
        out.put_u32(key.pid);
        out.put_slice(&key.secret);
    });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(message: &[u8]) -> Result<Opening, StartupError> {
        let (length, body) = message.split_first_chunk().ok_or(StartupError::Malformed("short"))?;
        assert_eq!(body_len(*length)?, body.len());
        parse(body)
    }

    #[test]
    fn what_is_written_is_read() {
        let mut out = BytesMut::new();
        session(&mut out, [("user", "happy-paws"), ("database", "petshop"), ("user", "last-wins")]);
        let Ok(Opening::Session(startup)) = read(&out) else { panic!("no session") };
        assert_eq!((startup.minor, startup.parameters["user"].as_str()), (0, "last-wins"));

        for len in [4, 32, 256] {
            let key = CancelKey { pid: 7, secret: vec![0xde; len].into() };
            out.clear();
            cancel(&mut out, &key);
            assert!(!format!("{key:?}").contains(&0xde.to_string()));
            assert_eq!(read(&out), Ok(Opening::Cancel(key)));
        }
        for len in [0, 3, 257] {
            out.clear();
            cancel(&mut out, &CancelKey { pid: 7, secret: vec![0xde; len].into() });
            assert!(matches!(read(&out), Err(StartupError::Malformed(_))), "{len}");
        }
    }

    #[test]
    fn requests_for_encryption_carry_nothing_else() {
        assert_eq!(parse(&80_877_103_u32.to_be_bytes()), Ok(Opening::Ssl));
        assert_eq!(parse(&80_877_104_u32.to_be_bytes()), Ok(Opening::GssEnc));
        assert!(matches!(parse(b"\x04\xd2\x16\x2fhello"), Err(StartupError::Malformed(_))));
    }

    #[test]
    fn newer_minor_versions_and_their_options_are_noticed() {
        let Ok(Opening::Session(startup)) = parse(b"\0\x03\x27\x0f_pq_.grease\0on\0user\0a\0\0") else {
            panic!("no session")
        };
        assert_eq!((startup.minor, startup.spoken()), (9999, 2));
        assert!(startup.takes_long_secrets() && startup.is_to_be_told());
        assert_eq!(startup.protocol_options().collect::<Vec<_>>(), ["_pq_.grease"]);
    }

    #[test]
    fn other_protocols_and_damage_are_refused() {
        assert_eq!(body_len(*b"GET "), Err(StartupError::BadLength(0x4745_5420)));
        assert_eq!(body_len([0, 0, 0, 7]), Err(StartupError::BadLength(7)));
        assert_eq!(body_len([0, 0, 0x27, 0x11]), Err(StartupError::BadLength(10_001)));
        assert_eq!(parse(b"\0\x02\0\0"), Err(StartupError::Version(2, 0)));
        for damaged in
            [&b"\0\x03\0\0"[..], b"\0\x03\0\0user\0a\0", b"\0\x03\0\0user\0\0\0x", b"\0\x03\0\0user\0\xff\0\0", b"\0"]
        {
            assert!(matches!(parse(damaged), Err(StartupError::Malformed(_))), "{damaged:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let _opening = parse(&bytes);
            let mut session = vec![0, 3, 0, 0];
            session.extend(bytes);
            let _opening = parse(&session);
        }
    }
}
