//! The report for people.

use std::fmt::Write;
use std::io::IsTerminal;

use tenantize::Refusal;

use super::report::{Outcome, Report, StatementReport, Summary};

/// Colours of a terminal, or none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ink {
    colours: bool,
}

impl Ink {
    /// Colours if a person is looking and has not asked for none (<https://no-color.org>).
    pub(super) fn of_this_terminal() -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { colours: std::io::stdout().is_terminal() && !unwanted }
    }

    /// Text in one of the terminal's renditions (ECMA-48, SGR).
    fn paint(self, rendition: &str, text: &str) -> String {
        if self.colours { format!("\u{1b}[{rendition}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    fn faint(self, text: &str) -> String {
        self.paint("2", text)
    }

    fn red(self, text: &str) -> String {
        self.paint("31", text)
    }

    fn yellow(self, text: &str) -> String {
        self.paint("33", text)
    }
}

pub(super) fn write(report: &Report, sql: bool, ink: Ink) -> String {
    let mut out = String::new();
    for file in &report.files {
        let widest = |width: fn(&StatementReport) -> usize| file.statements.iter().map(width).max().unwrap_or(0);
        let kind = widest(|it| it.headline.kind.chars().count());
        let name = widest(|it| it.headline.name.chars().count());
        let _infallible = writeln!(out, "{}", ink.bold(&file.name));
        for statement in &file.statements {
            let place = if statement.added { "    +".to_owned() } else { format!("{:5}", statement.line) };
            let headline = format!("{:kind$}  {:name$}", statement.headline.kind, statement.headline.name);
            let _infallible = writeln!(out, "{}  {headline}  {}", ink.faint(&place), effects(statement, ink));
            if let Some(note) = &statement.note {
                let _infallible = writeln!(out, "       {} {note}", ink.yellow("note:"));
            }
            if sql {
                out.push_str(&texts(&statement.outcomes, ink));
            }
        }
        out.push('\n');
    }
    if report.refused.is_empty() {
        out.push_str(&summary(&report.summary, ink));
    } else {
        out.push_str(&refusals(&report.refused, ink));
    }
    out.trim_end().to_owned()
}

/// What happens in each isolation; those where the same happens are named together.
fn effects(statement: &StatementReport, ink: Ink) -> String {
    let mut groups: Vec<(Vec<&str>, &str)> = Vec::new();
    for outcome in &statement.outcomes {
        match groups.iter_mut().find(|(_, effect)| *effect == outcome.effect) {
            Some((isolations, _)) => isolations.push(outcome.isolation.as_str()),
            None => groups.push((vec![outcome.isolation.as_str()], &outcome.effect)),
        }
    }
    let everywhere = statement.outcomes.len() > 1 && groups.len() == 1;
    let group = |(isolations, effect): (Vec<&str>, &str)| {
        let whose = if everywhere { "all".to_owned() } else { isolations.join(", ") };
        format!("{} {effect}", ink.faint(&format!("{whose}:")))
    };
    groups.into_iter().map(group).collect::<Vec<_>>().join(&ink.faint(" · "))
}

/// The SQL itself, once for isolations where it is the same.
fn texts(outcomes: &[Outcome], ink: Ink) -> String {
    let mut out = String::new();
    let mut groups: Vec<(Vec<&str>, &[String])> = Vec::new();
    for outcome in outcomes.iter().filter(|outcome| !outcome.sql.is_empty()) {
        match groups.iter_mut().find(|(_, sql)| *sql == outcome.sql) {
            Some((isolations, _)) => isolations.push(outcome.isolation.as_str()),
            None => groups.push((vec![outcome.isolation.as_str()], &outcome.sql)),
        }
    }
    for (isolations, sql) in groups {
        let _infallible = writeln!(out, "       {}", ink.faint(&format!("-- {}", isolations.join(", "))));
        for text in sql {
            let _infallible = writeln!(out, "       {};", text.replace('\n', "\n       "));
        }
    }
    out
}

fn refusals(refused: &[Refusal], ink: Ink) -> String {
    let one = |refusal: &Refusal| {
        let place = ink.bold(&format!("{}:{}", refusal.file, refusal.line));
        let (refused, instead) = (ink.red("refused:"), ink.yellow("instead:"));
        format!("{place}  {}\n    {refused} {}\n    {instead} {}\n", refusal.statement, refusal.reason, refusal.remedy)
    };
    refused.iter().map(one).collect()
}

fn summary(summary: &Summary, ink: Ink) -> String {
    let of = |kind: &str| summary.statements.get(kind).copied().unwrap_or(0);
    let mut parts = vec![format!("tables {} of tenants, {} global", summary.tenant_tables, summary.global_tables)];
    for (title, kinds) in [
        ("types", ["CREATE TYPE", "CREATE DOMAIN"].as_slice()),
        ("sequences", &["CREATE SEQUENCE"]),
        ("views", &["CREATE VIEW"]),
        ("functions", &["CREATE FUNCTION", "CREATE PROCEDURE"]),
        ("triggers", &["CREATE TRIGGER"]),
    ] {
        match kinds.iter().map(|kind| of(kind)).sum::<usize>() {
            0 => {}
            count => parts.push(format!("{title} {count}")),
        }
    }
    if !summary.extensions.is_empty() {
        parts.push(format!("extensions {}", summary.extensions.join(", ")));
    }
    parts.push("refused 0".to_owned());
    format!("{}\n", ink.bold(&parts.join(" · ")))
}
