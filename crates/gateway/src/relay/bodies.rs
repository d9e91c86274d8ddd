//! What stands in the bodies of a client's messages: names of statements, and texts that are about them.

use bytes::BytesMut;
use wire::frame::HEADER_LEN;

/// A text that begins a transaction and does nothing else.
pub(super) fn beginning(text: &[u8]) -> Option<&str> {
    let text = str::from_utf8(text).ok()?.trim().trim_end_matches(';');
    let first = text.split(|c: char| !c.is_ascii_alphabetic()).next()?;
    let begins = ["BEGIN", "START"].iter().any(|word| word.eq_ignore_ascii_case(first));
    (begins && !text.contains(';')).then_some(text)
}

/// The name that a text takes from a prepared statement, if it is `DEALLOCATE` of one and nothing else.
pub(super) fn deallocated(text: &[u8]) -> Option<Vec<u8>> {
    // Nearly no statement begins so.
    let blank = |byte: &&u8| byte.is_ascii_whitespace() || **byte == b'\x0b';
    text.iter().find(|byte| !blank(byte)).filter(|first| first.eq_ignore_ascii_case(&b'd'))?;
    let text = str::from_utf8(text).ok()?.trim().trim_end_matches(';').trim_end();
    let after = |text: &'_ str, word: &str| -> Option<usize> {
        let (head, tail) = text.split_at_checked(word.len())?;
        (head.eq_ignore_ascii_case(word) && tail.starts_with(char::is_whitespace)).then_some(word.len())
    };
    let mut name = text.get(after(text, "DEALLOCATE")?..)?.trim_start();
    if let Some(at) = after(name, "PREPARE") {
        name = name.get(at..)?.trim_start();
    }
    if let Some(quoted) = name.strip_prefix('"') {
        let inner = quoted.strip_suffix('"')?.replace("\"\"", "\u{0}");
        return (!inner.contains('"')).then(|| inner.replace('\u{0}', "\"").into_bytes());
    }
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    plain.then(|| name.to_ascii_lowercase().into_bytes())
}

/// The portal and the statement that a `Bind` names.
pub(super) fn names_of_bind(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let (portal, rest) = split_name(body)?;
    Some((portal, split_name(rest)?.0))
}

/// Whether bytes stand in others.
pub(super) fn contains(text: &[u8], sought: &[u8]) -> bool {
    !sought.is_empty() && text.windows(sought.len()).any(|window| window == sought)
}

pub(super) fn split_name(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(0, body)?;
    Some((body.get(..end)?, body.get(end + 1..)?))
}

/// Appends a message of which so many bytes follow later.
pub(super) fn with_header(mut out: BytesMut, tag: u8, missing: usize, parts: &[&[u8]]) -> BytesMut {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    out.reserve(HEADER_LEN + len);
    out.extend_from_slice(&[tag]);
    out.extend_from_slice(&u32::try_from(len + missing + 4).unwrap_or(u32::MAX).to_be_bytes());
    for part in parts {
        out.extend_from_slice(part);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::deallocated;

    #[test]
    fn a_name_that_is_given_up_is_read_as_sql_does() {
        for (text, name) in [
            ("DEALLOCATE _pg3_0", Some("_pg3_0")),
            (" deallocate PREPARE \"S 1\" ; ", Some("S 1")),
            ("\x0bDEALLOCATE a", Some("a")),
            ("DEALLOCATE \"a\"\"b\"", Some("a\"b")),
            ("DEALLOCATE Up", Some("up")),
            ("DEALLOCATE a; SELECT 1", None),
            ("DEALLOCATE \"a\" x", None),
            ("DEALLOCATED x", None),
        ] {
            assert_eq!(deallocated(text.as_bytes()).as_deref(), name.map(str::as_bytes), "{text}");
        }
    }
}
