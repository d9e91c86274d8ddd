//! The words of a text, by PostgreSQL's lexical rules (manual, 4.1), for either setting of
//! `standard_conforming_strings`.
//!
//! `pg_query` scans with the setting on, tells nothing of a text that it cannot scan to its end, and takes as long for
//! one name as for the whole text. This one never fails: what is never closed ends with the text.

/// What a word is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A key word or an unquoted name.
    Word,
    /// A quoted name.
    Quoted,
    /// A string of any kind; those of more than one part, continued on a later line, are one.
    Text,
    /// A string in plain quotes that has a backslash in it: the setting decides what that means.
    Backslashed,
    Number,
    /// `$1`
    Parameter,
    Open,
    Close,
    Comma,
    Dot,
    Semicolon,
    /// Any other character: operators come in pieces.
    Other,
}

/// A word's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    /// Its first byte.
    pub(crate) start: usize,
    /// The byte behind its last.
    pub(crate) end: usize,
}

/// Gives the words one after the other, without comments.
#[derive(Debug, Clone)]
pub(crate) struct Lexer<'a> {
    text: &'a str,
    at: usize,
    standard_strings: bool,
}

/// How a string ends.
#[derive(Clone, Copy)]
enum Quotes {
    Plain,
    Escaped,
    /// Those of `B''` and `X''`: one doubled is an end and a beginning.
    Bits,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(text: &'a str, standard_strings: bool) -> Self {
        Self::from(text, 0, standard_strings)
    }

    /// Starts in the middle, where a word has to begin.
    pub(crate) fn from(text: &'a str, at: usize, standard_strings: bool) -> Self {
        Self { text, at, standard_strings }
    }

    fn byte(&self, ahead: usize) -> u8 {
        self.text.as_bytes().get(self.at + ahead).copied().unwrap_or(0)
    }

    fn pass(&mut self, wanted: impl Fn(u8) -> bool) {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        self.at += rest.iter().position(|byte| !wanted(*byte)).unwrap_or(rest.len());
    }

    fn skip_blanks(&mut self) {
        loop {
            match (self.byte(0), self.byte(1)) {
                (blank, _) if is_blank(blank) => self.at += 1,
                (b'-', b'-') => self.pass(|byte| !is_newline(byte)),
                (b'/', b'*') => self.skip_comment(),
                _ => return,
            }
        }
    }

