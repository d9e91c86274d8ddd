//! `sindico schedule …`

use anyhow::{Context, bail};
use serde_json::{Map, Value, json};

use crate::cli::{CreateScheduleArgs, ScheduleCommand};
use crate::client::{Client, segment};
use crate::console::{Console, card, rows, table};

const LIST: [(&str, &str); 7] = [
    ("name", "/name"),
    ("kind", "/kind"),
    ("cron", "/cron"),
    ("time zone", "/time_zone"),
    ("next", "/next"),
    ("last", "/last_at"),
    ("error", "/last_error"),
];

const CARD: [(&str, &str); 10] = [
    ("id", "/id"),
    ("name", "/name"),
    ("kind", "/kind"),
    ("input", "/input"),
    ("cron", "/cron"),
    ("time zone", "/time_zone"),
    ("next", "/next"),
    ("last", "/last_at"),
    ("last operation", "/last_operation"),
    ("error", "/last_error"),
];

pub(crate) async fn run(command: ScheduleCommand, client: &Client, console: Console) -> anyhow::Result<()> {
    match command {
        ScheduleCommand::Create(args) => {
            let made = client.post("/schedules", &body(args)?).await?;
            console.result(&made, shown);
        }
        ScheduleCommand::List => {
            let all = Value::Array(client.pages("/schedules?limit=1000").await?.1);
            console.result(&all, |all| match rows(all) {
                [] => "no schedules; make one with `sindico schedule create`".to_owned(),
                rows => table(&rows.iter().map(told).collect::<Vec<_>>(), &LIST),
            });
        }
        ScheduleCommand::Show { schedule } => console.result(&client.get(&path(&schedule)).await?, shown),
        ScheduleCommand::Pause { schedule } => {
            let paused = client.patch(&path(&schedule), &json!({"enabled": false})).await?;
            console.result(&paused, |_| format!("{schedule} is paused; `sindico schedule resume {schedule}` goes on"));
        }
        ScheduleCommand::Resume { schedule } => {
            let resumed = client.patch(&path(&schedule), &json!({"enabled": true})).await?;
            console.result(&resumed, |it| format!("{schedule} is next due at {}", next(it)));
        }
        ScheduleCommand::Delete { schedule } => {
            client.delete(&path(&schedule), None).await?;
            console.result(&json!({"deleted": schedule}), |_| format!("{schedule} is deleted"));
        }
    }
    Ok(())
}

fn body(args: CreateScheduleArgs) -> anyhow::Result<Value> {
    let CreateScheduleArgs { name, kind, cron, time_zone, app, input, paused } = args;
    let mut given: Map<String, Value> = match input {
        Some(text) => serde_json::from_str(&text)
            .with_context(|| format!("--input {text:?} is no JSON object; give such as '{{\"app\": \"petshop\"}}'"))?,
        None => Map::new(),
    };
    if let Some(app) = app
        && given.insert("app".to_owned(), json!(app)).is_some()
    {
        bail!("the app is given by --app and in --input; give one of them");
    }
    let mut body = json!({"name": name, "kind": kind, "cron": cron, "input": given, "enabled": !paused});
    if let Some(time_zone) = time_zone {
        body["time_zone"] = json!(time_zone);
    }
    Ok(body)
}

fn path(schedule: &str) -> String {
    format!("/schedules/{}", segment(schedule))
}

/// The next time, or that there is none.
fn next(schedule: &Value) -> &str {
    schedule.pointer("/upcoming/0").and_then(Value::as_str).unwrap_or("paused")
}

fn told(schedule: &Value) -> Value {
    let mut told = schedule.clone();
    told["next"] = json!(next(schedule));
    told["input"] = json!(schedule["input"].to_string());
    told
}

fn shown(schedule: &Value) -> String {
    card(&told(schedule), &CARD)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(app: Option<&str>, input: Option<&str>) -> CreateScheduleArgs {
        CreateScheduleArgs {
            name: "nightly".parse().expect("a name"),
            kind: "verify".to_owned(),
            cron: "0 3 * * *".to_owned(),
            time_zone: None,
            app: app.map(|app| app.parse().expect("an app")),
            input: input.map(str::to_owned),
            paused: false,
        }
    }

    #[test]
    fn an_app_is_part_of_the_input() {
        assert_eq!(body(args(Some("shop"), None)).expect("a body")["input"], json!({"app": "shop"}));
        let both = body(args(Some("shop"), Some("{\"x\": 1}"))).expect("a body");
        assert_eq!(both["input"], json!({"app": "shop", "x": 1}));
        for (app, input) in [(Some("shop"), "{\"app\": \"other\"}"), (None, "[1]"), (None, "app")] {
            assert!(body(args(app, Some(input))).is_err(), "{input}");
        }
    }
}
