//! The transaction that is run, as bytes.

use bytes::{BufMut as _, BytesMut};
use wire::{frame, frontend};

use crate::draw::Random;

const NUMBER: &str = "{n}";
/// What it is called where it is prepared.
const NAME: &[u8] = b"load\0";

/// One statement, with or without a random number in it.
#[derive(Debug)]
pub(crate) struct Statement {
    /// Around the number: one part without a number, two with one.
    parts: Vec<String>,
    rows: u32,
    prepared: bool,
}

impl Statement {
    /// `text` with numbers from 1 to `rows` for `{n}`.
    pub(crate) fn new(text: &str, rows: u32, prepared: bool) -> Self {
        Self { parts: text.splitn(2, NUMBER).map(ToOwned::to_owned).collect(), rows, prepared }
    }

    /// What a new connection has to be told; nothing if the statement is not prepared.
    pub(crate) fn prepare(&self) -> Option<BytesMut> {
        let mut body = BytesMut::from(NAME);
        body.put_slice(self.parts.join("$1").as_bytes());
        body.put_u8(0);
        body.put_u16(0);
        let mut out = BytesMut::new();
        frame::append(&mut out, b'P', &body);
        frontend::sync(&mut out);
        self.prepared.then_some(out)
    }

    /// Writes one execution in place of what `out` held.
    pub(crate) fn write(&self, out: &mut BytesMut, random: &mut Random) {
        out.clear();
        let number = random.up_to(self.rows).to_string();
        if self.prepared {
            self.bind(out, &number);
        } else {
            frontend::query(out, &self.parts.join(&number));
        }
    }

    fn bind(&self, out: &mut BytesMut, number: &str) {
        // Unnamed portal, the statement, every parameter and every result as text (PostgreSQL manual, 55.7).
        let mut body = BytesMut::from(&b"\0"[..]);
        body.put_slice(NAME);
        body.put_u16(0);
        if self.parts.len() > 1 {
            body.put_u16(1);
            // Ten digits at most.
            body.put_u32(u32::try_from(number.len()).unwrap_or(u32::MAX));
            body.put_slice(number.as_bytes());
        } else {
            body.put_u16(0);
        }
        body.put_u16(0);
        frame::append(out, b'B', &body);
        frame::append(out, b'E', b"\0\0\0\0\0");
        frontend::sync(out);
    }
}
