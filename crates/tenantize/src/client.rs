//! What clients send, made to meet the same results in every isolation.
//!
//! The gateway asks [`Rules::concerns`] about every text and [`Rules::rewrite`] about the few for which that says yes.
//! No boundary rests on this (see the privileges and policies that the plan and the database's preparation bring); a
//! text that is let through as it is meets at worst an error of the server's.

use domain::Isolation;
use pg_query::ParserOptions;

use crate::adapt::edit::{self, Part};
use crate::adapt::model::Model;
use crate::adapt::{self, Flavour, Place};
use crate::plan::Plan;

mod strings;
mod trigger;

use trigger::Triggers;

/// Bytes of the longest text that is read: reading takes about fifty times that much memory for a while.
const MAX_TEXT: usize = 4 << 20;

/// SQLSTATE `feature_not_supported`.
const UNSUPPORTED: &str = "0A000";
/// SQLSTATE `program_limit_exceeded`.
const TOO_LONG: &str = "54000";

/// The rules of one app in one isolation. Immutable.
#[derive(Debug)]
pub struct Rules {
    model: Model,
    isolation: Isolation,
    triggers: Triggers,
}

/// What to do with a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It runs as it is. So does what PostgreSQL's grammar does not accept: the server says that better.
    Unchanged,
    /// Another text runs in its place: with the same number of statements that give results, and the same parameters.
    Rewritten(Template),
    /// It must not run.
    Refused {
        /// Five characters of SQLSTATE.
        sqlstate: &'static str,
        /// What was wrong.
        message: String,
        /// What to do instead.
        hint: String,
    },
}

/// A text with gaps for what differs between tenants, so that it may be kept for all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Part>);

/// What fills a [`Template`]'s gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slots<'a> {
    /// The schema of the tenant's own tables, not quoted, as [`domain::Placement`] has it.
    pub schema: &'a str,
    /// The schema of the tenant's own sequences where tables are shared, not quoted
    /// ([`domain::TenantId::sequence_schema`]); nothing asks for it in other isolations.
    pub sequences: &'a str,
    /// What the names of the tenant's channels begin with: at most 24 bytes.
    pub channel_prefix: &'a str,
}

impl Template {
    /// Bytes of memory that it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.capacity() * size_of::<Part>() + self.0.iter().map(Part::held).sum::<usize>()
    }

    /// The text for one tenant.
    #[must_use]
    pub fn render(&self, slots: &Slots<'_>) -> String {
        let mut out = String::with_capacity(self.0.iter().map(Part::len).sum());
        for part in &self.0 {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Slot(slot) => slot.write(slots, &mut out),
            }
        }
        out
    }
}

impl Rules {
    /// `None` where clients' texts run as they are.
    #[must_use]
    pub fn new(plan: &Plan, isolation: Isolation) -> Option<Self> {
        let triggers = Triggers::of(plan.model.schema(), isolation)?;
        Some(Self { model: plan.model.clone(), isolation, triggers })
    }

    /// Whether a text has to be given to [`Self::rewrite`]. Reads its bytes once and parses nothing; says yes rather
    /// too often.
    #[must_use]
    pub fn concerns(&self, sql: &[u8]) -> bool {
        self.triggers.any(sql)
    }

    /// What to do with a text. `standard_strings` is the session's `standard_conforming_strings`; where it is not
    /// known for sure, `false`.
    #[must_use]
    pub fn rewrite(&self, sql: &str, standard_strings: bool) -> Verdict {
        if !standard_strings && let Some(refused) = strings::ambiguous(sql, self.isolation) {
            return refused;
        }
        if sql.len() > MAX_TEXT {
            return Verdict::Refused {
                sqlstate: TOO_LONG,
                message: format!("a text of {} bytes is too long to be read", sql.len()),
                hint: format!("send statements of up to {MAX_TEXT} bytes, or use COPY"),
            };
        }
        let text = if standard_strings { sql.into() } else { strings::explicit(sql) };
        let parsed = match pg_query::parse(&text, ParserOptions::default()) {
            Ok(parsed) => parsed.protobuf,
            // It may still be valid: nested too deeply for the tree's encoding, or of another version's grammar, which has
            // other reserved words.
            Err(_) => return strings::unread(sql, standard_strings, self.isolation),
        };
        let flavour = Flavour { isolation: self.isolation, place: Place::Client };
        match adapt::statement(&text, &parsed.stmts, self.model.schema(), flavour) {
            Ok(edits) if edits.is_empty() => Verdict::Unchanged,
            Ok(edits) => Verdict::Rewritten(Template(edit::apply(&text, edits))),
            Err(fault) => {
                let sqlstate = if fault.excess { TOO_LONG } else { UNSUPPORTED };
                Verdict::Refused { sqlstate, message: fault.reason, hint: sentence(&fault.remedy) }
            }
        }
    }
}

/// Hints are sentences (PostgreSQL's manual, 56.3.4), remedies a part of one.
fn sentence(remedy: &str) -> String {
    let mut letters = remedy.chars();
    letters.next().map(|first| format!("{}{}.", first.to_uppercase(), letters.as_str())).unwrap_or_default()
}
