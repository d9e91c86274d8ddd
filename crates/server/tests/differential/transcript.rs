//! What a server said, as lines that can be compared (PostgreSQL manual, section 55.7).

use data_encoding::HEXLOWER;

use crate::door::Types;
use crate::socket::Message;

/// How to read a server's messages.
#[derive(Debug)]
pub(crate) struct Reading<'t> {
    pub(crate) types: &'t Types,
    /// Take the column `tenant_id` out of results.
    pub(crate) hide_tenant: bool,
}

impl Reading<'_> {
    /// One line for each message that a client would notice.
    pub(crate) fn lines(&self, messages: &[Message]) -> Vec<String> {
        let mut lines = Vec::new();
        // Places of columns that are taken out of the rows that follow.
        let mut hidden = Vec::new();
        for (tag, body) in messages {
            match tag {
                b'T' => {
                    let columns = columns(body);
                    hidden = columns.iter().map(|column| self.hide_tenant && column.name == "tenant_id").collect();
                    let shown = columns.iter().zip(&hidden).filter(|(_, hidden)| !**hidden);
                    let shown: Vec<String> = shown.map(|(column, _)| self.column(column)).collect();
                    lines.push(format!("columns {}", shown.join(", ")));
                }
                b'D' => {
                    let values = values(body);
                    let hidden = hidden.iter().copied().chain(std::iter::repeat(false));
                    let shown: Vec<String> =
                        values.into_iter().zip(hidden).filter(|(_, hidden)| !hidden).map(|(value, _)| value).collect();
                    lines.push(format!("row     {}", shown.join(" | ")));
                }
                b'C' => lines.push(format!("done    {}", text(body))),
                b'E' => lines.push(fault("error  ", body)),
                b'N' => lines.push(fault("notice ", body)),
                b'I' => lines.push("empty".to_owned()),
                b'Z' => lines.push(format!("state   {}", char::from(body[0]))),
                b't' => lines.push(format!("takes   {}", self.parameters(body))),
                b'n' => lines.push("no data".to_owned()),
                b's' => lines.push("more to come".to_owned()),
                b'A' => lines.push(notification(body)),
                b'G' | b'H' => lines.push(copying(*tag, body)),
                b'd' => lines.push(data(body)),
                // The acknowledgements of the extended protocol, the end of copied data, and settings.
                b'1' | b'2' | b'3' | b'c' | b'S' => {}
                other => lines.push(format!("message {:?} {}", char::from(*other), String::from_utf8_lossy(body))),
            }
        }
        lines
    }

    fn type_name(&self, oid: u32) -> String {
        self.types.get(&oid).cloned().unwrap_or_else(|| oid.to_string())
    }

    fn column(&self, column: &Column) -> String {
        format!("{}: {}({})", column.name, self.type_name(column.type_oid), column.modifier)
    }

    fn parameters(&self, body: &[u8]) -> String {
        let oids = body[2..].chunks_exact(4).map(|oid| u32::from_be_bytes(oid.try_into().expect("four bytes")));
        oids.map(|oid| self.type_name(oid)).collect::<Vec<_>>().join(", ")
    }
}

struct Column {
    name: String,
    type_oid: u32,
    modifier: i32,
}

fn columns(body: &[u8]) -> Vec<Column> {
    let mut rest = &body[2..];
    let mut columns = Vec::new();
    while let Some(end) = rest.iter().position(|byte| *byte == 0) {
        let (name, after) = rest.split_at(end);
        // Table (4), number (2), type (4), size (2), modifier (4), format (2).
        let (about, next) = after[1..].split_at(18);
        columns.push(Column {
            name: String::from_utf8_lossy(name).into_owned(),
            type_oid: u32::from_be_bytes(about[6..10].try_into().expect("four bytes")),
            modifier: i32::from_be_bytes(about[12..16].try_into().expect("four bytes")),
        });
        rest = next;
    }
    columns
}

fn values(body: &[u8]) -> Vec<String> {
    let mut rest = &body[2..];
    let mut values = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk() {
        if let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) {
            let (value, next) = after.split_at(length);
            values.push(format!("'{}'", String::from_utf8_lossy(value)));
            rest = next;
        } else {
            values.push("NULL".to_owned());
            rest = after;
        }
    }
    values
}

fn text(body: &[u8]) -> String {
    String::from_utf8_lossy(body).trim_end_matches('\0').to_owned()
}

/// Severity, code, message, hint and the names of what it is about (section 55.8). Left out are the position, which a
/// rewritten statement moves, and DETAIL, which shows whole keys.
fn fault(what: &str, body: &[u8]) -> String {
    let fields = body.split(|byte| *byte == 0).filter(|field| !field.is_empty());
    let shown = fields.filter(|field| b"VCMHtcdn".contains(&field[0]));
    let shown: Vec<String> = shown.map(|field| String::from_utf8_lossy(field).into_owned()).collect();
    format!("{what} {}", shown.join(" · "))
}

fn notification(body: &[u8]) -> String {
    let mut texts = body[4..].split(|byte| *byte == 0).map(String::from_utf8_lossy);
    format!("heard   {} {}", texts.next().unwrap_or_default(), texts.next().unwrap_or_default())
}

fn copying(tag: u8, body: &[u8]) -> String {
    let direction = if tag == b'G' { "in" } else { "out" };
    let format = if body[0] == 0 { "text" } else { "binary" };
    format!("copy {direction} as {format}, {} columns", u16::from_be_bytes([body[1], body[2]]))
}

fn data(body: &[u8]) -> String {
    match std::str::from_utf8(body) {
        Ok(text) if !text.contains('\0') => format!("data    {}", text.trim_end_matches('\n')),
        _ => format!("data    {}", HEXLOWER.encode(body)),
    }
}
