//! `sindico operation …`

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::bail;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use crate::cli::OperationCommand;
use crate::client::{Client, segment};
use crate::console::{Console, card, rows, table};

/// How often the command asks how far an operation is.
const PACE: Duration = Duration::from_millis(250);

const LIST: [(&str, &str); 6] = [
    ("id", "/id"),
    ("kind", "/kind"),
    ("subject", "/title"),
    ("state", "/state"),
    ("created", "/created_at"),
    ("error", "/error"),
];

const CARD: [(&str, &str); 10] = [
    ("id", "/id"),
    ("kind", "/kind"),
    ("subject", "/title"),
    ("subject id", "/subject"),
    ("state", "/state"),
    ("error", "/error"),
    ("created", "/created_at"),
    ("started", "/started_at"),
    ("tried again", "/due_at"),
    ("ended", "/ended_at"),
];

const STEPS: [(&str, &str); 6] = [
    ("step", "/name"),
    ("state", "/state"),
    ("attempts", "/attempts"),
    ("begun", "/begun_at"),
    ("ended", "/ended_at"),
    ("error", "/error"),
];

pub(crate) async fn run(command: OperationCommand, client: &Client, console: Console) -> anyhow::Result<()> {
    match command {
        OperationCommand::List { state, limit } => {
            let state = state.map(|state| format!("&state={}", segment(&state))).unwrap_or_default();
            let page = client.get(&format!("/operations?limit={limit}{state}")).await?;
            console.result(&page["items"], |all| match rows(all) {
                [] => "no operations".to_owned(),
                rows => table(rows, &LIST),
            });
        }
        OperationCommand::Show { operation } => {
            let shown = client.get(&path(&operation)).await?;
            console.result(&shown, prose);
        }
        OperationCommand::Watch { operation } => {
            let ended = watch(&operation, client, console).await?;
            console.result(&ended, prose);
            if ended["state"] != "succeeded" {
                bail!("the operation has {}", ended["state"].as_str().unwrap_or("ended"));
            }
        }
        OperationCommand::Cancel { operation } => {
            let asked = client.post(&format!("{}/cancel", path(&operation)), &Value::Null).await?;
            console.result(&asked, |_| {
                format!("it will be stopped and undone; `sindico operation watch {operation}` shows how far that is")
            });
        }
    }
    Ok(())
}

/// Waits for an operation's end, showing each step where somebody looks.
pub(super) async fn watch(operation: &str, client: &Client, console: Console) -> anyhow::Result<Value> {
    let watched = !console.json() && std::io::stderr().is_terminal();
    let bar = if watched { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(PACE / 2);
    loop {
        let standing = client.get(&path(operation)).await?;
        if !standing["ended_at"].is_null() {
            bar.finish_and_clear();
            return Ok(standing);
        }
        bar.set_message(standing_line(&standing));
        tokio::time::sleep(PACE).await;
    }
}

/// How an operation stands, on one line.
fn standing_line(standing: &Value) -> String {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut line = format!("{} {}: {}", word(&standing["kind"]), word(&standing["title"]), word(&standing["state"]));
    if let Some(step) = rows(&standing["steps"]).iter().rfind(|step| step["state"] == "begun") {
        line.push_str(&format!(", {}", word(&step["name"])));
        if let Some(error) = step["error"].as_str() {
            line.push_str(&format!(" (tried again: {error})"));
        }
    }
    if let (Some(done), Some(total)) = (
        standing.pointer("/progress/done").and_then(Value::as_i64),
        standing.pointer("/progress/total").and_then(Value::as_i64),
    ) {
        line.push_str(&format!(", {done} of {total}"));
    }
    line
}

pub(super) fn prose(shown: &Value) -> String {
    let steps = rows(&shown["steps"]);
    let card = card(shown, &CARD);
    if steps.is_empty() { card } else { format!("{card}\n\n{}", table(steps, &STEPS)) }
}

fn path(operation: &str) -> String {
    format!("/operations/{}", segment(operation))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_tells_step_error_and_progress() {
        let mut standing = json!({"kind": "provision", "title": "acme", "state": "running", "progress": null,
            "steps": [{"name": "roles", "state": "done"}, {"name": "storage", "state": "begun", "error": null}]});
        assert_eq!(standing_line(&standing), "provision acme: running, storage");
        standing["steps"][1]["error"] = json!("no answer");
        standing["progress"] = json!({"done": 3, "total": 9});
        assert_eq!(standing_line(&standing), "provision acme: running, storage (tried again: no answer), 3 of 9");
    }
}