    fn skip_comment(&mut self) {
        let mut depth = 0_usize;
        while self.at < self.text.len() {
            match (self.byte(0), self.byte(1)) {
                (b'/', b'*') => {
                    depth += 1;
                    self.at += 2;
                }
                (b'*', b'/') => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return;
                    }
                }
                _ => self.at += 1,
            }
        }
    }

    /// From the opening quote to behind the last closing one.
    fn string(&mut self, quotes: Quotes) -> bool {
        let mut backslash = false;
        loop {
            self.at += 1;
            while self.at < self.text.len() {
                match (self.byte(0), quotes) {
                    (b'\'', Quotes::Plain | Quotes::Escaped) if self.byte(1) == b'\'' => self.at += 2,
                    (b'\'', _) => break,
                    (b'\\', Quotes::Escaped) => {
                        backslash = true;
                        self.at += 2;
                    }
                    (byte, _) => {
                        backslash |= byte == b'\\';
                        self.at += 1;
                    }
                }
            }
            self.at = (self.at + 1).min(self.text.len());
            match self.continuation() {
                Some(next) => self.at = next,
                None => return backslash,
            }
        }
    }

    /// Where a string goes on: behind blanks with a line break among them (manual, 4.1.2.1).
    fn continuation(&self) -> Option<usize> {
        let mut ahead = self.clone();
        let mut lines = false;
        loop {
            match (ahead.byte(0), ahead.byte(1)) {
                (b'\n' | b'\r', _) => {
                    lines = true;
                    ahead.at += 1;
                }
                (b' ' | b'\t' | 0x0b | 0x0c, _) => ahead.at += 1,
                (b'-', b'-') => ahead.pass(|byte| !is_newline(byte)),
                (b'\'', _) if lines => return Some(ahead.at),
                _ => return None,
            }
        }
    }

    fn quoted_name(&mut self) {
        self.at += 1;
        while self.at < self.text.len() {
            match (self.byte(0), self.byte(1)) {
                (b'"', b'"') => self.at += 2,
                (b'"', _) => {
                    self.at += 1;
                    return;
                }
                _ => self.at += 1,
            }
        }
    }

    fn dollar(&mut self) -> Kind {
        let bytes = self.text.as_bytes();
        if self.byte(1).is_ascii_digit() {
            self.at += 1;
            self.pass(|byte| byte.is_ascii_digit());
            return Kind::Parameter;
        }
        let start = self.at;
        let tag = bytes.get(start + 1..).unwrap_or_default();
        let len = tag.iter().position(|byte| !is_name(*byte) || *byte == b'$').unwrap_or(tag.len());
        if tag.get(len) != Some(&b'$') {
            self.at += 1;
            return Kind::Other;
        }
        // Both ends are dollar signs, so the slices end between characters.
        let delimiter = self.text.get(start..start + len + 2).unwrap_or_default();
        let body = start + delimiter.len();
        let closing = self.text.get(body..).and_then(|rest| rest.find(delimiter));
        self.at = closing.map_or(self.text.len(), |at| body + at + delimiter.len());
        Kind::Text
    }

    fn number(&mut self) {
        self.pass(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if self.byte(0) == b'.' && self.byte(1) != b'.' {
            self.at += 1;
            self.pass(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        }
    }

    /// A string in plain quotes, which the setting is about.
    fn plain(&mut self) -> Kind {
        let quotes = if self.standard_strings { Quotes::Plain } else { Quotes::Escaped };
        if self.string(quotes) { Kind::Backslashed } else { Kind::Text }
    }
}

impl Iterator for Lexer<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        self.skip_blanks();
        let start = self.at;
        if start >= self.text.len() {
            return None;
        }
        let kind = match (self.byte(0), self.byte(1), self.byte(2)) {
            (b'e' | b'E', b'\'', _) => {
                self.at += 1;
                self.string(Quotes::Escaped);
                Kind::Text
            }
            (b'b' | b'B' | b'x' | b'X', b'\'', _) => {
                self.at += 1;
                self.string(Quotes::Bits);
                Kind::Text
            }
            (b'u' | b'U', b'&', b'\'') => {
                self.at += 2;
                self.string(Quotes::Plain);
                Kind::Text
            }
            (b'u' | b'U', b'&', b'"') => {
                self.at += 2;
                self.quoted_name();
                Kind::Quoted
            }
            (first, ..) if is_name_start(first) => {
                self.pass(is_name);
                Kind::Word
            }
            (b'"', ..) => {
                self.quoted_name();
                Kind::Quoted
            }
            (b'\'', ..) => self.plain(),
            (b'$', ..) => self.dollar(),
            (b'0'..=b'9', ..) => {
                self.number();
                Kind::Number
            }
            (b'.', b'0'..=b'9', _) => {
                self.at += 1;
                self.pass(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
                Kind::Number
            }
            (other, ..) => {
                self.at += 1;
                match other {
                    b'(' => Kind::Open,
                    b')' => Kind::Close,
                    b',' => Kind::Comma,
                    b'.' => Kind::Dot,
                    b';' => Kind::Semicolon,
                    _ => Kind::Other,
                }
            }
        };
        self.at = self.at.min(self.text.len());
        Some(Token { kind, start, end: self.at })
    }
}

