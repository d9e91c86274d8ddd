//! `sindico archive …`

use anyhow::bail;
use serde_json::json;

use super::backup::{confirm, of_whom};
use super::export::Folder;
use crate::cli::{ArchiveCommand, WhichArchives};
use crate::client::{Client, segment};
use crate::console::{Console, card, rows, table};

const LIST: [(&str, &str); 8] = [
    ("id", "/id"),
    ("tenant", "/slug"),
    ("table", "/table"),
    ("state", "/state"),
    ("rows", "/rows"),
    ("oldest", "/oldest"),
    ("newest", "/newest"),
    ("expires", "/expires_at"),
];

const CARD: [(&str, &str); 14] = [
    ("id", "/id"),
    ("tenant", "/slug"),
    ("tenant id", "/tenant"),
    ("app", "/app"),
    ("table", "/table"),
    ("state", "/state"),
    ("store", "/store"),
    ("rows", "/rows"),
    ("bytes", "/bytes"),
    ("stored", "/stored_bytes"),
    ("oldest", "/oldest"),
    ("newest", "/newest"),
    ("archived", "/archived_at"),
    ("expires", "/expires_at"),
];

const COLUMNS: [(&str, &str); 2] = [("column", "/name"), ("type", "/type")];

pub(crate) async fn run(command: ArchiveCommand, client: &Client, console: Console) -> anyhow::Result<()> {
    match command {
        ArchiveCommand::List { which, limit } => {
            let page = client.get(&format!("/archives?limit={limit}{}", words(which, client).await?)).await?;
            console.result(&page["items"], |all| match rows(all) {
                [] => "no archives; `archive` in a rule of app.toml has rows archived that are removed".to_owned(),
                rows => table(rows, &LIST),
            });
        }
        ArchiveCommand::Show { archive } => {
            let shown = client.get(&format!("/archives/{}", segment(&archive))).await?;
            console.result(&shown, |shown| {
                let card = card(shown, &CARD);
                match rows(&shown["columns"]) {
                    [] => card,
                    columns => format!("{card}\n\n{}", table(columns, &COLUMNS)),
                }
            });
        }
        ArchiveCommand::Export { which, to, format } => {
            let path = format!("/archives?limit=1000{}", words(which, client).await?);
            let (_, all) = client.pages_by("before", &path).await?;
            let (found, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|it| it["state"] == "kept");
            let left_out = others.len();
            if found.is_empty() {
                bail!("there are no archives of these; `sindico archive list` shows those that there are");
            }
            let mut folder = Folder::make(&to)?;
            for it in &found {
                let word = |field: &str| segment(it[field].as_str().unwrap_or_default());
                let file = format!("{}.{}", word("id"), format.as_str());
                let from = format!("/archives/{}/rows?format={}", word("id"), format.as_str());
                folder.download(&file, &from, client).await?;
            }
            folder.write("archives.json", &format!("{:#}\n", json!(found)))?;
            folder.seal()?;
            let count: i64 = found.iter().filter_map(|it| it["rows"].as_i64()).sum();
            let told = json!({"folder": to, "archives": found.len(), "left_out": left_out, "rows": count});
            console.result(&told, |told| {
                let rest = if left_out == 0 { "" } else { ", but for those that are being written or removed," };
                format!(
                    "{} rows of {} archives{rest} are in {}; archives.json says which is which; check them with \
                     `sha256sum --check SHA256SUMS` there",
                    told["rows"],
                    told["archives"],
                    to.display()
                )
            });
        }
        ArchiveCommand::Delete { archive, yes } => {
            confirm(yes, &format!("Remove archive {archive}, for good? Its rows are nowhere else."), console)?;
            client.delete(&format!("/archives/{}", segment(&archive)), None).await?;
            console.result(&json!({"archive": archive, "removed": true}), |_| format!("archive {archive} is removed"));
        }
    }
    Ok(())
}

async fn words(which: WhichArchives, client: &Client) -> anyhow::Result<String> {
    let mut query = of_whom(which.tenant.as_deref(), which.app.as_ref(), client).await?;
    if let Some(table) = which.table {
        query.push_str(&format!("&table={}", segment(&table)));
    }
    Ok(query)
}
