//! The types in DECLARE sections.
//!
//! Where a section is can be told from its words but not with certainty, since SQL may use the same words as names. So each
//! stand-in carries a mark, by which one that got into a piece of SQL is found out: no SQL is read otherwise than it is
//! written.

use std::ops::Range;

use pg_query::{NodeEnum, protobuf as pb};

use super::stand_in;
use crate::lex::{Kind, Lexer, Token, name_of};
use crate::schema::Schema;
use crate::tree;

/// A body for PostgreSQL's reader.
pub(super) struct Body {
    pub(super) text: String,
    /// A comment that stands in each stand-in and nowhere else.
    pub(super) mark: String,
}

/// The body with types that PostgreSQL's reader knows.
pub(super) fn with_stand_ins(source: &str, schema: &Schema) -> Body {
    let mut mark = "/*type*/".to_owned();
    while source.contains(&mark) {
        mark.insert(2, 'x');
    }
    let tokens = Lexer::new(source, true).collect();
    let mut sections = Sections { source, tokens, schema, found: Vec::new() };
    sections.read();
    let (mut text, mut done) = (String::with_capacity(source.len()), 0);
    for (range, stand_in) in sections.found {
        text.push_str(source.get(done..range.start).unwrap_or_default());
        // In the middle, since comments around a piece of SQL are no part of it.
        text.push_str(&format!("pg_catalog{mark}.{stand_in}"));
        done = range.end;
    }
    text.push_str(source.get(done..).unwrap_or_default());
    Body { text, mark }
}

struct Sections<'a> {
    source: &'a str,
    tokens: Vec<Token>,
    schema: &'a Schema,
    /// Places of types in order, and what stands in for them.
    found: Vec<(Range<usize>, &'static str)>,
}

impl Sections<'_> {
    fn read(&mut self) {
        let mut at = 0;
        while at < self.tokens.len() {
            at = if self.is(at, "declare") { self.section(at + 1) } else { at + 1 };
        }
    }

    fn text(&self, at: usize) -> &str {
        self.tokens.get(at).and_then(|token| self.source.get(token.start..token.end)).unwrap_or_default()
    }

    fn kind(&self, at: usize) -> Option<Kind> {
        self.tokens.get(at).map(|token| token.kind)
    }

    /// Whether an unquoted word stands there.
    fn is(&self, at: usize, word: &str) -> bool {
        self.text(at).eq_ignore_ascii_case(word)
    }

    fn is_name(&self, at: usize) -> bool {
        matches!(self.kind(at), Some(Kind::Word | Kind::Quoted))
    }

    fn name(&self, at: usize) -> Option<String> {
        self.is_name(at).then(|| name_of(self.text(at)))
    }

    /// Reads declarations up to BEGIN, or to what is none, and gives where that is.
    fn section(&mut self, mut at: usize) -> usize {
        while self.is_name(at) && !self.is(at, "begin") {
            // PostgreSQL takes the word again before each declaration.
            if self.is(at, "declare") {
                at += 1;
                continue;
            }
            at = self.declaration(at + 1);
            while self.kind(at).is_some_and(|kind| kind != Kind::Semicolon) {
                at += 1;
            }
            at += 1;
        }
        at
    }

    /// Reads what follows a declared name.
    fn declaration(&mut self, mut at: usize) -> usize {
        if self.is(at, "alias") && self.is(at + 1, "for") {
            return at;
        }
        let scroll = if self.is(at, "no") { at + 1 } else { at };
        let cursor = if self.is(scroll, "scroll") { scroll + 1 } else { at };
        if self.is(cursor, "cursor") {
            at = cursor + 1;
            while matches!(self.kind(at), Some(Kind::Open | Kind::Comma)) && self.is_name(at + 1) {
                at = self.type_at(at + 2);
            }
            return at;
        }
        if self.is(at, "constant") {
            at += 1;
        }
        self.type_at(at)
    }

    /// Reads a type, and gives where it ends.
    fn type_at(&mut self, first: usize) -> usize {
        let (mut at, mut depth) = (first, 0_usize);
        while let Some(kind) = self.kind(at) {
            match kind {
                Kind::Semicolon => break,
                Kind::Comma | Kind::Close if depth == 0 => break,
                Kind::Open => depth += 1,
                Kind::Close => depth -= 1,
                Kind::Other if matches!(self.text(at), ":" | "=") => break,
                Kind::Word if ["default", "not", "collate"].iter().any(|word| self.is(at, word)) => break,
                _ => {}
            }
            at += 1;
        }
        if let (Some(from), Some(to)) =
            (self.tokens.get(first), at.checked_sub(1).and_then(|last| self.tokens.get(last)))
            && from.start < to.end
        {
            let range = from.start..to.end;
            if let Some(stand_in) = self.stand_in(first..at, range.clone()) {
                self.found.push((range, stand_in));
            }
        }
        at
    }

    /// What stands in for the type in these words and bytes; `None` if it is not read as one.
    fn stand_in(&self, words: Range<usize>, bytes: Range<usize>) -> Option<&'static str> {
        let end = words.end.saturating_sub(2);
        if end > words.start && self.text(end) == "%" {
            if self.is(end + 1, "rowtype") {
                return Some(stand_in::RECORD);
            }
            // Only of variables without fields may the type be taken, so where no column is meant it is such a one.
            let table = end.checked_sub(3).filter(|at| *at >= words.start).and_then(|at| self.name(at));
            let column = self.name(end - 1);
            let of = table.zip(column).and_then(|(table, column)| stand_in::of_column(&table, &column, self.schema));
            return self.is(end + 1, "type").then(|| of.unwrap_or(stand_in::SCALAR));
        }
        let tree = tree::parse(&format!("SELECT CAST(NULL AS {})", self.source.get(bytes)?)).ok()?;
        Some(stand_in::of_type(cast_to(&tree)?, self.schema))
    }
}

