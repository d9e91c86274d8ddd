//! `sindico audit`

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::bail;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::client::Client;
use crate::console::{Console, rows, table};

/// How often the command asks how far the audit is.
const PACE: Duration = Duration::from_millis(500);

pub(crate) async fn run(tenant: Option<String>, client: &Client, console: Console) -> anyhow::Result<()> {
    let body = tenant.map_or_else(|| json!({}), |tenant| json!({"tenant": tenant}));
    let begun = client.post("/audits", &body).await?;
    let ended = follow(&begun, client, console).await?;
    if ended["status"] == "failed" {
        bail!("the audit could not be carried out: {}", ended["reason"].as_str().unwrap_or_default());
    }
    console.result(&ended["report"], prose);
    if ended["clean"] != true {
        let escapes = escapes(&ended["report"]).count();
        let findings = rows(&ended["report"]["findings"]).len();
        bail!("this installation is not tight: {escapes} escapes, {findings} findings");
    }
    Ok(())
}

/// Waits for the end, showing how far it is where somebody watches.
async fn follow(begun: &Value, client: &Client, console: Console) -> anyhow::Result<Value> {
    let path = format!("/audits/{}", begun["id"].as_str().unwrap_or_default());
    let watched = !console.json() && std::io::stderr().is_terminal();
    let bar = if watched { ProgressBar::new(0) } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} attacks {elapsed}") {
        bar.set_style(style);
    }
    loop {
        let standing = client.get(&path).await?;
        if standing["status"] != "running" {
            bar.finish_and_clear();
            return Ok(standing);
        }
        bar.set_length(standing["of"].as_u64().unwrap_or_default());
        bar.set_position(standing["done"].as_u64().unwrap_or_default());
        tokio::time::sleep(PACE).await;
    }
}

fn escapes(report: &Value) -> impl Iterator<Item = &Value> {
    rows(&report["incidents"]).iter().filter(|incident| incident["weight"] == "escape")
}

fn prose(report: &Value) -> String {
    let mut parts: Vec<String> = families(report).into_iter().collect();
    for (title, weight) in [("ESCAPES", "escape"), ("FAILED, BUT NOT AS EXPECTED", "astray")] {
        let of_weight: Vec<&Value> =
            rows(&report["incidents"]).iter().filter(|incident| incident["weight"] == weight).collect();
        if !of_weight.is_empty() {
            let lines = of_weight.iter().map(|it| {
                let word = |field: &str| it[field].as_str().unwrap_or_default();
                format!(
                    "  {} {} in {} ({}): {}",
                    it["family"],
                    word("attack"),
                    word("isolation"),
                    word("door"),
                    word("what")
                )
            });
            parts.push(format!("{title}\n{}", lines.collect::<Vec<_>>().join("\n")));
        }
    }
    let findings = rows(&report["findings"]);
    if !findings.is_empty() {
        let lines = findings.iter().map(|it| {
            let word = |field: &str| it[field].as_str().unwrap_or_default();
            let place = [word("cluster"), word("database")].join(" ");
            format!("  {}: {} {}\n      mend: {}", place.trim(), word("object"), word("wrong"), word("mend"))
        });
        parts.push(format!("FINDINGS\n{}", lines.collect::<Vec<_>>().join("\n")));
    }
    let not_run = rows(&report["not_run"]);
    if !not_run.is_empty() {
        let lines = not_run.iter().map(|it| {
            let word = |field: &str| it[field].as_str().unwrap_or_default();
            format!("  {}: {}", word("part"), word("reason"))
        });
        parts.push(format!("NOT RUN\n{}", lines.collect::<Vec<_>>().join("\n")));
    }
    parts.push(summary(report));
    parts.join("\n\n")
}

/// One line for whoever reads no more than that.
fn summary(report: &Value) -> String {
    let attempts: u64 = rows(&report["tallies"]).iter().filter_map(|tally| tally["attempts"].as_u64()).sum();
    let incidents = rows(&report["incidents"]).len();
    let escapes = escapes(report).count();
    format!(
        "{attempts} attempts: {escapes} escapes, {} not as expected; {} findings in the catalogs; {:.1} s",
        incidents - escapes,
        rows(&report["findings"]).len(),
        report["seconds"].as_f64().unwrap_or_default()
    )
}

/// A line for each family: attempts in each isolation that was audited, and `!` with the number of attacks that reached the
/// victim.
fn families(report: &Value) -> Option<String> {
    const PLACES: [(&str, &str); 9] = [
        ("shared", "gateway"),
        ("shared", "direct"),
        ("shared", "dense"),
        ("schema", "gateway"),
        ("schema", "direct"),
        ("database", "gateway"),
        ("database", "direct"),
        ("cluster", "gateway"),
        ("cluster", "direct"),
    ];
    let tallies = rows(&report["tallies"]);
    let audited: Vec<(&str, &str)> = PLACES
        .into_iter()
        .filter(|(isolation, door)| tallies.iter().any(|it| it["isolation"] == *isolation && it["door"] == *door))
        .collect();
    let lines: Vec<Value> = audit::FAMILIES
        .iter()
        .map(|family| {
            let mut line = json!({"number": family.number, "name": family.name});
            for (isolation, door) in &audited {
                let here = tallies.iter().filter(|tally| {
                    tally["family"] == family.number && tally["isolation"] == *isolation && tally["door"] == *door
                });
                let (attempts, escapes) = here.fold((0, 0), |(attempts, escapes), tally| {
                    let count = |field: &str| tally[field].as_u64().unwrap_or_default();
                    (attempts + count("attempts"), escapes + count("escapes"))
                });
                let shown = match (attempts, escapes) {
                    (0, _) => "-".to_owned(),
                    (_, 0) => attempts.to_string(),
                    (_, escapes) => format!("{attempts} !{escapes}"),
                };
                line[format!("{isolation}-{door}")] = json!(shown);
            }
            line
        })
        .collect();
    let pointers: Vec<(String, String)> = audited
        .iter()
        .map(|(isolation, door)| (format!("{isolation} {door}"), format!("/{isolation}-{door}")))
        .collect();
    let mut columns = vec![("", "/number"), ("family", "/name")];
    columns.extend(pointers.iter().map(|(title, pointer)| (title.as_str(), pointer.as_str())));
    (!audited.is_empty()).then(|| table(&lines, &columns))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_shows_what_is_wrong_and_how_to_mend_it() {
        let report = json!({
            "seconds": 12.34,
            "tallies": [{"family": 1, "isolation": "shared", "door": "gateway", "attempts": 30, "escapes": 2}],
            "incidents": [
                {"weight": "escape", "family": 1, "attack": "a token", "isolation": "shared", "door": "gateway", "what": "told"},
                {"weight": "astray", "family": 2, "attack": "a typo", "isolation": "schema", "door": "direct", "what": "42601"}
            ],
            "findings": [{"cluster": "main", "database": "app_x", "object": "clients", "wrong": "is open", "mend": "REVOKE x"}],
            "not_run": [{"part": "attacks on cluster", "reason": "no room"}]
        });
        let shown = prose(&report);
        for words in [
            "30 !2",
            "1 a token in shared (gateway): told",
            "2 a typo",
            "main app_x: clients is open",
            "REVOKE x",
            "no room",
            "30 attempts: 1 escapes, 1 not as expected; 1 findings in the catalogs; 12.3 s",
        ] {
            assert!(shown.contains(words), "{words:?} is not in: {shown}");
        }
    }
}
