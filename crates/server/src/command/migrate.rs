//! `sindico migrate …`

use anyhow::bail;
use reqwest::Method;
use serde_json::{Value, json};

use super::operation::{prose, watch};
use crate::app_dir::AppDir;
use crate::cli::{ApplyArgs, MigrateCommand};
use crate::client::{Client, segment};
use crate::console::{Console, rows, table};

const TENANTS: [(&str, &str); 5] = [
    ("tenant", "/slug"),
    ("isolation", "/isolation"),
    ("version", "/version"),
    ("migration", "/version_name"),
    ("migrated", "/migrated_at"),
];

const LOCKS: [(&str, &str); 4] = [("lock", "/lock"), ("table", "/table"), ("wait", "/blocks"), ("while", "/lasts")];

pub(crate) async fn run(command: MigrateCommand, client: &Client, console: Console) -> anyhow::Result<()> {
    match command {
        MigrateCommand::Plan { folder, sql } => {
            let app = AppDir::read(&folder)?;
            let body = json!({"manifest": app.manifest, "files": app.files});
            let plan = client.post(&format!("{}/plan", path(&name_of(&app)?)), &body).await?;
            console.result(&plan, |plan| plan_prose(plan, sql));
        }
        MigrateCommand::Rehearse { folder } => rehearse(&AppDir::read(&folder)?, client, console).await?,
        MigrateCommand::Apply(args) => apply(args, client, console).await?,
        MigrateCommand::Status { app, all } => {
            let app = which(app, client).await?;
            let status = status(&app, all, client).await?;
            console.result(&status, |status| status_prose(status, all));
        }
        MigrateCommand::Verify { app } => {
            let app = which(app, client).await?;
            let begun = client.post(&format!("{}/verify", path(&app)), &Value::Null).await?;
            let ended = watch(begun["id"].as_str().unwrap_or_default(), client, console).await?;
            if ended["state"] != "succeeded" {
                console.result(&ended, prose);
                bail!("the tenants could not be looked at");
            }
            let status = status(&app, false, client).await?;
            console.result(&status, |status| status_prose(status, false));
            let drifted = status["drifted"].as_u64().unwrap_or_default();
            if drifted > 0 {
                bail!("{drifted} tenants have tables that are not those of their version");
            }
        }
    }
    Ok(())
}

async fn rehearse(app: &AppDir, client: &Client, console: Console) -> anyhow::Result<()> {
    let name = name_of(app)?;
    let body = json!({"manifest": app.manifest, "files": app.files});
    let begun = client.begin(Method::POST, &format!("{}/rehearse", path(&name)), Some(&body)).await?;
    if begun["rehearsed"] == true {
        console.result(&begun, |_| format!("these migrations of {name} have been rehearsed, or applied"));
        return Ok(());
    }
    let ended = watch(begun["id"].as_str().unwrap_or_default(), client, console).await?;
    console.result(&ended, prose);
    if ended["state"] != "succeeded" {
        bail!("the rehearsal has {}; no tenant was touched", ended["state"].as_str().unwrap_or("ended"));
    }
    Ok(())
}

async fn apply(args: ApplyArgs, client: &Client, console: Console) -> anyhow::Result<()> {
    let app = AppDir::read(&args.folder)?;
    let mut options = json!({});
    for (name, value) in [
        ("canary_count", args.canary_count),
        ("soak_seconds", args.soak),
        ("wave", args.wave),
        ("parallel", args.parallel),
        ("max_failures", args.max_failures),
        ("lock_timeout_ms", args.lock_timeout),
        ("lock_retries", args.lock_retries),
        ("statement_timeout_ms", args.statement_timeout),
    ] {
        if let Some(value) = value {
            options[name] = json!(value);
        }
    }
    if !args.canaries.is_empty() {
        options["canaries"] = json!(args.canaries);
    }
    let name = name_of(&app)?;
    let body = json!({"manifest": app.manifest, "files": app.files, "options": options});
    let begun = client.begin(Method::POST, &path(&name), Some(&body)).await?;
    if begun["current"] == true {
        console.result(&begun, |_| format!("{name} and all of its tenants have these migrations already"));
        return Ok(());
    }
    let id = begun["id"].as_str().unwrap_or_default();
    if args.no_wait {
        console.result(&begun, |_| format!("{name} is being migrated: sindico operation watch {id}"));
        return Ok(());
    }
    let ended = watch(id, client, console).await?;
    console.result(&ended, prose);
    if ended["state"] != "succeeded" {
        bail!(
            "the migration has {}; `sindico migrate status {name}` shows who has it",
            ended["state"].as_str().unwrap_or("ended")
        );
    }
    Ok(())
}

/// All pages in one.
async fn status(app: &str, all: bool, client: &Client) -> anyhow::Result<Value> {
    let (mut whole, items) = client.pages(&format!("{}?limit=1000&all={all}", path(app))).await?;
    whole["items"] = Value::Array(items);
    Ok(whole)
}

