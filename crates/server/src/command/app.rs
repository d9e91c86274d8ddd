//! `sindico app …`

use serde_json::{Value, json};

use crate::app_dir::AppDir;
use crate::cli::AppCommand;
use crate::client::Client;
use crate::console::{Console, card, table};

pub(crate) async fn run(command: AppCommand, client: &Client, console: Console) -> anyhow::Result<()> {
    match command {
        AppCommand::Add { folder } => {
            let app = AppDir::read(&folder)?;
            let body = json!({"manifest": app.manifest, "files": app.files});
            let added = console.wait("registering the app", client.post("/apps", &body)).await?;
            console.result(&added, |app| card(app, &[("name", "/name"), ("title", "/title"), ("ready", "/ready")]));
        }
        AppCommand::List => {
            let page = client.get("/apps").await?;
            console.result(&page["items"], |items| {
                let rows = items.as_array().map(Vec::as_slice).unwrap_or_default();
                if rows.is_empty() {
                    return "no apps yet; register one with `sindico app add <folder>`".to_owned();
                }
                table(rows, &[("name", "/name"), ("title", "/title"), ("ready", "/ready"), ("since", "/created_at")])
            });
        }
    }
    Ok(())
}

/// Shared by listings: the rows of a page's `items`.
pub(crate) fn rows(items: &Value) -> &[Value] {
    items.as_array().map(Vec::as_slice).unwrap_or_default()
}
