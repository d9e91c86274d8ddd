//! `sindico sweep`

use anyhow::bail;
use serde_json::{Value, json};

use super::operation::watch;
use crate::cli::SweepArgs;
use crate::client::{Client, segment};
use crate::console::{Console, rows, table};

const ORPHANS: [(&str, &str); 6] = [
    ("kind", "/kind"),
    ("cluster", "/cluster"),
    ("database", "/database"),
    ("name", "/name"),
    ("bytes", "/bytes"),
    ("why", "/why"),
];

pub(crate) async fn run(args: SweepArgs, client: &Client, console: Console) -> anyhow::Result<()> {
    let SweepArgs { remove, yes, exclude } = args;
    let path = match exclude.as_slice() {
        [] => "/orphans".to_owned(),
        names => format!("/orphans?exclude={}", segment(&names.join(","))),
    };
    let report = console.wait("looking at the clusters", client.get(&path)).await?;
    let found = rows(&report["items"]).len();
    let unseen = rows(&report["unseen"]).iter().filter(|it| it["busy"] != true).count();
    if !remove {
        console.result(&report, prose);
    } else if found > 0 {
        if !yes {
            let question = format!("{}\nThis removes all of it, for good. Type {found} to go on:", prose(&report));
            let unattended = format!(
                "removing {found} things removes them for good; look at them with `sindico sweep`, and add --yes to do it without being asked"
            );
            console.confirm(&question, &found.to_string(), &unattended, "nothing was removed")?;
        }
        let body = json!({"digest": report["digest"], "exclude": exclude});
        let begun = client.post("/orphans/sweep", &body).await?;
        let ended = watch(begun["id"].as_str().unwrap_or_default(), client, console).await?;
        console.result(&ended, outcome);
        let left = rows(&ended["steps"][0]["output"]["left"]).len();
        if ended["state"] != "succeeded" {
            bail!("the sweep has {}", ended["state"].as_str().unwrap_or("ended"));
        }
        if left > 0 {
            bail!("{left} of {found} could not be removed; `sindico sweep` shows what there is");
        }
    } else {
        console.result(&report, prose);
    }
    if found > 0 && !remove {
        bail!("{found} things belong to nobody; `sindico sweep --remove` removes them");
    }
    if unseen > 0 {
        bail!("{unseen} places could not be looked at");
    }
    Ok(())
}

fn prose(report: &Value) -> String {
    let items = rows(&report["items"]);
    let mut page = if items.is_empty() { "nothing belongs to nobody".to_owned() } else { table(items, &ORPHANS) };
    for it in rows(&report["unseen"]) {
        let [what, why] = ["what", "why"].map(|field| it[field].as_str().unwrap_or_default());
        page.push_str(&format!("\nnot judged: {what}: {why}"));
    }
    page
}

/// What came of each.
fn outcome(ended: &Value) -> String {
    let output = &ended["steps"][0]["output"];
    let count = |field: &str| rows(&output[field]).len();
    let mut page = format!("{} removed, {} gone already, {} left", count("removed"), count("gone"), count("left"));
    if let Some(error) = ended["error"].as_str() {
        page.push_str(&format!("\n{error}"));
    }
    for it in rows(&output["left"]) {
        let [kind, name, why] = ["kind", "name", "why"].map(|field| it[field].as_str().unwrap_or_default());
        page.push_str(&format!("\nleft: {kind} {name}: {why}"));
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_tells_what_why_and_what_is_not_known() {
        let report = json!({"items": [{"kind": "role", "cluster": "main", "name": "t_x", "why": "no tenant has it"}],
            "unseen": [{"what": "app shop", "why": "it is being registered", "busy": true}]});
        let told = prose(&report);
        assert!(
            told.contains("t_x") && told.contains("no tenant has it") && told.contains("not judged: app shop"),
            "{told}"
        );
        let ended = json!({"error": null, "steps": [{"output": {"removed": [{}], "gone": [],
            "left": [{"kind": "database", "name": "x", "why": "no answer"}]}}]});
        let told = outcome(&ended);
        assert!(
            told.contains("1 removed, 0 gone already, 1 left") && told.contains("left: database x: no answer"),
            "{told}"
        );
    }
}
