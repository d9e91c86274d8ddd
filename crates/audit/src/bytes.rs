//! The notation in which attack files write bytes.
//!
//! Words stand apart by blanks: `00ff` are bytes in hexadecimal digits, `'text'` is text without a blank inside (`~` stands
//! for one), `"text"` the same with a zero byte behind it, `Q{ … }` a message with its length, `{ … }` a length and what it
//! counts, as at the start of a session. `#123` is a number of four bytes, `##5` one of two;
//! `(text)` is a text with its length in four bytes before it.

use bytes::{BufMut as _, BytesMut};

/// Reads the notation.
pub(crate) fn read(text: &str) -> Result<Vec<u8>, String> {
    let mut open: Vec<(Option<u8>, BytesMut)> = Vec::new();
    let mut out = BytesMut::new();
    for word in text.split_whitespace() {
        if let Some(tag) = word.strip_suffix('{') {
            let tag = match tag.as_bytes() {
                [] => None,
                [tag] => Some(*tag),
                _ => return Err(format!("{word:?}: a message has a tag of one byte")),
            };
            open.push((tag, std::mem::take(&mut out)));
        } else if word == "}" {
            let body = std::mem::take(&mut out);
            let (tag, before) = open.pop().ok_or("a brace closes nothing")?;
            out = before;
            out.extend(tag);
            out.put_u32(u32::try_from(body.len() + 4).map_err(|_| "a message is too long")?);
            out.extend_from_slice(&body);
        } else {
            piece(word, &mut out)?;
        }
    }
    if open.is_empty() { Ok(out.to_vec()) } else { Err("a brace is not closed".to_owned()) }
}

fn piece(word: &str, out: &mut BytesMut) -> Result<(), String> {
    let quoted = |quote: char| word.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    if let Some(text) = quoted('\'').or_else(|| quoted('"')) {
        out.extend_from_slice(text.replace('~', " ").as_bytes());
        if word.starts_with('"') {
            out.put_u8(0);
        }
    } else if let Some(text) = word.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        let text = text.replace('~', " ");
        out.put_u32(u32::try_from(text.len()).map_err(|_| "a text is too long")?);
        out.extend_from_slice(text.as_bytes());
    } else if let Some(number) = word.strip_prefix("##") {
        out.put_u16(number.parse().map_err(|_| format!("{word:?} is no number of two bytes"))?);
    } else if let Some(number) = word.strip_prefix('#') {
        out.put_u32(number.parse().map_err(|_| format!("{word:?} is no number of four bytes"))?);
    } else {
        let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(word.as_bytes());
        out.extend_from_slice(&bytes.map_err(|_| format!("{word:?} is neither digits nor quoted"))?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn messages_are_counted() {
        assert_eq!(read("Q{ \"SELECT~1\" } X{ }").expect("bytes"), b"Q\0\0\0\x0dSELECT 1\0X\0\0\0\x04");
        assert_eq!(read("{ 00030000 'a' ff } ##1 #2").expect("bytes"), b"\0\0\0\x0a\0\x03\0\0a\xff\0\x01\0\0\0\x02");
        for bad in ["Q{", "}", "QQ{ }", "xyz", "#x", "##70000"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
