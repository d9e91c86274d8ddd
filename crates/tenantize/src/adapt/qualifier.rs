//! `public.`: the app calls its own schema so, in which isolation ever its objects are elsewhere.

use std::borrow::Cow;

use domain::Isolation;
use pg_query::{NodeEnum, protobuf as pb};

use super::edit::{Part, Slot};
use super::model::Home;
use super::{Adapter, Edit, Place, place};
use crate::bare;
use crate::lex::{self, Kind, Lexer};
use crate::tree;

/// What the app calls its own schema.
const PUBLIC: &str = "public";
/// Where global tables are.
const GLOBAL: &str = "global";

/// Functions whose first argument names a relation in a string.
const RELATION_NAMES: [&str; 6] = ["nextval", "currval", "setval", "to_regclass", "regclass", "pg_get_serial_sequence"];

impl<'a> Adapter<'a> {
    /// Whether what the app calls its own is in a schema that has to be named.
    fn has_slot(&self) -> bool {
        self.flavour.isolation == Isolation::Schema || self.flavour.place == Place::Report
    }

    pub(super) fn relation(&mut self, relation: &pb::RangeVar) {
        if relation.schemaname == PUBLIC && relation.catalogname.is_empty() {
            let home = self.model.relation_home(&relation.relname, self.flavour.isolation);
            self.requalify(relation.location, home);
        }
    }

    /// `public.t.c` and `public.t.*`.
    pub(super) fn column(&mut self, column: &pb::ColumnRef) {
        if let [schema, table, _] = column.fields.as_slice()
            && tree::string(schema) == Some(PUBLIC)
            && let Some(table) = tree::string(table)
        {
            let home = self.model.relation_home(table, self.flavour.isolation);
            self.requalify(column.location, home);
        }
    }

    pub(super) fn type_name(&mut self, type_name: &pb::TypeName) {
        if let [schema, name] = type_name.names.as_slice()
            && tree::string(schema) == Some(PUBLIC)
            && let Some(name) = tree::string(name)
        {
            let home = Some(self.model.type_home(name)).filter(|_| self.flavour.place != Place::Report);
            self.requalify(type_name.location, home);
        }
    }

    pub(super) fn routine(&mut self, call: &pb::FuncCall) {
        if let [schema, name] = call.funcname.as_slice()
            && tree::string(schema) == Some(PUBLIC)
            && let Some(name) = tree::string(name)
        {
            // Views of one tenant have the tables' names; functions are where they were.
            let home = Some(self.model.routine_home(name)).filter(|_| self.flavour.place != Place::Report);
            self.requalify(call.location, home);
        }
    }

    /// The names in a list of a statement that is no query.
    pub(super) fn names_in(&mut self, nodes: &'a [pb::Node]) {
        for node in nodes {
            match &node.node {
                Some(NodeEnum::RangeVar(relation)) => self.relation(relation),
                Some(NodeEnum::TypeName(type_name)) => self.type_name(type_name),
                Some(NodeEnum::VacuumRelation(vacuum)) => vacuum.relation.iter().for_each(|name| self.relation(name)),
                Some(NodeEnum::TableLikeClause(like)) => like.relation.iter().for_each(|name| self.relation(name)),
                Some(NodeEnum::ColumnDef(column)) => column.type_name.iter().for_each(|name| self.type_name(name)),
                _ => {}
            }
        }
    }

    /// Changes the schema of a name that begins at a place.
    fn requalify(&mut self, location: i32, home: Option<Home>) {
        let parts = place(location).map(|at| lex::name_parts(self.text, at)).unwrap_or_default();
        let [schema, name, ..] = parts.as_slice() else { return };
        if !self.text.get(schema.start..schema.end).is_some_and(means_public) {
            return;
        }
        match home {
            Some(Home::Own) if self.has_slot() => {
                let parts = vec![Part::Slot(Slot::Schema)];
                self.edits.push(Edit { range: schema.start..schema.end, parts });
            }
            Some(Home::Global) => self.edits.push(Edit::replace(schema.start..schema.end, GLOBAL)),
            Some(Home::Sequences) if self.flavour.place == Place::Client => {
                let parts = vec![Part::Slot(Slot::Sequences)];
                self.edits.push(Edit { range: schema.start..schema.end, parts });
            }
            Some(Home::Sequences | Home::Path) => {
                let edit = match bare::alone(self.text.get(name.start..name.end).unwrap_or_default()) {
                    Cow::Borrowed(_) => Edit::replace(schema.start..name.start, ""),
                    Cow::Owned(quoted) => Edit::replace(schema.start..name.end, quoted),
                };
                self.edits.push(edit);
            }
            Some(Home::Own) | None => {}
        }
    }

