//! What an attack is: steps, and what must come of them.

use domain::Isolation;
use serde::Serialize;

/// How the attacker reaches the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Door {
    /// Through the gateway, with a key, as every tenant does.
    Gateway,
    /// Straight to the server as the tenant's own login role: the database's boundary without síndico in front.
    Direct,
    /// Straight to the server as the login that `shared` tenants have in common, with a token of the attacker's.
    Dense,
}

impl Door {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Gateway, Self::Direct, Self::Dense];

    /// The word for it in attack files and reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Direct => "direct",
            Self::Dense => "dense",
        }
    }

    /// Whether a tenant of this isolation can be reached this way.
    #[must_use]
    pub const fn leads_to(self, isolation: Isolation) -> bool {
        !matches!(self, Self::Dense) || matches!(isolation, Isolation::Shared)
    }
}

/// One way in which a tenant may try to leave its isolation.
#[derive(Debug, Clone)]
pub struct Attack {
    /// Row of the list of known ways out, from 1 to 35.
    pub family: u8,
    /// What is tried, in a few words; unique.
    pub title: String,
    /// Where it is written down: file and line.
    pub source: String,
    /// Where it applies.
    pub scope: Scope,
    /// Only as it stands: not within a transaction and not in the extended protocol as well.
    pub plain_only: bool,
    /// In order.
    pub steps: Vec<Step>,
}

/// Isolations and doors; empty lists mean all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    pub(crate) isolations: Vec<Isolation>,
    pub(crate) doors: Vec<Door>,
}

impl Scope {
    /// Whether a place belongs to it.
    #[must_use]
    pub fn covers(&self, isolation: Isolation, door: Door) -> bool {
        (self.isolations.is_empty() || self.isolations.contains(&isolation))
            && (self.doors.is_empty() || self.doors.contains(&door))
    }
}

/// One thing that somebody does.
#[derive(Debug, Clone)]
pub struct Step {
    /// What is done. Names in braces are filled in for each pair of tenants.
    pub deed: Deed,
    /// What must come of it, by place; the first that covers the place counts.
    pub verdicts: Vec<Verdict>,
}

/// Who does what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// The attacker's statement or statements, in one message.
    Sql(String),
    /// The same on a second session of the attacker.
    Second(String),
    /// The same without waiting for the answer, since it may be waiting for a lock.
    SecondUnanswered(String),
    /// The victim's statement, on a session of its own.
    Victim(String),
    /// An operator's statement: sets the scene, or clears up what the attacker did to itself.
    Operator(String),
    /// The victim logs in anew.
    VictimLogin,
    /// The attacker opens a connection without logging in.
    Open,
    /// The attacker's bytes, in the notation of [`crate::bytes`].
    Bytes(String),
    /// The attacker's HTTP request to the control API.
    Http(String),
}

/// What must come of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Where it holds.
    pub(crate) scope: Scope,
    /// Any of these is as it should be.
    pub(crate) accept: Vec<Accept>,
}

/// An outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accept {
    /// An error with this SQLSTATE.
    State(String),
    /// It succeeds, and tells nothing of the victim. That it would tell is shown by the victim, who tries it on itself.
    Blind,
    /// It succeeds. What an attack would gain shows elsewhere: in what other steps see, or in the victim's state.
    Done,
    /// It succeeds without a row, and touches none.
    NoRows,
    /// It succeeds with exactly this, fields joined by commas and rows by bars.
    Rows(String),
    /// It answers the same before and after the victim has been at work. That the victim's work shows to those who may see
    /// it is shown by an operator.
    Unmoved,
    /// The connection is closed.
    Closed,
    /// An HTTP status.
    Status(u16),
}

impl Step {
    /// What must come of the step at a place; nothing for steps that only lead to others.
    #[must_use]
    pub fn verdict(&self, isolation: Isolation, door: Door) -> Option<&[Accept]> {
        let found = self.verdicts.iter().find(|verdict| verdict.scope.covers(isolation, door));
        found.map(|verdict| verdict.accept.as_slice())
    }
}

impl Attack {
    /// Whether its steps are compared before and after the victim's work.
    #[must_use]
    pub fn is_comparison(&self) -> bool {
        self.steps.iter().flat_map(|step| &step.verdicts).any(|verdict| verdict.accept.contains(&Accept::Unmoved))
    }
}
