//! What a client says: written when síndico is the client, and read where a login needs it (PostgreSQL manual, 55.7).

use std::str;

use bytes::{BufMut, BytesMut};

use crate::write::{cstr, message};

/// Writes `Query`.
pub fn query(out: &mut BytesMut, sql: &str) {
    message(out, b'Q', |out| cstr(out, sql));
}

/// A `Query` or `Parse`: its SQL, and what stands around it. Everything is bytes, since the client's encoding may be any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statement<'b> {
    tag: u8,
    /// The name that a `Parse` gives, with its end.
    name: &'b [u8],
    /// The SQL.
    pub text: &'b [u8],
    /// The parameter types of a `Parse`, unread.
    types: &'b [u8],
}

impl<'b> Statement<'b> {
    /// Reads the body of a message; `None` if it is no such message, or one that a server refuses for its form.
    #[must_use]
    pub fn parse(tag: u8, body: &'b [u8]) -> Option<Self> {
        let end_of = |bytes: &[u8]| memchr::memchr(0, bytes);
        let name_len = match tag {
            b'Q' => 0,
            b'P' => end_of(body)? + 1,
            _ => return None,
        };
        let (name, rest) = body.split_at_checked(name_len)?;
        let text_len = end_of(rest)?;
        let (text, types) = (rest.get(..text_len)?, rest.get(text_len + 1..)?);
        (tag == b'P' || types.is_empty()).then_some(Self { tag, name, text, types })
    }

    /// Writes the message with another text. A zero byte ends the text, as everywhere in the protocol.
    pub fn write_with(&self, out: &mut BytesMut, text: &[u8]) {
        message(out, self.tag, |out| {
            out.put_slice(self.name);
            out.put_slice(text.split(|&byte| byte == 0).next().unwrap_or_default());
            out.put_u8(0);
            out.put_slice(self.types);
        });
    }
}

/// Writes `Parse` for the unnamed statement, which leaves its parameters' types to the server.
pub fn parse(out: &mut BytesMut, sql: &str) {
    message(out, b'P', |out| {
        out.put_u8(0);
        cstr(out, sql);
        out.put_u16(0);
    });
}

/// Writes `Parse` under a name; `rest` is the message's body behind the name: text and parameter types.
pub fn parse_as(out: &mut BytesMut, name: &str, rest: &[u8]) {
    message(out, b'P', |out| {
        cstr(out, name);
        out.put_slice(rest);
    });
}

/// Writes `Close` of a prepared statement.
pub fn close_statement(out: &mut BytesMut, name: &str) {
    message(out, b'C', |out| {
        out.put_u8(b'S');
        cstr(out, name);
    });
}

/// Writes `Sync`.
pub fn sync(out: &mut BytesMut) {
    message(out, b'S', |_| {});
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
    fn a_statement_keeps_its_name_and_types_when_its_text_changes() {
        let mut out = BytesMut::new();
        let body = b"s1\0SELECT $1\0\0\x01\0\0\0\x17";
        let statement = Statement::parse(b'P', body).expect("a statement");
        assert_eq!(statement.text, b"SELECT $1");
        statement.write_with(&mut out, statement.text);
        assert_eq!(&out[HEADER_LEN..], body);
        out.clear();
        statement.write_with(&mut out, b"VALUES ($1)\0; DROP");
        assert_eq!(&out[..], b"P\0\0\0\x19s1\0VALUES ($1)\0\0\x01\0\0\0\x17");
        out.clear();
        parse(&mut out, "SELECT 1");
        assert_eq!(&out[..], b"P\0\0\0\x10\0SELECT 1\0\0\0");

        assert_eq!(Statement::parse(b'Q', b"SELECT 1\0").map(|statement| statement.text), Some(&b"SELECT 1"[..]));
        for (tag, bad) in
            [(b'Q', &b"SELECT 1"[..]), (b'Q', b"SELECT 1\0x"), (b'Q', b""), (b'P', b"s1\0SELECT"), (b'B', b"\0\0")]
        {
            assert_eq!(Statement::parse(tag, bad), None, "{bad:?}");
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
