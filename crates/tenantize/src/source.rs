//! An app's SQL files.

use crate::plan::Plan;
use crate::refusal::{Refusal, Refusals};

/// A file of SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlFile {
    /// What refusals call it: the path below the app's directory, such as `migrations/0001_clients.sql`.
    pub name: String,
    /// What it holds. A byte order mark at the beginning is ignored.
    pub text: String,
}

/// All SQL of an app, in the order of the files' names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sources {
    /// What builds its tables.
    pub migrations: Vec<SqlFile>,
    /// What fills them: `global` tables once, a tenant's tables once per tenant.
    pub seed: Vec<SqlFile>,
}

pub(crate) fn read(sources: &Sources) -> Result<Plan, Refusals> {
    let mut refusals = Vec::new();
    if sources.migrations.is_empty() {
        refusals.push(Refusal {
            file: "migrations".to_owned(),
            line: 1,
            statement: String::new(),
            reason: "the app has no migrations".to_owned(),
            remedy: "add migrations/0001_initial.sql with its CREATE TABLE statements".to_owned(),
        });
    }
    Refusals::of(refusals).map_or_else(|| Ok(Plan { migrations: vec![], seed: vec![], tables: vec![] }), Err)
}
