//! Rows that stand before a trigger in the migrations must not fire it.
//!
//! A dump fills its tables and creates their triggers after that; a tenant's tables have them already when its first rows
//! are written. So rows have the number of the part of the migrations that they stand in, a new part beginning with the
//! first trigger after rows; the tenant's session says in `sindico.loading` which part it is writing, and the trigger
//! asks `sindico.loading(part)` whether that one is before its own.

use pg_query::{NodeEnum, protobuf as pb};

use crate::plan::{Scope, Step};
use crate::refusal::Verdict;
use crate::tree;

/// How far the migrations' rows and triggers have been read.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Loading {
    part: u32,
    /// Whether this part has rows.
    rows: bool,
}

impl Loading {
    /// Whether rows have been read.
    pub(crate) fn begun(self) -> bool {
        self.part > 0 || self.rows
    }

    /// The part of what is read now.
    pub(crate) fn part(self) -> u32 {
        self.part
    }

    /// Notes that tenants' rows stand here.
    pub(crate) fn rows(&mut self) {
        self.rows = true;
    }

    /// The part of a trigger that stands here; `None` before any rows.
    pub(crate) fn trigger(&mut self) -> Option<u32> {
        if self.rows {
            self.part += 1;
            self.rows = false;
        }
        (self.part > 0).then_some(self.part)
    }
}

/// A trigger's condition, which holds for no rows of the parts before.
pub(crate) fn guard(condition: Option<Box<pb::Node>>, part: u32) -> Verdict<Box<pb::Node>> {
    let quiet = tree::expression(&format!("NOT sindico.loading({part})"))?;
    let mut all = vec![quiet];
    match condition.map(|node| *node) {
        None => {}
        // As the parser has it: one AND of many, however many the text has.
        Some(pb::Node { node: Some(NodeEnum::BoolExpr(mut both)) }) if both.boolop() == pb::BoolExprType::AndExpr => {
            all.append(&mut both.args);
        }
        Some(other) => all.push(other),
    }
    if let [_] = all.as_slice()
        && let Some(quiet) = all.pop()
    {
        return Ok(Box::new(quiet));
    }
    let both = pb::BoolExpr { xpr: None, boolop: pb::BoolExprType::AndExpr.into(), args: all, location: -1 };
    Ok(Box::new(tree::node(NodeEnum::BoolExpr(Box::new(both)))))
}

/// Lets the session say which part it is writing, wherever that changes and a trigger asks; `last` is the part of the
/// last trigger. Returns whether anything is said.
pub(crate) fn announce(parts: &mut [(u32, Vec<Step>)], last: u32) -> bool {
    let (mut said, mut ever) = (None, false);
    for (part, steps) in parts.iter_mut() {
        // Rows after the last trigger are like any others.
        let part = (*part < last).then_some(*part);
        if let Some(first) = steps.iter_mut().find(|step| writes(step))
            && said != part
        {
            let saying = part.map_or_else(|| SILENCE.to_owned(), |part| format!("SET sindico.loading = '{part}'"));
            for statements in [&mut first.shared, &mut first.own] {
                statements.insert(0, saying.clone());
            }
            (said, ever) = (part, true);
        }
    }
    if said.is_some()
        && let Some(step) =
            parts.iter_mut().rev().flat_map(|(_, steps)| steps.iter_mut().rev()).find(|step| writes(step))
    {
        for statements in [&mut step.shared, &mut step.own] {
            statements.push(SILENCE.to_owned());
        }
    }
    ever
}

const SILENCE: &str = "RESET sindico.loading";

fn writes(step: &Step) -> bool {
    step.scope == Scope::Tenant && !(step.shared.is_empty() && step.own.is_empty())
}
