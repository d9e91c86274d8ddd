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
    /// Wherever the `search_path` finds it: an extension's schema, or that of a tenant's own sequences.
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
        Some(match (scope, isolation) {
            (Scope::Global, _) => Home::Global,
            (Scope::Tenant, Isolation::Shared) => Home::Path,
            (Scope::Tenant, _) => Home::Own,
        })
    }

    /// Where a table, view or sequence is that the app calls `public.name`.
    pub(super) fn relation_home(&self, name: &str, isolation: Isolation) -> Option<Home> {
        match self.find(name).map(|table| table.scope) {
            Some(Scope::Global) => Some(Home::Global),
            Some(Scope::Tenant) => Some(Home::Own),
            None => self.sequence_home(name, isolation),
        }
    }

    /// Where a type is that the app calls `public.name`; that of an extension if it is none of the app's.
    pub(super) fn type_home(&self, name: &str) -> Home {
        match self.find(name).map(|table| table.scope) {
            Some(Scope::Global) => Home::Global,
            Some(Scope::Tenant) => Home::Own,
            None => Home::Path,
        }
    }

    /// Where a function is that the app calls `public.name`; that of an extension if it is none of the app's.
    pub(super) fn routine_home(&self, _name: &str) -> Home {
        Home::Path
    }
}

/// Whether a column of the table stands after `tenant_id` where tenants share it, because it was added later.
pub(super) fn has_late_columns(table: &Table) -> bool {
    !table.tenant_is_last()
}
