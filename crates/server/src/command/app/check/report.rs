//! What the check found, before it is written for people or programs.

use std::collections::BTreeMap;

use domain::{AppName, Isolation, TenantId};
use tenantize::{Plan, Refusal, Refusals, Scope, Sources, SqlFile, Statement, Step};
use uuid::Uuid;

use super::effect::describe;
use super::headline::Headline;

/// Everything about one app.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) app: AppName,
    /// In the order in which they run; empty if anything was refused, since the rest depends on what was.
    pub(super) files: Vec<FileReport>,
    pub(super) refused: Vec<Refusal>,
    pub(super) summary: Summary,
}

/// One file.
#[derive(Debug)]
pub(super) struct FileReport {
    pub(super) name: String,
    pub(super) statements: Vec<StatementReport>,
}

/// One statement, or what síndico adds at the end of a file.
#[derive(Debug)]
pub(super) struct StatementReport {
    /// Line of the statement's first word, from 1.
    pub(super) line: u32,
    pub(super) headline: Headline,
    pub(super) scope: Scope,
    /// Whether it is síndico's and not in the file.
    pub(super) added: bool,
    pub(super) outcomes: Vec<Outcome>,
    pub(super) note: Option<String>,
}

/// What a statement becomes in one isolation.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) isolation: Isolation,
    pub(super) effect: String,
    /// All that runs, with grants; what belongs to one line of a file is told once, at its last statement.
    pub(super) sql: Vec<String>,
}

/// What the app is made of.
#[derive(Debug, Default)]
pub(super) struct Summary {
    pub(super) tenant_tables: usize,
    pub(super) global_tables: usize,
    /// Statements by kind, `CREATE TABLE` among them.
    pub(super) statements: BTreeMap<String, usize>,
    pub(super) extensions: Vec<String>,
}

impl Report {
    /// Of an app that can be registered; `only` one isolation, or all that differ.
    pub(super) fn accepted(app: &AppName, sources: &Sources, plan: &Plan, only: Option<Isolation>) -> Self {
        let isolations =
            only.map_or_else(|| vec![Isolation::Shared, Isolation::Schema, Isolation::Database], |it| vec![it]);
        let rendered: Vec<Rendered> = isolations.iter().map(|it| Rendered::new(app, plan, *it)).collect();
        let steps: Vec<&Step> = plan.migrations().iter().chain(plan.seed()).collect();
        let mut files: Vec<FileReport> = Vec::new();
        let mut statements = BTreeMap::new();
        for (at, step) in steps.iter().enumerate() {
            let last_of_line = steps.get(at + 1).is_none_or(|next| (&next.file, next.line) != (&step.file, step.line));
            let report = statement(step, source(sources, step), &rendered, last_of_line);
            if !report.added {
                *statements.entry(report.headline.kind.clone()).or_insert(0) += 1;
            }
            match files.last_mut() {
                Some(file) if file.name == step.file => file.statements.push(report),
                _ => files.push(FileReport { name: step.file.clone(), statements: vec![report] }),
            }
        }
        let tables = |scope| plan.tables().iter().filter(|table| table.scope == scope).count();
        let summary = Summary {
            tenant_tables: tables(Scope::Tenant),
            global_tables: tables(Scope::Global),
            statements,
            extensions: plan.extensions().to_vec(),
        };
        Self { app: app.clone(), files, refused: Vec::new(), summary }
    }

    /// Of an app that cannot.
    pub(super) fn refused(app: &AppName, refusals: &Refusals) -> Self {
        let refused = refusals.iter().cloned().collect();
        Self { app: app.clone(), files: Vec::new(), refused, summary: Summary::default() }
    }
}

fn statement(step: &Step, source: &str, rendered: &[Rendered], with_sql: bool) -> StatementReport {
    // Indexes that lead with the tenant are made at the end of a file and are in none.
    let added = step.own.is_empty() && step.shared.first().is_some_and(|sql| sql.starts_with("CREATE INDEX"));
    let text = if added { step.shared.first() } else { step.own.first().or(step.shared.first()) };
    let headline = Headline::of(text.map_or(source, String::as_str));
    let outcomes = rendered.iter().map(|rendered| {
        let isolation = rendered.isolation;
        let (runs, other) = match isolation {
            Isolation::Shared => (&step.shared, &step.own),
            _ => (&step.own, &step.shared),
        };
        let (effect, sql) = if isolation == Isolation::Schema && step.scope == Scope::Global {
            ("in schema global already".to_owned(), Vec::new())
        } else if runs.is_empty() && !other.is_empty() && headline.kind.ends_with("SEQUENCE") {
            ("one for each tenant".to_owned(), Vec::new())
        } else {
            (describe(source, runs), if with_sql { rendered.at(step) } else { Vec::new() })
        };
        Outcome { isolation, effect, sql }
    });
    // Of what síndico adds where tables are shared, the others have nothing to tell.
    let outcomes = outcomes.filter(|outcome| !added || outcome.isolation == Isolation::Shared);
    StatementReport {
        line: step.line,
        scope: step.scope,
        added,
        outcomes: outcomes.collect(),
        headline,
        note: step.note.clone(),
    }
}

/// The file from a step's line on.
fn source<'a>(sources: &'a Sources, step: &Step) -> &'a str {
    let same = |file: &&SqlFile| file.name == step.file;
    let text = sources.migrations.iter().chain(&sources.seed).find(same).map_or("", |file| file.text.as_str());
    let mut rest = text;
    for _ in 1..step.line {
        rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
    }
    rest
}

/// What runs in one isolation, statement by statement.
struct Rendered {
    isolation: Isolation,
    statements: Vec<Statement>,
}

impl Rendered {
    fn new(app: &AppName, plan: &Plan, isolation: Isolation) -> Self {
        // Stands for any tenant; its schema is the same but for the digits.
        let tenant = TenantId::from_uuid(Uuid::nil());
        let names = app.names();
        let ddl = match isolation {
            Isolation::Shared => plan.shared_ddl(&names),
            Isolation::Schema => plan.own_schema_ddl(tenant),
            Isolation::Database | Isolation::Cluster => plan.own_database_ddl(&names),
        };
        let seed = if isolation == Isolation::Shared { plan.shared_tenant_seed() } else { plan.own_tenant_seed() };
        let global = plan.global_seed();
        Self { isolation, statements: ddl.into_iter().chain(global).chain(seed).collect() }
    }

    fn at(&self, step: &Step) -> Vec<String> {
        let here = self.statements.iter().filter(|it| it.line == step.line && it.file == step.file);
        here.map(|statement| statement.sql.clone()).collect()
    }
}
