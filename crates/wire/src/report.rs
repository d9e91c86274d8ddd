//! `ErrorResponse` (PostgreSQL manual, 55.8).

use bytes::{BufMut, BytesMut};

use crate::write::{cstr, message};

/// How an error leaves the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The statement failed.
    Error,
    /// The session ends.
    Fatal,
}

impl Severity {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
        }
    }
}

/// An error that síndico says itself.
#[derive(Debug, Clone, Copy)]
pub struct Report<'t> {
    /// How it leaves the session.
    pub severity: Severity,
    /// SQLSTATE, five characters (PostgreSQL manual, appendix A).
    pub sqlstate: &'t str,
    /// What was wrong.
    pub message: &'t str,
    /// What to do about it; empty for nothing.
    pub hint: &'t str,
}

impl Report<'_> {
    /// Appends the message.
    pub fn write(&self, out: &mut BytesMut) {
        message(out, b'E', |out| {
            let severity = self.severity.as_str();
            for (field, value) in
                [(b'S', severity), (b'V', severity), (b'C', self.sqlstate), (b'M', self.message), (b'H', self.hint)]
            {
                if !value.is_empty() {
                    out.put_u8(field);
                    cstr(out, value);
                }
            }
            out.put_u8(0);
        });
    }
}

/// An error that a server said: the fields that decide what happens next. Bytes that are not UTF-8 become U+FFFD, since an
/// error from before the encoding was agreed on is in the server's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerError {
    /// SQLSTATE.
    pub sqlstate: String,
    /// The primary message.
    pub message: String,
}

impl ServerError {
    /// Reads the body of an `ErrorResponse`; `None` if it is not one or lacks what every one has.
    #[must_use]
    pub fn parse(mut body: &[u8]) -> Option<Self> {
        let (mut sqlstate, mut message) = (None, None);
        loop {
            let (&field, rest) = body.split_first()?;
            if field == 0 {
                return rest.is_empty().then_some(Self { sqlstate: sqlstate?, message: message? });
            }
            let end = rest.iter().position(|&byte| byte == 0)?;
            let value = || rest.get(..end).map(|text| String::from_utf8_lossy(text).into_owned());
            match field {
                b'C' => sqlstate = value(),
                b'M' => message = value(),
                _ => {}
            }
            body = rest.get(end + 1..)?;
        }
    }
}

/// The SQLSTATE of an `ErrorResponse` or a `NoticeResponse`, from the message's body; `None` if it has none before its
/// end.
#[must_use]
pub fn sqlstate(body: &[u8]) -> Option<&[u8]> {
    let mut fields = body.split(|&byte| byte == 0).take_while(|field| !field.is_empty());
    fields.find_map(|field| field.strip_prefix(b"C"))
}

/// Whether an `ErrorResponse`, by its body, is the last word of a session: its severity is FATAL or PANIC, in the field that
/// is not translated.
#[must_use]
pub fn ends_session(body: &[u8]) -> bool {
    let mut fields = body.split(|&byte| byte == 0).take_while(|field| !field.is_empty());
    fields.any(|field| matches!(field, b"VFATAL" | b"VPANIC"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::frame::HEADER_LEN;

    #[test]
    fn what_is_written_is_read() {
        let report =
            Report { severity: Severity::Fatal, sqlstate: "28P01", message: "no\0Mway", hint: "use the other key" };
        let mut out = BytesMut::new();
        report.write(&mut out);
        assert_eq!(&out[HEADER_LEN..], b"SFATAL\0VFATAL\0C28P01\0Mno\0Huse the other key\0\0");
        assert!(ends_session(&out[HEADER_LEN..]) && !ends_session(b"SFATAL\0VERROR\0\0VFATAL\0"));
        let read = ServerError::parse(&out[HEADER_LEN..]);
        assert_eq!(sqlstate(&out[HEADER_LEN..]), Some(&b"28P01"[..]));
        assert_eq!(sqlstate(b"SINFO\0\0C28P01\0"), None, "past the end");
        assert_eq!(read, Some(ServerError { sqlstate: "28P01".to_owned(), message: "no".to_owned() }));
    }

    #[test]
    fn half_an_error_is_none() {
        for bad in [&b""[..], b"\0", b"C28P01\0\0", b"C28P01\0Mx\0", b"C28P01\0Mx", b"C28P01\0Mx\0\0Z"] {
            assert_eq!(ServerError::parse(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let _error = ServerError::parse(&bytes);
            let _sqlstate = sqlstate(&bytes);
            let _ends = ends_session(&bytes);
        }
    }
}
