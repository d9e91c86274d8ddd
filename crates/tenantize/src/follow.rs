//! Statements about rows, in the names that tables and columns have in the end.
//!
//! Rows of migrations are written when all migrations have run, so a statement that stands before a rename is followed
//! through it. What a name means is read from the parse tree, which says where in the text it stands; what is not
//! certain is left as it is, and then refused for the name that is no more.

use std::collections::BTreeMap;

use domain::quote_ident;
use pg_query::protobuf::{ScanToken, Token};
use pg_query::{NodeEnum, protobuf as pb};
use serde_json::Value;

use crate::piece::span;
use crate::schema::Schema;
use crate::tree;

/// A rename of a table or of one of its columns.
#[derive(Debug)]
pub(crate) struct Rename {
    /// What the table is called, before it is renamed itself.
    table: String,
    /// The column, if that is renamed.
    column: Option<String>,
    to: String,
    /// How many statements about rows stand before it.
    pub(crate) after: usize,
}

/// The rename that a statement is, if it finds what it names.
pub(crate) fn rename(statement: &pb::Node, schema: &Schema, after: usize) -> Option<Rename> {
    let Some(NodeEnum::RenameStmt(rename)) = &statement.node else { return None };
    let table = schema.find(&rename.relation.as_ref()?.relname)?;
    let column = match rename.rename_type() {
        pb::ObjectType::ObjectTable => None,
        pb::ObjectType::ObjectColumn if table.has_column(&rename.subname) => Some(rename.subname.clone()),
        _ => return None,
    };
    Some(Rename { table: table.name.clone(), column, to: rename.newname.clone(), after })
}

/// A statement's text after some renames, in their order; `None` if none concerns it.
pub(crate) fn through<'a>(text: &str, renames: impl Iterator<Item = &'a Rename>) -> Option<String> {
    let mut followed: Option<String> = None;
    for rename in renames {
        if let Some(next) = rename.applied(followed.as_deref().unwrap_or(text)) {
            followed = Some(next);
        }
    }
    followed
}

impl Rename {
    fn applied(&self, text: &str) -> Option<String> {
        let folded = text.to_lowercase();
        let says = |name: &String| folded.contains(&name.to_lowercase());
        if !says(&self.table) || !self.column.iter().all(says) {
            return None;
        }
        let tree = tree::parse(text).ok()?;
        let named = |(schema, name): &(String, String)| *name == self.table && matches!(schema.as_str(), "" | "public");
        let relations = tree::relations(&tree);
        if !relations.iter().any(named) || tree::with_queries(&tree).contains(&self.table) {
            return None;
        }
        let words = Words { text, tokens: pg_query::scan(text).ok()?.tokens };
        let edits = match &self.column {
            None => self.of_table(&tree, &words)?,
            // With other tables a column may be theirs.
            Some(column) if relations.iter().all(named) && tree::with_queries(&tree).is_empty() => {
                self.of_column(column, &tree, &words)?
            }
            Some(_) => return None,
        };
        (!edits.is_empty()).then(|| words.written(&edits))
    }

    /// The table's new name wherever it is named, and the old one as its alias where columns are qualified by it.
    fn of_table(&self, tree: &pb::Node, words: &Words<'_>) -> Option<BTreeMap<usize, String>> {
        let mut qualified = false;
        let mut places = Vec::new();
        tree::each_member(tree, &mut |key, inner| match key {
            "ColumnRef" => qualified |= fields(inner).rev().skip(1).any(|field| field == self.table),
            "RangeVar" | "relation" if inner.get("relname").is_some_and(|name| *name == *self.table) => {
                places.push((
                    inner.get("location").and_then(Value::as_i64),
                    inner.get("alias").is_some_and(Value::is_object),
                ));
            }
            _ => {}
        });
        let copied = matches!(tree.node, Some(NodeEnum::CopyStmt(_)));
        let mut edits = BTreeMap::new();
        for (location, aliased) in places {
            let first = words.at(location)?;
            // The name itself may stand after its schema.
            let nth = if words.is_dot(first + 1) { first + 2 } else { first };
            if words.name(nth)? != self.table {
                return None;
            }
            let alias = if qualified && !aliased && !copied {
                format!(" AS {}", quote_ident(&self.table))
            } else {
                String::new()
            };
            edits.insert(nth, format!("{}{alias}", quote_ident(&self.to)));
        }
        Some(edits)
    }

    fn of_column(&self, column: &str, tree: &pb::Node, words: &Words<'_>) -> Option<BTreeMap<usize, String>> {
        let mut places = Vec::new();
        let mut elsewhere = matches!(tree.node, Some(NodeEnum::CopyStmt(_)));
        tree::each_member(tree, &mut |key, inner| {
            let is = |member: &str| inner.get(member).is_some_and(|name| name == column);
            let location = || inner.get("location").and_then(Value::as_i64);
            match key {
                "ColumnRef" if fields(inner).next_back() == Some(column) => places.push((location(), true)),
                "ResTarget" if is("name") => places.push((location(), false)),
                // The tree does not say where these stand.
                "IndexElem" if is("name") => elsewhere = true,
                "JoinExpr" => {
                    elsewhere |= !inner.get("using_clause").and_then(Value::as_array).is_none_or(Vec::is_empty);
                }
                _ => {}
            }
        });
        if elsewhere {
            return None;
        }
        let mut edits = BTreeMap::new();
        for (location, certain) in places {
            let mut nth = words.at(location)?;
            while certain && words.is_dot(nth + 1) {
                nth += 2;
            }
            match words.name(nth) {
                Some(name) if name == column => {
                    edits.insert(nth, quote_ident(&self.to));
                }
                // A value that is given the column's name: SELECT 1 AS a.
                _ if !certain => {}
                _ => return None,
            }
        }
        Some(edits)
    }
}

/// The names in a reference to a column.
fn fields(column: &Value) -> impl DoubleEndedIterator<Item = &str> {
    let fields = column.get("fields").and_then(Value::as_array).into_iter().flatten();
    fields.filter_map(|field| field.pointer("/node/String/sval").and_then(Value::as_str))
}

/// A statement's text and its words.
struct Words<'a> {
    text: &'a str,
    tokens: Vec<ScanToken>,
}

impl Words<'_> {
    fn at(&self, location: Option<i64>) -> Option<usize> {
        let location = i32::try_from(location?).ok()?;
        self.tokens.binary_search_by_key(&location, |token| token.start).ok()
    }

    fn is_dot(&self, nth: usize) -> bool {
        self.tokens.get(nth).is_some_and(|token| token.token() == Token::Ascii46)
    }

    /// A word as a name, the way PostgreSQL reads it.
    fn name(&self, nth: usize) -> Option<String> {
        let word = self.text.get(span(self.tokens.get(nth)?))?;
        match word.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            Some(quoted) => Some(quoted.replace("\"\"", "\"")),
            None => Some(word.to_ascii_lowercase()),
        }
    }

    fn written(&self, edits: &BTreeMap<usize, String>) -> String {
        let (mut written, mut from) = (String::with_capacity(self.text.len()), 0);
        for (nth, name) in edits {
            let Some(place) = self.tokens.get(*nth).map(span) else { continue };
            written.push_str(self.text.get(from..place.start).unwrap_or_default());
            written.push_str(name);
            from = place.end;
        }
        written.push_str(self.text.get(from..).unwrap_or_default());
        written
    }
}
