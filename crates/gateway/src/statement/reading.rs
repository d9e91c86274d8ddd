//! How a server reads a statement's bytes: two settings of the session decide (PostgreSQL manual, 20.13.1 and 24.3).
//!
//! The server reports both as they change, but only once it has nothing more to do. So while a statement is under way
//! that might change them, what is known may be out of date.

use std::borrow::Cow;
use std::str;

/// Encodings in which a byte that is a backslash in ASCII may be the second half of a character. PostgreSQL has them for
/// clients only (manual, table 24.3).
const SWALLOWING: [&str; 7] = ["SJIS", "SHIFT_JIS_2004", "BIG5", "GBK", "UHC", "GB18030", "JOHAB"];

/// The settings as the server last reported them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    standard_strings: bool,
    encoding: Encoding,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    /// UTF-8, or no conversion into the server's, which is UTF-8.
    Utf8,
    /// ASCII where a byte looks like it.
    Ascii,
    /// Not even that.
    Swallowing,
}

/// How one text is to be read. Whatever is remembered of a text is remembered per reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Reading {
    pub(super) strings: Strings,
    pub(super) letters: Letters,
}

/// What a backslash in plain quotes is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Strings {
    /// A character; or there is none in the text.
    Standard,
    /// An escape.
    Escaping,
    /// Most likely a character, but an earlier statement may be changing that.
    Unsure,
}

/// What a byte outside ASCII is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Letters {
    /// Part of a character in UTF-8; or there is none in the text.
    Utf8,
    /// Part of a character of some other encoding.
    Opaque,
}

/// No two readings of the text agree on where its strings end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unreadable;

impl Dialect {
    /// A session's, from what the server has reported so far. Older servers than PostgreSQL 14 would report later changes
    /// at once, which does no harm.
    pub(crate) fn of<'s>(reported: impl IntoIterator<Item = (&'s str, &'s str)>) -> Self {
        let mut dialect = Self { standard_strings: true, encoding: Encoding::Utf8 };
        for (name, value) in reported {
            dialect.note(name.as_bytes(), value.as_bytes());
        }
        dialect
    }

    /// Takes in a `ParameterStatus`.
    pub(crate) fn note(&mut self, name: &[u8], value: &[u8]) {
        match name {
            b"standard_conforming_strings" => self.standard_strings = value == b"on",
            b"client_encoding" => {
                self.encoding = match value {
                    b"UTF8" | b"SQL_ASCII" => Encoding::Utf8,
                    other if SWALLOWING.iter().any(|name| name.as_bytes() == other) => Encoding::Swallowing,
                    _ => Encoding::Ascii,
                }
            }
            _ => {}
        }
    }

    /// How a text is to be read. `settled` says that nothing is under way that could change the settings.
    pub(crate) fn reading(self, text: &[u8], settled: bool) -> Result<Reading, Unreadable> {
        let backslash = text.contains(&b'\\');
        let ascii = text.is_ascii();
        if backslash && !ascii && !(settled && self.encoding != Encoding::Swallowing) {
            let swallowed = |pair: &[u8]| matches!(pair, [lead, b'\\'] if !lead.is_ascii());
            if text.windows(2).any(swallowed) {
                return Err(Unreadable);
            }
        }
        let strings = match (backslash, self.standard_strings, settled) {
            (false, ..) | (true, true, true) => Strings::Standard,
            (true, true, false) => Strings::Unsure,
            (true, false, _) => Strings::Escaping,
        };
        let utf8 = ascii || (self.encoding == Encoding::Utf8 && str::from_utf8(text).is_ok());
        Ok(Reading { strings, letters: if utf8 { Letters::Utf8 } else { Letters::Opaque } })
    }

    /// Whether a text of ours may have more than ASCII in it.
    pub(crate) fn is_utf8(self, settled: bool) -> bool {
        settled && self.encoding == Encoding::Utf8
    }
}

impl Letters {
    /// The text as characters. In the other encodings each byte stands as one: what is cut and moved is whole again
    /// when [`Letters::write`] turns them back.
    pub(super) fn read(self, text: &[u8]) -> Cow<'_, str> {
        match self {
            Self::Utf8 => String::from_utf8_lossy(text),
            Self::Opaque => text.iter().copied().map(char::from).collect(),
        }
    }

    /// The bytes of what was [`Letters::read`]. A name of the app's that was put in and has letters outside of ASCII is
    /// right in Latin-1 only; in other encodings the server finds nothing under it.
    pub(super) fn write(self, text: String) -> Vec<u8> {
        match self {
            Self::Utf8 => text.into_bytes(),
            Self::Opaque => text.chars().map(|letter| u8::try_from(letter).unwrap_or(b'?')).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialect(standard_strings: &str, encoding: &str) -> Dialect {
        Dialect::of([("standard_conforming_strings", standard_strings), ("client_encoding", encoding)])
    }

    #[test]
    fn settings_matter_only_to_texts_that_they_can_change() {
        let plain = Reading { strings: Strings::Standard, letters: Letters::Utf8 };
        for settled in [true, false] {
            for (strings, encoding) in [("on", "UTF8"), ("off", "UTF8"), ("off", "SJIS"), ("on", "LATIN1")] {
                assert_eq!(dialect(strings, encoding).reading(b"INSERT INTO t VALUES ('a')", settled), Ok(plain));
            }
        }
        let escaped = br"INSERT INTO t VALUES ('a\')";
        for (strings, settled, expected) in [
            ("on", true, Strings::Standard),
            ("on", false, Strings::Unsure),
            ("off", true, Strings::Escaping),
            ("off", false, Strings::Escaping),
        ] {
            let reading = dialect(strings, "UTF8").reading(escaped, settled).expect("readable");
            assert_eq!(reading.strings, expected, "{strings}, {settled}");
        }
    }

    #[test]
    fn a_backslash_that_may_be_half_a_character_is_not_guessed_at() {
        let text = "SELECT E'caf\u{e9}\\''".as_bytes();
        assert!(dialect("on", "UTF8").reading(text, true).is_ok());
        assert!(dialect("on", "LATIN1").reading(text, true).is_ok(), "no byte of it is half of anything");
        assert_eq!(dialect("on", "UTF8").reading(text, false), Err(Unreadable), "an earlier statement may say SJIS");
        assert_eq!(dialect("on", "SJIS").reading(text, true), Err(Unreadable));
        assert!(dialect("on", "SJIS").reading("SELECT E'\u{e9} \\''".as_bytes(), true).is_ok(), "a blank between");
    }

    #[test]
    fn bytes_of_other_encodings_come_back_as_they_were() {
        let all: Vec<u8> = (1..=255).collect();
        let reading = dialect("on", "LATIN1").reading(&all, true).expect("readable");
        assert_eq!(reading.letters, Letters::Opaque);
        assert_eq!(reading.letters.write(reading.letters.read(&all).into_owned()), all);
        let broken = dialect("on", "UTF8").reading(b"SELECT '\xff'", true).expect("readable");
        assert_eq!(broken.letters, Letters::Opaque, "the server is to complain, not we");
    }
}
