//! The data below COPY … FROM stdin: text and CSV, as PostgreSQL's manual describes them under COPY, "File Formats".

use crate::refusal::{Fault, Verdict};

/// How the data is written.
#[derive(Debug)]
pub(crate) struct Format {
    csv: bool,
    delimiter: char,
    null: String,
    header: bool,
    quote: char,
    escape: char,
    /// Columns, by position, whose unquoted values are never NULL.
    not_null: Vec<bool>,
    /// Columns, by position, whose quoted values may be NULL.
    null_quoted: Vec<bool>,
}

impl Format {
    /// Reads COPY's options, each a name in lower case and its values.
    pub(crate) fn of(options: &[(String, Vec<String>)], columns: &[String]) -> Verdict<Self> {
        const KNOWN: [&str; 10] = [
            "format",
            "delimiter",
            "null",
            "header",
            "quote",
            "escape",
            "freeze",
            "encoding",
            "force_not_null",
            "force_null",
        ];
        let find = |name: &str| options.iter().find(|(known, _)| known == name).map(|(_, values)| values.as_slice());
        let first = |name: &str| find(name).and_then(<[String]>::first).map(String::as_str);
        let csv = match first("format") {
            None | Some("text") => false,
            Some("csv") => true,
            Some(other) => {
                return Err(Fault::unsupported(
                    format!("COPY in format {other}"),
                    "write the rows in format text or csv",
                ));
            }
        };
        if let Some((unknown, _)) = options.iter().find(|(name, _)| !KNOWN.contains(&name.as_str())) {
            return Err(Fault::unsupported(format!("the option {unknown} of COPY"), "leave it out"));
        }
        if first("encoding").is_some_and(|name| !matches!(name.to_ascii_lowercase().as_str(), "utf8" | "utf-8")) {
            return Err(Fault::unsupported("COPY in another encoding", "save the file as UTF-8"));
        }
        let one = |name: &str, default: char| match first(name).map(|text| (text.chars().next(), text.len())) {
            None => Ok(default),
            Some((Some(only), 1)) if only != '\n' && only != '\r' => Ok(only),
            Some(_) => {
                Err(Fault::new(format!("the option {name} of COPY is no single one-byte character"), "correct it"))
            }
        };
        let quote = one("quote", '"')?;
        let among = |name: &str| -> Vec<bool> {
            let chosen = find(name).unwrap_or_default();
            columns.iter().map(|column| chosen.iter().any(|known| known == column || known == "*")).collect()
        };
        Ok(Self {
            csv,
            delimiter: one("delimiter", if csv { ',' } else { '\t' })?,
            null: first("null").unwrap_or(if csv { "" } else { "\\N" }).to_owned(),
            header: find("header").is_some_and(|values| {
                values
                    .first()
                    .is_none_or(|value| matches!(value.to_ascii_lowercase().as_str(), "true" | "on" | "1" | "match"))
            }),
            quote,
            escape: one("escape", quote)?,
            not_null: among("force_not_null"),
            null_quoted: among("force_null"),
        })
    }
}

/// A row of values, `None` for NULL.
pub(crate) type Row = Vec<Option<String>>;

/// The rows of the data; each has to have so many values.
pub(crate) fn rows(data: &str, format: &Format, width: usize) -> Verdict<Vec<Row>> {
    let mut rows = if format.csv { csv(data, format)? } else { text(data, format)? };
    if format.header && !rows.is_empty() {
        rows.remove(0);
    }
    match rows.iter().position(|row| row.len() != width) {
        None => Ok(rows),
        Some(at) => Err(Fault::new(
            format!("row {} below COPY has {} values for {width} columns", at + 1, rows[at].len()),
            "correct the row, or the list of columns",
        )),
    }
}

fn text(data: &str, format: &Format) -> Verdict<Vec<Row>> {
    let lines = data.split_terminator('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    lines.map(|line| fields(line, format.delimiter).map(|field| value(field, &format.null)).collect()).collect()
}

/// The parts of a line between delimiters that no backslash stands before.
fn fields(line: &str, delimiter: char) -> impl Iterator<Item = &str> {
    let mut escaped = false;
    line.split(move |character| {
        let ends = character == delimiter && !escaped;
        escaped = character == '\\' && !escaped;
        ends
    })
}

fn value(field: &str, null: &str) -> Verdict<Option<String>> {
    if field == null {
        return Ok(None);
    }
    if !field.contains('\\') {
        return Ok(Some(field.to_owned()));
    }
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        let Some((&kind, after)) = rest.split_first() else {
            bytes.push(b'\\');
            continue;
        };
        rest = after;
        match kind {
            b'b' => bytes.push(0x08),
            b'f' => bytes.push(0x0c),
            b'n' => bytes.push(b'\n'),
            b'r' => bytes.push(b'\r'),
            b't' => bytes.push(b'\t'),
            b'v' => bytes.push(0x0b),
            b'0'..=b'7' => bytes.push(number(u32::from(kind - b'0'), &mut rest, 8, 2)),
            b'x' if rest.first().is_some_and(u8::is_ascii_hexdigit) => bytes.push(number(0, &mut rest, 16, 2)),
            other => bytes.push(other),
        }
    }
    let text = String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'));
    text.map(Some).ok_or_else(|| Fault::new("a value below COPY is no UTF-8 text", "save the dump as UTF-8"))
}

