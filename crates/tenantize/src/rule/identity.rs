//! Identity columns of shared tables, whose numbers every tenant draws from a sequence of its own.
//!
//! The column stays an identity column, so that GENERATED ALWAYS refuses what it refuses elsewhere, on a sequence that
//! only ever gives values from the far end of the type. A trigger replaces a value from there by the tenant's next one.

use domain::{quote_ident, quote_literal};
use pg_query::{NodeEnum, protobuf as pb};

use super::{Sql, refused};
use crate::expr::Integer;
use crate::refusal::{Fault, Verdict};
use crate::schema::{Column, Schema, Table};
use crate::tree;

/// Sorts before the app's triggers, which are to see the number; triggers fire in the order of their names.
const TRIGGER: &str = "\"!sindico_identity\"";

/// The values that mean "the next number": the least one and the one after the last.
fn carried(integer: Integer) -> (i64, i64) {
    let (least, how_many) = match integer {
        Integer::Small => (i64::from(i16::MIN), 1_000),
        Integer::Middle => (i64::from(i32::MIN), 1_000_000),
        Integer::Big => (i64::MIN, 1_000_000),
    };
    (least, least + how_many)
}

/// The options of the sequence behind the column where tables are shared, which is given this name.
pub(super) fn carrier_options(name: &str, integer: Integer) -> Verdict<Vec<pb::Node>> {
    let (least, end) = carried(integer);
    let words = format!(
        "CREATE SEQUENCE s SEQUENCE NAME {} MINVALUE {least} MAXVALUE {} START WITH {least} CYCLE",
        quote_ident(name),
        end - 1
    );
    match tree::own_words(&words)? {
        NodeEnum::CreateSeqStmt(sequence) => Ok(sequence.options),
        _ => Err(refused::nothing()),
    }
}

/// The integer that an identity column counts with.
pub(super) fn integer(column: &Column) -> Verdict<Integer> {
    Integer::of_column(&column.type_name).ok_or_else(|| {
        Fault::new(
            format!("column {} is an identity column, which only smallint, integer and bigint can be", column.name),
            "use bigint",
        )
    })
}

/// Drawing the next number.
pub(super) fn draw(sequence: &str) -> String {
    format!("sindico.next_value({})", quote_literal(sequence))
}

fn numbered(table: &Table) -> impl Iterator<Item = (&Column, Integer)> {
    let identity = table.columns.iter().filter(|column| column.identity);
    identity.filter_map(|column| Integer::of_column(&column.type_name).map(|integer| (column, integer)))
}

/// What the table's function does for rows of the table.
pub(super) fn assignments(table: &Table, schema: &Schema) -> Vec<String> {
    let assignment = |(column, integer): (&Column, Integer)| {
        let sequence = schema.sequence_of(&table.name, &column.name)?;
        let (_, end) = carried(integer);
        let column = quote_ident(&column.name);
        Some(format!("IF NEW.{column} < {end} THEN NEW.{column} := {}; END IF;", draw(&sequence.name)))
    };
    numbered(table).filter_map(assignment).collect()
}

/// The trigger, for tables with identity columns. Partitions have that of their table.
pub(super) fn trigger(table: &Table) -> Option<String> {
    let condition =
        |(column, integer): (&Column, Integer)| format!("NEW.{} < {}", quote_ident(&column.name), carried(integer).1);
    let conditions: Vec<String> = numbered(table).map(condition).collect();
    let name = quote_ident(&table.name);
    (!conditions.is_empty()).then(|| {
        format!(
            "CREATE TRIGGER {TRIGGER} BEFORE INSERT OR UPDATE ON public.{name} FOR EACH ROW WHEN ({}) \
             EXECUTE FUNCTION sindico_copy.{name}()",
            conditions.join(" OR ")
        )
    })
}

/// Removes the trigger, whose condition depends on the columns.
pub(super) fn lay_aside(table: &Table) -> Option<Sql> {
    let name = quote_ident(&table.name);
    numbered(table).next().map(|_| Sql::Text(format!("DROP TRIGGER {TRIGGER} ON public.{name}")))
}

/// Switches the trigger on again after all triggers of the table were switched off.
pub(super) fn keep_on(table: &Table) -> Option<Sql> {
    let name = quote_ident(&table.name);
    let sql = format!("ALTER TABLE public.{name} ENABLE TRIGGER {TRIGGER}");
    numbered(table).next().map(|_| Sql::Text(sql))
}
