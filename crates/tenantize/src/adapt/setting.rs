//! `search_path` and `row_security`, as clients set them.
//!
//! A client that sets the path means the one schema it knows of: `public`, where a plain database has everything. What
//! is elsewhere in an isolation has to stay on the path. And `pg_dump` begins each dump with `SET row_security = off`,
//! under which PostgreSQL refuses every table with a policy that holds (manual, 20.11.1).

use std::ops::Range;

use domain::{Isolation, quote_ident};
use pg_query::{NodeEnum, protobuf as pb};

use super::edit::{Part, Slot};
use super::qualifier::constant;
use super::truncate::words;
use super::{Adapter, Edit, Place, place};
use crate::lex::{self, Kind, Lexer, Token};
use crate::tree;

const PATH: &str = "search_path";
const POLICIES: &str = "row_security";
const PUBLIC: &str = "public";
/// What is on the path of every tenant.
const COMMON: [&str; 2] = ["global", "extensions"];

impl<'a> Adapter<'a> {
    /// `SET`, with its other spelling `SET SCHEMA`.
    pub(super) fn set(&mut self, set: &'a pb::VariableSetStmt, span: Range<usize>) {
        if self.flavour.place != Place::Client || set.kind() != pb::VariableSetKind::VarSetValue {
            return;
        }
        let Some(words) = words(self.text, span) else { return };
        let Some(first) = set.args.first().and_then(location) else { return };
        let before = || Lexer::from(self.text, words.start, true).take_while(|word| word.end <= first);
        // A name in Unicode escapes is none that clients write, and none that the rules' first look finds.
        let writes = |name: &str| {
            let name_of = |word: Token| lex::name_of(self.text.get(word.start..word.end).unwrap_or_default());
            before().any(|word| name_of(word).eq_ignore_ascii_case(name))
        };
        if set.name.eq_ignore_ascii_case(POLICIES) {
            if self.shared() && writes(POLICIES) && set.args.iter().all(is_off) {
                self.edits.push(Edit::replace(first..words.end, "on"));
            }
            return;
        }
        if !set.name.eq_ignore_ascii_case(PATH) {
            return;
        }
        let names: Option<Vec<String>> = set.args.iter().map(|arg| Some(constant(arg)?.value.to_owned())).collect();
        let Some(mut parts) = names.and_then(|names| self.path(&names, Quotes::None)) else { return };
        let schema = before()
            .last()
            .filter(|word| self.text.get(word.start..word.end).is_some_and(|word| word.eq_ignore_ascii_case("schema")));
        if schema.is_none() && !writes(PATH) {
            return;
        }
        if schema.is_some() {
            parts.insert(0, Part::Text(format!("{PATH} = ")));
        }
        self.edits.push(Edit { range: schema.map_or(first, |word| word.start)..words.end, parts });
    }

    /// `set_config(…)`.
    pub(super) fn set_config(&mut self, call: &'a pb::FuncCall) {
        let names: Vec<&str> = call.funcname.iter().filter_map(tree::string).collect();
        let ([setting, value, _], ["set_config"] | ["pg_catalog", "set_config"]) =
            (call.args.as_slice(), names.as_slice())
        else {
            return;
        };
        let (Some(setting), Some(value)) = (constant(setting), constant(value)) else { return };
        let written = place(setting.location).and_then(|at| self.text.get(at..)?.get(..setting.value.len() + 2));
        let as_is = written.is_some_and(|written| written.trim_matches('\'') == setting.value);
        if self.flavour.place != Place::Client || !as_is {
            return;
        }
        let parts = if setting.value.eq_ignore_ascii_case(PATH) {
            let path = path_names(value.value).and_then(|names| self.path(&names, Quotes::String));
            path.map(|path| {
                let quote = || Part::Text("'".to_owned());
                std::iter::once(quote()).chain(path).chain([quote()]).collect()
            })
        } else if setting.value.eq_ignore_ascii_case(POLICIES) && self.shared() && means_off(value.value) {
            Some(vec![Part::Text("'on'".to_owned())])
        } else {
            None
        };
        // A backslash means something else in each kind of string.
        let word = place(value.location).and_then(|at| Lexer::from(self.text, at, true).next());
        if let (Some(parts), Some(word)) = (parts, word.filter(|word| word.kind == Kind::Text))
            && !value.value.contains('\\')
        {
            self.edits.push(Edit { range: word.start..word.end, parts });
        }
    }