/// At most `digits` more digits, cut to a byte as PostgreSQL does.
fn number(start: u32, rest: &mut &[u8], radix: u32, digits: usize) -> u8 {
    let mut number = start;
    for _ in 0..digits {
        let Some((&byte, after)) = rest.split_first() else { break };
        let Some(digit) = char::from(byte).to_digit(radix) else { break };
        number = number * radix + digit;
        *rest = after;
    }
    u8::try_from(number & 0xff).unwrap_or(0)
}

fn csv(data: &str, format: &Format) -> Verdict<Vec<Row>> {
    let mut rows = Vec::new();
    let mut row: Row = Vec::new();
    let (mut field, mut quoted, mut inside) = (String::new(), false, false);
    let mut characters = data.chars().peekable();
    while let Some(character) = characters.next() {
        if inside {
            if character == format.escape
                && characters.peek().is_some_and(|next| *next == format.quote || *next == format.escape)
            {
                field.extend(characters.next());
            } else if character == format.quote {
                inside = false;
            } else {
                field.push(character);
            }
        } else if character == format.quote {
            (inside, quoted) = (true, true);
        } else if character == format.delimiter {
            row.push(format.csv_value(&mut field, &mut quoted, row.len()));
        } else if character == '\n' || character == '\r' {
            if character == '\r' && characters.peek() == Some(&'\n') {
                characters.next();
            }
            row.push(format.csv_value(&mut field, &mut quoted, row.len()));
            rows.push(std::mem::take(&mut row));
        } else {
            field.push(character);
        }
    }
    if inside {
        return Err(Fault::new("a quoted value below COPY has no end", "close it"));
    }
    if !row.is_empty() || !field.is_empty() || quoted {
        row.push(format.csv_value(&mut field, &mut quoted, row.len()));
        rows.push(row);
    }
    Ok(rows)
}

impl Format {
    fn csv_value(&self, field: &mut String, quoted: &mut bool, position: usize) -> Option<String> {
        let text = std::mem::take(field);
        let was_quoted = std::mem::take(quoted);
        let chosen = |list: &[bool]| list.get(position).copied().unwrap_or(false);
        let may_be_null = if was_quoted { chosen(&self.null_quoted) } else { !chosen(&self.not_null) };
        (!(may_be_null && text == self.null)).then_some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(data: &str, options: &[(&str, &str)], width: usize) -> Vec<Row> {
        let options: Vec<_> =
            options.iter().map(|(name, value)| ((*name).to_owned(), vec![(*value).to_owned()])).collect();
        let columns: Vec<String> = (0..width).map(|column| format!("c{column}")).collect();
        rows(data, &Format::of(&options, &columns).expect("a format"), width).expect("rows")
    }

    fn row(values: &[Option<&str>]) -> Row {
        values.iter().map(|value| value.map(str::to_owned)).collect()
    }

    #[test]
    fn text_has_escapes_and_nulls() {
        assert_eq!(
            read("1\t\\N\ta\\tb\\nc\\\\d\\x41\\101\n2\t\t\\.\n", &[], 3),
            [row(&[Some("1"), None, Some("a\tb\nc\\dAA")]), row(&[Some("2"), Some(""), Some(".")])]
        );
        assert_eq!(read("a\\|b|-\n", &[("delimiter", "|"), ("null", "-")], 2), [row(&[Some("a|b"), None])]);
        assert_eq!(read("\n", &[], 1), [row(&[Some("")])]);
    }

    #[test]
    fn csv_has_quotes_and_nulls() {
        let csv = [("format", "csv"), ("header", "true")];
        assert_eq!(
            read("x,y\n1,\n\"a \"\"b\"\"\nc\",\"\"\r\n", &csv, 2),
            [row(&[Some("1"), None]), row(&[Some("a \"b\"\nc"), Some("")])]
        );
        let forced = [("format", "csv"), ("force_null", "c0"), ("force_not_null", "c1")];
        assert_eq!(read("\"\",\n", &forced, 2), [row(&[None, Some("")])]);
    }

    #[test]
    fn a_row_of_another_width_is_refused() {
        let format = Format::of(&[], &["a".to_owned()]).expect("a format");
        assert!(rows("1\t2\n", &format, 1).is_err());
    }
}
