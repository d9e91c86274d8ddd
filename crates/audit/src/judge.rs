//! What counts as an escape.

use serde::Serialize;

use crate::attack::{Accept, Attack, Deed, Door};
use crate::heard::Heard;
use crate::scene::Scene;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// The attacker learnt, changed or hindered something that is not its own.
    Escape,
    /// The attack failed, but not as it should have: it may prove nothing.
    Astray,
}

/// Something that should not have come of an attack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) weight: Weight,
    pub(crate) what: String,
}

impl Fault {
    pub(crate) fn escape(what: String) -> Self {
        Self { weight: Weight::Escape, what }
    }

    pub(crate) fn astray(what: String) -> Self {
        Self { weight: Weight::Astray, what }
    }

    pub(crate) fn is_escape(&self) -> bool {
        self.weight == Weight::Escape
    }

    pub(crate) fn when(mut self, manner: &str) -> Self {
        self.what = format!("{manner}: {}", self.what);
        self
    }
}

/// Judges each step by what was said to it. The canary may appear nowhere, however the attack was sent; whether it was
/// answered as it should be is asked only where it was sent as it stands.
pub(crate) fn steps(attack: &Attack, scene: &Scene, door: Door, as_it_stands: bool, told: &[Heard]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (step, heard) in attack.steps.iter().zip(told) {
        if !matches!(step.deed, Deed::Victim(_) | Deed::Operator(_) | Deed::VictimLogin) && heard.tells(scene.word()) {
            faults.push(Fault::escape(format!("the attacker was told the victim's canary: {}", heard.summary())));
        }
        let accept = step.verdict(scene.isolation(), door).unwrap_or_default();
        if as_it_stands && !accept.is_empty() && !accept.iter().any(|outcome| fits(outcome, heard, scene)) {
            faults.push(unfit(accept, heard));
        }
    }
    faults
}

fn fits(outcome: &Accept, heard: &Heard, scene: &Scene) -> bool {
    let succeeded = heard.state().is_none() && !heard.closed;
    match outcome {
        Accept::State(state) => heard.state().as_deref() == Some(state),
        Accept::Blind | Accept::Done => succeeded,
        Accept::NoRows => succeeded && heard.row_count() == 0,
        Accept::Rows(rows) => succeeded && scene.fill(rows).is_some_and(|rows| heard.rows() == rows),
        // Compared elsewhere; what cannot be asked does not move either.
        Accept::Unmoved => true,
        Accept::Closed => heard.closed,
        Accept::Status(status) => heard.status() == Some(*status),
    }
}

/// Success where there should be none, or other rows than there should be, is an escape. An unexpected error is not: the
/// attack may merely be wrong.
fn unfit(accept: &[Accept], heard: &Heard) -> Fault {
    let expected: Vec<String> = accept.iter().map(|outcome| format!("{outcome:?}")).collect();
    let what = format!("expected {}, found: {}", expected.join(" or "), heard.summary());
    let http_success = heard.status().is_some_and(|status| (200..300).contains(&status));
    let sql_success = heard.raw.is_empty() && heard.state().is_none() && !heard.closed;
    // A unique or foreign key that knows of the victim's rows answers where it should not.
    let oracle = matches!(heard.state().as_deref(), Some("23505" | "23503" | "23P01"));
    if http_success || sql_success || oracle { Fault::escape(what) } else { Fault::astray(what) }
}
