//! What an app has besides tables: types, views, routines, triggers, extensions.

use pg_query::protobuf as pb;

use std::collections::BTreeSet;

use super::Table;
use crate::plan::Scope;
use crate::refusal::{Fault, Verdict};

/// All of it, as the migrations read so far leave it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Objects {
    pub(crate) types: Vec<Type>,
    pub(crate) views: Vec<View>,
    pub(crate) routines: Vec<Routine>,
    pub(crate) triggers: Vec<Trigger>,
    /// Enumerated types as they were created, those dropped since included.
    pub(crate) enums: Vec<Enum>,
    /// Names of extended statistics.
    pub(crate) statistics: Vec<String>,
    /// Extensions, in the order in which they are asked for.
    pub(crate) extensions: Vec<String>,
    /// What a refused statement would have made.
    pub(crate) broken: Vec<String>,
    /// Names that stood for types with fields when a function was created: its body is read again after they may have gone.
    pub(crate) had_fields: BTreeSet<String>,
}

/// A type.
#[derive(Debug, Clone)]
pub(crate) struct Type {
    pub(crate) name: String,
    pub(crate) scope: Scope,
    pub(crate) kind: Kind,
}

/// What a type is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// With its labels in order, and its place among [`Objects::enums`].
    Enum(Vec<String>, usize),
    Domain {
        /// Whether it is over a composite type.
        fields: bool,
    },
    /// With its attributes in order.
    Composite(Vec<String>),
    Range,
}

/// The CREATE TYPE of an enumerated type.
#[derive(Debug, Clone)]
pub(crate) struct Enum {
    /// As it was written.
    pub(crate) written: pb::CreateEnumStmt,
    /// With the values that were added since, each where it belongs; labels have the names that they had at first.
    pub(crate) grown: pb::CreateEnumStmt,
    /// Whether values are added by statements of their own from now on.
    pub(crate) settled: bool,
}

/// A view.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub(crate) name: String,
    /// What it looks like to statements about rows.
    pub(crate) shape: Table,
    /// Tables and views that its query names.
    pub(crate) reads: Vec<String>,
}

/// A function or procedure.
#[derive(Debug, Clone)]
pub(crate) struct Routine {
    pub(crate) name: String,
    pub(crate) scope: Scope,
    /// The types that tell it from others of its name, as SQL writes them.
    pub(crate) arguments: String,
    /// Columns of the rows it gives, if it gives rows of known columns.
    pub(crate) columns: Option<Vec<String>>,
    /// The table that it gives rows of.
    pub(crate) rows_of: Option<String>,
    /// Whether its body names tables or runs a text as SQL.
    pub(crate) names_tables: bool,
    /// Functions that its body calls.
    pub(crate) calls: Vec<String>,
}

/// A trigger.
#[derive(Debug, Clone)]
pub(crate) struct Trigger {
    pub(crate) name: String,
    pub(crate) table: String,
    pub(crate) routine: String,
    /// The names that it gives to the rows before and after.
    pub(crate) transitions: Vec<String>,
    /// Whether it fires before the rows change, and so in the middle of a foreign key's action.
    pub(crate) before: bool,
    pub(crate) on_update: bool,
    pub(crate) on_delete: bool,
}

impl Objects {
    pub(crate) fn find_type(&self, name: &str) -> Option<&Type> {
        self.types.iter().find(|known| known.name == name)
    }

    /// Fails unless the type exists.
    pub(crate) fn type_mut(&mut self, name: &str) -> Verdict<&mut Type> {
        let unknown = self.unknown("type", name);
        self.types.iter_mut().find(|known| known.name == name).ok_or(unknown)
    }

    pub(crate) fn find_view(&self, name: &str) -> Option<&View> {
        self.views.iter().find(|view| view.name == name)
    }

    /// The routines of this name: they may differ in their arguments.
    pub(crate) fn routines_called(&self, name: &str) -> impl Iterator<Item = &Routine> {
        self.routines.iter().filter(move |routine| routine.name == name)
    }

    /// Whether there is a routine with this name and these arguments.
    pub(crate) fn has_routine(&self, signature: &str) -> bool {
        self.routines.iter().any(|routine| routine.arguments == signature)
    }

    /// The fault of naming what is not there.
    pub(crate) fn unknown(&self, what: &str, name: &str) -> Fault {
        if self.broken.iter().any(|broken| broken == name) {
            return Fault::echo();
        }
        Fault::new(
            format!("there is no {what} {name} at this point"),
            "create it in an earlier statement, or correct the name",
        )
    }

    /// Types that only tenants have, among these names.
    pub(crate) fn of_tenants<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
        names.into_iter().find(|name| {
            let name = name.strip_prefix('_').unwrap_or(name);
            self.find_type(name).is_some_and(|known| known.scope == Scope::Tenant)
        })
    }
}