    /// A path with all that a tenant needs on it; `None` for one that does not name the app's schema.
    fn path(&self, names: &[String], quotes: Quotes) -> Option<Vec<Part>> {
        if !names.iter().any(|name| name == PUBLIC) {
            return None;
        }
        let isolation = self.flavour.isolation;
        let place_of = |name: &String| match (name.as_str(), isolation) {
            (PUBLIC, Isolation::Schema) => Part::Slot(quotes.choose(Slot::Schema, Slot::SchemaInString)),
            _ => Part::Text(quotes.name(name)),
        };
        let mut path: Vec<Part> = names.iter().map(place_of).collect();
        // Whoever sets what SHOW has told has them already.
        if isolation == Isolation::Shared && !names.iter().any(|name| is_sequence_schema(name)) {
            path.push(Part::Slot(quotes.choose(Slot::Sequences, Slot::SequencesInString)));
        }
        let missing = COMMON.iter().filter(|common| !names.iter().any(|name| name == *common));
        path.extend(missing.map(|name| Part::Text((*name).to_owned())));
        let mut parts = Vec::with_capacity(path.len() * 2);
        for part in path {
            if !parts.is_empty() {
                parts.push(Part::Text(", ".to_owned()));
            }
            parts.push(part);
        }
        Some(parts)
    }
}

/// What a name stands in.
#[derive(Clone, Copy)]
enum Quotes {
    None,
    String,
}

impl Quotes {
    fn choose(self, plain: Slot, in_string: Slot) -> Slot {
        match self {
            Self::None => plain,
            Self::String => in_string,
        }
    }

    fn name(self, name: &str) -> String {
        let quoted = quote_ident(name);
        match self {
            Self::None => quoted,
            Self::String => quoted.replace('\'', "''"),
        }
    }
}

/// The names in a setting's text, as PostgreSQL's `SplitIdentifierString` reads them; `None` for what it refuses.
fn path_names(value: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut rest = past_blanks(value);
    loop {
        let behind = if let Some(quoted) = rest.strip_prefix('"') {
            let (name, behind) = quoted_name(quoted)?;
            names.push(name);
            behind
        } else {
            let end = rest.find(|letter: char| letter == ',' || is_blank(letter)).unwrap_or(rest.len());
            let (name, behind) = rest.split_at_checked(end)?;
            names.push(Some(name.to_ascii_lowercase()).filter(|name| !name.is_empty())?);
            behind
        };
        let behind = past_blanks(behind);
        if behind.is_empty() {
            return Some(names);
        }
        rest = past_blanks(behind.strip_prefix(',')?);
    }
}

fn is_blank(letter: char) -> bool {
    u8::try_from(letter).is_ok_and(lex::is_blank)
}

fn past_blanks(text: &str) -> &str {
    text.trim_start_matches(is_blank)
}

/// The name up to its closing quote, and what follows.
fn quoted_name(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut rest = text;
    loop {
        let (part, behind) = rest.split_once('"')?;
        name.push_str(part);
        match behind.strip_prefix('"') {
            Some(more) => {
                name.push('"');
                rest = more;
            }
            None => return Some((name, behind)),
        }
    }
}

/// Whether this may be [`domain::TenantId::sequence_schema`] of some tenant.
fn is_sequence_schema(name: &str) -> bool {
    let digits = name.strip_prefix("s_").filter(|digits| digits.len() == 32);
    digits.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn location(node: &pb::Node) -> Option<usize> {
    match &node.node {
        Some(NodeEnum::AConst(constant)) => place(constant.location),
        _ => None,
    }
}

fn is_off(node: &pb::Node) -> bool {
    match &node.node {
        Some(NodeEnum::AConst(pb::AConst { val: Some(pb::a_const::Val::Ival(number)), .. })) => number.ival == 0,
        _ => constant(node).is_some_and(|text| means_off(text.value)),
    }
}

/// Whether a setting's text is one of the many that mean no (`parse_bool_with_len` in PostgreSQL's
/// `src/backend/utils/adt/bool.c`).
fn means_off(value: &str) -> bool {
    let value = value.to_ascii_lowercase();
    let begins = |word: &str, least: usize| value.len() >= least && word.starts_with(&value);
    value == "0" || begins("false", 1) || begins("no", 1) || begins("off", 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_read_as_the_server_reads_it() {
        let names = |value| path_names(value).map(|names| names.join("|"));
        assert_eq!(names(" Public , \"A, \"\"b\" ,$user,x").as_deref(), Some("public|A, \"b|$user|x"));
        for refused in ["", " ", "a,", ",a", "a b", "\"a", "\"a\"b"] {
            assert_eq!(names(refused), None, "{refused}");
        }
    }

    #[test]
    fn there_are_many_words_for_off() {
        for off in ["off", "OF", "f", "false", "n", "no", "0"] {
            assert!(means_off(off), "{off}");
        }
        for other in ["", "o", "on", "true", "1", "yes", "offf", "00"] {
            assert!(!means_off(other), "{other}");
        }
    }
}
