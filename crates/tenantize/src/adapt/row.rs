//! Rows that a text knows by a name which no FROM clause gives: variables and arguments of a routine, the row and the
//! transition tables of a trigger, and what an expression says is a row of a table.

use std::collections::HashMap;

use pg_query::{NodeEnum, protobuf as pb};

use super::Adapter;
use crate::plan::Scope;
use crate::refusal::Fault;
use crate::schema::{Schema, Table};
use crate::tree;

/// What a row is known to be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Row<'a> {
    /// A row of a table that tenants share.
    Of(&'a Table),
    /// Now of one table, now of another, with other columns.
    Unlike,
}

/// Those that a routine's body knows.
#[derive(Debug, Default)]
pub(crate) struct Rows<'a> {
    /// Single rows.
    pub(crate) named: HashMap<String, Row<'a>>,
    /// What `$1`, `$2` and so on are.
    pub(crate) arguments: Vec<Option<Row<'a>>>,
    /// Transition tables.
    pub(crate) transitions: HashMap<String, Row<'a>>,
}

impl Row<'_> {
    /// Two possibilities as one.
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Of(one), Self::Of(two)) if one.column_names().eq(two.column_names()) => self,
            _ => Self::Unlike,
        }
    }
}

impl<'a> Rows<'a> {
    pub(crate) fn named(&self, name: &str) -> Option<Row<'a>> {
        self.named.get(name).copied()
    }

    pub(super) fn transition(&self, name: &str) -> Option<Row<'a>> {
        self.transitions.get(name).copied()
    }

    /// Adds a name for a row, which an inner block may use for another one.
    pub(crate) fn name(&mut self, name: &str, row: Row<'a>) {
        add(&mut self.named, name, row);
    }

    /// What the triggers that call a routine give it.
    pub(crate) fn of_triggers(&mut self, routine: &str, schema: &'a Schema) {
        for trigger in schema.objects.triggers.iter().filter(|trigger| trigger.routine == routine) {
            // A partition fires the triggers of its table, and its columns may have another order.
            for table in schema.family(&trigger.table) {
                let row = match (schema.find(&table), schema.objects.find_view(&table)) {
                    (Some(table), _) => Row::Of(table),
                    (None, Some(view)) => Row::Of(&view.shape),
                    (None, None) => continue,
                };
                for name in ["new", "old"] {
                    self.name(name, row);
                }
                for name in &trigger.transitions {
                    add(&mut self.transitions, name, row);
                }
            }
        }
    }
}

fn add<'a>(rows: &mut HashMap<String, Row<'a>>, name: &str, row: Row<'a>) {
    rows.entry(name.to_owned()).and_modify(|known| *known = known.or(row)).or_insert(row);
}

/// The shared table that a type is the rows of.
pub(crate) fn of_type<'a>(named: &pb::TypeName, schema: &'a Schema) -> Option<&'a Table> {
    let name = match named.names.as_slice() {
        [name] => name,
        [schema, name] if tree::string(schema) == Some("public") => name,
        _ => return None,
    };
    schema.find(tree::string(name)?).filter(|table| table.scope == Scope::Tenant)
}

/// [`of_type`] for single rows.
pub(crate) fn of_row_type<'a>(named: &pb::TypeName, schema: &'a Schema) -> Option<&'a Table> {
    if named.array_bounds.is_empty() { of_type(named, schema) } else { None }
}

/// Why a star is not written out.
pub(super) fn unlike(name: &str) -> Fault {
    Fault::new(
        format!(
            "{name}.* stands for the columns of tables that differ in them, and for tenant_id where tenants share tables"
        ),
        "write the columns out, or a function for each table",
    )
}

impl<'a> Adapter<'a> {
    /// What an expression gives, if that is a row of a shared table.
    pub(super) fn row_of(&self, value: &'a pb::Node) -> Option<Row<'a>> {
        match value.node.as_ref()? {
            NodeEnum::ColumnRef(column) => self.rows.named(tree::string(column.fields.last()?)?),
            NodeEnum::ParamRef(parameter) => {
                let nth = usize::try_from(parameter.number).ok()?.checked_sub(1)?;
                self.rows.arguments.get(nth).copied().flatten()
            }
            NodeEnum::TypeCast(cast) => of_row_type(cast.type_name.as_ref()?, self.model).map(Row::Of),
            NodeEnum::FuncCall(call) => self.row_of_call(call),
            _ => None,
        }
    }

    /// What a function gives, one row or many.
    pub(super) fn row_of_call(&self, call: &'a pb::FuncCall) -> Option<Row<'a>> {
        let name = tree::string(call.funcname.last()?)?;
        let first = call.args.first();
        match name {
            "jsonb_populate_record"
            | "json_populate_record"
            | "jsonb_populate_recordset"
            | "json_populate_recordset"
            | "populate_record" => self.row_of(first?),
            "unnest" if call.args.len() == 1 => match first?.node.as_ref()? {
                NodeEnum::TypeCast(cast) => of_type(cast.type_name.as_ref()?, self.model).map(Row::Of),
                _ => None,
            },
            _ => {
                let routine = self.model.objects.routines_called(name).next()?;
                let table = self.model.find(routine.rows_of.as_deref()?)?;
                Some(Row::Of(table)).filter(|_| table.scope == Scope::Tenant)
            }
        }
    }
}
