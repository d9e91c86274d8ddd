//! Rows as COPY writes them in its text format: one a line, since a newline within a value is written as `\n`
//! (PostgreSQL manual, COPY, "Text Format").

use aws_lc_rs::digest::{SHA256, digest};
use bytes::{Bytes, BytesMut};
use data_encoding::HEXLOWER;
use memchr::{memchr, memchr_iter};

/// Counts rows and adds up their digests, in whichever order they come and however they are cut into pieces.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    sum: [u64; 4],
    /// The beginning of a row that goes on in the next piece.
    begun: BytesMut,
}

impl Tally {
    pub(crate) fn add(&mut self, piece: &[u8]) {
        self.bytes += u64::try_from(piece.len()).unwrap_or(0);
        let mut rest = piece;
        while let Some(end) = memchr(b'\n', rest) {
            let (row, more) = rest.split_at(end);
            rest = more.get(1..).unwrap_or_default();
            if self.begun.is_empty() {
                self.row(row);
            } else {
                let mut whole = self.begun.split();
                whole.extend_from_slice(row);
                self.row(&whole);
            }
        }
        self.begun.extend_from_slice(rest);
    }

    /// Whether it ends with the end of a row.
    pub(super) fn is_whole(&self) -> bool {
        self.begun.is_empty()
    }

    /// The sum, as it is written down.
    pub(super) fn digest(&self) -> String {
        let bytes: Vec<u8> = self.sum.iter().rev().flat_map(|limb| limb.to_be_bytes()).collect();
        HEXLOWER.encode(&bytes)
    }

    fn row(&mut self, row: &[u8]) {
        self.rows += 1;
        let hash = digest(&SHA256, row);
        let mut carry = false;
        // Big-endian bytes, the lowest limb last.
        for (limb, bytes) in self.sum.iter_mut().zip(hash.as_ref().rchunks(8)) {
            let add = bytes.iter().fold(0, |number: u64, byte| number << 8 | u64::from(*byte));
            let (once, over) = limb.overflowing_add(add);
            let (twice, again) = once.overflowing_add(u64::from(carry));
            (*limb, carry) = (twice, over || again);
        }
    }
}

/// Writes one more value at the end of each row.
pub(super) fn with_value(piece: &Bytes, value: &str) -> Bytes {
    let rows = memchr_iter(b'\n', piece).count();
    let mut out = BytesMut::with_capacity(piece.len() + rows * (value.len() + 1));
    let mut rest = piece.as_ref();
    while let Some(end) = memchr(b'\n', rest) {
        let (row, more) = rest.split_at(end);
        out.extend_from_slice(row);
        out.extend_from_slice(b"\t");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\n");
        rest = more.get(1..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(pieces: &[&[u8]]) -> Tally {
        let mut tally = Tally::default();
        for piece in pieces {
            tally.add(piece);
        }
        tally
    }

    #[test]
    fn order_and_pieces_make_no_difference() {
        let whole = tally(&[b"1\ta\n2\tb\n3\t\\N\n"]);
        assert_eq!((whole.rows, whole.bytes, whole.is_whole()), (3, 13, true));
        for pieces in [&[&b"3\t\\N\n1"[..], b"\ta\n", b"2\tb\n"][..], &[b"2\tb\n1\ta\n", b"", b"3\t", b"\\", b"N\n"]] {
            assert_eq!(tally(pieces).digest(), whole.digest(), "{pieces:?}");
        }
    }

    #[test]
    fn other_rows_have_another_digest() {
        let whole = tally(&[b"1\ta\n2\tb\n"]);
        for other in [&b"1\ta\n"[..], b"1\ta\n2\tb\n2\tb\n", b"1\tb\n2\ta\n", b"", b"1\ta2\tb\n\n"] {
            assert_ne!(tally(&[other]).digest(), whole.digest());
        }
        assert!(!tally(&[b"1\ta"]).is_whole());
    }

    #[test]
    fn a_digest_is_that_of_its_only_row() {
        let expected = HEXLOWER.encode(digest(&SHA256, b"1\ta").as_ref());
        assert_eq!(tally(&[b"1\ta\n"]).digest(), expected);
    }

    #[test]
    fn a_value_is_added_to_each_row_and_to_no_part_of_one() {
        let added = |piece: &'static [u8]| with_value(&Bytes::from_static(piece), "x");
        assert_eq!(added(b"1\ta\n2\tb\n"), "1\ta\tx\n2\tb\tx\n");
        assert_eq!(added(b"1\ta\n2"), "1\ta\tx\n2");
        assert_eq!(added(b""), "");
    }
}
