//! Sequences: where tables are shared, each tenant has its own ones in a schema of its own.

use domain::{Isolation, quote_ident, quote_literal};
use pg_query::{NodeEnum, protobuf as pb};

use super::edit::{Part, Slot};
use super::model::Home;
use super::qualifier::constant;
use super::{Adapter, Edit, Place, place};
use crate::lex::{self, Kind, Lexer, Token};
use crate::tree;

/// What a call becomes.
enum Change {
    /// A call of this function.
    Name(&'static str),
    /// A call of this function with this one argument.
    Call(&'static str, String),
    /// This expression.
    Whole(Vec<Part>),
}

impl<'a> Adapter<'a> {
    /// Changes a call that is about sequences or channels; gives whether its arguments are done with.
    pub(super) fn sequence_call(&mut self, call: &'a pb::FuncCall) -> bool {
        let Some(change) = self.change(call) else { return false };
        let Some((name, end)) = self.call_span(call) else { return false };
        let (edit, done) = match change {
            Change::Name(function) => (Edit::replace(name, function), false),
            Change::Call(function, argument) => {
                (Edit::replace(name.start..end, format!("{function}({argument})")), true)
            }
            Change::Whole(parts) => (Edit { range: name.start..end, parts }, true),
        };
        self.edits.push(edit);
        done
    }

    /// Gives a column of a result the name that it has by its call.
    pub(super) fn keep_name(&mut self, target: &'a pb::ResTarget) {
        let Some(NodeEnum::FuncCall(call)) = target.val.as_deref().and_then(|value| value.node.as_ref()) else {
            return;
        };
        let Some(name) = call.funcname.last().and_then(tree::string).filter(|_| self.change(call).is_some()) else {
            return;
        };
        if let Some((_, end)) = self.call_span(call) {
            self.edits.push(Edit::insert(end, format!(" AS {}", quote_ident(name))));
        }
    }

    fn change(&self, call: &'a pb::FuncCall) -> Option<Change> {
        let names: Vec<&str> = call.funcname.iter().filter_map(tree::string).collect();
        let name = match names.as_slice() {
            [name] | ["pg_catalog", name] => *name,
            _ => return None,
        };
        let in_routine = matches!(self.flavour.place, Place::Sql | Place::PlPgSql);
        match (name, call.args.as_slice()) {
            ("pg_notify", _) if self.shares_channels() || in_routine => Some(Change::Name("sindico.notify")),
            ("nextval", [sequence]) if self.shared() && self.flavour.place != Place::Client => {
                let name = relation_named(sequence)?;
                let own = self.model.relation_home(&name, Isolation::Shared) == Some(Home::Sequences);
                own.then(|| Change::Call("sindico.next_value", quote_literal(&name)))
            }
            ("pg_get_serial_sequence", [table, column]) if self.shared() && !self.in_from => {
                let table = relation_named(table)?;
                let sequence = self.model.sequence_behind(&table, constant(column)?.value)?;
                let own = self.model.relation_home(sequence, Isolation::Shared) == Some(Home::Sequences);
                own.then(|| Change::Whole(self.qualified(sequence)))
            }
            _ => None,
        }
    }

    /// The text by which a sequence of the tenant's is found, under whichever `search_path` where it is a client that asks.
    fn qualified(&self, sequence: &str) -> Vec<Part> {
        let quoted = quote_ident(sequence);
        if self.flavour.place != Place::Client {
            return vec![Part::Text(format!("{}::text", quote_literal(&quoted)))];
        }
        let escaped = quoted.replace('\\', "\\\\").replace('\'', "''");
        let (open, close) = ("E'".to_owned(), format!(".{escaped}'::text"));
        vec![Part::Text(open), Part::Slot(Slot::SequencesInString), Part::Text(close)]
    }

    /// A call's name, and the end of its closing parenthesis.
    fn call_span(&self, call: &pb::FuncCall) -> Option<(std::ops::Range<usize>, usize)> {
        let parts = lex::name_parts(self.text, place(call.location)?);
        let name = parts.first()?.start..parts.last()?.end;
        let mut depth = 0_usize;
        for token in Lexer::from(self.text, name.end, true) {
            match token.kind {
                Kind::Open => depth += 1,
                Kind::Close => {
                    depth = depth.checked_sub(1)?;
                    if depth == 0 {
                        return Some((name, token.end));
                    }
                }
                _ if depth == 0 => return None,
                _ => {}
            }
        }
        None
    }
}

/// The app's relation that a string names.
fn relation_named(node: &pb::Node) -> Option<String> {
    let value = match &node.node {
        Some(NodeEnum::TypeCast(cast)) => constant(cast.arg.as_deref()?)?.value,
        _ => constant(node)?.value,
    };
    let parts = lex::name_parts(value, 0);
    let word = |token: &Token| value.get(token.start..token.end).unwrap_or_default();
    let name = match parts.as_slice() {
        [name] => name,
        [schema, name] if lex::name_of(word(schema)) == "public" => name,
        _ => return None,
    };
    value.get(name.end..)?.trim().is_empty().then(|| lex::name_of(word(name)))
}
