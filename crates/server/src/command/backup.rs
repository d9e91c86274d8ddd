//! `sindico backup …`

use anyhow::bail;
use reqwest::Method;
use serde_json::{Value, json};

use super::operation::{prose, watch};
use super::{export, migrate};
use crate::cli::{BackupCommand, RestoreArgs};
use crate::client::{Client, segment};
use crate::console::{Console, card, rows, table};

const LIST: [(&str, &str); 8] = [
    ("id", "/id"),
    ("tenant", "/slug"),
    ("state", "/state"),
    ("taken", "/taken_at"),
    ("version", "/version"),
    ("rows", "/rows"),
    ("bytes", "/bytes"),
    ("stored", "/stored_bytes"),
];

const CARD: [(&str, &str); 16] = [
    ("id", "/id"),
    ("tenant", "/slug"),
    ("tenant id", "/tenant"),
    ("app", "/app"),
    ("isolation", "/isolation"),
    ("version", "/version"),
    ("state", "/state"),
    ("store", "/store"),
    ("taken", "/taken_at"),
    ("expires", "/expires_at"),
    ("rows", "/rows"),
    ("bytes", "/bytes"),
    ("stored", "/stored_bytes"),
    ("large objects left out", "/contents/large_objects"),
    ("verified", "/verified_at"),
    ("found wrong", "/verify_error"),
];

const TABLES: [(&str, &str); 4] =
    [("table", "/name"), ("rows", "/rows"), ("bytes", "/bytes"), ("stored", "/stored_bytes")];

const COVERAGE: [(&str, &str); 5] = [
    ("tenant", "/slug"),
    ("backups", "/backups"),
    ("newest", "/taken_at"),
    ("verified", "/verified_at"),
    ("overdue", "/overdue"),
];

pub(crate) async fn run(command: BackupCommand, client: &Client, console: Console) -> anyhow::Result<()> {
    match command {
        BackupCommand::Create { tenant, app, no_wait } => {
            let path = match (&tenant, &app) {
                (Some(tenant), _) => format!("/tenants/{}/backups", segment(tenant)),
                (None, Some(app)) => format!("/apps/{app}/backups"),
                (None, None) => bail!("name a tenant, or an app with --app"),
            };
            let begun = client.begin(Method::POST, &path, None).await?;
            let ended = follow(&begun, no_wait, client, console).await?;
            if let Some(id) = ended.as_ref().and_then(|it| it.pointer("/steps/0/output/backup")).and_then(Value::as_str)
            {
                let made = client.get(&backup_path(id)).await?;
                console.result(&made, made_prose);
            } else if let Some(ended) = &ended {
                console.result(ended, prose);
            }
        }
        BackupCommand::List { tenant, app, limit } => list(tenant, app, limit, client, console).await?,
        BackupCommand::Show { backup } => {
            let shown = client.get(&backup_path(&backup)).await?;
            console.result(&shown, |shown| {
                let tables = rows(&shown["contents"]["tables"]);
                let card = card(shown, &CARD);
                if tables.is_empty() { card } else { format!("{card}\n\n{}", table(tables, &TABLES)) }
            });
        }
        BackupCommand::Status { app, all } => status(app, all, client, console).await?,
        BackupCommand::Verify { backup, no_wait } => {
            let begun = client.begin(Method::POST, &format!("{}/verify", backup_path(&backup)), None).await?;
            if let Some(ended) = follow(&begun, no_wait, client, console).await? {
                console.result(&ended, |ended| {
                    let output = &ended["steps"][0]["output"];
                    format!("{} rows of {} tables are as they were backed up", output["rows"], output["tables"])
                });
            }
        }
        BackupCommand::Restore(args) => restore(args, client, console).await?,
        BackupCommand::Export(args) => export::run(&args, client, console).await?,
        BackupCommand::Delete { backup, yes } => {
            confirm(yes, &format!("Remove backup {backup}, for good?"), console)?;
            client.delete(&backup_path(&backup), None).await?;
            console.result(&json!({"backup": backup, "removed": true}), |_| format!("backup {backup} is removed"));
        }
    }
    Ok(())
}

