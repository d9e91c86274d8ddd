//! Framing, written a second time: what `wire` believes of it is part of what is tried.

/// What may come from a client.
pub(super) const TO_SERVER: &[u8] = b"BCDEFHPQSXcdfp";
/// What may come from a server, logins aside.
pub(super) const TO_CLIENT: &[u8] = b"123ACDEGHINSTVWZcdnst";

/// One message: its tag, and its body.
pub(super) type Message = (u8, Vec<u8>);

/// Takes the first message out of a stream; `None` if it has not come whole.
pub(super) fn take(stream: &mut Vec<u8>, known: &[u8]) -> Result<Option<Message>, String> {
    let &[tag, a, b, c, d, ..] = stream.as_slice() else {
        let sound = stream.first().is_none_or(|tag| known.contains(tag));
        return if sound { Ok(None) } else { Err(format!("tag {:?}", stream.first().map(|tag| char::from(*tag)))) };
    };
    let length = u32::from_be_bytes([a, b, c, d]);
    if !known.contains(&tag) || !(4..=1 << 30).contains(&length) {
        return Err(format!("tag {:?} with length {length}", char::from(tag)));
    }
    let end = usize::try_from(length).unwrap_or(usize::MAX).saturating_add(1);
    if stream.len() < end {
        return Ok(None);
    }
    let behind = stream.split_off(end);
    let message = std::mem::replace(stream, behind);
    Ok(Some((tag, message.get(5..).unwrap_or_default().to_vec())))
}

/// Appends a message.
pub(super) fn put(out: &mut Vec<u8>, tag: u8, body: &[u8]) {
    out.push(tag);
    out.extend(u32::try_from(body.len() + 4).unwrap_or(u32::MAX).to_be_bytes());
    out.extend(body);
}

/// Cuts a stream into its messages as far as they are whole, and gives what is left.
pub(super) fn all(mut stream: Vec<u8>, known: &[u8]) -> Result<(Vec<Message>, Vec<u8>), String> {
    let mut messages = Vec::new();
    while let Some(message) = take(&mut stream, known)? {
        messages.push(message);
    }
    Ok((messages, stream))
}

/// The text up to the first zero byte, and what stands behind it.
pub(super) fn text(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = body.iter().position(|byte| *byte == 0)?;
    Some((body.get(..end)?, body.get(end + 1..)?))
}
