//! The names that WITH clauses give to queries.

use std::collections::HashMap;

/// A WITH query.
#[derive(Clone, Copy)]
pub(super) struct Shadow<'a> {
    pub(super) name: &'a str,
    /// How many columns it gives, if that is known. It is worked out once, when the query is read: its name may mean
    /// something else inside it, and queries that are built on each other would be counted over and over again.
    pub(super) width: Option<usize>,
}

/// Those that are visible at some point.
#[derive(Default)]
pub(super) struct Shadows<'a> {
    /// The innermost last.
    list: Vec<Shadow<'a>>,
    /// Where in the list those of a name are: a text has as many names as its length allows, and all may be looked for.
    by_name: HashMap<&'a str, Vec<usize>>,
}

impl<'a> Shadows<'a> {
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn push(&mut self, shadow: Shadow<'a>) {
        self.by_name.entry(shadow.name).or_default().push(self.list.len());
        self.list.push(shadow);
    }

    /// Forgets all but the outermost `len`.
    pub(super) fn truncate(&mut self, len: usize) {
        for shadow in self.list.drain(len.min(self.list.len())..) {
            if let Some(places) = self.by_name.get_mut(shadow.name) {
                places.pop();
            }
        }
    }

    /// The query that a name means.
    pub(super) fn find(&self, name: &str) -> Option<Shadow<'a>> {
        self.by_name.get(name)?.last().and_then(|place| self.list.get(*place)).copied()
    }
}
