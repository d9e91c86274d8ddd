//! Whether a statement about rows fits the tables that it names, as far as they tell.
//!
//! PostgreSQL would say so too, but to whoever adds the app, and rows of migrations meet the tables as the last of them
//! leaves them.

use pg_query::protobuf as pb;

use super::dml::{Reader, given, values};
use crate::plan::Filled;
use crate::refusal::{Fault, Verdict};
use crate::schema::{Column, Table};
use crate::tree;

impl Reader<'_> {
    /// Fails for a column that none of the tables has, if nothing but tables is there to have it.
    pub(super) fn columns_are_there(&self) -> Verdict<()> {
        const OF_THE_SYSTEM: [&str; 6] = ["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"];
        if self.unknown {
            return Ok(());
        }
        let known =
            |name: &str| OF_THE_SYSTEM.contains(&name) || self.schema.objects.routines_called(name).next().is_some();
        for (qualifier, column) in &self.qualified {
            let mut tables =
                self.named.iter().filter(|(name, _)| name == qualifier).map(|(_, table)| *table).peekable();
            if let Some(table) = tables.peek().copied()
                && !known(column)
                && !tables.any(|table| table.has_column(column))
            {
                table.column(column)?;
            }
        }
        for column in &self.bare {
            let row = self.named.iter().any(|(name, table)| name == column || table.has_column(column));
            if !row && !known(column) && !self.given.contains(column) {
                let names: Vec<&str> = self.named.iter().map(|(_, table)| table.name.as_str()).collect();
                return Err(Fault::new(
                    format!("there is no column {column} in any of the tables here ({})", names.join(", ")),
                    "correct the name",
                ));
            }
        }
        Ok(())
    }

    /// Fails if a row of values leaves a column out that takes no NULL and that nothing else fills.
    pub(super) fn is_complete(&self, insert: &pb::InsertStmt, table: &Table) -> Verdict<()> {
        let family = self.schema.family(&table.name);
        // They may fill it in.
        let triggers = self.schema.objects.triggers.iter().any(|trigger| family.contains(&trigger.table));
        if triggers || values(insert).is_none() || self.schema.objects.find_view(&table.name).is_some() {
            return Ok(());
        }
        let given = given(insert, table);
        let key = table.primary_key().map(|key| key.columns.as_slice()).unwrap_or_default();
        // A type of the app's may have a default of its own.
        let filled = |column: &Column| {
            let type_name = column.type_name.names.last().and_then(tree::string).unwrap_or_default();
            column.default.is_some()
                || column.filled != Filled::Written
                || self.schema.objects.find_type(type_name).is_some()
        };
        let lacking = table.columns.iter().find(|column| {
            (column.not_null || key.contains(&column.name)) && !filled(column) && !given.contains(&column.name)
        });
        lacking.map_or(Ok(()), |column| {
            Err(Fault::new(
                format!(
                    "column {} of table {} takes no NULL, and these rows have no value for it",
                    column.name, table.name
                ),
                "give it a value in INSERT, or a default",
            ))
        })
    }
}
