//! Rows of a dump in the order that foreign keys ask for.
//!
//! A dump fills its tables before it adds the foreign keys; a tenant's tables have theirs already.

use crate::plan::Step;
use crate::rule::Rows;
use crate::schema::Schema;

/// Sorts each run of copied tables so that parents come first, and puts tables that refer to each other into one
/// statement, at whose end PostgreSQL compares them all.
pub(crate) fn parents_first(steps: Vec<(Step, Option<Rows>)>, schema: &Schema) -> Vec<Step> {
    let mut ordered = Vec::new();
    let mut run: Vec<(Step, String)> = Vec::new();
    let mut counters = Vec::new();
    for (step, rows) in steps {
        match rows {
            Some(Rows::Copied(table) | Rows::Inserted(table)) => run.push((step, table)),
            Some(Rows::Drawn(table)) => {
                // The numbers go on where the counters before were set.
                if !counters.is_empty() {
                    ordered.extend(settle(std::mem::take(&mut run), schema));
                    ordered.append(&mut counters);
                }
                run.push((step, table));
            }
            Some(Rows::Counter) => counters.push(step),
            _ => {
                ordered.extend(settle(std::mem::take(&mut run), schema));
                ordered.append(&mut counters);
                ordered.push(step);
            }
        }
    }
    ordered.extend(settle(run, schema));
    ordered.append(&mut counters);
    ordered
}

fn settle(mut run: Vec<(Step, String)>, schema: &Schema) -> Vec<Step> {
    let mut settled = Vec::new();
    loop {
        let waiting: Vec<String> = run.iter().map(|(_, table)| table.clone()).collect();
        let ring = waiting.iter().find_map(|table| {
            let needed = schema.ancestors_among(table, &waiting);
            // Everything that is still needed needs this one in turn.
            let closed = needed.iter().all(|other| schema.ancestors_among(other, &waiting).contains(table));
            closed.then(|| needed.into_iter().chain([table.clone()]).collect::<Vec<_>>())
        });
        let Some(ring) = ring else { return settled };
        let (next, rest): (Vec<_>, Vec<_>) = run.into_iter().partition(|(_, table)| ring.contains(table));
        run = rest;
        let next: Vec<Step> = next.into_iter().map(|(step, _)| step).collect();
        let several = ring.iter().any(|table| *table != ring[0]);
        settled.extend(if several { together(next) } else { next });
    }
}

/// One statement of several INSERTs.
fn together(steps: Vec<Step>) -> Vec<Step> {
    let mut steps = steps.into_iter();
    let Some(mut merged) = steps.next() else { return Vec::new() };
    for step in steps {
        merged.shared.extend(step.shared);
        merged.own.extend(step.own);
    }
    for statements in [&mut merged.shared, &mut merged.own] {
        let Some(last) = statements.pop() else { continue };
        let parts: Vec<String> =
            statements.iter().enumerate().map(|(nth, sql)| format!("part_{nth} AS ({sql})")).collect();
        let sql = if parts.is_empty() { last } else { format!("WITH {} {last}", parts.join(", ")) };
        *statements = vec![sql];
    }
    vec![merged]
}
