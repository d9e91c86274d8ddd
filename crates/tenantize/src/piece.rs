//! Files cut into statements, with the lines where they stand.

use pg_query::protobuf::{ScanToken, Token};

/// One statement of a file, by PostgreSQL's own scanner.
#[derive(Debug)]
pub(crate) struct Piece<'a> {
    /// From its first word to its last, comments in between included.
    pub(crate) text: &'a str,
    /// Where it starts in the file, in bytes.
    pub(crate) start: usize,
    /// The comments before it, with their places.
    pub(crate) leading: Vec<(usize, &'a str)>,
    /// The comments inside it, with their places.
    pub(crate) inner: Vec<(usize, &'a str)>,
    /// Its words, with places in the file.
    pub(crate) tokens: Vec<ScanToken>,
    /// Rows below COPY … FROM stdin, without the line that ends them; `None` if they have no end.
    pub(crate) data: Option<&'a str>,
}

impl Piece<'_> {
    /// The same place with another text.
    pub(crate) fn saying<'b>(&'b self, text: &'b str) -> Piece<'b> {
        let (leading, inner) = (self.leading.clone(), self.inner.clone());
        Piece { text, start: self.start, leading, inner, tokens: self.tokens.clone(), data: self.data }
    }
}

/// What a file falls into.
#[derive(Debug)]
pub(crate) struct Pieces<'a> {
    pub(crate) statements: Vec<Piece<'a>>,
    /// Comments after the last statement.
    pub(crate) trailing: Vec<(usize, &'a str)>,
    /// Where the scanner could not go on, and its words.
    pub(crate) broken: Option<(usize, String)>,
}

/// The line that a place is on, from 1.
pub(crate) fn line_of(text: &str, place: usize) -> u32 {
    let breaks = text.as_bytes().iter().take(place).filter(|byte| **byte == b'\n').count();
    u32::try_from(breaks).unwrap_or(u32::MAX).saturating_add(1)
}

/// The bytes that a token covers.
pub(crate) fn span(token: &ScanToken) -> std::ops::Range<usize> {
    usize::try_from(token.start).unwrap_or(0)..usize::try_from(token.end).unwrap_or(0)
}

/// Cuts a text at its semicolons. The text holds no NUL.
pub(crate) fn cut(text: &str) -> Pieces<'_> {
    let mut cutter = Cutter { text, statements: Vec::new(), comments: Vec::new(), open: None };
    let (mut from, mut to) = (0, boundary(text, 0));
    loop {
        // A command of psql's has words that are none of SQL's.
        if cutter.open.is_none() && text.get(from..).is_some_and(|rest| rest.starts_with('\\')) {
            to = from + 1;
        }
        let scanned = scan(text, from, to);
        // A string or comment that reaches over the boundary.
        if scanned.broken.is_some() && to < text.len() {
            to = boundary(text, to);
            continue;
        }
        let resume = scanned.tokens.into_iter().find_map(|token| cutter.take(token));
        if resume.is_none() && to == text.len() {
            // A statement that the scanner broke off in is refused for that and nothing else.
            if scanned.broken.is_none() {
                cutter.close();
            }
            return Pieces { statements: cutter.statements, trailing: cutter.comments, broken: scanned.broken };
        }
        from = resume.unwrap_or(to);
        to = boundary(text, from);
    }
}

/// Where what follows may be no SQL, so that it must not be scanned before it is known: the next line after a place that
/// psql would take for a command of its own, or the end of one that ends like COPY … FROM stdin.
fn boundary(text: &str, from: usize) -> usize {
    let mut place = from;
    for line in text.get(from..).unwrap_or_default().split_inclusive('\n') {
        if place > from && line.starts_with('\\') {
            return place;
        }
        place += line.len();
        let trimmed = line.trim_end();
        if place > from && trimmed.ends_with(';') && trimmed.to_ascii_lowercase().contains("stdin") {
            return place;
        }
    }
    text.len()
}

struct Scanned {
    tokens: Vec<ScanToken>,
    broken: Option<(usize, String)>,
}

/// The words between two places of a text, as far as the scanner comes.
///
/// By `scan` and not `scan_tokens`: `pg_query` 18.1.0 makes a slice of a null pointer there when the text has no words.
fn scan(text: &str, from: usize, to: usize) -> Scanned {
    let rest = text.get(from..to).unwrap_or_default();
    let (tokens, broken) = match pg_query::scan(rest) {
        Ok(scanned) => (scanned.tokens, None),
        Err(error) => {
            let message = error.to_string();
            let message = message.strip_prefix("Error scanning: ").unwrap_or(&message);
            // The message ends with all that was not understood.
            let (reason, unread) = message.split_once(" at or near \"").unwrap_or((message, ""));
            let at = unread.strip_suffix('"').and_then(|unread| rest.strip_suffix(unread)).map_or(0, str::len);
            let before = rest.get(..at).unwrap_or_default();
            let tokens = pg_query::scan(before).map(|scanned| scanned.tokens).unwrap_or_default();
            (tokens, Some((from + at, reason.to_owned())))
        }
    };
    let offset = i32::try_from(from).unwrap_or(i32::MAX);
    let placed = |token: ScanToken| ScanToken {
        start: token.start.saturating_add(offset),
        end: token.end.saturating_add(offset),
        ..token
    };
    Scanned { tokens: tokens.into_iter().map(placed).collect(), broken }
}

struct Cutter<'a> {
    text: &'a str,
    statements: Vec<Piece<'a>>,
    comments: Vec<(usize, &'a str)>,
    open: Option<Piece<'a>>,
}

