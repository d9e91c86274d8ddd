//! What a client says: written when síndico is the client, and read where a login needs it (PostgreSQL manual, 55.7).

use std::str;

use bytes::{BufMut, BytesMut};

use crate::write::{cstr, message};

/// Writes `Query`.
pub fn query(out: &mut BytesMut, sql: &str) {
    message(out, b'Q', |out| cstr(out, sql));
}

/// Writes `Terminate`.
pub fn terminate(out: &mut BytesMut) {
    message(out, b'X', |_| {});
}

/// Writes `SASLInitialResponse`.
pub fn sasl_initial_response(out: &mut BytesMut, mechanism: &str, data: &[u8]) {
    message(out, b'p', |out| {
        cstr(out, mechanism);
        // SCRAM's messages stay far below 4 GiB; a reader refuses the length otherwise.
        out.put_u32(u32::try_from(data.len()).unwrap_or(u32::MAX));
        out.put_slice(data);
    });
}

/// Writes `SASLResponse`.
pub fn sasl_response(out: &mut BytesMut, data: &[u8]) {
    message(out, b'p', |out| out.put_slice(data));
}

/// A client's choice of mechanism and its first data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SaslInitialResponse<'b> {
    /// One of those offered, if the client keeps to the rules.
    pub mechanism: &'b str,
    /// First message of the mechanism.
    pub data: &'b [u8],
}

impl<'b> SaslInitialResponse<'b> {
    /// Reads the body of the message; `None` if it is not one. A length of -1, "no data", is none either: every mechanism
    /// on offer has the client speak first.
    #[must_use]
    pub fn parse(body: &'b [u8]) -> Option<Self> {
        let end = body.iter().position(|&byte| byte == 0)?;
        let mechanism = str::from_utf8(body.get(..end)?).ok()?;
        let (length, data) = body.get(end + 1..)?.split_first_chunk()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        (data.len() == length).then_some(Self { mechanism, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::HEADER_LEN;

    #[test]
    fn a_choice_of_mechanism_is_read_as_written() {
        let mut out = BytesMut::new();
        sasl_initial_response(&mut out, "SCRAM-SHA-256", b"n,,n=,r=x");
        let read = SaslInitialResponse::parse(&out[HEADER_LEN..]);
        assert_eq!(read, Some(SaslInitialResponse { mechanism: "SCRAM-SHA-256", data: b"n,,n=,r=x" }));
        for bad in
            [&b""[..], b"SCRAM", b"SCRAM\0", b"SCRAM\0\xff\xff\xff\xff", b"SCRAM\0\0\0\0\x02a", b"\xff\0\0\0\0\0"]
        {
            assert_eq!(SaslInitialResponse::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_zero_byte_ends_the_text_and_not_only_the_field() {
        let mut out = BytesMut::new();
        query(&mut out, "SELECT 1\0Q\0\0");
        assert_eq!(&out[..], b"Q\0\0\0\x0dSELECT 1\0");
        out.clear();
        terminate(&mut out);
        assert_eq!(&out[..], b"X\0\0\0\x04");
    }
}
