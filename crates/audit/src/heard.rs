//! What an attacker was told.

use data_encoding::HEXLOWER;
use wire::report::ServerError;

/// A message as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) tag: u8,
    pub(crate) body: Vec<u8>,
}

/// Everything that was said to one step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) messages: Vec<Message>,
    /// The connection ended with it.
    pub(crate) closed: bool,
    /// The session is ready and outside of a transaction.
    pub(crate) idle: bool,
    /// What was answered by something that is not PostgreSQL's protocol.
    pub(crate) raw: Vec<u8>,
}

impl Heard {
    /// Whether a word is anywhere in it: in rows, errors, notices and notifications alike, in any case, as text or as the
    /// hexadecimal digits of `bytea`.
    pub(crate) fn tells(&self, word: &str) -> bool {
        let word = word.to_ascii_lowercase();
        let hex = HEXLOWER.encode(word.as_bytes());
        let all = self.messages.iter().map(|message| message.body.as_slice()).chain([self.raw.as_slice()]);
        all.map(<[u8]>::to_ascii_lowercase).any(|body| {
            [word.as_bytes(), hex.as_bytes()]
                .iter()
                .any(|sought| body.windows(sought.len()).any(|part| part == *sought))
        })
    }

    /// The errors, with SQLSTATE and text.
    pub(crate) fn errors(&self) -> impl Iterator<Item = ServerError> {
        self.messages
            .iter()
            .filter(|message| message.tag == b'E')
            .filter_map(|message| ServerError::parse(&message.body))
    }

    /// The first error's SQLSTATE: what follows it may only say that the transaction is over.
    pub(crate) fn state(&self) -> Option<String> {
        self.errors().next().map(|error| error.sqlstate)
    }

    /// All rows, fields joined by commas and rows by bars.
    pub(crate) fn rows(&self) -> String {
        let rows = self.messages.iter().filter(|message| message.tag == b'D').map(|message| fields(&message.body));
        rows.collect::<Vec<_>>().join("|")
    }

    /// How many rows were sent, or touched without being sent.
    pub(crate) fn row_count(&self) -> usize {
        let sent = self.messages.iter().filter(|message| message.tag == b'D').count();
        // COPY sends its rows as data and its tag counts them again.
        let copied = self.messages.iter().filter(|message| message.tag == b'd').count();
        let touched = self.messages.iter().filter(|message| message.tag == b'C').map(|message| touched(&message.body));
        sent.max(copied).max(touched.sum())
    }

    /// The HTTP status that it begins with.
    pub(crate) fn status(&self) -> Option<u16> {
        let line = self.raw.split(|&byte| byte == b'\r').next()?;
        str::from_utf8(line).ok()?.split(' ').nth(1)?.parse().ok()
    }

    /// What can be compared with a later answer: rows, and errors without the numbers that their details may hold.
    pub(crate) fn comparable(&self) -> Vec<Vec<u8>> {
        let rows = self.messages.iter().filter(|message| matches!(message.tag, b'D' | b'd' | b'C'));
        let errors = self.errors().map(|error| format!("{} {}", error.sqlstate, error.message).into_bytes());
        rows.map(|message| message.body.clone()).chain(errors).collect()
    }

    /// In a few words, for reports.
    pub(crate) fn summary(&self) -> String {
        let mut words: Vec<String> =
            self.errors().map(|error| format!("{} {}", error.sqlstate, error.message)).collect();
        if !self.raw.is_empty() {
            words.push(String::from_utf8_lossy(&self.raw).lines().next().unwrap_or_default().to_owned());
        }
        if words.is_empty() {
            let rows: String = self.rows().chars().take(160).collect();
            words.push(format!("{} rows {rows}", self.row_count()));
        }
        if self.closed {
            words.push("connection closed".to_owned());
        }
        words.join("; ")
    }
}

/// The fields of a `DataRow` as text.
fn fields(body: &[u8]) -> String {
    let mut rest = body.get(2..).unwrap_or_default();
    let mut fields = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
            fields.push("NULL".to_owned());
            rest = after;
            continue;
        };
        fields.push(String::from_utf8_lossy(after.get(..length).unwrap_or_default()).into_owned());
        rest = after.get(length..).unwrap_or_default();
    }
    fields.join(",")
}

/// The rows that a command tag counts; only those of statements that change something. A `SELECT`'s are sent.
fn touched(tag: &[u8]) -> usize {
    let tag = String::from_utf8_lossy(tag);
    let mut words = tag.trim_end_matches('\0').split(' ');
    match words.next() {
        Some("INSERT" | "UPDATE" | "DELETE" | "MERGE" | "COPY") => {
            words.next_back().and_then(|n| n.parse().ok()).unwrap_or(0)
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(tag: u8, body: &[u8]) -> Message {
        Message { tag, body: body.to_vec() }
    }

    #[test]
    fn a_word_is_found_wherever_and_however_it_stands() {
        for body in [&b"\0\x01\0\0\0\x06Secret"[..], b"x\\x736563726574y", b"SECRET"] {
            let heard = Heard { messages: vec![message(b'N', body)], ..Heard::default() };
            assert!(heard.tells("secret"), "{body:?}");
            assert!(!heard.tells("secrets"));
        }
        assert!(Heard { raw: b"a secret".to_vec(), ..Heard::default() }.tells("Secret"));
    }

    #[test]
    fn rows_and_counts_are_read() {
        let messages = vec![
            message(b'D', b"\0\x02\0\0\0\x01a\xff\xff\xff\xff"),
            message(b'D', b"\0\x01\0\0\0\x01b"),
            message(b'C', b"SELECT 2\0"),
        ];
        let heard = Heard { messages, ..Heard::default() };
        assert_eq!((heard.rows().as_str(), heard.row_count()), ("a,NULL|b", 2));
        let heard = Heard { messages: vec![message(b'C', b"INSERT 0 3\0")], ..Heard::default() };
        assert_eq!(heard.row_count(), 3);
        assert_eq!(Heard { raw: b"HTTP/1.1 404 Not Found\r\n".to_vec(), ..Heard::default() }.status(), Some(404));
    }
}