fn is_newline(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// Whether a name may begin with this byte; all bytes of characters outside ASCII count.
pub(crate) const fn is_name_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

/// Whether a name may go on with this byte.
pub(crate) fn is_name(byte: u8) -> bool {
    /// A look into a table takes less than the comparisons, and every byte of every statement is asked about.
    const NAMES: [bool; 256] = {
        let mut names = [false; 256];
        let mut byte = 0_u8;
        loop {
            names[byte as usize] = is_name_start(byte) || byte.is_ascii_digit() || byte == b'$';
            if byte == u8::MAX {
                break names;
            }
            byte += 1;
        }
    };
    NAMES[usize::from(byte)]
}

/// The first word of each statement of a text, as written.
pub(crate) fn leading_words(text: &str, standard_strings: bool) -> impl Iterator<Item = &str> {
    let mut begins = true;
    Lexer::new(text, standard_strings).filter_map(move |token| {
        let first = std::mem::replace(&mut begins, token.kind == Kind::Semicolon);
        (first && token.kind != Kind::Semicolon).then(|| text.get(token.start..token.end).unwrap_or_default())
    })
}

/// The places of the parts of a name that begins at a byte: `"a".b.c`.
pub(crate) fn name_parts(text: &str, start: usize) -> Vec<Token> {
    let mut parts = Vec::with_capacity(3);
    let mut lexer = Lexer::from(text, start, true);
    while let Some(token) = lexer.next().filter(|token| matches!(token.kind, Kind::Word | Kind::Quoted)) {
        parts.push(token);
        let mut ahead = lexer.clone();
        if ahead.next().is_none_or(|token| token.kind != Kind::Dot) {
            break;
        }
        lexer = ahead;
    }
    parts
}

/// Whether PostgreSQL's scanner skips a byte between words.
pub(crate) const fn is_blank(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b
}

/// The name that a word stands for: unquoted ones in lower case, as far as ASCII goes.
pub(crate) fn name_of(word: &str) -> String {
    match word.strip_prefix('"') {
        Some(quoted) => quoted.strip_suffix('"').unwrap_or(quoted).replace("\"\"", "\""),
        None => word.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use pg_query::protobuf::Token as Known;
    use proptest::prelude::*;

    use super::*;

    fn words(text: &str, standard_strings: bool) -> Vec<&str> {
        Lexer::new(text, standard_strings).map(|token| &text[token.start..token.end]).collect()
    }

    #[test]
    fn strings_end_as_the_setting_says() {
        assert_eq!(words(r"'a\' b '", true), [r"'a\'", "b", "'"]);
        assert_eq!(words(r"'a\' b '", false), [r"'a\' b '"]);
        for standard in [true, false] {
            assert_eq!(words(r"e'a\' b' N'c' x'0'", standard), [r"e'a\' b'", "N", "'c'", "x'0'"]);
            assert_eq!(words("'a''b' -- c'\n  'd';'e' 'f'", standard), ["'a''b' -- c'\n  'd'", ";", "'e'", "'f'"]);
        }
    }

    #[test]
    fn comments_nest_and_quotes_of_other_kinds_hold_anything() {
        let text = "a/* b /* ; */ ' */$x$ ; $$ ' $x$ $1 \"q\"\"; \" U&\"\\0041;\" c$d$ --;\n;e";
        let expected = ["a", "$x$ ; $$ ' $x$", "$1", "\"q\"\"; \"", "U&\"\\0041;\"", "c$d$", ";", "e"];
        assert_eq!(words(text, true), expected);
    }

    #[test]
    fn statements_begin_after_semicolons() {
        let words: Vec<&str> =
            leading_words(";; /* x */ Lock t; -- y\n (select ';lock'); $$;$$; \"q\"", true).collect();
        assert_eq!(words, ["Lock", "(", "$$;$$", "\"q\""]);
    }

    #[test]
    fn names_have_parts() {
        let text = "x \"A.b\" . c /* */ . d e";
        let parts: Vec<&str> = name_parts(text, 2).iter().map(|part| &text[part.start..part.end]).collect();
        assert_eq!(parts, ["\"A.b\"", "c", "d"]);
        assert_eq!((name_of("\"A\"\"b\""), name_of("AbÉ")), ("A\"b".to_owned(), "abÉ".to_owned()));
    }

    /// Pieces that mean something to a scanner.
    const PIECES: [&str; 33] = [
        "a", "B1", "e", "E", "x", "U&", "'", "''", "\"", "\\", "$$", "$t$", "$", "$1", "--", "\n", "\r", " ", "\t",
        "/*", "*/", ";", "(", ")", ",", ".", "1.5", "7", "é", "::", "+", "lock", "=",
    ];

    proptest! {
        #[test]
        fn whatever_it_is_it_has_words(text in any::<String>(), standard in any::<bool>()) {
            let mut end = 0;
            for token in Lexer::new(&text, standard) {
                prop_assert!(token.start >= end && token.end > token.start && token.end <= text.len());
                end = token.end;
            }
        }

        /// What PostgreSQL's scanner accepts has its words where this one has them. Operators and junk after numbers,
        /// which nobody asks about, are cut in other ways.
        #[test]
        fn words_are_postgresqls(pieces in prop::collection::vec(prop::sample::select(PIECES.to_vec()), 0..24)) {
            let text = pieces.concat();
            let Ok(scanned) = pg_query::scan(&text) else { return Ok(()) };
            let place = |at: i32| usize::try_from(at).unwrap_or(usize::MAX);
            let told = |token: Known| matches!(
                token,
                Known::Ident | Known::Uident | Known::Sconst | Known::Usconst | Known::Bconst | Known::Xconst
                    | Known::Param | Known::Ascii59 | Known::Ascii40 | Known::Ascii41 | Known::LockP
            );
            let known: Vec<usize> = scanned
                .tokens
                .iter()
                .filter(|token| told(token.token()))
                .map(|token| place(token.start))
                .collect();
            let ours: Vec<usize> = Lexer::new(&text, true)
                .filter(|token| !matches!(token.kind, Kind::Number | Kind::Other | Kind::Comma | Kind::Dot))
                .map(|token| token.start)
                .collect();
            prop_assert_eq!(&known, &ours, "{:?}", text);
        }
    }
}
