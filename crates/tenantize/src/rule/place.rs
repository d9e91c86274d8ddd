//! Expressions that belong to a table: defaults, checks, generated columns, index expressions and predicates.

use pg_query::protobuf as pb;

use super::{draw, owner_rights};
use crate::expr::{self, Place};
use crate::plan::Scope;
use crate::refusal::{Fault, Verdict};
use crate::schema::Schema;

/// Reads expressions that may mention one table's columns and nothing else.
pub(super) struct TablePlace<'a> {
    schema: &'a Schema,
    table: &'a str,
    columns: &'a [String],
    mentions: Vec<String>,
    /// Sequences of tenants that `nextval` names.
    draws: Vec<String>,
    /// Whether to write calls of `nextval` as shared tables have them.
    shared: bool,
    /// Whether foreign keys' actions may compute it: all but defaults and what has been checked before.
    checked: bool,
}

impl<'a> TablePlace<'a> {
    /// `columns` are given apart from the schema because the table may be about to be created or altered.
    pub(super) fn new(schema: &'a Schema, table: &'a str, columns: &'a [String]) -> Self {
        Self { schema, table, columns, mentions: Vec::new(), draws: Vec::new(), shared: false, checked: true }
    }

    /// Like [`Self::new`], to rewrite expressions for shared tables.
    pub(super) fn shared(schema: &'a Schema, table: &'a str, columns: &'a [String]) -> Self {
        Self { shared: true, checked: false, ..Self::new(schema, table, columns) }
    }

    /// Reads a default, which whoever inserts computes.
    pub(super) fn default(&mut self, expr: &mut Option<Box<pb::Node>>) -> Verdict<()> {
        let checked = std::mem::replace(&mut self.checked, false);
        let outcome = mentions(expr, self).map(drop);
        self.checked = checked;
        outcome
    }

    /// The columns mentioned since last asked, each once.
    pub(super) fn take_mentions(&mut self) -> Vec<String> {
        std::mem::take(&mut self.mentions)
    }

    /// The tenants' sequences drawn from since last asked.
    pub(super) fn take_draws(&mut self) -> Vec<String> {
        std::mem::take(&mut self.draws)
    }
}

impl Place for TablePlace<'_> {
    fn column(&mut self, table: Option<&str>, column: &str) -> Verdict<()> {
        if table.is_some_and(|table| table != self.table) || !self.columns.iter().any(|known| known == column) {
            return Err(Fault::new(
                format!("table {} has no column {column} to use here", self.table),
                format!("use one of its columns: {}", self.columns.join(", ")),
            ));
        }
        if !self.mentions.iter().any(|known| known == column) {
            self.mentions.push(column.to_owned());
        }
        Ok(())
    }

    fn query(&mut self, _: &mut pb::Node) -> Verdict<()> {
        Err(Fault::new(
            "PostgreSQL allows no sub-query in a default, check, generated column or index",
            "use the row's own columns, or a foreign key",
        ))
    }

    fn call(&mut self, call: &mut pb::FuncCall) -> Verdict<bool> {
        if self.checked {
            owner_rights::check_call(call, &format!("table {}", self.table), self.schema)?;
        }
        let Some(sequence) = draw::sequence_named(call, self.schema)? else { return Ok(false) };
        let (name, of_tenants) = (sequence.name.clone(), sequence.scope == Scope::Tenant);
        if of_tenants && self.shared {
            draw::share(call, &name);
        } else {
            draw::unqualify(call, &name);
        }
        if of_tenants {
            self.draws.push(name);
        }
        Ok(true)
    }

    fn is_table(&self, name: &str) -> bool {
        name == self.table || self.schema.find(name).is_some()
    }
}

/// [`expr::walk`] for an expression that may be absent; gives the columns it mentions.
pub(super) fn mentions(expr: &mut Option<Box<pb::Node>>, place: &mut TablePlace<'_>) -> Verdict<Vec<String>> {
    expr::walk_opt(expr, place)?;
    Ok(place.take_mentions())
}
