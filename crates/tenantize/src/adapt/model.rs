//! What adaption asks of the app's model, and the model as a finished plan keeps it.

use std::sync::Arc;

use super::{Isolation, Scope};
use crate::schema::{Schema, Table};

/// The app's objects after the last migration.
#[derive(Debug, Clone)]
pub(crate) struct Model(Arc<Schema>);

impl Model {
    pub(crate) fn new(schema: Schema) -> Self {
        Self(Arc::new(schema))
    }

    pub(crate) fn schema(&self) -> &Schema {
        &self.0
    }
}

/// A plan's model follows from its steps, so plans that are equal in those are equal.
impl PartialEq for Model {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Model {}

/// Where something that the app calls `public.name` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Home {
    /// Where the app put it: the schema of the tenant's own tables, or that of the shared ones.
    Own,
    /// Schema `global`.
    Global,
    /// The schema of the tenant's own sequences.
    Sequences,
    /// Wherever the `search_path` finds it: an extension's schema.
    Path,
}

impl Schema {
    /// The sequence behind a column.
    pub(super) fn sequence_behind(&self, table: &str, column: &str) -> Option<&str> {
        self.sequence_of(table, column).map(|sequence| sequence.name.as_str())
    }

    /// Where a sequence of the app's is; `None` if it has none of this name.
    fn sequence_home(&self, name: &str, isolation: Isolation) -> Option<Home> {
        let scope = self.sequence(name)?.scope;
        Some(if scope == Scope::Tenant && isolation == Isolation::Shared { Home::Sequences } else { home_of(scope) })
    }

    /// Where a table, view, index or sequence is that the app calls `public.name`; `None` if it has none of this name.
    pub(super) fn relation_home(&self, name: &str, isolation: Isolation) -> Option<Home> {
        let indexed = |table: &&Table| {
            table.keys.iter().any(|key| key.name == name) || table.indexes.iter().any(|index| index.name == name)
        };
        self.find(name)
            .map(|table| home_of(table.scope))
            .or_else(|| self.objects.find_view(name).map(|_| Home::Own))
            .or_else(|| self.sequence_home(name, isolation))
            .or_else(|| self.tables().iter().find(indexed).map(|table| home_of(table.scope)))
    }

    /// Where a type is that the app calls `public.name`; that of an extension if it is none of the app's.
    pub(super) fn type_home(&self, name: &str) -> Home {
        self.find(name)
            .map(|table| table.scope)
            .or_else(|| self.objects.find_type(name).map(|known| known.scope))
            .map(home_of)
            .or_else(|| self.objects.find_view(name).map(|_| Home::Own))
            .unwrap_or(Home::Path)
    }

    /// Where a function is that the app calls `public.name`: one of the app's, else a type, which is called to cast to it
    /// (manual, 10.3), else that of an extension.
    pub(super) fn routine_home(&self, name: &str) -> Home {
        let routine = self.objects.routines_called(name).next();
        routine.map_or_else(|| self.type_home(name), |routine| home_of(routine.scope))
    }

    /// The names of what the app may call `public.name`.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let objects = &self.objects;
        let types = objects.types.iter().map(|known| &known.name);
        let views = objects.views.iter().map(|view| &view.name);
        let routines = objects.routines.iter().map(|routine| &routine.name);
        let tables = self.tables().iter().map(|table| &table.name);
        tables.chain(types).chain(views).chain(routines).map(String::as_str)
    }

    /// Where all is that the app calls `public.name`; `None` if it is in several places.
    pub(crate) fn all_homes(&self, name: &str, isolation: Isolation) -> Option<Home> {
        let named = |kind: Home| Some(kind).filter(|home| *home != Home::Path);
        let homes = [self.relation_home(name, isolation), named(self.type_home(name)), named(self.routine_home(name))];
        let mut homes = homes.into_iter().flatten();
        let first = homes.next()?;
        homes.all(|home| home == first).then_some(first)
    }

    /// Whether something that the app calls `public.name` is elsewhere, though its tables are there.
    pub(crate) fn has_strangers(&self, isolation: Isolation) -> bool {
        let objects = &self.objects;
        let tables = self.tables().iter().map(|table| table.scope);
        let scopes = tables.chain(objects.types.iter().map(|known| known.scope));
        let own_sequences = || self.sequences().iter().any(|sequence| sequence.scope == Scope::Tenant);
        !objects.extensions.is_empty()
            || (isolation == Isolation::Shared && own_sequences())
            || scopes.chain(objects.routines.iter().map(|routine| routine.scope)).any(|scope| scope == Scope::Global)
    }
}

fn home_of(scope: Scope) -> Home {
    match scope {
        Scope::Global => Home::Global,
        Scope::Tenant => Home::Own,
    }
}

/// Whether a column of the table stands after `tenant_id` where tenants share it, because it was added later.
pub(crate) fn has_late_columns(table: &Table) -> bool {
    !table.tenant_is_last()
}