impl Cutter<'_> {
    /// Takes the next token; gives the place to scan from anew if what follows it is no SQL.
    fn take(&mut self, token: ScanToken) -> Option<usize> {
        let place = span(&token);
        match (token.token(), &mut self.open) {
            (Token::SqlComment | Token::CComment, _) => {
                self.comments.push((place.start, self.text.get(place).unwrap_or_default()));
                None
            }
            // The statements of a body in standard SQL end with semicolons too.
            (Token::Ascii59, Some(piece)) if is_inside_body(piece) => {
                piece.tokens.push(token);
                None
            }
            (Token::Ascii59, _) => {
                let copies = self.open.as_ref().is_some_and(is_copy_from_stdin);
                self.close();
                copies.then(|| {
                    let (data, end) = copy_data(self.text, place.end);
                    if let Some(piece) = self.statements.last_mut() {
                        piece.data = data;
                    }
                    end
                })
            }
            (kind, None) => {
                let leading = std::mem::take(&mut self.comments);
                let piece =
                    Piece { text: "", start: place.start, leading, inner: Vec::new(), tokens: vec![token], data: None };
                self.open = Some(piece);
                // A command of psql's reaches to the end of its line and has no semicolon.
                (kind == Token::Ascii92).then(|| {
                    self.close();
                    let rest = self.text.get(place.end..).unwrap_or_default();
                    place.end + rest.find('\n').unwrap_or(rest.len())
                })
            }
            (_, Some(piece)) => {
                piece.inner.append(&mut self.comments);
                piece.tokens.push(token);
                None
            }
        }
    }

    fn close(&mut self) {
        if let Some(mut piece) = self.open.take() {
            let end = piece.tokens.last().map_or(piece.start, |last| span(last).end);
            piece.text = self.text.get(piece.start..end).unwrap_or_default();
            self.statements.push(piece);
        }
    }
}

/// Whether a statement is between BEGIN ATOMIC and its END, at which every CASE has its own.
fn is_inside_body(piece: &Piece<'_>) -> bool {
    let kinds: Vec<Token> = piece.tokens.iter().map(ScanToken::token).collect();
    if kinds.first() != Some(&Token::Create) {
        return false;
    }
    let begins = |pair: &[Token]| matches!(pair, [Token::BeginP, Token::Atomic]);
    let Some(begin) = kinds.windows(2).position(begins) else { return false };
    let after = kinds.get(begin + 2..).unwrap_or_default();
    let count = |wanted: Token| after.iter().filter(|kind| **kind == wanted).count();
    count(Token::EndP) <= count(Token::Case)
}

fn is_copy_from_stdin(piece: &Piece<'_>) -> bool {
    let kinds = || piece.tokens.iter().map(ScanToken::token);
    kinds().next() == Some(Token::Copy) && kinds().any(|kind| kind == Token::Stdin)
}

/// The rows below COPY, which `\.` on a line of its own ends, and the place behind that line.
fn copy_data(text: &str, from: usize) -> (Option<&str>, usize) {
    let rest = text.get(from..).unwrap_or_default();
    let begin = from + rest.find('\n').map_or(rest.len(), |at| at + 1);
    let mut place = begin;
    for line in text.get(begin..).unwrap_or_default().split_inclusive('\n') {
        if line.trim_end() == "\\." {
            return (text.get(begin..place), place + line.len());
        }
        place += line.len();
    }
    (None, text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_have_their_own_text_and_place() {
        let text = "-- first\n\nSELECT 1 /* in */ + 2 ; -- after\n;;\nSELECT ';'";
        let pieces = cut(text);
        let texts: Vec<&str> = pieces.statements.iter().map(|piece| piece.text).collect();
        assert_eq!(texts, ["SELECT 1 /* in */ + 2", "SELECT ';'"]);
        let lines: Vec<u32> = pieces.statements.iter().map(|piece| line_of(text, piece.start)).collect();
        assert_eq!(lines, [3, 5]);
        assert_eq!(pieces.statements[0].leading, [(0, "-- first")]);
        assert_eq!(pieces.statements[0].inner.len(), 1);
        assert_eq!(pieces.statements[1].leading.len(), 1);
    }

    #[test]
    fn what_is_no_sql_is_not_read() {
        let text = "\\restrict 9abc\nSELECT '\n\\x stdin;\n';\nCOPY t FROM stdin;\n0x 'a\t9z\n\\.\nSELECT 2;\n\\unrestrict 9abc\n";
        let pieces = cut(text);
        let texts: Vec<&str> = pieces.statements.iter().map(|piece| piece.text).collect();
        assert_eq!(texts, ["\\", "SELECT '\n\\x stdin;\n'", "COPY t FROM stdin", "SELECT 2", "\\"]);
        assert_eq!(pieces.broken, None);
    }

    #[test]
    fn a_body_in_standard_sql_is_one_statement() {
        let text =
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END;\nSELECT 3";
        let texts: Vec<&str> = cut(text).statements.iter().map(|piece| piece.text).collect();
        assert_eq!(texts.len(), 2, "{texts:?}");
        assert!(texts[0].ends_with("END"), "{texts:?}");
    }

    #[test]
    fn what_never_ends_is_placed_at_its_beginning() {
        let pieces = cut("SELECT 1;\nSELECT 'abc\n;\nSELECT 2");
        assert_eq!(pieces.statements.len(), 1);
        assert_eq!(pieces.broken, Some((17, "unterminated quoted string".to_owned())));
    }

    #[test]
    fn copy_data_and_psql_commands_are_not_statements() {
        let pieces = cut("\\i other.sql\nCOPY t FROM stdin;\n1\tit's\n\\.\nSELECT 1;");
        let texts: Vec<&str> = pieces.statements.iter().map(|piece| piece.text).collect();
        assert_eq!(texts, ["\\", "COPY t FROM stdin", "SELECT 1"]);
        assert_eq!(pieces.statements[1].data, Some("1\tit's\n"));
    }
}
