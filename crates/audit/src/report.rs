//! What an audit found.

use domain::{AppName, Isolation};
use serde::Serialize;

use crate::attack::Door;
use crate::inspect::Finding;
use crate::judge::Weight;

/// All of it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// How long it took, in seconds.
    pub seconds: f64,
    /// One for each family, app, isolation and door.
    pub tallies: Vec<Tally>,
    /// Attacks that succeeded, or did not fail as they should have.
    pub incidents: Vec<Incident>,
    /// What is wrong in the clusters' catalogs.
    pub findings: Vec<Finding>,
    /// Parts that could not be carried out.
    pub not_run: Vec<NotRun>,
}

/// How the attacks of one family went at one place.
#[derive(Debug, Clone, Serialize)]
pub struct Tally {
    /// Row of the list of known ways out.
    pub family: u8,
    /// Whose tables.
    pub app: AppName,
    /// How the canaries were kept apart.
    pub isolation: Isolation,
    /// How the attacker came in.
    pub door: Door,
    /// Attacks that apply there.
    pub attacks: usize,
    /// How often they were tried: each in several manners.
    pub attempts: usize,
    /// Attacks that reached the victim.
    pub escapes: usize,
    /// Attacks that failed otherwise than they should have, and may prove nothing.
    pub astray: usize,
    /// Attacks that do not apply there.
    pub not_applicable: usize,
}

/// An attack that did not end as it should have.
#[derive(Debug, Clone, Serialize)]
pub struct Incident {
    /// How bad it is.
    pub weight: Weight,
    /// Row of the list of known ways out.
    pub family: u8,
    /// The attack.
    pub attack: String,
    /// File and line of it.
    pub source: String,
    /// Whose tables.
    pub app: AppName,
    /// How the canaries were kept apart.
    pub isolation: Isolation,
    /// How the attacker came in.
    pub door: Door,
    /// What happened.
    pub what: String,
}

/// A part of the audit that could not be carried out.
#[derive(Debug, Clone, Serialize)]
pub struct NotRun {
    /// Which part.
    pub part: String,
    /// Why not.
    pub reason: String,
}

impl Report {
    /// Attacks that reached a victim.
    pub fn escapes(&self) -> impl Iterator<Item = &Incident> {
        self.incidents.iter().filter(|incident| incident.weight == Weight::Escape)
    }

    /// Neither escapes nor findings.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.escapes().next().is_none() && self.findings.is_empty()
    }
}
