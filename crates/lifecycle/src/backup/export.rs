//! Rows of a backup in formats that everything reads: CSV (RFC 4180) and newline-delimited JSON.

use bytes::Bytes;
use memchr::memchr;
use objects::ObjectReader;
use uuid::Uuid;

use super::manifest::{ColumnEntry, Manifest, TableEntry};
use crate::{Lifecycle, LifecycleError};

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowFormat {
    /// As PostgreSQL's COPY reads them in its text format.
    Copy,
    /// With a first line of names. A value that is not there is nothing, an empty text is `""`, as PostgreSQL's COPY has it.
    Csv,
    /// An object a line. Whole and decimal numbers are numbers with all their digits, JSON is itself, everything else is text as
    /// PostgreSQL writes it.
    Ndjson,
}

impl RowFormat {
    /// Every one, by its name.
    pub const ALL: [(Self, &'static str); 3] = [(Self::Copy, "copy"), (Self::Csv, "csv"), (Self::Ndjson, "ndjson")];
}

/// The rows of a table, in one format, piece by piece. They are all there when there is nothing more; otherwise an error says so.
pub struct RowReader {
    reader: ObjectReader,
    writer: Writer,
    of: RowsOf,
    started: bool,
}

/// What they are the rows of.
pub(crate) enum RowsOf {
    /// A table in a backup.
    Table(Uuid, String),
    /// An archive.
    Archive(Uuid),
}

impl Lifecycle {
    /// What a backup says of itself.
    pub async fn backup_manifest(&self, id: Uuid) -> Result<Manifest, LifecycleError> {
        Ok(self.open_backup(id).await?.manifest)
    }

    /// A table's rows, in whichever format.
    pub async fn backup_rows(
        &self,
        id: Uuid,
        table: &str,
        format: RowFormat,
    ) -> Result<(TableEntry, RowReader), LifecycleError> {
        let backup = self.open_backup(id).await?;
        let entry = backup.manifest.tables.iter().find(|entry| entry.name == table).cloned();
        let entry = entry.ok_or_else(|| LifecycleError::UnknownTable { backup: id, table: table.to_owned() })?;
        let reader = backup.rows(&entry).await?;
        let reader = RowReader::new(reader, format, entry.columns.clone(), RowsOf::Table(id, table.to_owned()));
        Ok((entry, reader))
    }
}

impl RowReader {
    /// Reads rows of COPY with these columns.
    pub(crate) fn new(reader: ObjectReader, format: RowFormat, columns: Vec<ColumnEntry>, of: RowsOf) -> Self {
        Self { reader, writer: Writer { format, columns, begun: Vec::new() }, of, started: false }
    }

    /// The next bytes.
    pub async fn next(&mut self) -> Result<Option<Bytes>, LifecycleError> {
        let mut out = Vec::new();
        if !self.started {
            self.started = true;
            self.writer.head(&mut out);
        }
        while out.is_empty() {
            match self.reader.next().await {
                Some(piece) => self.writer.piece(&piece?, &mut out).map_err(|why| self.bad(why))?,
                None if self.writer.begun.is_empty() => return Ok(None),
                None => return Err(self.bad("it ends in the middle of a row")),
            }
        }
        Ok(Some(out.into()))
    }

    fn bad(&self, why: &str) -> LifecycleError {
        match &self.of {
            RowsOf::Table(backup, table) => {
                LifecycleError::BadBackup { backup: *backup, why: format!("table {table}: {why}") }
            }
            RowsOf::Archive(archive) => LifecycleError::BadArchive { archive: *archive, why: why.to_owned() },
        }
    }
}

/// Turns rows of COPY into another format.
struct Writer {
    format: RowFormat,
    columns: Vec<ColumnEntry>,
    /// The beginning of a row that goes on in the next piece.
    begun: Vec<u8>,
}

impl Writer {
    fn head(&self, out: &mut Vec<u8>) {
        if self.format == RowFormat::Csv {
            let names: Vec<Vec<u8>> = self.columns.iter().map(|column| csv(column.name.as_bytes())).collect();
            out.extend_from_slice(&names.join(&b","[..]));
            out.extend_from_slice(b"\r\n");
        }
    }

    fn piece(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
        if self.format == RowFormat::Copy {
            out.extend_from_slice(piece);
            return Ok(());
        }
        let mut rest = piece;
        while let Some(end) = memchr(b'\n', rest) {
            let (row, more) = rest.split_at(end);
            rest = more.get(1..).unwrap_or_default();
            let mut whole = std::mem::take(&mut self.begun);
            if whole.is_empty() {
                self.row(row, out)?;
            } else {
                whole.extend_from_slice(row);
                self.row(&whole, out)?;
            }
        }
        self.begun.extend_from_slice(rest);
        Ok(())
    }

    fn row(&self, row: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
        let values: Vec<Option<Vec<u8>>> = row.split(|byte| *byte == b'\t').map(value).collect();
        if values.len() != self.columns.len() {
            return Err("a row has not as many values as there are columns");
        }
        match self.format {
            RowFormat::Copy => {}
            RowFormat::Csv => {
                let values: Vec<Vec<u8>> =
                    values.iter().map(|value| value.as_deref().map(csv).unwrap_or_default()).collect();
                out.extend_from_slice(&values.join(&b","[..]));
                out.extend_from_slice(b"\r\n");
            }
            RowFormat::Ndjson => {
                let mut mark = b'{';
                for (column, value) in self.columns.iter().zip(&values) {
                    out.push(mark);
                    mark = b',';
                    string(column.name.as_bytes(), out)?;
                    out.push(b':');
                    match value {
                        Some(value) => json(value, &column.kind, out)?,
                        None => out.extend_from_slice(b"null"),
                    }
                }
                out.extend_from_slice(b"}\n");
            }
        }
        Ok(())
    }
}

/// A value without what COPY has put before some characters (PostgreSQL manual, COPY, "Text Format").
fn value(text: &[u8]) -> Option<Vec<u8>> {
    if text == b"\\N" {
        return None;
    }
    let mut plain = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        let meant = match byte {
            b'\\' => match bytes.next() {
                Some(b'b') => 8,
                Some(b'f') => 12,
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b't') => b'\t',
                Some(b'v') => 11,
                Some(other) => *other,
                None => b'\\',
            },
            byte => *byte,
        };
        plain.push(meant);
    }
    Some(plain)
}

