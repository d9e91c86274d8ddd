//! What commands print: tables for people, JSON for programs, steps and progress on standard error.

use std::io::{BufRead, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use comfy_table::{ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::client::ClientError;
use crate::config::ConfigError;

/// Something that takes longer than this shows that it is at work.
const SILENCE: Duration = Duration::from_millis(500);

/// Where a command speaks. Output that a pipe no longer reads is dropped, as is usual.
#[derive(Debug, Clone, Copy)]
pub struct Console {
    json: bool,
}

impl Console {
    /// Speaks JSON or prose.
    #[must_use]
    pub fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether programs are listening.
    pub(crate) fn json(self) -> bool {
        self.json
    }

    /// A line of the result.
    #[expect(clippy::unused_self, reason = "whoever speaks has been given the console")]
    pub(crate) fn say(self, text: &str) {
        let _reader_gone = writeln!(std::io::stdout(), "{text}");
    }

    /// A line beside the result.
    #[expect(clippy::unused_self, reason = "whoever speaks has been given the console")]
    pub(crate) fn note(self, text: &str) {
        let _reader_gone = writeln!(std::io::stderr(), "{text}");
    }

    /// The result: as JSON, or as people read it.
    pub(crate) fn result(self, value: &Value, prose: impl FnOnce(&Value) -> String) {
        if self.json { self.say(&format!("{value:#}")) } else { self.say(&prose(value)) }
    }

    /// Has somebody type a word before something that cannot be taken back. Where nobody can, or they type another, it is not done.
    pub(crate) fn confirm(self, question: &str, word: &str, unattended: &str, declined: &str) -> anyhow::Result<()> {
        let stdin = std::io::stdin();
        if !stdin.is_terminal() {
            bail!("{unattended}");
        }
        self.note(question);
        let mut typed = String::new();
        stdin.lock().read_line(&mut typed)?;
        if typed.trim() == word { Ok(()) } else { bail!("{declined}") }
    }

    /// Runs a step, showing after half a second that it takes its time.
    pub(crate) async fn wait<T>(self, what: &str, step: impl Future<Output = T>) -> T {
        if self.json || !std::io::stderr().is_terminal() {
            return step.await;
        }
        tokio::pin!(step);
        tokio::select! {
            done = &mut step => return done,
            () = tokio::time::sleep(SILENCE) => {}
        }
        let spinner = ProgressBar::new_spinner().with_message(what.to_owned());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
            spinner.set_style(style);
        }
        spinner.enable_steady_tick(Duration::from_millis(100));
        let done = step.await;
        spinner.finish_and_clear();
        done
    }

    /// Reports a failure and chooses the exit code: 2 for words or configuration that cannot be right, 1 for what did not
    /// work.
    #[must_use]
    pub fn failed(self, error: &anyhow::Error) -> ExitCode {
        let problem = error.downcast_ref::<ClientError>().and_then(ClientError::problem);
        if self.json {
            let value = problem.cloned().unwrap_or_else(|| json!({"detail": format!("{error:#}")}));
            self.note(&format!("{value:#}"));
        } else {
            self.note(&format!("sindico: {error:#}"));
            let faults = problem.and_then(|problem| problem["errors"].as_array()).into_iter().flatten();
            // One fault repeats the detail; several say more than it does.
            for fault in faults.filter(|fault| problem.is_some_and(|whole| whole["detail"] != fault["detail"])) {
                self.note(&format!("  {}: {}", text(&fault["pointer"]), text(&fault["detail"])));
            }
        }
        ExitCode::from(if error.is::<ConfigError>() { 2 } else { 1 })
    }
}

/// The rows of a page's `items`.
pub(crate) fn rows(items: &Value) -> &[Value] {
    items.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// A table for people. Columns are title and JSON pointer.
pub(crate) fn table(rows: &[Value], columns: &[(&str, &str)]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(columns.iter().map(|(title, _)| title.to_uppercase()));
    for row in rows {
        table.add_row(columns.iter().map(|(_, pointer)| row.pointer(pointer).map(text).unwrap_or_default()));
    }
    trimmed(&table)
}

/// One thing, a line for each of its properties.
pub(crate) fn card(value: &Value, lines: &[(&str, &str)]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    for (title, pointer) in lines {
        table.add_row([(*title).to_owned(), value.pointer(pointer).map(text).unwrap_or_default()]);
    }
    trimmed(&table)
}

fn trimmed(table: &Table) -> String {
    table.lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>().join("\n")
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        Value::Bool(yes) => if *yes { "yes" } else { "no" }.to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_have_a_column_for_each_pointer() {
        let rows = [json!({"slug": "acme", "placement": {"cluster": "main"}}), json!({"slug": "happy-paws"})];
        let shown = table(&rows, &[("slug", "/slug"), ("cluster", "/placement/cluster")]);
        let lines: Vec<Vec<&str>> = shown.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines, [vec!["SLUG", "CLUSTER"], vec!["acme", "main"], vec!["happy-paws"]]);
    }
}
