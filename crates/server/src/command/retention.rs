//! `sindico retention …`

use anyhow::bail;
use serde_json::{Map, Value, json};

use super::operation::watch;
use crate::cli::{RetentionArgs, RetentionCommand};
use crate::client::{Client, segment};
use crate::console::{Console, rows, table};

const RULES: [(&str, &str); 4] =
    [("table", "/table"), ("column", "/column"), ("kept", "/keep"), ("then archived", "/archive")];

const LIMITS: [(&str, &str); 5] = [
    ("table", "/table"),
    ("column", "/column"),
    ("kept", "/keep"),
    ("the tenant's own", "/own"),
    ("then archived", "/archive"),
];

const RUNS: [(&str, &str); 6] = [
    ("tenant", "/slug"),
    ("table", "/table"),
    ("removed", "/removed"),
    ("in all", "/removed_in_all"),
    ("held", "/held"),
    ("when", "/ran_at"),
];

pub(crate) async fn run(command: RetentionCommand, client: &Client, console: Console) -> anyhow::Result<()> {
    match command {
        RetentionCommand::Plan(args) => begin(args, true, client, console).await,
        RetentionCommand::Run { args, dry_run } => begin(args, dry_run, client, console).await,
        RetentionCommand::Show { tenant: Some(tenant), .. } => {
            let limits = client.get(&format!("/tenants/{}/retention", segment(&tenant))).await?;
            console.result(&limits, limits_prose);
            Ok(())
        }
        RetentionCommand::Show { app, tenant: None } => {
            let Some(app) = app else { bail!("name an app, or a tenant with --tenant") };
            let shown = client.get(&path(app.as_str())).await?;
            console.result(&shown, prose);
            Ok(())
        }
        RetentionCommand::Set { tenant, table, keep } => set(&tenant, &table, &keep, client, console).await,
    }
}

async fn begin(args: RetentionArgs, dry_run: bool, client: &Client, console: Console) -> anyhow::Result<()> {
    let mut body = json!({"dry_run": dry_run});
    if !args.tenants.is_empty() {
        body["tenants"] = json!(args.tenants);
    }
    let begun = client.post(&format!("{}/run", path(args.app.as_str())), &body).await?;
    let ended = watch(begun["id"].as_str().unwrap_or_default(), client, console).await?;
    console.result(&ended, outcome);
    if ended["state"] != "succeeded" {
        bail!("the operation has {}", ended["state"].as_str().unwrap_or("ended"));
    }
    let failed = rows(&ended["steps"][0]["output"]["failed"]).len();
    if failed > 0 {
        bail!("old rows of {failed} tenants could not be removed");
    }
    Ok(())
}

/// One table's time; the others stay as they are.
async fn set(tenant: &str, name: &str, keep: &str, client: &Client, console: Console) -> anyhow::Result<()> {
    let path = format!("/tenants/{}/retention", segment(tenant));
    let limits = client.get(&path).await?;
    let own = rows(&limits["items"]).iter().filter(|it| it["own"] == true);
    let mut own: Map<String, Value> =
        own.filter_map(|it| Some((it["table"].as_str()?.to_owned(), it["keep"].clone()))).collect();
    if keep == "default" {
        own.remove(name);
    } else {
        own.insert(name.to_owned(), json!(keep));
    }
    console.result(&client.put(&path, &Value::Object(own)).await?, limits_prose);
    Ok(())
}

fn path(app: &str) -> String {
    format!("/apps/{}/retention", segment(app))
}

fn limits_prose(limits: &Value) -> String {
    match rows(&limits["items"]) {
        [] => "all rows are kept for ever".to_owned(),
        items => table(items, &LIMITS),
    }
}

fn prose(shown: &Value) -> String {
    let rules = rows(&shown["rules"]);
    if rules.is_empty() {
        return "all rows are kept for ever; [retention.…] in app.toml says otherwise".to_owned();
    }
    let mut page = table(rules, &RULES);
    let runs = rows(&shown["runs"]);
    if !runs.is_empty() {
        page.push_str(&format!("\n\n{}", table(runs, &RUNS)));
    }
    for run in runs.iter().filter(|run| !run["note"].is_null()) {
        let [slug, name, note] = ["slug", "table", "note"].map(|field| run[field].as_str().unwrap_or_default());
        page.push_str(&format!("\n{slug}, {name}: {note}"));
    }
    page
}

fn outcome(ended: &Value) -> String {
    let output = &ended["steps"][0]["output"];
    let verb = if output["dry_run"] == true { "would be removed" } else { "removed" };
    let number = |value: &Value| value.as_i64().unwrap_or_default();
    let mut page = format!("{} rows of {} tenants {verb}", number(&output["rows"]), number(&output["tenants"]));
    for it in rows(&output["tables"]) {
        let word = |field: &str| it[field].as_str().unwrap_or_default();
        page.push_str(&format!("\n  {}, {}: {}", word("tenant"), word("table"), number(&it["rows"])));
        if it["archived"] == true && number(&it["rows"]) > 0 {
            page.push_str(", archived");
        }
        if number(&it["held"]) > 0 || !it["note"].is_null() {
            page.push_str(&format!(", {} held: {}", number(&it["held"]), word("note")));
        }
    }
    for it in rows(&output["failed"]) {
        let [tenant, error] = ["tenant", "error"].map(|field| it[field].as_str().unwrap_or_default());
        page.push_str(&format!("\n  {tenant} failed: {error}"));
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_come_of_it_is_told_tenant_by_tenant() {
        let ended = json!({"steps": [{"output": {"dry_run": false, "rows": 12, "tenants": 2,
            "tables": [{"tenant": "acme", "table": "recordings", "rows": 12, "archived": true, "held": 1, "note": "constraint c of clips keeps rows"}],
            "failed": [{"tenant": "late", "error": "no answer"}]}}]});
        let told = outcome(&ended);
        for part in [
            "12 rows of 2 tenants removed",
            "acme, recordings: 12, archived, 1 held: constraint c",
            "late failed: no answer",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
    }
}