async fn restore(args: RestoreArgs, client: &Client, console: Console) -> anyhow::Result<()> {
    let backup = client.get(&backup_path(&args.backup)).await?;
    let word = |value: &Value, field: &str| value[field].as_str().unwrap_or_default().to_owned();
    if args.in_place {
        let (slug, taken) = (word(&backup, "slug"), word(&backup, "taken_at"));
        confirm(
            args.yes,
            &format!("Replace all rows of {slug} by those of {taken}? What was written since is lost."),
            console,
        )?;
        let path = format!("/tenants/{}/restore", segment(&word(&backup, "tenant")));
        let begun = client.begin(Method::POST, &path, Some(&json!({"backup": backup["id"]}))).await?;
        if let Some(ended) = follow(&begun, args.no_wait, client, console).await? {
            console.result(&ended, |_| format!("{slug} is as it was at {taken}"));
        }
        return Ok(());
    }
    let mut body = json!({"slug": args.slug});
    for (field, value) in
        [("name", json!(args.name)), ("isolation", json!(args.isolation)), ("cluster", json!(args.cluster))]
    {
        if !value.is_null() {
            body[field] = value;
        }
    }
    let path = format!("{}/restore", backup_path(&args.backup));
    let made = client.begin(Method::POST, &path, Some(&body)).await?;
    let operation = word(&made, "operation");
    let ended = if args.no_wait { None } else { Some(watch(&operation, client, console).await?) };
    if let Some(ended) = ended.filter(|ended| ended["state"] != "succeeded") {
        console.result(&ended, prose);
        bail!("no tenant was made");
    }
    console.result(&made, |made| {
        let lines = [("slug", "/slug"), ("id", "/id"), ("isolation", "/isolation"), ("key", "/key"), ("dsn", "/dsn")];
        let open = if args.no_wait {
            format!("; it is open when `sindico operation watch {operation}` has ended")
        } else {
            String::new()
        };
        format!(
            "{}\n\nThe key is shown only now{open}. The keys of the tenant that was backed up open nothing here.",
            card(made, &lines)
        )
    });
    Ok(())
}

async fn list(
    tenant: Option<String>,
    app: Option<domain::AppName>,
    limit: i64,
    client: &Client,
    console: Console,
) -> anyhow::Result<()> {
    let which = of_whom(tenant.as_deref(), app.as_ref(), client).await?;
    let page = client.get(&format!("/backups?limit={limit}{which}")).await?;
    console.result(&page["items"], |all| match rows(all) {
        [] => "no backups; make one with `sindico backup create <slug>`".to_owned(),
        rows => table(rows, &LIST),
    });
    Ok(())
}

async fn status(app: Option<domain::AppName>, all: bool, client: &Client, console: Console) -> anyhow::Result<()> {
    let app = migrate::which(app, client).await?;
    let (page, mut items) = client.pages(&format!("/apps/{}/backups?limit=1000", segment(&app))).await?;
    let objective = page["objective_seconds"].as_u64().unwrap_or_default();
    let total = items.len();
    let overdue = items.iter().filter(|item| item["overdue"] == true).count();
    if !all {
        items.retain(|item| item["overdue"] == true);
    }
    let told =
        json!({"app": app, "objective_seconds": objective, "tenants": total, "overdue": overdue, "items": items});
    console.result(&told, |told| {
        let hours = objective / 3600;
        let head = format!("{app}: {overdue} of {total} tenants are overdue: their newest backup, or they, are older than {hours} hours");
        match rows(&told["items"]) {
            [] => head,
            rows => format!("{head}\n\n{}", table(rows, &COVERAGE)),
        }
    });
    if overdue > 0 {
        bail!("{overdue} tenants are overdue; back them up with `sindico backup create --app {app}`");
    }
    Ok(())
}

/// How an operation has ended; nothing for who does not wait.
async fn follow(begun: &Value, no_wait: bool, client: &Client, console: Console) -> anyhow::Result<Option<Value>> {
    let id = begun["id"].as_str().unwrap_or_default();
    if no_wait {
        console.result(begun, |_| format!("it has begun: sindico operation watch {id}"));
        return Ok(None);
    }
    let ended = watch(id, client, console).await?;
    if ended["state"] == "succeeded" {
        return Ok(Some(ended));
    }
    console.result(&ended, prose);
    bail!("it has {}", ended["state"].as_str().unwrap_or("ended"))
}

fn made_prose(made: &Value) -> String {
    let left_out = made["contents"]["large_objects"].as_i64().unwrap_or_default();
    let warning =
        if left_out > 0 { format!("\n\nwarning: {left_out} large objects are not in it") } else { String::new() };
    format!("{}{warning}", card(made, &CARD[..13]))
}

/// What a listing's address has for a tenant, by its slug or its id, or for an app.
pub(super) async fn of_whom(
    tenant: Option<&str>,
    app: Option<&domain::AppName>,
    client: &Client,
) -> anyhow::Result<String> {
    let mut query = String::new();
    if let Some(tenant) = tenant {
        let id = if let Ok(id) = tenant.parse::<uuid::Uuid>() {
            id.to_string()
        } else {
            let found = client.get(&format!("/tenants/{}", segment(tenant))).await?;
            found["id"].as_str().unwrap_or_default().to_owned()
        };
        query.push_str(&format!("&tenant={id}"));
    }
    if let Some(app) = app {
        query.push_str(&format!("&app={app}"));
    }
    Ok(query)
}

pub(super) fn confirm(yes: bool, question: &str, console: Console) -> anyhow::Result<()> {
    if yes {
        return Ok(());
    }
    let unattended = format!("{question} Say so with --yes");
    console.confirm(&format!("{question} Type yes to go on:"), "yes", &unattended, "nothing was changed")
}

fn backup_path(id: &str) -> String {
    format!("/backups/{}", segment(id))
}
