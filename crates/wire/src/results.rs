//! What a server says of a statement's result (PostgreSQL manual, 55.2.2, 55.2.3 and 55.7), for when síndico answers
//! statements itself. All values are text: PostgreSQL's text and binary formats of the type `text` are the same.

use bytes::{BufMut, BytesMut};

use crate::write::{cstr, message};

/// The object id of the type `text`.
const TEXT: u32 = 25;

/// Writes `RowDescription`.
pub fn row_description(out: &mut BytesMut, columns: &[&str]) {
    message(out, b'T', |out| {
        out.put_u16(counted(columns.len()));
        for column in columns {
            cstr(out, column);
            // No table's column.
            out.put_u32(0);
            out.put_u16(0);
            out.put_u32(TEXT);
            // Of any length, without a modifier, as text.
            out.put_i16(-1);
            out.put_i32(-1);
            out.put_u16(0);
        }
    });
}

/// Writes `DataRow`; `None` is NULL.
pub fn data_row<'v>(out: &mut BytesMut, values: impl ExactSizeIterator<Item = Option<&'v str>>) {
    message(out, b'D', |out| {
        out.put_u16(counted(values.len()));
        for value in values {
            match value {
                Some(text) => {
                    // A reader refuses the length if it ever were that long.
                    out.put_u32(u32::try_from(text.len()).unwrap_or(u32::MAX));
                    out.put_slice(text.as_bytes());
                }
                None => out.put_i32(-1),
            }
        }
    });
}

/// Writes `ParameterDescription` of a statement without parameters.
pub fn no_parameters(out: &mut BytesMut) {
    message(out, b't', |out| out.put_u16(0));
}

/// Writes `EmptyQueryResponse`.
pub fn empty_query(out: &mut BytesMut) {
    message(out, b'I', |_| {});
}

/// Writes `NoData`.
pub fn no_data(out: &mut BytesMut) {
    message(out, b'n', |_| {});
}

/// Writes `ParseComplete`.
pub fn parse_complete(out: &mut BytesMut) {
    message(out, b'1', |_| {});
}

/// Writes `BindComplete`.
pub fn bind_complete(out: &mut BytesMut) {
    message(out, b'2', |_| {});
}

/// Writes `CloseComplete`.
pub fn close_complete(out: &mut BytesMut) {
    message(out, b'3', |_| {});
}

/// A result has a handful of columns.
fn counted(columns: usize) -> u16 {
    u16::try_from(columns).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use postgres_protocol::message::backend::Message;

    use super::*;

    #[test]
    fn a_driver_reads_what_is_written() {
        let mut out = BytesMut::new();
        row_description(&mut out, &["name", "clients"]);
        data_row(&mut out, [Some("paws"), None].into_iter());
        for write in [no_parameters, empty_query, no_data, parse_complete, bind_complete, close_complete] {
            write(&mut out);
        }
        let mut next = || Message::parse(&mut out).expect("a message").expect("a whole one");
        assert!(matches!(next(), Message::RowDescription(_)));
        let Message::DataRow(row) = next() else { panic!("a row") };
        assert_eq!(row.buffer(), b"\0\0\0\x04paws\xff\xff\xff\xff");
        assert!(matches!(next(), Message::ParameterDescription(_)));
        assert!(matches!(next(), Message::EmptyQueryResponse));
        assert!(matches!(next(), Message::NoData));
        assert!(matches!(next(), Message::ParseComplete));
        assert!(matches!(next(), Message::BindComplete));
        assert!(matches!(next(), Message::CloseComplete));
    }
}
