//! An app's plain SQL, written for one customer, rewritten into what each isolation runs.
//!
//! Text in, text out: nothing here opens a file or a connection. PostgreSQL's own grammar reads the SQL (`pg_query`);
//! what no rule covers is refused, with file, line, reason and remedy.

mod adapt;
mod bare;
pub mod client;
mod copy_text;
mod expr;
mod follow;
mod lex;
mod loading;
mod manifest;
mod marker;
mod name;
mod order;
mod piece;
mod plan;
mod policy;
mod refusal;
mod retention;
mod rule;
mod schema;
mod source;
mod syntax;
mod tree;
mod upgrade;

pub use manifest::{Manifest, ManifestError};
pub use plan::{Column, Filled, Grant, Plan, Scope, Statement, Step, Table, grants_on_sequences};
pub use refusal::{Refusal, Refusals};
pub use retention::{Retention, RetentionFault};
pub use source::{Sources, SqlFile};
pub use upgrade::{Impact, Run, Runner, Upgrade};

/// Reads all of an app's SQL and works out what each isolation runs.
///
/// Every fault is reported, not only the first.
pub fn plan(sources: &Sources) -> Result<Plan, Refusals> {
    source::read(sources)
}

/// Reads all of an app's SQL and works out what brings tables that have the first `applied` of its migrations to all of them.
///
/// Every fault is reported, not only the first.
pub fn upgrade(sources: &Sources, applied: usize) -> Result<Upgrade, Refusals> {
    Upgrade::read(sources, applied)
}