fn csv(value: &[u8]) -> Vec<u8> {
    let plain = !value.is_empty() && value != b"\\." && !value.iter().any(|byte| b",\"\r\n".contains(byte));
    if plain {
        return value.to_vec();
    }
    let mut quoted = Vec::with_capacity(value.len() + 2);
    quoted.push(b'"');
    for byte in value {
        if *byte == b'"' {
            quoted.push(b'"');
        }
        quoted.push(*byte);
    }
    quoted.push(b'"');
    quoted
}

fn json(value: &[u8], kind: &str, out: &mut Vec<u8>) -> Result<(), &'static str> {
    // Of an array's type, that of what is in it would be left.
    let kind = if kind.ends_with(']') { kind } else { kind.split('(').next().unwrap_or_default() };
    match kind {
        "boolean" => out.extend_from_slice(if value == b"t" { b"true" } else { b"false" }),
        // Line ends are only between its parts: within a text they are written otherwise.
        "json" | "jsonb" => out.extend(value.iter().map(|byte| if b"\r\n".contains(byte) { b' ' } else { *byte })),
        "smallint" | "integer" | "bigint" | "numeric" | "real" | "double precision"
            // Infinity and NaN are no numbers in JSON.
            if value.iter().any(u8::is_ascii_digit) =>
        {
            out.extend_from_slice(value);
        }
        _ => string(value, out)?,
    }
    Ok(())
}

fn string(value: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
    let text = std::str::from_utf8(value).map_err(|_| "a value is not UTF-8")?;
    serde_json::to_writer(out, text).map_err(|_| "a value cannot be written as JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(all: &[(&str, &str)]) -> Vec<ColumnEntry> {
        all.iter().map(|(name, kind)| ColumnEntry { name: (*name).to_owned(), kind: (*kind).to_owned() }).collect()
    }

    fn written(format: RowFormat, columns: Vec<ColumnEntry>, pieces: &[&[u8]]) -> String {
        let mut writer = Writer { format, columns, begun: Vec::new() };
        let mut out = Vec::new();
        writer.head(&mut out);
        for piece in pieces {
            writer.piece(piece, &mut out).expect("written");
        }
        assert!(writer.begun.is_empty());
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn csv_tells_nothing_from_an_empty_text() {
        let rows: &[&[u8]] = &[b"1\t\\N\n2\t\n3\ta,b \"c\"\\n", b"d\\te\n4\t\\\\N\n"];
        let out = written(RowFormat::Csv, columns(&[("id", "integer"), ("a \"b\"", "text")]), rows);
        assert_eq!(out, "id,\"a \"\"b\"\"\"\r\n1,\r\n2,\"\"\r\n3,\"a,b \"\"c\"\"\nd\te\"\r\n4,\\N\r\n");
    }

    #[test]
    fn json_keeps_numbers_and_json() {
        let kinds = [
            ("i", "bigint"),
            ("n", "numeric(40,2)"),
            ("f", "double precision"),
            ("b", "boolean"),
            ("j", "jsonb"),
            ("t", "text"),
            ("a", "numeric(10,2)[]"),
        ];
        let rows: &[&[u8]] = &[
            b"9007199254740993\t12345678901234567890.12\t1e-07\tt\t{\"a\": \"\\\\n\"}\tq\"\\\\\\n\t{1.00,2.00}\n",
            b"\\N\tNaN\tInfinity\tf\t[1,\\n 2]\t\t\\N\n",
        ];
        let out = written(RowFormat::Ndjson, columns(&kinds), rows);
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(
            lines[0],
            r#"{"i":9007199254740993,"n":12345678901234567890.12,"f":1e-07,"b":true,"j":{"a": "\n"},"t":"q\"\\\n","a":"{1.00,2.00}"}"#
        );
        assert_eq!(lines[1], r#"{"i":null,"n":"NaN","f":"Infinity","b":false,"j":[1,  2],"t":"","a":null}"#);
        for line in lines {
            serde_json::from_str::<serde_json::Value>(line).expect(line);
        }
    }

    #[test]
    fn copy_is_left_as_it_is() {
        assert_eq!(written(RowFormat::Copy, columns(&[("a", "text")]), &[b"x\\ty\n"]), "x\\ty\n");
    }

    #[test]
    fn rows_of_another_shape_are_an_error() {
        let mut writer = Writer { format: RowFormat::Csv, columns: columns(&[("a", "text")]), begun: Vec::new() };
        writer.piece(b"1\t2\n", &mut Vec::new()).expect_err("two values for one column");
    }
}
