//! What brings an app that is in use to its newer migrations.

mod impact;

use domain::{SharedNames, TenantId};

use crate::plan::{Holders, Plan, Scope, Statement, Step, render};
use crate::refusal::{Refusal, Refusals};
use crate::rule;
use crate::source::{self, Runs, Sources};

pub use impact::Impact;

/// The statements of the migrations that an app's tables do not have yet, in order.
///
/// They differ from those that build the same tables anew: rows are written where the app writes them, and what a column that is added
/// to a table computes is computed for the rows that are there, tenant by tenant where they share the table.
#[derive(Debug, Clone)]
pub struct Upgrade {
    steps: Vec<(Step, Runs)>,
    files: Vec<String>,
}

/// Who runs a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runner {
    /// The role that owns the app's tables, once.
    Owner,
    /// The role that owns tenants' sequences, once for each tenant, in its schema `s_<hex>`.
    Definer,
    /// Each tenant, as its own login role.
    Tenant,
    /// The same, without triggers.
    Filler,
}

/// Statements that one runner runs one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Who.
    pub by: Runner,
    /// What.
    pub statements: Vec<Statement>,
}

impl Upgrade {
    pub(crate) fn read(sources: &Sources, applied: usize) -> Result<Self, Refusals> {
        let mut names: Vec<&String> = sources.migrations.iter().map(|file| &file.name).collect();
        names.sort_unstable();
        let files: Vec<String> = names.iter().skip(applied).map(|name| (*name).clone()).collect();
        if files.is_empty() {
            return Ok(Self { steps: Vec::new(), files });
        }
        let mut steps = source::read_since(sources, applied)?;
        let dropped: Vec<Refusal> = steps.iter().filter(|(step, _)| drops_global(step)).map(refusal).collect();
        if let Some(refusals) = Refusals::of(dropped) {
            return Err(refusals);
        }
        let before = Sources {
            migrations: sources.migrations.iter().filter(|file| !files.contains(&file.name)).cloned().collect(),
            seed: Vec::new(),
        };
        if applied > 0 {
            let (before, after) = (source::read(&before)?, source::read(sources)?);
            steps.extend(adapted_again(&before, &after, files.last().map_or("", String::as_str)));
        }
        Ok(Self { steps, files })
    }

    /// The migrations, in order.
    #[must_use]
    pub fn files(&self) -> &[String] {
        &self.files
    }

    /// Whether a migration changes what is the same for all tenants.
    #[must_use]
    pub fn is_global(&self, file: &str) -> bool {
        self.of(file).any(|(step, _)| step.scope == Scope::Global && !step.shared.is_empty())
    }

    /// Whether a migration does no more than write tenants' rows, so that tenants who share tables need not go together.
    #[must_use]
    pub fn is_rows_alone(&self, file: &str) -> bool {
        let mut steps = self.of(file).filter(|(step, _)| step.scope == Scope::Tenant && !step.is_empty()).peekable();
        steps.peek().is_some() && steps.all(|(_, runs)| *runs == Runs::Rows)
    }

    /// What is the same for all tenants, in the database of the shared tables; before anything else of the migration.
    #[must_use]
    pub fn global(&self, file: &str, names: &SharedNames) -> Vec<Statement> {
        let steps = self.of(file).filter(|(step, _)| step.scope == Scope::Global).map(|(step, _)| step);
        render(steps, |step| &step.shared, Some(&Holders::shared(names)))
    }

    /// The shared tables. Whatever is for each tenant runs for all of them before what comes after it; privileges on sequences are
    /// given anew after those have changed ([`crate::grants_on_sequences`]).
    #[must_use]
    pub fn shared(&self, file: &str, names: &SharedNames) -> Vec<Run> {
        let to = Holders::shared(names);
        let mut runs = Vec::new();
        for (step, how) in self.of(file).filter(|(step, _)| step.scope == Scope::Tenant) {
            let statements = render([step], |step| &step.shared, Some(&to));
            push(&mut runs, runner(*how), statements);
            push(&mut runs, Runner::Definer, render([step], |step| &step.tenant, None));
        }
        runs
    }

