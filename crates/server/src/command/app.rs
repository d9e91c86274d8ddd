//! `sindico app …`

use serde_json::json;

use crate::app_dir::AppDir;
use crate::cli::AppCommand;
use crate::client::Client;
use crate::console::{Console, card, rows, table};

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
            let columns = [("name", "/name"), ("title", "/title"), ("ready", "/ready"), ("since", "/created_at")];
            console.result(&page["items"], |items| match rows(items) {
                [] => "no apps yet; register one with `sindico app add <folder>`".to_owned(),
                rows => table(rows, &columns),
            });
        }
    }
    Ok(())
}
