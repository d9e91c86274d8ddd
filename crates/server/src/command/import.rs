//! `sindico tenant import`: many tenants from a table.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, bail};
use futures_util::StreamExt;
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::cli::ImportArgs;
use crate::client::{Client, ClientError};
use crate::command::tenant::admin_body;
use crate::console::{Console, table};

/// A line of the table. What is empty is left to síndico, as with `sindico tenant create`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    slug: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    isolation: String,
    #[serde(default)]
    app: String,
    #[serde(default)]
    cluster: String,
    #[serde(default)]
    admin: String,
    #[serde(default)]
    admin_name: String,
}

/// What came of a line.
#[derive(Debug)]
struct Outcome {
    line: usize,
    slug: String,
    answer: Result<Value, anyhow::Error>,
}

/// What a tenant's clients need, shown this once.
#[derive(Debug, Serialize)]
struct KeyLine<'a> {
    slug: &'a str,
    id: &'a str,
    key: &'a str,
    dsn: &'a str,
}

pub(crate) async fn run(args: ImportArgs, client: &Client, console: Console) -> anyhow::Result<()> {
    let lines = read(&args.table)?;
    if !console.json() && args.keys.is_none() && !lines.is_empty() {
        bail!("each tenant's first key is shown only once: name a file for them with --keys, or use --json");
    }
    // Before anything is made: a key that cannot be written down is lost.
    let mut keys = args.keys.as_deref().map(keys_file).transpose()?;
    let bar = ProgressBar::new(u64::try_from(lines.len()).unwrap_or(u64::MAX));
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos} of {len} {elapsed}") {
        bar.set_style(style);
    }
    let total = lines.len();
    let mut outcomes = Vec::with_capacity(total);
    let made = lines.into_iter().map(|(number, line)| make(number, line, client));
    let mut made = futures_util::stream::iter(made).buffer_unordered(args.parallel);
    while let Some(outcome) = made.next().await {
        if let (Ok(answer), Some(keys)) = (&outcome.answer, &mut keys) {
            let word = |field: &str| answer[field].as_str().unwrap_or_default();
            let line = KeyLine { slug: word("slug"), id: word("id"), key: word("key"), dsn: word("dsn") };
            keys.serialize(line).and_then(|()| Ok(keys.flush()?)).context("a key cannot be written down")?;
        }
        bar.inc(1);
        outcomes.push(outcome);
    }
    bar.finish_and_clear();
    outcomes.sort_by_key(|outcome| outcome.line);
    let report: Vec<Value> = outcomes.iter().map(|outcome| outcome.told(args.skip_existing)).collect();
    let failed = report.iter().filter(|line| line["result"] == "failed").count();
    console.result(&json!(report), |_| prose(&report));
    if failed > 0 {
        bail!(
            "{failed} of {total} tenants were not made; mend their lines and import the table again with --skip-existing"
        );
    }
    Ok(())
}

/// The lines with their numbers, all of them or none.
fn read(path: &Path) -> anyhow::Result<Vec<(usize, Line)>> {
    let told = || format!("cannot read {}", path.display());
    let text = std::fs::read_to_string(path).with_context(told)?;
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let headers = reader.headers().with_context(told)?.clone();
    let mut lines = Vec::new();
    for record in reader.records() {
        let record = record.with_context(told)?;
        let number = line_of(&text, record.position());
        let line: Line = record.deserialize(Some(&headers)).with_context(|| {
            format!(
                "{}: line {number}: the table's columns are slug, name, isolation, app, cluster, admin, admin_name; slug is needed",
                path.display()
            )
        })?;
        lines.push((number, line));
    }
    Ok(lines)
}

/// The line that a record begins on, from 1. Its place is told from before the empty lines ahead of it.
fn line_of(text: &str, place: Option<&csv::Position>) -> usize {
    let start = place.and_then(|place| usize::try_from(place.byte()).ok()).unwrap_or(0);
    let (before, rest) = text.split_at_checked(start).unwrap_or((text, ""));
    let empty = rest.len() - rest.trim_start_matches(['\r', '\n']).len();
    let ends = |text: &str| text.matches('\n').count();
    ends(before) + ends(rest.get(..empty).unwrap_or_default()) + 1
}

/// Nobody but its owner reads it, and none that is there is written over.
fn keys_file(path: &Path) -> anyhow::Result<csv::Writer<std::fs::File>> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let file = file.with_context(|| format!("cannot make {}; name a file that is not there yet", path.display()))?;
    Ok(csv::Writer::from_writer(file))
}

async fn make(number: usize, line: Line, client: &Client) -> Outcome {
    let mut body = json!({"slug": line.slug});
    for (field, value) in
        [("name", &line.name), ("isolation", &line.isolation), ("app", &line.app), ("cluster", &line.cluster)]
    {
        if !value.is_empty() {
            body[field] = json!(value);
        }
    }
    if !line.admin.is_empty() || !line.admin_name.is_empty() {
        let name = if line.admin_name.is_empty() { Value::Null } else { json!(line.admin_name) };
        body["admin"] = admin_body(&json!(line.admin), &name);
    }
    Outcome { line: number, answer: client.post("/tenants", &body).await, slug: line.slug }
}

impl Outcome {
    fn told(&self, skip_existing: bool) -> Value {
        match &self.answer {
            Ok(made) => {
                let mut told = made.clone();
                told["line"] = json!(self.line);
                told["result"] = json!("made");
                told
            }
            Err(error) => {
                let problem = error.downcast_ref::<ClientError>().and_then(ClientError::problem);
                let taken = problem.is_some_and(|problem| problem["code"] == "SLUG_TAKEN");
                let result = if taken && skip_existing { "there already" } else { "failed" };
                json!({"line": self.line, "slug": self.slug, "result": result, "error": format!("{error:#}")})
            }
        }
    }
}

fn prose(report: &[Value]) -> String {
    let count = |result: &str| report.iter().filter(|line| line["result"] == result).count();
    let columns = [("line", "/line"), ("slug", "/slug"), ("result", "/result"), ("id", "/id"), ("error", "/error")];
    let summary =
        format!("{} made, {} there already, {} failed", count("made"), count("there already"), count("failed"));
    if report.is_empty() {
        "the table has no lines".to_owned()
    } else {
        format!("{}\n\n{summary}", table(report, &columns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        file
    }

    #[test]
    fn a_table_is_read_with_its_line_numbers() {
        let file = written("slug, name,isolation\nacme,\"Acme, Ltd\",schema\n\nother,,\n");
        let lines = read(file.path()).expect("read");
        assert_eq!(
            lines.iter().map(|(number, line)| (*number, line.slug.as_str())).collect::<Vec<_>>(),
            [(2, "acme"), (4, "other")]
        );
        assert_eq!((lines[0].1.name.as_str(), lines[1].1.isolation.as_str()), ("Acme, Ltd", ""));
    }

    #[test]
    fn what_is_wrong_with_a_table_is_told_before_anything_is_made() {
        for (text, word) in
            [("name\nx\n", "slug is needed"), ("slug,colour\na,b\n", "columns are"), ("slug,name\na\n", "line")]
        {
            let error = format!("{:#}", read(written(text).path()).expect_err(text));
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn keys_are_for_nobody_else_and_written_over_by_nobody() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("keys.csv");
        drop(keys_file(&path).expect("made"));
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        assert!(format!("{:#}", keys_file(&path).expect_err("there already")).contains("not there yet"));
    }
}