    /// The string that names a relation for a function.
    pub(super) fn named_relation(&mut self, call: &'a pb::FuncCall) {
        let name = call.funcname.last().and_then(tree::string);
        if name.is_some_and(|name| RELATION_NAMES.contains(&name))
            && let Some(argument) = call.args.first().and_then(literal)
        {
            self.name_in_string(&argument, |adapter, name| {
                adapter.model.relation_home(name, adapter.flavour.isolation)
            });
        }
    }

    /// `'public.t'::regclass` and `'public.t'::regtype`.
    pub(super) fn cast(&mut self, cast: &'a pb::TypeCast) {
        let Some(type_name) = &cast.type_name else { return };
        self.type_name(type_name);
        let Some(argument) = cast.arg.as_deref().and_then(constant) else { return };
        match type_name.names.last().and_then(tree::string) {
            Some("regclass") => self.name_in_string(&argument, |adapter, name| {
                adapter.model.relation_home(name, adapter.flavour.isolation)
            }),
            Some("regtype") => self.name_in_string(&argument, |adapter, name| Some(adapter.model.type_home(name))),
            _ => {}
        }
    }

    fn name_in_string(&mut self, constant: &Constant<'_>, home: impl Fn(&Self, &str) -> Option<Home>) {
        let parts = lex::name_parts(constant.value, 0);
        let [schema, name] = parts.as_slice() else { return };
        let name_is_last = constant.value.get(name.end..).is_some_and(|rest| rest.trim().is_empty());
        if !name_is_last || !constant.value.get(schema.start..schema.end).is_some_and(means_public) {
            return;
        }
        let written = constant.value.get(name.start..name.end).unwrap_or_default();
        let schema = match home(self, &lex::name_of(written)) {
            Some(Home::Own) if self.has_slot() => {
                vec![Part::Slot(Slot::SchemaInString), Part::Text(".".to_owned())]
            }
            Some(Home::Global) => vec![Part::Text(format!("{GLOBAL}."))],
            Some(Home::Sequences) if self.flavour.place == Place::Client => {
                vec![Part::Slot(Slot::SequencesInString), Part::Text(".".to_owned())]
            }
            Some(Home::Sequences | Home::Path) => vec![],
            Some(Home::Own) | None => return,
        };
        // A backslash means something else in each kind of string.
        let word = place(constant.location).and_then(|at| Lexer::from(self.text, at, true).next());
        if let Some(word) = word.filter(|word| word.kind == Kind::Text && !written.contains('\\')) {
            let open = Part::Text("'".to_owned());
            let close = Part::Text(format!("{}'", written.replace('\'', "''")));
            let parts = std::iter::once(open).chain(schema).chain([close]).collect();
            self.edits.push(Edit { range: word.start..word.end, parts });
        }
    }
}

/// A string that a statement holds.
pub(super) struct Constant<'a> {
    pub(super) value: &'a str,
    pub(super) location: i32,
}

/// A string that is not cast to something.
pub(super) fn constant(node: &pb::Node) -> Option<Constant<'_>> {
    match &node.node {
        Some(NodeEnum::AConst(pb::AConst { val: Some(pb::a_const::Val::Sval(text)), location, .. })) => {
            Some(Constant { value: &text.sval, location: *location })
        }
        _ => None,
    }
}

/// A string, whatever it is cast to. One that is cast to `regclass` is [`Adapter::cast`]'s.
fn literal(node: &pb::Node) -> Option<Constant<'_>> {
    match &node.node {
        Some(NodeEnum::TypeCast(cast)) => {
            let to = cast.type_name.as_ref().and_then(|name| name.names.last()).and_then(tree::string);
            cast.arg.as_deref().filter(|_| to != Some("regclass")).and_then(constant)
        }
        _ => constant(node),
    }
}

/// Whether this is `public` as SQL writes it.
fn means_public(word: &str) -> bool {
    lex::name_of(word) == PUBLIC
}