    /// A tenant's tables in a schema of their own.
    #[must_use]
    pub fn own_schema(&self, file: &str, tenant: TenantId) -> Vec<Run> {
        self.own(file, &Holders::own_schema(tenant), |step| step.scope == Scope::Tenant)
    }

    /// A tenant's database, with what is the same for all tenants.
    #[must_use]
    pub fn own_database(&self, file: &str, names: &SharedNames) -> Vec<Run> {
        self.own(file, &Holders::own_database(names), |_| true)
    }

    fn own(&self, file: &str, to: &Holders<'_>, concerns: impl Fn(&Step) -> bool) -> Vec<Run> {
        let mut runs = Vec::new();
        for (step, how) in self.of(file).filter(|(step, _)| concerns(step)) {
            push(&mut runs, runner(*how), render([step], |step| &step.own, Some(to)));
        }
        runs
    }

    fn of<'a>(&'a self, file: &'a str) -> impl Iterator<Item = &'a (Step, Runs)> {
        self.steps.iter().filter(move |(step, _)| step.file == file)
    }
}

fn runner(runs: Runs) -> Runner {
    match runs {
        Runs::Once => Runner::Owner,
        Runs::Rows => Runner::Tenant,
        Runs::Fill => Runner::Filler,
    }
}

fn push(runs: &mut Vec<Run>, by: Runner, statements: Vec<Statement>) {
    match runs.last_mut() {
        _ if statements.is_empty() => {}
        Some(last) if last.by == by => last.statements.extend(statements),
        _ => runs.push(Run { by, statements }),
    }
}

impl Step {
    fn is_empty(&self) -> bool {
        self.shared.is_empty() && self.own.is_empty() && self.tenant.is_empty() && self.grants.is_empty()
    }
}

/// Tenants with schemas of their own may refer to it until each has been migrated, which is after it would be gone; and where they do so
/// with ON DELETE CASCADE, their rows would go with it.
fn drops_global(step: &Step) -> bool {
    step.scope == Scope::Global && step.shared.iter().any(|sql| rule::takes_away(sql))
}

fn refusal((step, _): &(Step, Runs)) -> Refusal {
    Refusal {
        file: step.file.clone(),
        line: step.line,
        statement: step.shared.first().cloned().unwrap_or_default(),
        reason: "tenants may still refer to what is global when this runs, which is before their own migrations"
            .to_owned(),
        remedy: "leave it where it is; what nobody uses costs nothing".to_owned(),
    }
}

/// Routines of former migrations whose text follows the tables, and so changes with them.
fn adapted_again(before: &Plan, after: &Plan, file: &str) -> Vec<(Step, Runs)> {
    let pairs = before.migrations().iter().zip(after.migrations());
    let changed = pairs.enumerate().filter(|(_, (old, new))| {
        (&old.file, old.line) == (&new.file, new.line) && (&old.shared, &old.own) != (&new.shared, &new.own)
    });
    let routine = |step: &Step| step.own.first().and_then(|text| rule::signature(text));
    let replaced = changed.filter_map(|(place, (_, new))| {
        let signature = routine(new)?;
        let later = after.migrations().iter().skip(place + 1).any(|step| routine(step).as_ref() == Some(&signature));
        let there = after.model.schema().objects.has_routine(&signature);
        if later || !there {
            return None;
        }
        let replace = |texts: &[String]| texts.iter().map(|text| rule::replacing(text)).collect::<Option<Vec<_>>>();
        let (shared, own) = (replace(&new.shared)?, replace(&new.own)?);
        Some((Step { file: file.to_owned(), shared, own, ..new.clone() }, Runs::Once))
    });
    replaced.collect()
}