/// The app that was named, or the only one.
pub(crate) async fn which(app: Option<domain::AppName>, client: &Client) -> anyhow::Result<String> {
    if let Some(app) = app {
        return Ok(app.to_string());
    }
    let apps = client.get("/apps").await?;
    match rows(&apps["items"]) {
        [only] => Ok(only["name"].as_str().unwrap_or_default().to_owned()),
        [] => bail!("no app is registered; register one with `sindico app add <folder>`"),
        _ => bail!("several apps are registered; name one of those that `sindico app list` shows"),
    }
}

fn name_of(app: &AppDir) -> anyhow::Result<String> {
    Ok(tenantize::Manifest::parse(&app.manifest)?.name.to_string())
}

fn path(app: &str) -> String {
    format!("/apps/{}/migrations", segment(app))
}

fn plan_prose(plan: &Value, sql: bool) -> String {
    let number = |value: &Value| value.as_u64().unwrap_or_default();
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let migrations = rows(&plan["migrations"]);
    let mut out = format!(
        "{} to version {} ({}): {} of {} tenants are behind",
        word(&plan["app"]),
        number(&plan["version"]),
        word(&plan["version_name"]),
        number(&plan["behind"]),
        number(&plan["tenants"])
    );
    if migrations.is_empty() {
        out.push_str("\nnothing would run");
    }
    for migration in migrations {
        out.push_str(&format!("\n\n{}", word(&migration["file"])));
        for part in rows(&migration["parts"]) {
            let place = word(&part["place"]);
            let statements = rows(&part["statements"]);
            let each = if matches!(place.as_str(), "global" | "shared") { "clusters" } else { "tenants" };
            out.push_str(&format!(
                "\n  {place}: {} statements, on {} {each}",
                statements.len(),
                number(&part["times"])
            ));
            if place == "shared" && statements.iter().any(|it| it["by"] == "tenant") {
                out.push_str(&format!(", rows of {} tenants", number(&part["tenants_within"])));
            }
            let locks = rows(&part["locks"]);
            if !locks.is_empty() {
                for line in table(locks, &LOCKS).lines() {
                    out.push_str(&format!("\n    {line}"));
                }
            }
            for warning in rows(&part["warnings"]) {
                out.push_str(&format!("\n    warning: {}", word(warning)));
            }
            for statement in statements.iter().filter(|_| sql) {
                out.push_str(&format!("\n    {}: {};", word(&statement["by"]), word(&statement["sql"])));
            }
        }
    }
    out
}

fn status_prose(status: &Value, all: bool) -> String {
    let number = |value: &Value| value.as_u64().unwrap_or_default();
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut out = format!(
        "{}: newest version {} ({})",
        word(&status["app"]),
        number(&status["version"]),
        word(&status["version_name"])
    );
    for version in rows(&status["versions"]) {
        out.push_str(&format!(
            "\n  version {} ({}): {} tenants",
            number(&version["version"]),
            word(&version["name"]),
            number(&version["tenants"])
        ));
    }
    out.push_str(&format!("\n  {} failed, {} differ", number(&status["failed"]), number(&status["drifted"])));
    let items = rows(&status["items"]);
    if !items.is_empty() {
        out.push_str(&format!("\n\n{}", table(items, &TENANTS)));
    } else if all {
        out.push_str("\n\nno tenants");
    }
    for (field, what) in [("error", "failed"), ("drift", "differs")] {
        for item in items.iter().filter(|item| !item[field].is_null()) {
            out.push_str(&format!("\n\n{} {what}:", word(&item["slug"])));
            for line in word(&item[field]).lines() {
                out.push_str(&format!("\n  {line}"));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_tells_places_locks_and_warnings() {
        let plan = json!({"app": "shop", "version": 2, "version_name": "0002_x", "behind": 3, "tenants": 4, "migrations": [
            {"file": "migrations/0002_x.sql", "parts": [{"place": "shared", "times": 1, "tenants_within": 3,
                "statements": [{"by": "owner", "sql": "ALTER TABLE a ADD b int"}, {"by": "tenant", "sql": "UPDATE a SET b = 1"}],
                "locks": [{"lock": "ACCESS EXCLUSIVE", "table": "a", "blocks": "reads and writes", "lasts": null}],
                "warnings": ["slow"]}]}]});
        let told = plan_prose(&plan, true);
        for part in [
            "3 of 4 tenants are behind",
            "shared: 2 statements, on 1 clusters, rows of 3 tenants",
            "ACCESS EXCLUSIVE",
            "warning: slow",
            "tenant: UPDATE a SET b = 1;",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
    }

    #[test]
    fn a_status_tells_who_failed_and_why() {
        let status = json!({"app": "shop", "version": 2, "version_name": "b", "failed": 1, "drifted": 0,
            "versions": [{"version": 1, "name": "a", "tenants": 1}],
            "items": [{"slug": "acme", "isolation": "schema", "version": 1, "version_name": "a", "migrated_at": null,
                       "error": "no\nroom", "drift": null}]});
        let told = status_prose(&status, false);
        assert!(told.contains("version 1 (a): 1 tenants") && told.contains("acme failed:\n  no\n  room"), "{told}");
    }
}