/// The type of the one cast that a query selects.
fn cast_to(query: &pb::Node) -> Option<&pb::TypeName> {
    let Some(NodeEnum::SelectStmt(select)) = &query.node else { return None };
    let [pb::Node { node: Some(NodeEnum::ResTarget(target)) }] = select.target_list.as_slice() else { return None };
    match target.val.as_deref()?.node.as_ref()? {
        NodeEnum::TypeCast(cast) => cast.type_name.as_ref(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::with_stand_ins;
    use crate::schema::Schema;

    #[track_caller]
    fn assert_read(source: &str, expected: &str) {
        assert_eq!(with_stand_ins(source, &Schema::default()).text.replace("pg_catalog/*type*/.", "'"), expected);
    }

    #[test]
    fn types_of_all_kinds() {
        assert_read(
            "DECLARE a CONSTANT \"T\".x (1, 2) [] COLLATE \"C\" NOT NULL := 1; b t%ROWTYPE; c a.b.c%TYPE = 2; d ALIAS FOR $1;
             e NO SCROLL CURSOR (f s.g, h numeric(1)) FOR SELECT x y; i refcursor; DECLARE j record DEFAULT k(l); BEGIN m n;",
            "DECLARE a CONSTANT 'text[] COLLATE \"C\" NOT NULL := 1; b 'record; c 'text = 2; d ALIAS FOR $1;
             e NO SCROLL CURSOR (f 'text, h 'text) FOR SELECT x y; i 'refcursor; DECLARE j 'record DEFAULT k(l); BEGIN m n;",
        );
        for unread in
            ["DECLARE", "DECLARE a", "DECLARE a;", "DECLARE a t%;", "DECLARE a (b;", "DECLARE a ,;", "declare := 1;"]
        {
            assert_read(unread, unread);
        }
    }

    proptest! {
        /// Without its stand-ins a body is shorter by types and otherwise itself.
        #[test]
        fn only_types_go(words in prop::collection::vec(prop::sample::select(WORDS.to_vec()), 0..30)) {
            let source = words.join(" ");
            let body = with_stand_ins(&source, &Schema::default());
            let mut rest = source.as_str();
            for (nth, part) in body.text.split(&format!("pg_catalog{}.", body.mark)).enumerate() {
                let stand_in = ["record", "text[]", "text", "refcursor"].iter().find_map(|word| part.strip_prefix(word));
                let kept = if nth == 0 { Some(part) } else { stand_in }.expect("a stand-in behind each mark");
                let at = rest.find(kept);
                prop_assert!(at.is_some(), "{source:?} became {:?}", body.text);
                rest = rest.get(at.unwrap_or_default() + kept.len()..).unwrap_or_default();
            }
        }
    }

    const WORDS: [&str; 24] = [
        "DECLARE",
        "BEGIN",
        "a",
        "s.t",
        "int",
        "%",
        "TYPE",
        "ROWTYPE",
        "[",
        "]",
        "(",
        ")",
        ",",
        ";",
        ":=",
        "CURSOR",
        "NO",
        "SCROLL",
        "CONSTANT",
        "ALIAS FOR",
        "\"é",
        "'é'",
        "--",
        "/*type*/",
    ];
}
