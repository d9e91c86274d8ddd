//! The two things that every message is written with.

use bytes::{BufMut, BytesMut};

/// Writes a tag, a length that is filled in afterwards, and the body.
pub(crate) fn message(out: &mut BytesMut, tag: u8, body: impl FnOnce(&mut BytesMut)) {
    out.put_u8(tag);
    counted(out, body);
}

/// Writes a length that counts itself, and the body; on its own this is a message of the startup phase.
pub(crate) fn counted(out: &mut BytesMut, body: impl FnOnce(&mut BytesMut)) {
    let start = out.len();
    out.put_u32(0);
    body(out);
    // Readers refuse anything over 1 GiB, so a body too long for the field is refused instead of misread.
    let len = u32::try_from(out.len() - start).unwrap_or(u32::MAX);
    if let Some(field) = out.get_mut(start..start + 4) {
        field.copy_from_slice(&len.to_be_bytes());
    }
}

/// Writes a string and its terminating zero byte. A zero byte inside would let the rest pass for further fields, so the
/// string ends there.
pub(crate) fn cstr(out: &mut BytesMut, text: &str) {
    let text = text.split('\0').next().unwrap_or_default();
    out.put_slice(text.as_bytes());
    out.put_u8(0);
}
