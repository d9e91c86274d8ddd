//! Changes of a text that leave the rest of it as it was written.

use std::ops::Range;

use domain::quote_ident;

use crate::client::Slots;

/// What takes the place of some bytes of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Edit {
    /// The bytes replaced; empty to insert.
    pub(crate) range: Range<usize>,
    pub(crate) parts: Vec<Part>,
}

/// A part of a text that may be known only later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    Text(String),
    Slot(Slot),
}

/// What differs between tenants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    /// The tenant's own schema, as a quoted name.
    Schema,
    /// The same inside a string in plain quotes.
    SchemaInString,
    /// The schema of the tenant's own sequences where tables are shared, as a quoted name.
    Sequences,
    /// The same inside a string in plain quotes.
    SequencesInString,
    /// What the tenant's channels begin with, inside a quoted name.
    ChannelPrefix,
}

impl Edit {
    pub(crate) fn insert(at: usize, text: impl Into<String>) -> Self {
        Self::replace(at..at, text)
    }

    pub(crate) fn replace(range: Range<usize>, text: impl Into<String>) -> Self {
        Self { range, parts: vec![Part::Text(text.into())] }
    }
}

impl Part {
    /// Bytes of memory that it takes besides itself.
    pub(crate) fn held(&self) -> usize {
        match self {
            Self::Text(text) => text.capacity(),
            Self::Slot(_) => 0,
        }
    }

    /// Bytes that it takes, about.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Slot(_) => 36,
        }
    }
}

impl Slot {
    /// What is written where the slot stands, in SQL's quotes.
    pub(crate) fn write(self, slots: &Slots<'_>, out: &mut String) {
        match self {
            Self::Schema => out.push_str(&quote_ident(slots.schema)),
            Self::SchemaInString => out.push_str(&quote_ident(slots.schema).replace('\'', "''")),
            Self::Sequences => out.push_str(&quote_ident(slots.sequences)),
            Self::SequencesInString => out.push_str(&quote_ident(slots.sequences).replace('\'', "''")),
            Self::ChannelPrefix => out.push_str(&slots.channel_prefix.replace('"', "\"\"")),
        }
    }
}

/// The text with all edits in it. Edits may come in any order; those that insert at one place keep theirs. Of two that
/// overlap the one that begins first is made.
pub(crate) fn apply(text: &str, mut edits: Vec<Edit>) -> Vec<Part> {
    edits.sort_by_key(|edit| edit.range.start);
    let mut out: Vec<Part> = Vec::with_capacity(edits.len() * 2 + 1);
    let mut done = 0;
    for edit in edits {
        if edit.range.start < done {
            continue;
        }
        push(&mut out, Part::Text(text.get(done..edit.range.start).unwrap_or_default().to_owned()));
        done = edit.range.end;
        edit.parts.into_iter().for_each(|part| push(&mut out, part));
    }
    push(&mut out, Part::Text(text.get(done..).unwrap_or_default().to_owned()));
    out
}

fn push(parts: &mut Vec<Part>, part: Part) {
    match (parts.last_mut(), part) {
        (_, Part::Text(text)) if text.is_empty() => {}
        (Some(Part::Text(last)), Part::Text(text)) => last.push_str(&text),
        (_, part) => parts.push(part),
    }
}

/// [`apply`] for texts whose tenant is known, or stood in for by a name that is replaced later.
pub(crate) fn written(text: &str, edits: Vec<Edit>, schema: &str) -> String {
    // The other gaps are in clients' texts only.
    let slots = Slots { schema, sequences: "", channel_prefix: "" };
    let mut out = String::with_capacity(text.len() + 64);
    for part in apply(text, edits) {
        match part {
            Part::Text(text) => out.push_str(&text),
            Part::Slot(slot) => slot.write(&slots, &mut out),
        }
    }
    out
}
